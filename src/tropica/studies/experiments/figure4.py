"""Figure 4: extraction during training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from tropica.plots import mean_curves, style
from tropica.plots.mean_curves import Curve
from tropica.studies.case import Case
from tropica.studies.experiments import table2
from tropica.studies.experiments.epochs import spaced_epochs
from tropica.studies.study import Measured, Results, Row, Spread, Study, Table, bands, by_decomposition, families, spread

MOST = 12
"""About so many epochs are looked at: each costs two splits and their terms."""
NETWORK, AGREEMENT, ACCURACY = "network_true", "network_extracted", "extracted_true"


def measure(case: Case) -> Measured:
    """A row an epoch and split: those of Table 2 for the network after the epoch. Each epoch is kept as it is measured."""
    rows: list[Row] = []
    for epoch in spaced_epochs(case.run.epochs, MOST, also=case.run.settings.falls):

        def of_epoch(epoch: int = epoch) -> list[Row]:
            return [{"epoch": epoch, **row} for row in table2.measure(case.at(epoch)).rows]

        rows += case.part(f"epoch-{epoch:04}", of_epoch)
    return Measured(rows)


def tables(results: Results) -> list[Table]:
    """A table a network, a row an epoch."""
    headings = ["epoch", "N vs true", *(f"{key}, {m}" for m in table2.SPLITS for key in ("N vs N^(X)", "N^(X) vs true"))]
    found = []
    for model in results.values("model"):
        rows = []
        for epoch in results.values("epoch", model=model):
            at = {method: results.where(model=model, epoch=epoch, decomposition=method) for method in table2.SPLITS}
            cells = [spread(at[method], key, 100).text() for method in table2.SPLITS for key in (AGREEMENT, ACCURACY)]
            rows.append([str(epoch), spread(at[table2.SPLITS[0]], NETWORK, 100).text(), *cells])
        note = "Epoch 0 is the untrained network." if results.values("epoch", model=model)[0] == 0 else ""
        title = f"{model}: in % of the test points, mean ± sd over runs"
        found.append(Table(title, headings, rows, len(headings), note))
    return found


def findings(results: Results) -> list[str]:
    """How agreement goes from the first epoch to the last, and what extraction costs at the end."""
    lines = []
    for model in results.values("model"):
        epochs = results.values("epoch", model=model)
        first, last = next((epoch for epoch in epochs if epoch > 0), epochs[-1]), epochs[-1]
        for method in table2.SPLITS:
            early, late = (_at(results, AGREEMENT, model=model, decomposition=method, epoch=epoch) for epoch in (first, last))
            lowest = min(
                epochs[1:] or epochs, key=lambda e: _at(results, AGREEMENT, model=model, decomposition=method, epoch=e)
            )
            least = _at(results, AGREEMENT, model=model, decomposition=method, epoch=lowest)
            network, extracted = (
                _at(results, key, model=model, decomposition=method, epoch=last) for key in (NETWORK, ACCURACY)
            )
            lines.append(
                f"{model}, {method} split: N^(X) agrees with N on {early:.1f} % of the test points after epoch {first} and on "
                f"{late:.1f} % after epoch {last}, least after epoch {lowest} ({least:.1f} %); accuracy at the end is "
                f"{network:.1f} % for N and {extracted:.1f} % for N^(X) ({extracted - network:+.1f} points)."
            )
    if len(families(results)) == 2:
        last = results.rows[-1]["epoch"]
        for method in table2.SPLITS:
            fcn, cnn = (_gain(results, family=name, decomposition=method, epoch=last).text() for name in families(results))
            lines.append(f"Accuracy of N^(X) less that of N after epoch {last}, {method} split: FCN {fcn}, CNN {cnn} points.")
    return lines


def _at(results: Results, key: str, **where: Any) -> float:
    return spread(results.where(**where), key, 100).mean


def _gain(results: Results, **where: Any) -> Spread:
    """Accuracy of N^(X) less that of N, in points."""
    return Spread.of(100 * (row[ACCURACY] - row[NETWORK]) for row in results.where(**where))


def figures(results: Results) -> Mapping[str, Figure]:
    """A column a split, a curve a network: agreement, accuracy, and what extraction does to accuracy."""
    figure = style.figure(height=6.2)
    panels = figure.subplots(3, len(table2.SPLITS), sharex=True, sharey="row", squeeze=False)
    labels = (
        "N vs N^(X)\n(% of test points)",
        "N^(X) vs true\n(% of test points)",
        "accuracy of N^(X)\nless that of N (points)",
    )
    for column, method in zip(panels.T, table2.SPLITS, strict=True):
        left = column[0] is panels[0][0]
        for ax, label, key in zip(column, labels, (AGREEMENT, ACCURACY, None), strict=True):
            lines = {}
            for model in results.values("model"):
                epochs = results.values("epoch", model=model)
                at = [{"model": model, "decomposition": method, "epoch": epoch} for epoch in epochs]
                found = [spread(results.where(**one), key, 100) if key else _gain(results, **one) for one in at]
                lines[model] = Curve(epochs, *bands(found))
            mean_curves(
                lines,
                xlabel="epoch" if ax is column[-1] else "",
                ylabel=label if left else "",
                title=f"{method} split" if ax is column[0] else "",
                legend=left and ax is column[0],
                ax=ax,
            )
        column[0].set_ylim(top=101)
        column[-1].axhline(0, color="0.6", linewidth=0.8, linestyle=":", zorder=0)
    return {"figure4": figure}


def summary(results: Results) -> str:
    """Agreement after the first epoch and after the last."""
    epochs = results.values("epoch")
    first, last = next((epoch for epoch in epochs if epoch > 0), epochs[-1]), epochs[-1]
    early, late = (by_decomposition(results, AGREEMENT, epoch=epoch) for epoch in (first, last))
    return (
        f"N^(X) agrees with N on so many per cent of the test points: {early} after epoch {first}; {late} after epoch {last}."
    )


STUDY = Study(
    name="figure4",
    title="Figure 4: extraction during training",
    question="After each of several epochs N^(X) is extracted anew, with a decomposition of its own: how often does it give the label "
    "of the network as it is then, and how often the true one? Where more epochs are kept than these, they lie ever farther "
    "apart, and those at a fall of the learning rate are among them.",
    paper="For Narrow (a CNN) the agreement falls rapidly after only one epoch and only slightly from there. For Wide (fully "
    "connected, with as many nodes) it falls slowly over all 50 epochs and never gets as low as Narrow's after its first "
    "epoch. At the end extraction costs Narrow 36.6 points of accuracy and Wide 8.1.",
    measure=measure,
    tables=tables,
    findings=findings,
    figures=figures,
    decompositions=table2.SPLITS,
    summary=summary,
)
