"""Figure 2: angle and distance between the coefficients of a test point and those of its deciding training point."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from tropica.plots import angle_distance, style
from tropica.studies.case import Case
from tropica.studies.study import METHODS, Measurement, Results, Row, Study
from tropica.studies.tables import Table, aggregate, by_decomposition, decimals, mean_sd, select

SHOWN = 5000
"""The largest number of test points in the figure."""
ANSWERS = ("right", "wrong")


def measure(case: Case) -> Measurement:
    """A row for each decomposition: quantiles over right and over wrong answers; for the figure, the first points."""
    rows, figure_data = [], {}
    for method in METHODS:
        found = case.deciding_points(method)
        right = found.extracted_labels == case.true_labels
        row: Row = {"decomposition": method, "right": int(right.sum()), "wrong": int((~right).sum())}
        row["no_direction"] = int(found.angle.isnan().sum())
        for answer, chosen in zip(ANSWERS, (right, ~right), strict=True):
            row |= quantiles(f"angle_{answer}", found.angle[chosen]) | quantiles(f"distance_{answer}", found.distance[chosen])
        rows.append(row)
        figure_data[method] = {
            "angle": [round(value, 3) for value in found.angle[:SHOWN].tolist()],
            "distance": [float(f"{value:.5g}") for value in found.distance[:SHOWN].tolist()],
            "right": right[:SHOWN].tolist(),
        }
    return Measurement(rows, figure_data)


def quantiles(name: str, values: Tensor) -> dict[str, float | None]:
    """The median and the outer deciles of the values that are not NaN; None where there are none.

    >>> quantiles("angle", torch.tensor([1.0, 2.0, float("nan"), 3.0]))
    {'angle_10': 1.2, 'angle_50': 2.0, 'angle_90': 2.8}
    """
    known = values[~values.isnan()].double().numpy()  # torch.quantile takes at most 2²⁴ values
    return {f"{name}_{share}": float(np.quantile(known, share / 100)) if len(known) else None for share in (10, 50, 90)}


def tables(results: Results) -> list[Table]:
    """Medians by network and decomposition."""
    cells = {answer: (answer, mean_sd) for answer in ANSWERS}
    for name, heading in (("angle", "angle (°)"), ("distance", "distance")):
        cells |= {f"{heading}, {answer}": (f"{name}_{answer}_50", decimals(2)) for answer in ANSWERS}
    frame = aggregate(results.rows, {"network": "model", "decomposition": "decomposition"}, cells)
    return [Table("Medians over test points; mean ± sd over runs", frame)]


def findings(results: Results) -> list[str]:
    """Median angles, and the number of runs in which right answers have the smaller medians."""
    lines = []
    for family in results.families:
        for method in METHODS:
            rows = select(results.rows, family=family, decomposition=method)
            angle, wrong = (mean_sd(rows[f"angle_{answer}_50"]) for answer in ANSWERS)
            lines.append(
                f"{family}, {method} decomposition: the median angle is {angle}° where N^(X) is right and {wrong}° where it is "
                f"wrong; right answers have the smaller median angle in {_smaller(rows, 'angle')} runs, and the smaller median "
                f"distance in {_smaller(rows, 'distance')} runs."
            )
    return lines


def _smaller(rows: pd.DataFrame, name: str) -> str:
    """The number of runs in which right answers have the smaller median, of the runs with right and wrong answers."""
    known = rows[[f"{name}_right_50", f"{name}_wrong_50"]].dropna().astype(float)
    return f"{int((known.iloc[:, 0] < known.iloc[:, 1]).sum())} of {len(known)}"


def figures(results: Results) -> Mapping[str, Figure]:
    """A row for each decomposition, a panel for each network (its first run)."""
    figure = style.figure(height=2.5 * len(METHODS))
    panels = figure.subplots(len(METHODS), len(results.models), squeeze=False)
    for row, method in zip(panels, METHODS, strict=True):
        for ax, model in zip(row, results.models, strict=True):
            found = results.first_run(model)[method]
            angle, distance = (with_nan(found[key]) for key in ("angle", "distance"))
            angle_distance(angle, distance, torch.tensor(found["right"]), title=f"{model}, {method} decomposition", ax=ax)
    # One scale for all panels, so that networks and decompositions can be compared.
    highest = [max(limits) for limits in zip(*((ax.get_xlim()[1], ax.get_ylim()[1]) for ax in panels.flat), strict=True)]
    for ax in panels.flat:
        ax.set(xlim=(0, highest[0]), ylim=(0, highest[1]))
    return {"figure2": figure}


def with_nan(values: list[float | None]) -> Tensor:
    """Numbers from JSON, where null stands for NaN."""
    return torch.tensor([torch.nan if value is None else value for value in values])


def summary(results: Results) -> str:
    """The median angles of right and of wrong answers."""
    right, wrong = (by_decomposition(results.rows, f"angle_{answer}_50", METHODS, 1) for answer in ANSWERS)
    return f"Median angle in degrees where N^(X) is right: {right}; where it is wrong: {wrong}."


STUDY = Study(
    name="figure2",
    title="Figure 2: how similar the terms of a test point and of its deciding training point are",
    question="A test point has linear coefficients of its own, those of N on its linear region. N^(X) gives it the label of "
    "its deciding point, the training point whose term is active there. What are the angle and the Euclidean distance between "
    "the two vectors of coefficients, where N^(X) gives the true label and where it does not?",
    paper="On CIFAR-10 all angles of convolutional networks lie near 90°, for right and for wrong answers. For fully connected "
    "networks angles and distances are smaller where the answer is right, yet far from zero: test points do not fall into "
    "regions that are nearly those of training points.",
    measure=measure,
    tables=tables,
    findings=findings,
    figures=figures,
    summary=summary,
)
