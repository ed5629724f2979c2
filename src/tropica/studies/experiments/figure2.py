"""Figure 2: angle and distance between a test point's own coefficients and those of the training term that decided it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from tropica.plots import angle_distance, style
from tropica.studies.case import Case
from tropica.studies.study import METHODS, Measured, Results, Row, Study, Table, by_decomposition, families, spread

SHOWN = 5000
"""Test points that the figure shows at most."""
ANSWERS = ("right", "wrong")


def measure(case: Case) -> Measured:
    """A row a split: medians and deciles of right and of wrong answers; beside them the first points, for the figure."""
    rows, extra = [], {}
    for method in METHODS:
        found = case.deciders(method)
        right = found.extracted == case.truth
        row: Row = {"decomposition": method, "right": int(right.sum()), "wrong": int((~right).sum())}
        row["no_direction"] = int(found.angle.isnan().sum())
        for answer, chosen in zip(ANSWERS, (right, ~right), strict=True):
            for name, values in (("angle", found.angle[chosen]), ("distance", found.distance[chosen])):
                for share in (10, 50, 90):
                    row[f"{name}_{answer}_{share}"] = quantile(values, share / 100)
        rows.append(row)
        first = slice(SHOWN)
        extra[method] = {
            "angle": [round(value, 3) for value in found.angle[first].tolist()],
            "distance": [float(f"{value:.5g}") for value in found.distance[first].tolist()],
            "right": right[first].tolist(),
        }
    return Measured(rows, extra)


def quantile(values: Tensor, share: float) -> float | None:
    """A quantile of what is not NaN; None where nothing is.

    >>> quantile(torch.tensor([1.0, 2.0, float("nan"), 3.0]), 0.5), quantile(torch.tensor([float("nan")]), 0.5)
    (2.0, None)
    """
    there = values[~values.isnan()].double().numpy()  # torch's own quantile takes no more than 2²⁴ values
    return float(np.quantile(there, share)) if len(there) else None


def tables(results: Results) -> list[Table]:
    """Medians by network and split."""
    headings = ["network", "decomposition", "right", "wrong"]
    headings += [f"{name}, {answer}" for name in ("angle (°)", "distance") for answer in ANSWERS]
    rows = []
    for model in results.values("model"):
        for method in METHODS:
            found = results.where(model=model, decomposition=method)
            medians = [spread(found, f"{name}_{answer}_50").text(2) for name in ("angle", "distance") for answer in ANSWERS]
            rows.append([model, method, *(spread(found, answer).text(1) for answer in ANSWERS), *medians])
    return [Table("Medians over test points; mean ± sd over runs", headings, rows, 6)]


def findings(results: Results) -> list[str]:
    """Are angles and distances smaller where the answer is right, and are they near 90 degrees?"""
    lines = []
    for name in families(results):
        for method in METHODS:
            found = results.where(family=name, decomposition=method)
            angle, wrong = (spread(found, f"angle_{answer}_50").text() for answer in ANSWERS)
            smaller = _smaller(found, "angle"), _smaller(found, "distance")
            lines.append(
                f"{name}, {method} split: the median angle is {angle}° where N^(X) is right and {wrong}° where it is wrong; "
                f"right answers have the smaller median angle in {smaller[0]} runs, and distance in {smaller[1]}."
            )
    return lines


def _smaller(rows: list[Row], name: str) -> str:
    pairs = [(row[f"{name}_right_50"], row[f"{name}_wrong_50"]) for row in rows]
    known = [(right, wrong) for right, wrong in pairs if right is not None and wrong is not None]
    return f"{sum(right < wrong for right, wrong in known)} of {len(known)}"


def figures(results: Results) -> Mapping[str, Figure]:
    """A row a split, a panel a network (its first run)."""
    models = results.values("model")
    figure = style.figure(height=2.5 * len(METHODS))
    panels = figure.subplots(len(METHODS), len(models), squeeze=False)
    for row, method in zip(panels, METHODS, strict=True):
        for ax, model in zip(row, models, strict=True):
            found = results.first(model)[method]
            angle, distance = (
                torch.tensor([torch.nan if v is None else v for v in found[key]]) for key in ("angle", "distance")
            )
            angle_distance(angle, distance, torch.tensor(found["right"]), title=f"{model}, {method} split", ax=ax)
    return {"figure2": figure}


def summary(results: Results) -> str:
    """Angles."""
    right, wrong = (by_decomposition(results, f"angle_{answer}_50", 1) for answer in ANSWERS)
    return f"Median angle in degrees where N^(X) is right: {right}; where it is wrong: {wrong}."


STUDY = Study(
    name="figure2",
    title="Figure 2: how alike a test point's term and the deciding training term are",
    question="A test point has linear coefficients of its own, those of N on its linear region. N^(X) decides it by the term "
    "of some training point. What is the angle between the two vectors of coefficients, and their Euclidean distance, where "
    "N^(X) gives the true label and where it does not?",
    paper="On CIFAR-10 all angles of convolutional networks lie near 90°, for right and for wrong answers. For fully connected "
    "networks angles and distances are smaller where the answer is right, yet far from zero: test points do not fall into "
    "regions that are nearly those of training points.",
    measure=measure,
    tables=tables,
    findings=findings,
    figures=figures,
    summary=summary,
)
