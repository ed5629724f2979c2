"""The number of different linear regions that contain training and test points, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure

from tropica.compare.patterns import count_patterns, count_terms
from tropica.plots import mean_curves
from tropica.studies.case import Case
from tropica.studies.panels import PERCENT, panel_grid
from tropica.studies.study import Measurement, Results, Row, Study
from tropica.studies.tables import Table, aggregate, curve, decimals, select

EPOCHS = (0, 1, 3, 5, 10, 15, 20, 30, 40, 50)
"""The epochs that the paper names, and the untrained network."""
SETS = ("train", "test", "both")
COUNTS = {"pattern": count_patterns, "term": count_terms}


def paper_epochs(kept: list[int]) -> list[int]:
    """The paper's epochs among those kept, and the last one.

    >>> paper_epochs([0, 2, 4, 10, 12])
    [0, 10, 12]
    """
    return [epoch for epoch in kept if epoch in EPOCHS or epoch == kept[-1]]


def measure(case: Case) -> Measurement:
    """A row for each epoch."""
    points = {"train": case.points.inputs, "test": case.test.inputs}
    points["both"] = torch.cat(list(points.values()))
    rows: list[Row] = []
    for epoch in paper_epochs(case.run.epochs):
        then = case.after_epoch(epoch)
        row: Row = {"epoch": epoch, **{f"{name}_points": len(x) for name, x in points.items()}}
        for name, x in points.items():
            for counted, count in COUNTS.items():
                row[f"{name}_{counted}s"] = count(then.net, x, progress=then.progress(f"counting {counted}s"))
        rows.append(row)
    return Measurement(rows)


def tables(results: Results) -> list[Table]:
    """The counts for every epoch of every network."""
    cells = {f"{name}: {way}s": (f"{name}_{way}s", decimals(0)) for name in SETS for way in COUNTS}
    frame = aggregate(results.rows, {"network": "model", "epoch": "epoch"}, cells)
    points = ", ".join(f"{name} {results.rows[f'{name}_points'].iloc[0]:,}" for name in SETS)
    note = f"Points: {points}. A term is counted with its label, so a cell with points of several labels has several terms."
    return [Table("Different regions, mean ± sd over runs", frame, note)]


def findings(results: Results) -> list[str]:
    """The networks and epochs at which points share cells."""
    lines = []
    for model in results.models:
        rows = select(results.rows, model=model)
        shared = rows[rows["both_patterns"] < rows["both_points"]]
        if shared.empty:
            lines.append(f"{model}: all points lie in cells of their own, in all runs and at every epoch that was measured.")
            continue
        worst = shared.nsmallest(1, "both_patterns").iloc[0]
        lines.append(
            f"{model}: points share cells in {len(shared)} of {len(rows)} cases; at worst there are "
            f"{worst['both_patterns']:,} for {worst['both_points']:,} points (epoch {worst['epoch']}, seed {worst['seed']})."
        )
    return lines


def figures(results: Results) -> Mapping[str, Figure]:
    """Different regions per point over epochs, by pattern and by term."""
    figure, panels = panel_grid(len(COUNTS), 2.5, sharey=True)
    scale = 100 / results.rows["both_points"].iloc[0]
    for ax, way in zip(panels, COUNTS, strict=True):
        lines = {m: curve(select(results.rows, model=m), "epoch", f"both_{way}s", scale) for m in results.models}
        label = "different regions\n(% of training and test points)" if ax is panels[0] else ""
        look = {"legend": ax is panels[0], "within": PERCENT}
        mean_curves(lines, xlabel="epoch", ylabel=label, title=f"by {way}", ax=ax, **look)
    panels[0].set_ylim(top=100.8)
    return {"regions": figure}


def summary(results: Results) -> str:
    """The findings of all networks."""
    return " ".join(findings(results))


STUDY = Study(
    name="regions",
    title="How many linear regions contain data",
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
