"""Figure 5 and appendix E.6: how alike the coefficients of two separately trained networks are, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from tropica.compare.similarity import angles, correlation, distances
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.decomposition.extract import extract
from tropica.plots import angle_distance, mean_curves, style
from tropica.plots.mean_curves import Curve
from tropica.studies.case import Case
from tropica.studies.experiments.epochs import spaced_epochs
from tropica.studies.experiments.figure2 import quantile
from tropica.studies.study import Measured, Results, Row, Study, Table, bands, families, spread
from tropica.studies.training.settings import TrainSettings
from tropica.terms.linear_terms import AffineTerms

MOST = 24
"""About so many epochs are looked at."""
SHOWN = 1500
"""Training points that the figure of angles and distances shows at most."""
QUANTITIES = {
    "correlation": "Pearson correlation,\nmean over inputs",
    "angle_50": "median angle (degrees)",
    "distance_50": "median distance\n(logit per unit of input)",
}


def measure(case: Case) -> Measured:
    """A row an epoch, of this network and the one of the next seed; beside them the angles and distances at the end."""
    other = case.of(case.others[0])
    rows, extra = [], {}
    for epoch in spaced_epochs(case.run.epochs, MOST, also=case.run.settings.falls):
        found = case.part(f"epoch-{epoch:04}", lambda epoch=epoch: compared(case.at(epoch), other.at(epoch)))
        rows.append({"other_seed": other.run.seed, "epoch": epoch, **found["row"]})
        extra = found["points"]
    return Measured(rows, extra)


def compared(one: Case, other: Case) -> dict[str, Row]:
    """The terms a_k of two networks at the same training points, each of the label that its network gives.

    They are N's own coefficients: a⁺ − a⁻, whatever the split.
    """
    (a, labels), (b, other_labels) = own_terms(one), own_terms(other)
    by_input, angle, distance = correlation(a, b), angles(a, b).cpu(), distances(a, b).cpu()
    same = labels == other_labels
    mean = float(by_input.nanmean())
    row: Row = {
        "correlation": None if mean != mean else mean,
        "inputs": int((~by_input.isnan()).sum()),
        "same_label": float(same.double().mean()),
        "no_direction": int(angle.isnan().sum()),
    }
    for name, values in (("angle", angle), ("distance", distance)):
        for share in (10, 50, 90):
            row[f"{name}_{share}"] = quantile(values, share / 100)
    first = slice(SHOWN)
    points = {
        "angle": [round(value, 2) for value in angle[first].tolist()],
        "distance": [float(f"{value:.4g}") for value in distance[first].tolist()],
        "same": same[first].tolist(),
    }
    return {"row": row, "points": points}


def own_terms(case: Case) -> tuple[AffineTerms, Tensor]:
    """N_i on the linear region of each training point, i the label that N gives it, and these labels; no split is needed."""
    nothing = DCDecomposition(case.net, "none", {})
    terms = extract(case.net, case.points, nothing, check=False, progress=case.step("coefficients"))
    return terms.local, terms.labels


def tables(results: Results) -> list[Table]:
    """A table a network, a row an epoch."""
    falls = _falls(results)
    headings = ["epoch", "correlation", "angle (°)", "distance", "same label (%)"]
    found = []
    for model in results.values("model"):
        rows = []
        for epoch in results.values("epoch", model=model):
            at = results.where(model=model, epoch=epoch)
            cells = [spread(at, key).text(digits) for key, digits in zip(QUANTITIES, (3, 1, 2), strict=True)]
            rows.append([f"{epoch}{' ●' if epoch in falls else ''}", *cells, spread(at, "same_label", 100).text()])
        note = (
            "Angles and distances: medians over training points. Same label: training points that both networks label alike. "
        )
        note += "Neighboring pairs have a network in common. " + (
            "●: the learning rate falls after this epoch." if falls else ""
        )
        found.append(Table(f"{model}: mean ± sd over pairs of networks", headings, rows, 4, note.strip()))
    return found


def findings(results: Results) -> list[str]:
    """What is left of the correlation at the end, its highest value, and what the falls of the learning rate do."""
    lines = []
    for model in results.values("model"):
        epochs = results.values("epoch", model=model)
        by_epoch = {epoch: spread(results.where(model=model, epoch=epoch), "correlation") for epoch in epochs}
        highest = max(epochs, key=lambda epoch: by_epoch[epoch].mean if by_epoch[epoch].number else -2.0)
        last = epochs[-1]
        end = results.where(model=model, epoch=last)
        lines.append(
            f"{model}: the coefficients of two networks correlate with {by_epoch[last].text(3)} after epoch {last}, at most "
            f"with {by_epoch[highest].text(3)} (epoch {highest}); after epoch {last} their median angle is "
            f"{spread(end, 'angle_50').text()}° and their median distance {spread(end, 'distance_50').text(2)}."
        )
        for epoch in _falls(results):
            if {epoch, epoch + 1} <= set(epochs):
                before, after = by_epoch[epoch].text(3), by_epoch[epoch + 1].text(3)
                lines.append(f"{model}: where the learning rate falls, after epoch {epoch}, it goes from {before} to {after}.")
    if len(families(results)) == 2:
        last = results.rows[-1]["epoch"]
        fcn, cnn = (spread(results.where(family=name, epoch=last), "correlation").text(3) for name in families(results))
        lines.append(f"FCN {fcn}, CNN {cnn} after epoch {last}, mean ± sd over pairs and architectures.")
    return lines


def _falls(results: Results) -> list[int]:
    return TrainSettings(**results.settings["training"]).falls


def figures(results: Results) -> Mapping[str, Figure]:
    """Correlation, angle and distance over epochs; and angle against distance after the last one, a panel a network."""
    figure = style.figure(height=2.4)
    models = results.values("model")
    for ax, (key, label) in zip(figure.subplots(1, len(QUANTITIES)), QUANTITIES.items(), strict=True):
        lines = {}
        for model in models:
            epochs = results.values("epoch", model=model)
            lines[model] = Curve(epochs, *bands([spread(results.where(model=model, epoch=e), key) for e in epochs]))
        mean_curves(lines, xlabel="epoch", ylabel=label, legend=False, ax=ax)
        _mark_falls(ax, lines, _falls(results))
        if key == "angle_50":
            ax.axhline(90, color="0.6", linewidth=0.8, linestyle=":", zorder=0)
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), handlelength=2.6)
    columns = min(3, len(models))
    last = style.figure(height=2.6 * -(-len(models) // columns))
    panels = last.subplots(-(-len(models) // columns), columns, squeeze=False).flatten()
    for ax in panels[len(models) :]:
        ax.remove()
    for ax, model in zip(panels, models, strict=False):
        found = results.first(model)
        angle, distance = (torch.tensor([torch.nan if v is None else v for v in found[key]]) for key in ("angle", "distance"))
        names = ("same label", "different labels")
        angle_distance(angle, distance, torch.tensor(found["same"]), title=model, names=names, ax=ax)
    for ax in last.axes:  # to be compared
        ax.set_xlim(0, max(other.get_xlim()[1] for other in last.axes))
        ax.set_ylim(0, max(other.get_ylim()[1] for other in last.axes))
    return {"figure5": figure, "retraining": last}


def _mark_falls(ax: Axes, lines: Mapping[str, Curve], falls: list[int]) -> None:
    """A black dot on each curve where the learning rate falls, as in the paper."""
    at = [(x, y) for line in lines.values() for x, y in zip(line.x, line.mean, strict=True) if x in falls]
    if at:
        ax.plot(*zip(*at, strict=True), "o", color=style.BLACK, markersize=5, zorder=4, label="learning rate falls")


def summary(results: Results) -> str:
    """Correlation and angle at the end."""
    last = results.rows[-1]["epoch"]
    found = [
        f"{name} {spread(at, 'correlation').mean:.2f} (median angle {spread(at, 'angle_50').mean:.0f}°)"
        for name in families(results)
        for at in [results.where(family=name, epoch=last)]
    ]
    return f"Correlation of the coefficients of two separately trained networks after epoch {last}: {', '.join(found)}."


STUDY = Study(
    name="figure5",
    title="Figure 5: coefficients of two separately trained networks",
    question="Two networks of one kind, trained alike from different seeds: are their coefficients alike at the same training "
    "points? Pearson's correlation in each input dimension, averaged over the dimensions, and (E.6) the angle and the "
    "Euclidean distance of the coefficients at each point. A run compares its network with that of the next seed, so one "
    "network more than runs is trained. The coefficients are N's own, a⁺ − a⁻: no split changes them.",
    paper="The coefficients of fully connected networks are clearly correlated after training, those of convolutional ones "
    "less, on MNIST and on CIFAR-10; on CIFAR-10 the correlation jumps precisely where the learning rate falls. In E.6 the "
    "coefficients of two CNNs are nearly orthogonal; angles and distances of fully connected networks are much smaller.",
    measure=measure,
    tables=tables,
    findings=findings,
    figures=figures,
    summary=summary,
    networks=2,
)
