"""How many different linear regions training and test points lie in, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure

from tropica.compare.pattern_counts import count_patterns
from tropica.plots import mean_curves, style
from tropica.plots.mean_curves import Curve
from tropica.studies.case import Case
from tropica.studies.study import Measured, Results, Row, Study, Table, bands, spread

EPOCHS = (0, 1, 3, 5, 10, 15, 20, 30, 40, 50)
"""The epochs that the paper names, and the untrained network."""
SETS, WAYS = ("train", "test", "both"), ("pattern", "term")


def chosen_epochs(kept: list[int]) -> list[int]:
    """The paper's epochs among those kept, and the last one.

    >>> chosen_epochs([0, 2, 4, 10, 12])
    [0, 10, 12]
    """
    return [epoch for epoch in kept if epoch in EPOCHS or epoch == kept[-1]]


def measure(case: Case) -> Measured:
    """A row an epoch."""
    points = {"train": case.points.inputs, "test": case.test.inputs}
    points["both"] = torch.cat(list(points.values()))
    rows: list[Row] = []
    for epoch in chosen_epochs(case.run.epochs):
        at = case.at(epoch)
        row: Row = {"epoch": epoch, **{f"{name}_points": len(x) for name, x in points.items()}}
        for name, x in points.items():
            for way in WAYS:
                row[f"{name}_{way}s"] = count_patterns(at.net, x, by=way, progress=at.step(f"regions by {way}"))
        rows.append(row)
    return Measured(rows)


def tables(results: Results) -> list[Table]:
    """Every epoch of every network: means over runs."""
    headings = ["network", "epoch", *(f"{name}: {way}s" for name in SETS for way in WAYS)]
    rows = []
    for model in results.values("model"):
        for epoch in results.values("epoch", model=model):
            found = results.where(model=model, epoch=epoch)
            rows.append([model, str(epoch), *(spread(found, f"{n}_{w}s").text(0) for n in SETS for w in WAYS)])
    points = ", ".join(f"{name} {results.rows[0][f'{name}_points']:,}" for name in SETS)
    note = f"Points: {points}. A term is counted with its label, so points of one cell with several labels have several."
    return [Table("Different regions, mean ± sd over runs", headings, rows, 7, note)]


def findings(results: Results) -> list[str]:
    """Where points share regions, and how many."""
    lines = []
    for model in results.values("model"):
        found = results.where(model=model)
        shared = [row for row in found if row["both_patterns"] < row["both_points"]]
        if not shared:
            lines.append(f"{model}: all points lie in cells of their own, in all runs and at every epoch that was looked at.")
            continue
        worst = min(shared, key=lambda row: row["both_patterns"])
        lines.append(
            f"{model}: points share cells in {len(shared)} of {len(found)} cases; at worst there are "
            f"{worst['both_patterns']:,} for {worst['both_points']:,} points (epoch {worst['epoch']}, seed {worst['seed']})."
        )
    return lines


def figures(results: Results) -> Mapping[str, Figure]:
    """Regions a point over epochs, for training points, test points, and both."""
    figure = style.figure(height=2.5)
    panels = figure.subplots(1, len(WAYS), sharey=True)
    for ax, way in zip(panels, WAYS, strict=True):
        lines = {}
        for model in results.values("model"):
            epochs = results.values("epoch", model=model)
            found = [
                spread(results.where(model=model, epoch=epoch), f"both_{way}s", 100 / results.rows[0]["both_points"])
                for epoch in epochs
            ]
            lines[model] = Curve(epochs, *bands(found))
        label = "different regions\n(% of training and test points)" if ax is panels[0] else ""
        mean_curves(lines, xlabel="epoch", ylabel=label, title=f"by {way}", legend=ax is panels[0], ax=ax)
    panels[0].set_ylim(top=100.8)
    return {"regions": figure}


def summary(results: Results) -> str:
    """All networks."""
    return " ".join(findings(results))


STUDY = Study(
    name="regions",
    title="How many linear regions the data meets",
    question="In how many different linear regions do the training points lie, the test points, and both together? Counted for "
    "these points, exactly: by activation pattern (cells) and by affine function (terms), in float64, at several epochs.",
    paper="All training and test points lie in different linear regions, at every epoch: none shares its region with another. "
    "The one exception is a small network of two layers, where 60,000 points lie in 59,850 regions.",
    measure=measure,
    tables=tables,
    findings=findings,
    figures=figures,
    summary=summary,
)
