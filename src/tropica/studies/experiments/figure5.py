"""Figure 5 and appendix E.6: how similar the coefficients of two separately trained networks are, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from tropica.compare.similarity import angles, correlation, distances
from tropica.decomposition.local_terms import local_terms
from tropica.plots import angle_distance, mean_curves, style
from tropica.plots.mean_curves import Curve
from tropica.studies.case import Case
from tropica.studies.epochs import select_epochs
from tropica.studies.experiments.figure2 import quantiles, with_nan
from tropica.studies.panels import panel_grid
from tropica.studies.study import Measurement, Results, Row, Study
from tropica.studies.tables import Table, aggregate, curve, decimals, mean_sd, percent, select
from tropica.studies.training.settings import TrainSettings
from tropica.terms.linear_terms import AffineTerms

EPOCHS = 24
"""The approximate number of epochs that are measured."""
SHOWN = 1500
"""The largest number of training points in the figure of angles and distances."""
QUANTITIES = {
    "correlation": "Pearson correlation,\nmean over inputs",
    "angle_50": "median angle (degrees)",
    "distance_50": "median distance\n(logit per unit of input)",
}


def measure(case: Case) -> Measurement:
    """A row for each epoch, which compares this network with that of the next seed; for the figure, the last epoch's points."""
    other = case.with_run(case.other_runs[0])
    rows, figure_data = [], {}
    for epoch in select_epochs(case.run.epochs, EPOCHS, also=case.run.milestones):

        def measure_epoch(epoch: int = epoch) -> dict[str, Row]:
            return compare_networks(case.after_epoch(epoch), other.after_epoch(epoch))

        found = case.checkpoint(f"epoch-{epoch:04}", measure_epoch)
        rows.append({"other_seed": other.run.seed, "epoch": epoch, **found["row"]})
        figure_data = found["points"]
    return Measurement(rows, figure_data)


def compare_networks(one: Case, other: Case) -> dict[str, Row]:
    """Compare the terms of two networks at the same training points, each for its own network's label."""
    (a, labels), (b, other_labels) = own_terms(one), own_terms(other)
    by_input, angle, distance = correlation(a, b), angles(a, b).cpu(), distances(a, b).cpu()
    same = labels == other_labels
    row: Row = {
        "correlation": None if bool(by_input.isnan().all()) else float(by_input.nanmean()),
        "inputs": int((~by_input.isnan()).sum()),
        "same_label": float(same.double().mean()),
        "no_direction": int(angle.isnan().sum()),
        **quantiles("angle", angle),
        **quantiles("distance", distance),
    }
    points = {
        "angle": [round(value, 2) for value in angle[:SHOWN].tolist()],
        "distance": [float(f"{value:.4g}") for value in distance[:SHOWN].tolist()],
        "same": same[:SHOWN].tolist(),
    }
    return {"row": row, "points": points}


def own_terms(case: Case) -> tuple[AffineTerms, Tensor]:
    """The terms N_i on the linear regions of the training points, where i is the label that N gives; and these labels."""
    return local_terms(case.net, case.points, progress=case.progress("coefficients"))


def tables(results: Results) -> list[Table]:
    """A table for each network, a row for each epoch."""
    falls = _falls(results)
    note = "Angles and distances: medians over training points. Same label: training points that both networks label alike. "
    note += "Neighboring pairs have a network in common." + (" ●: the learning rate falls after this epoch." if falls else "")
    rows = results.rows.assign(mark=[f"{epoch}{' ●' if epoch in falls else ''}" for epoch in results.rows["epoch"]])
    cells = {
        "correlation": ("correlation", decimals(3)),
        "angle (°)": ("angle_50", mean_sd),
        "distance": ("distance_50", decimals(2)),
        "same label (%)": ("same_label", percent),
    }
    return [
        Table(
            f"{model}: mean ± sd over pairs of networks", aggregate(select(rows, model=model), {"epoch": "mark"}, cells), note
        )
        for model in results.models
    ]


def findings(results: Results) -> list[str]:
    """The correlation at the end, its highest value, and its change where the learning rate falls."""
    lines = []
    for model in results.models:
        rows = select(results.rows, model=model)
        epochs = rows["epoch"].unique().tolist()
        text = rows.groupby("epoch")["correlation"].agg(decimals(3))
        means = rows.groupby("epoch")["correlation"].mean().astype(float).fillna(-2.0).to_dict()
        highest = max(epochs, key=means.__getitem__)
        last = epochs[-1]
        end = select(rows, epoch=last)
        lines.append(
            f"{model}: the coefficients of two networks correlate with {text[last]} after epoch {last}, at most with "
            f"{text[highest]} (epoch {highest}); after epoch {last} their median angle is {mean_sd(end['angle_50'])}° and "
            f"their median distance {mean_sd(end['distance_50'], digits=2)}."
        )
        for epoch in _falls(results):
            if {epoch, epoch + 1} <= set(epochs):
                change = f"from {text[epoch]} to {text[epoch + 1]}"
                lines.append(f"{model}: where the learning rate falls, after epoch {epoch}, the correlation goes {change}.")
    if len(results.families) == 2:
        last = results.rows["epoch"].iloc[-1]
        end = select(results.rows, epoch=last)
        fcn, cnn = (mean_sd(select(end, family=family)["correlation"], digits=3) for family in results.families)
        lines.append(f"FCN {fcn}, CNN {cnn} after epoch {last}, mean ± sd over pairs and architectures.")
    return lines


def _falls(results: Results) -> list[int]:
    return TrainSettings(**results.settings["training"]).milestones


def figures(results: Results) -> Mapping[str, Figure]:
    """Correlation, angle and distance over epochs; and angle against distance after the last one."""
    return {"figure5": _over_epochs(results), "retraining": _at_the_end(results)}


def _over_epochs(results: Results) -> Figure:
    figure = style.figure(height=2.4)
    for ax, (key, label) in zip(figure.subplots(1, len(QUANTITIES)), QUANTITIES.items(), strict=True):
        lines = {model: curve(select(results.rows, model=model), "epoch", key, 1) for model in results.models}
        mean_curves(lines, xlabel="epoch", ylabel=label, legend=False, ax=ax)
        _mark_falls(ax, lines, _falls(results))
        if key == "angle_50":
            ax.axhline(90, color="0.6", linewidth=0.8, linestyle=":", zorder=0)
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), handlelength=2.6)
    return figure


def _mark_falls(ax: Axes, lines: Mapping[str, Curve], falls: list[int]) -> None:
    """A black dot on each curve where the learning rate falls, as in the paper."""
    at = [(x, y) for line in lines.values() for x, y in zip(line.x, line.mean, strict=True) if x in falls]
    if at:
        ax.plot(*zip(*at, strict=True), "o", color=style.BLACK, markersize=5, zorder=4, label="learning rate falls")


def _at_the_end(results: Results) -> Figure:
    """A panel for each network (its first run), all on the same scales."""
    figure, panels = panel_grid(len(results.models), 2.6)
    for ax, model in zip(panels, results.models, strict=True):
        found = results.first_run(model)
        angle, distance = (with_nan(found[key]) for key in ("angle", "distance"))
        names = ("same label", "different labels")
        angle_distance(angle, distance, torch.tensor(found["same"]), title=model, names=names, ax=ax)
    for ax in panels:
        ax.set_xlim(0, max(other.get_xlim()[1] for other in panels))
        ax.set_ylim(0, max(other.get_ylim()[1] for other in panels))
    return figure


def summary(results: Results) -> str:
    """The correlation and the median angle at the end."""
    last = results.rows["epoch"].iloc[-1]
    means = select(results.rows, epoch=last).groupby("family")[["correlation", "angle_50"]].mean().astype(float)
    texts = [f"{f} {means['correlation'][f]:.2f} (median angle {means['angle_50'][f]:.0f}°)" for f in results.families]
    return f"Correlation of the coefficients of two separately trained networks after epoch {last}: {', '.join(texts)}."


STUDY = Study(
    name="figure5",
    title="Figure 5: coefficients of two separately trained networks",
    question="Two networks of one kind, trained alike from different seeds: are their coefficients similar at the same "
    "training points? Pearson's correlation in each input dimension, averaged over the dimensions, and (E.6) the angle and the "
    "Euclidean distance of the coefficients at each point. A run compares its network with that of the next seed, so n runs "
    "train n + 1 networks. The coefficients are N's own, a⁺ − a⁻, and do not depend on the decomposition.",
    paper="The coefficients of fully connected networks are clearly correlated after training, those of convolutional ones "
    "less, on MNIST and on CIFAR-10; on CIFAR-10 the correlation jumps precisely where the learning rate falls. In E.6 the "
    "coefficients of two CNNs are nearly orthogonal; angles and distances of fully connected networks are much smaller.",
    measure=measure,
    needs="the weights after each epoch of two trainings; tropica compare compares two networks",
    tables=tables,
    findings=findings,
    figures=figures,
    summary=summary,
    num_networks=2,
)
