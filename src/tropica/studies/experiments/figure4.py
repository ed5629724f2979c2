"""Figure 4: extraction during training."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from tropica.plots import mean_curves, style
from tropica.studies.baselines import NOTE, baseline_cells
from tropica.studies.case import Case
from tropica.studies.epochs import select_epochs
from tropica.studies.experiments import table2
from tropica.studies.panels import FIDELITY, PERCENT
from tropica.studies.study import METHODS, Measurement, Results, Row, Study
from tropica.studies.tables import Table, aggregate, by_decomposition, curve, mean_sd, percent, select

EPOCHS = 12
"""The approximate number of epochs that are measured; each costs three decompositions and their terms."""
DECOMPOSITIONS = table2.DECOMPOSITIONS
NETWORK, AGREEMENT, ACCURACY = "network_true", "network_extracted", "extracted_true"


def measure(case: Case) -> Measurement:
    """The rows of Table 2, with its baselines, after each of several epochs; each measured epoch is a checkpoint."""
    rows: list[Row] = []
    for epoch in select_epochs(case.run.epochs, EPOCHS, also=case.run.milestones):

        def measure_epoch(epoch: int = epoch) -> list[Row]:
            return [{"epoch": epoch, **row} for row in table2.measure(case.after_epoch(epoch)).rows]

        rows += case.checkpoint(f"epoch-{epoch:04}", measure_epoch)
    return Measurement(rows)


def tables(results: Results) -> list[Table]:
    """A table for each network, a row for each epoch."""
    found = []
    for model in results.models:
        rows = select(results.rows, model=model)
        network = select(rows, decomposition=DECOMPOSITIONS[0])
        frame = aggregate(network, {"epoch": "epoch"}, {"N vs true": (NETWORK, percent), **baseline_cells(rows)})
        cells = {"N vs N^(X)": (AGREEMENT, percent), "N^(X) vs true": (ACCURACY, percent)}
        frame = frame.join(aggregate(rows, {"epoch": "epoch"}, cells, across="decomposition"))
        note = f"Epoch 0 is the untrained network. {NOTE}" if rows["epoch"].iloc[0] == 0 else NOTE
        found.append(Table(f"{model}: in % of the test points, mean ± sd over runs", frame, note))
    return found


def findings(results: Results) -> list[str]:
    """The agreement after the first and the last epoch, and the accuracy that extraction costs at the end."""
    lines = []
    for model in results.models:
        for method in DECOMPOSITIONS:
            rows = select(results.rows, model=model, decomposition=method)
            means = 100 * rows.groupby("epoch")[[AGREEMENT, NETWORK, ACCURACY]].mean()
            trained = means[means.index > 0] if len(means) > 1 else means
            first, last = trained.index[0], means.index[-1]
            agreement = means[AGREEMENT].round(6).to_dict()
            lowest = min(trained.index, key=agreement.__getitem__)
            network, extracted = means[NETWORK][last], means[ACCURACY][last]
            lines.append(
                f"{model}, {method} decomposition: N^(X) agrees with N on {agreement[first]:.1f} % of the test points after "
                f"epoch {first} and on {agreement[last]:.1f} % after epoch {last}, least after epoch {lowest} "
                f"({agreement[lowest]:.1f} %); accuracy at the end is {network:.1f} % for N and {extracted:.1f} % for "
                f"N^(X) ({extracted - network:+.1f} points)."
            )
    if len(results.families) == 2:
        last = results.rows["epoch"].iloc[-1]
        for method in DECOMPOSITIONS:
            rows = select(_with_loss(results.rows), decomposition=method, epoch=last)
            fcn, cnn = (mean_sd(select(rows, family=family)["loss"]) for family in results.families)
            lines.append(
                f"Accuracy of N^(X) minus that of N after epoch {last}, {method} decomposition: FCN {fcn}, CNN {cnn} points."
            )
    return lines


def _with_loss(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with a column of the accuracy of N^(X) minus that of N, in points."""
    return rows.assign(loss=100 * (rows[ACCURACY] - rows[NETWORK]))


def figures(results: Results) -> Mapping[str, Figure]:
    """A column for each decomposition, a curve for each network: agreement, accuracy, and the loss of accuracy."""
    figure = style.figure(height=6.2)
    panels = figure.subplots(3, len(DECOMPOSITIONS), sharex=True, sharey="row", squeeze=False)
    quantities = {
        AGREEMENT: (FIDELITY.replace(" (", "\n("), 100),
        ACCURACY: ("test accuracy of\nN^(X) (%)", 100),
        "loss": ("accuracy of N^(X)\nminus that of N (points)", 1),
    }
    for column, method in zip(panels.T, DECOMPOSITIONS, strict=True):
        rows = select(_with_loss(results.rows), decomposition=method)
        left = column[0] is panels[0][0]
        for ax, (key, (label, scale)) in zip(column, quantities.items(), strict=True):
            mean_curves(
                {model: curve(select(rows, model=model), "epoch", key, scale) for model in results.models},
                xlabel="epoch" if ax is column[-1] else "",
                ylabel=label if left else "",
                title=f"{method} decomposition" if ax is column[0] else "",
                legend=left and ax is column[0],
                within=PERCENT if scale == 100 else (-100, 100),
                ax=ax,
            )
        column[0].set_ylim(top=101)
        column[-1].axhline(0, color="0.6", linewidth=0.8, linestyle=":", zorder=0)
    return {"figure4": figure}


def summary(results: Results) -> str:
    """The agreement after the first and after the last epoch."""
    epochs = results.rows["epoch"].unique().tolist()
    first, last = next((epoch for epoch in epochs if epoch > 0), epochs[-1]), epochs[-1]
    early, late = (by_decomposition(select(results.rows, epoch=epoch), AGREEMENT, METHODS) for epoch in (first, last))
    return f"N^(X) agrees with N on test points (in %): {early} after epoch {first}; {late} after epoch {last}."


STUDY = Study(
    name="figure4",
    title="Figure 4: extraction during training",
    question="After each of several epochs N^(X) is extracted anew, with a decomposition of its own: how often does it give "
    "the label of the network after that epoch, and how often the true one? If not all saved epochs are measured, those "
    "measured lie increasingly far apart and include those at which the learning rate falls.",
    paper="For Narrow (a CNN) the agreement falls rapidly after only one epoch and only slightly from there. For Wide (fully "
    "connected, with as many nodes) it falls slowly over all 50 epochs and never gets as low as Narrow's after its first "
    "epoch. At the end extraction costs Narrow 36.6 points of accuracy and Wide 8.1.",
    measure=measure,
    needs="the weights after each epoch of a training; call tp.follow in your own training loop",
    tables=tables,
    findings=findings,
    figures=figures,
    decompositions=DECOMPOSITIONS,
    summary=summary,
)
