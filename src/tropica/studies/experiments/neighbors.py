"""Appendices E.2 and E.7: the training image that decides a test image, and what all coefficients have in common."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure
from torch import Tensor

from tropica.plots import active_terms, style
from tropica.plots.coefficient_statistics import coefficient_statistics
from tropica.studies.case import Case
from tropica.studies.experiments.deciders import Deciders
from tropica.studies.study import METHODS, Measured, Results, Row, Study, Table, by_decomposition, families, spread
from tropica.terms.linear_terms import AffineTerms

EXAMPLES = 3
"""Test points that are shown of right and of wrong answers: the first ones."""
CHUNK = 256


def measure(case: Case) -> Measured:
    """A row a split; beside it the examples, and the statistics of the training points' coefficients."""
    rows: list[Row] = []
    extra: dict[str, object] = {}
    distance = nearest(case.test.inputs, case.points.inputs)
    weight = case.terms(METHODS[0]).local.weight
    numbers = coefficient_numbers(weight)
    assert case.points.labels is not None
    for method in METHODS:
        found = case.deciders(method)
        right = found.extracted == case.truth
        decider = case.points.inputs[found.winner]
        to_decider = (case.test.inputs - decider).flatten(1).double().norm(dim=1)
        row: Row = {"decomposition": method, "nearest": float((to_decider <= distance * (1 + 1e-9)).double().mean())}
        row["same_class"] = float((case.points.labels[found.winner] == case.truth).double().mean())
        for name, chosen in (("right", right), ("wrong", ~right)):
            ratio = (to_decider / distance.clamp(min=1e-300))[chosen]
            row[f"distance_ratio_{name}"] = float(ratio.median()) if len(ratio) else None
        rows.append(row | numbers)
        extra[method] = _examples(case, found, right)
    extra["statistics"] = {name: image.tolist() for name, image in statistics(weight, case.points.input_shape).items()}
    return Measured(rows, extra)


def nearest(x: Tensor, points: Tensor) -> Tensor:
    """The Euclidean distance of each x to the nearest of the points: (B,) float64.

    >>> nearest(torch.tensor([[0.0], [5.0]]), torch.tensor([[1.0], [7.0]]))
    tensor([1., 2.], dtype=torch.float64)
    """
    flat, others = x.flatten(1), points.flatten(1)
    found = []
    for part in flat.split(CHUNK):
        index = torch.cdist(part, others).argmin(1)
        found.append((part - others[index]).double().norm(dim=1))
    return torch.cat(found)


def coefficient_numbers(weight: Tensor) -> dict[str, float]:
    """How much the coefficient vectors have in common: the norm of their mean beside the mean of their norms."""
    mean_norm = float(torch.cat([part.double().norm(dim=1) for part in weight.split(4096)]).mean())
    norm_of_mean = float(torch.cat([part.double().mean(0) for part in weight.split(64, dim=1)]).norm())
    return {"mean_norm": mean_norm, "common": norm_of_mean / mean_norm if mean_norm else 0.0}


def statistics(weight: Tensor, shape: tuple[int, ...]) -> dict[str, Tensor]:
    """Mean, median, standard deviation and extremes of each coefficient over all terms, in the shape of the inputs."""
    columns: dict[str, list[Tensor]] = {name: [] for name in ("mean", "median", "sd", "smallest", "largest")}
    for part in weight.split(64, dim=1):  # so that no copy of all coefficients is made
        columns["mean"].append(part.double().mean(0))
        columns["median"].append(part.median(0).values.double())
        columns["sd"].append(part.double().std(0, correction=0))
        columns["smallest"].append(part.amin(0).double())
        columns["largest"].append(part.amax(0).double())
    return {name: torch.cat(parts).float().reshape(shape) for name, parts in columns.items()}


def _examples(case: Case, found: Deciders, right: Tensor) -> dict[str, object]:
    """The first right and the first wrong answers, as plain numbers."""
    index = torch.cat([right.nonzero()[:EXAMPLES, 0], (~right).nonzero()[:EXAMPLES, 0]])
    winner = found.winner[index]
    return {
        "right": right[index].tolist(),
        "points": case.test.inputs[index].tolist(),
        "deciders": case.points.inputs[winner].tolist(),
        "own": found.own.weight[index].float().tolist(),
        "deciding": found.deciding.weight[index].float().tolist(),
        "captions": [
            [f"true {case.truth[i]}", f"network: {found.network[i]}", f"point {k}", f"extracted: {found.extracted[i]}"]
            for i, k in zip(index.tolist(), winner.tolist(), strict=True)
        ],
    }


def tables(results: Results) -> list[Table]:
    """What decides, and the coefficients."""
    rows = []
    for model in results.values("model"):
        for method in METHODS:
            found = results.where(model=model, decomposition=method)
            cells = [spread(found, key, 100).text() for key in ("nearest", "same_class")]
            cells += [spread(found, f"distance_ratio_{name}").text(2) for name in ("right", "wrong")]
            rows.append([model, method, *cells])
    headings = ["network", "decomposition", "nearest (%)", "true class (%)", "distance, right", "distance, wrong"]
    note = "Nearest: the deciding training point is the nearest one of all to the test point. True class: it is of the test "
    note += "point's true class. Distance: of the two points, over that of the nearest training point; medians, for right and "
    note += "for wrong answers of N^(X)."
    common = []
    for model in results.values("model"):
        found = results.where(model=model, decomposition=METHODS[0])
        common.append([model, spread(found, "mean_norm").text(2), spread(found, "common", 100).text()])
    return [
        Table("The training points that decide, mean ± sd over runs", headings, rows, 4, note),
        Table(
            "Coefficients of the training points' own terms",
            ["network", "mean norm", "norm of the mean, % of it"],
            common,
            2,
            "100 % if all terms had the same coefficients.",
        ),
    ]


def findings(results: Results) -> list[str]:
    """Whether neighbors decide."""
    lines = []
    for name in families(results):
        for method in METHODS:
            found = results.where(family=name, decomposition=method)
            near, same = (spread(found, key, 100).text() for key in ("nearest", "same_class"))
            lines.append(
                f"{name}, {method} split: the nearest training point decides {near} % of the test points; the deciding point "
                f"is of the true class for {same} %."
            )
        common = spread(results.where(family=name, decomposition=METHODS[0]), "common", 100).text()
        lines.append(f"{name}: the mean of all coefficient vectors is {common} % as long as they are on average.")
    return lines


def figures(results: Results) -> Mapping[str, Figure]:
    """Examples for each split, and the statistics of coefficients; of each network's first run."""
    models = results.values("model")
    found = {f"neighbors-{method}": _picture_examples(results, models, method) for method in METHODS}
    figure = style.figure(height=1.45 * len(models))
    parts = [results.first(model)["statistics"] for model in models]
    panels = figure.subplots(len(models), len(parts[0]), squeeze=False)
    for row, model, images in zip(panels, models, parts, strict=True):
        coefficient_statistics({name: torch.tensor(image) for name, image in images.items()}, title=model, ax=row)
    return {**found, "coefficients": figure}


def _picture_examples(results: Results, models: list[str], method: str) -> Figure:
    shown = {model: results.first(model)[method] for model in models}
    columns = min(2, len(models))
    lines = -(-len(models) // columns)
    figure = style.figure(height=(0.92 * max(len(one["right"]) for one in shown.values()) + 0.5) * lines)
    for part, (model, one) in zip(figure.subfigures(lines, columns, squeeze=False).flatten(), shown.items(), strict=False):
        part.suptitle(f"{model}, {method} split")
        points = torch.tensor(one["points"])
        own, deciding = (_terms(one[key], tuple(points.shape[1:])) for key in ("own", "deciding"))
        captions = [tuple(line) for line in one["captions"]]
        axes = part.subplots(len(points), 4, squeeze=False)
        active_terms(points, own, torch.tensor(one["deciders"]), deciding, captions, one["right"], ax=axes)
    return figure


def _terms(weight: list[list[float]], shape: tuple[int, ...]) -> AffineTerms:
    return AffineTerms(torch.tensor(weight), torch.zeros(len(weight), dtype=torch.float64), shape)


def summary(results: Results) -> str:
    """Is it the nearest?"""
    return f"The nearest training point decides so many % of the test points: {by_decomposition(results, 'nearest')}."


STUDY = Study(
    name="neighbors",
    title="Appendices E.2 and E.7: what decides, and what coefficients look like",
    question="A test image, the training image whose term decides it, and the coefficients of both, for the first right and "
    "the first wrong answers of N^(X). Is the deciding image a near one? And over all training images: mean, median, standard "
    "deviation and extremes of each coefficient.",
    paper="For misclassified images the paper sees the object's shape in the coefficients of fully connected networks, and "
    "only simple features such as the background color in those of convolutional ones.",
    measure=measure,
    tables=tables,
    findings=findings,
    figures=figures,
    summary=summary,
)
