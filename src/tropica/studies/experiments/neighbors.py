"""Appendices E.2 and E.7: the deciding training images of test images, and the statistics of the coefficients."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure
from torch import Tensor

from tropica.plots import active_terms, coefficient_statistics, style
from tropica.studies.case import Case
from tropica.studies.deciding import DecidingPoints
from tropica.studies.study import METHODS, Measurement, Results, Row, Study
from tropica.studies.tables import Table, aggregate, by_decomposition, decimals, percent, select
from tropica.terms.linear_terms import AffineTerms

EXAMPLES = 3
"""The number of right and of wrong answers in the figure, the first ones of each."""
CHUNK = 256


def measure(case: Case) -> Measurement:
    """A row for each decomposition; for the figures, examples and the statistics of the training points' coefficients."""
    rows: list[Row] = []
    figure_data: dict[str, object] = {}
    nearest = nearest_distance(case.test.inputs, case.points.inputs)
    weight = case.terms(METHODS[0]).local.weight
    norms = coefficient_norms(weight)
    assert case.points.labels is not None
    for method in METHODS:
        found = case.deciding_points(method)
        right = found.extracted_labels == case.true_labels
        distance = (case.test.inputs - case.points.inputs[found.index]).flatten(1).double().norm(dim=1)
        row: Row = {"decomposition": method, "nearest": float((distance <= nearest * (1 + 1e-9)).double().mean())}
        row["same_class"] = float((case.points.labels[found.index] == case.true_labels).double().mean())
        for name, chosen in (("right", right), ("wrong", ~right)):
            ratio = (distance / nearest.clamp(min=1e-300))[chosen]
            row[f"distance_ratio_{name}"] = float(ratio.median()) if len(ratio) else None
        rows.append(row | norms)
        figure_data[method] = _examples(case, found, right)
    images = coefficient_images(weight, case.points.input_shape)
    figure_data["statistics"] = {name: image.tolist() for name, image in images.items()}
    return Measurement(rows, figure_data)


def nearest_distance(x: Tensor, points: Tensor) -> Tensor:
    """The Euclidean distance of each x to the nearest of the points: (B,) float64.

    >>> nearest_distance(torch.tensor([[0.0], [5.0]]), torch.tensor([[1.0], [7.0]]))
    tensor([1., 2.], dtype=torch.float64)
    """
    flat, others = x.flatten(1), points.flatten(1)
    found = []
    for part in flat.split(CHUNK):
        index = torch.cdist(part, others).argmin(1)
        found.append((part - others[index]).double().norm(dim=1))
    return torch.cat(found)


def coefficient_norms(weight: Tensor) -> dict[str, float]:
    """The mean norm of the coefficient vectors, and the norm of their mean relative to it."""
    mean_norm = float(torch.cat([part.double().norm(dim=1) for part in weight.split(4096)]).mean())
    norm_of_mean = float(torch.cat([part.double().mean(0) for part in weight.split(64, dim=1)]).norm())
    return {"mean_norm": mean_norm, "common": norm_of_mean / mean_norm if mean_norm else 0.0}


def coefficient_images(weight: Tensor, shape: tuple[int, ...]) -> dict[str, Tensor]:
    """Mean, median, standard deviation and extremes of each coefficient over all terms, in the shape of the inputs."""
    columns: dict[str, list[Tensor]] = {name: [] for name in ("mean", "median", "sd", "smallest", "largest")}
    for part in weight.split(64, dim=1):  # a copy of all coefficients may not fit into memory
        columns["mean"].append(part.double().mean(0))
        columns["median"].append(part.median(0).values.double())
        columns["sd"].append(part.double().std(0, correction=0))
        columns["smallest"].append(part.amin(0).double())
        columns["largest"].append(part.amax(0).double())
    return {name: torch.cat(parts).float().reshape(shape) for name, parts in columns.items()}


def _examples(case: Case, found: DecidingPoints, right: Tensor) -> dict[str, object]:
    """The first right and the first wrong answers, as plain numbers."""
    test = torch.cat([right.nonzero()[:EXAMPLES, 0], (~right).nonzero()[:EXAMPLES, 0]])
    train = found.index[test]
    network, extracted = found.network_labels, found.extracted_labels
    return {
        "right": right[test].tolist(),
        "points": case.test.inputs[test].tolist(),
        "deciding_points": case.points.inputs[train].tolist(),
        "own": found.own.weight[test].float().tolist(),
        "deciding": found.deciding.weight[test].float().tolist(),
        "captions": [
            [f"true {case.true_labels[i]}", f"network: {network[i]}", f"point {k}", f"extracted: {extracted[i]}"]
            for i, k in zip(test.tolist(), train.tolist(), strict=True)
        ],
    }


def tables(results: Results) -> list[Table]:
    """The tables of the deciding points and of the coefficients."""
    cells = {
        "nearest (%)": ("nearest", percent),
        "true class (%)": ("same_class", percent),
        "distance, right": ("distance_ratio_right", decimals(2)),
        "distance, wrong": ("distance_ratio_wrong", decimals(2)),
    }
    norms = {"mean norm": ("mean_norm", decimals(2)), "norm of the mean (% of mean norm)": ("common", percent)}
    return [
        Table(
            "Deciding points, mean ± sd over runs",
            aggregate(results.rows, {"network": "model", "decomposition": "decomposition"}, cells),
            "Nearest: the deciding point is the nearest training point. True class: the deciding point is of the test point's "
            "true class. Distance: between test point and deciding point, relative to the nearest training point; medians over "
            "right and over wrong answers of N^(X).",
        ),
        Table(
            "Coefficients of the training points' own terms",
            aggregate(select(results.rows, decomposition=METHODS[0]), {"network": "model"}, norms),
            "Norm of the mean: 100 % if all terms had the same coefficients.",
        ),
    ]


def findings(results: Results) -> list[str]:
    """How often the deciding point is the nearest training point, and the norm of the mean coefficients."""
    lines = []
    for family in results.families:
        for method in METHODS:
            rows = select(results.rows, family=family, decomposition=method)
            lines.append(
                f"{family}, {method} decomposition: the deciding point is the nearest training point for "
                f"{percent(rows['nearest'])} % of the test points, and of the true class for {percent(rows['same_class'])} %."
            )
        common = percent(select(results.rows, family=family, decomposition=METHODS[0])["common"])
        lines.append(f"{family}: the norm of the mean coefficient vector is {common} % of the mean norm.")
    return lines


def figures(results: Results) -> Mapping[str, Figure]:
    """Examples for each decomposition, and the statistics of coefficients; of each network's first run."""
    models = results.models
    figure = style.figure(height=1.45 * len(models))
    statistics = [results.first_run(model)["statistics"] for model in models]
    panels = figure.subplots(len(models), len(statistics[0]), squeeze=False)
    for row, model, images in zip(panels, models, statistics, strict=True):
        coefficient_statistics({name: torch.tensor(image) for name, image in images.items()}, title=model, ax=row)
    return {**{f"neighbors-{method}": _draw_examples(results, method) for method in METHODS}, "coefficients": figure}


def _draw_examples(results: Results, method: str) -> Figure:
    shown = {model: results.first_run(model)[method] for model in results.models}
    columns = min(2, len(shown))
    lines = -(-len(shown) // columns)
    figure = style.figure(height=(0.92 * max(len(one["right"]) for one in shown.values()) + 0.5) * lines)
    for part, (model, one) in zip(figure.subfigures(lines, columns, squeeze=False).flatten(), shown.items(), strict=False):
        part.suptitle(f"{model}, {method} decomposition")
        points = torch.tensor(one["points"])
        own, deciding = (_affine(one[key], tuple(points.shape[1:])) for key in ("own", "deciding"))
        captions = [tuple(line) for line in one["captions"]]
        axes = part.subplots(len(points), 4, squeeze=False)
        active_terms(points, own, torch.tensor(one["deciding_points"]), deciding, captions, one["right"], ax=axes)
    return figure


def _affine(weight: list[list[float]], shape: tuple[int, ...]) -> AffineTerms:
    return AffineTerms(torch.tensor(weight), torch.zeros(len(weight), dtype=torch.float64), shape)


def summary(results: Results) -> str:
    """How often the deciding point is the nearest training point."""
    shares = by_decomposition(results.rows, "nearest", METHODS)
    return f"The deciding point is the nearest training point, in % of the test points: {shares}."


STUDY = Study(
    name="neighbors",
    title="Appendices E.2 and E.7: deciding images, and statistics of the coefficients",
    question="The figures show test images, their deciding training images, and the coefficients of both, for the first right "
    "and the first wrong answers of N^(X). Is the deciding image near the test image? Over all training images: mean, median, "
    "standard deviation and extremes of each coefficient.",
    paper="For misclassified images the paper sees the object's shape in the coefficients of fully connected networks, and "
    "only simple features such as the background color in those of convolutional ones.",
    measure=measure,
    tables=tables,
    findings=findings,
    figures=figures,
    summary=summary,
)
