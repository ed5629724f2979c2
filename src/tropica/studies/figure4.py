"""Figure 4: extraction during training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from tropica.plots import Curve, curves, style
from tropica.plots.curves import COLOURS
from tropica.studies import table2
from tropica.studies.case import Case
from tropica.studies.epochs import spaced_epochs
from tropica.studies.study import METHODS, Measured, Results, Row, Study, Table, bands, families, spread

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
    headings = ["epoch", "N vs true", *(f"{key}, {m}" for m in METHODS for key in ("N vs N^(X)", "N^(X) vs true"))]
    found = []
    for model in results.values("model"):
        rows = []
        for epoch in results.values("epoch", model=model):
            at = {method: results.where(model=model, epoch=epoch, split=method) for method in METHODS}
            cells = [spread(at[method], key, 100).text() for method in METHODS for key in (AGREEMENT, ACCURACY)]
            rows.append([str(epoch), spread(at[METHODS[0]], NETWORK, 100).text(), *cells])
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
        for method in METHODS:
            early, late = (_at(results, AGREEMENT, model=model, split=method, epoch=epoch) for epoch in (first, last))
            lowest = min(epochs[1:] or epochs, key=lambda e: _at(results, AGREEMENT, model=model, split=method, epoch=e))
            least = _at(results, AGREEMENT, model=model, split=method, epoch=lowest)
            lines.append(
                f"{model}, {method} split: agreement with N is {early:.1f} % after epoch {first} and {late:.1f} % after epoch "
                f"{last}, at least {least:.1f} % (epoch {lowest}); at the end extraction costs "
                f"{_cost(results, model=model, split=method, epoch=last):.1f} points of accuracy."
            )
    if len(families(results)) == 2:
        last = results.rows[-1]["epoch"]
        for method in METHODS:
            fcn, cnn = (_cost(results, family=name, split=method, epoch=last) for name in families(results))
            lines.append(
                f"Accuracy that extraction costs after epoch {last}, {method} split: FCN {fcn:.1f}, CNN {cnn:.1f} points."
            )
    return lines


def _at(results: Results, key: str, **where: Any) -> float:
    return spread(results.where(**where), key, 100).mean


def _cost(results: Results, **where: Any) -> float:
    """Accuracy of N less that of N^(X), in points."""
    return _at(results, NETWORK, **where) - _at(results, ACCURACY, **where)


def figures(results: Results) -> Mapping[str, Figure]:
    """Agreement above, accuracy below, a column a split, a curve a network; thin: the accuracy of N."""
    figure = style.figure(height=4.6)
    panels = figure.subplots(2, len(METHODS), sharex=True, sharey="row", squeeze=False)
    models = results.values("model")
    for column, method in zip(panels.T, METHODS, strict=True):
        left = column[0] is panels[0][0]
        for ax, (key, label) in zip(column, ((AGREEMENT, "N vs N^(X)"), (ACCURACY, "N^(X) vs true")), strict=True):
            lines = {}
            for model in models:
                epochs = results.values("epoch", model=model)
                found = [spread(results.where(model=model, split=method, epoch=epoch), key, 100) for epoch in epochs]
                lines[model] = Curve(epochs, *bands(found))
            curves(
                lines,
                xlabel="epoch" if ax is column[-1] else "",
                ylabel=f"{label}\n(% of test points)" if left else "",
                title=f"{method} split" if ax is column[0] else "",
                legend=left and ax is column[0],
                ax=ax,
            )
        for i, model in enumerate(models):
            epochs = results.values("epoch", model=model)
            network = [_at(results, NETWORK, model=model, split=method, epoch=epoch) for epoch in epochs]
            name = "N vs true" if i == 0 else "_"
            column[1].plot(epochs, network, color=COLOURS[i % len(COLOURS)], linewidth=0.7, linestyle=(0, (1, 1)), label=name)
    handle, name = panels[1][0].get_legend_handles_labels()
    panels[1][0].legend(handle[-1:], ["thin: N vs true"] if name else [], handlelength=2.6)
    return {"figure4": figure}


STUDY = Study(
    name="figure4",
    title="Figure 4: extraction during training",
    question="After each of several epochs N^(X) is extracted anew, with a split of its own: how often does it give the label "
    "of the network as it is then, and how often the true one? Where more epochs are kept than these, they lie ever farther "
    "apart, and those at a fall of the learning rate are among them.",
    paper="For Narrow (a CNN) the agreement falls rapidly after only one epoch and only slightly from there. For Wide (fully "
    "connected, with as many nodes) it falls slowly over all 50 epochs and never gets as low as Narrow's after its first "
    "epoch. At the end extraction costs Narrow 36.6 points of accuracy and Wide 8.1.",
    measure=measure,
    tables=tables,
    findings=findings,
    figures=figures,
)
