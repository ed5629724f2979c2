"""Figure 3: accuracy and agreement as layer after layer, from the output on, is merged into an extracted function."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from matplotlib.figure import Figure

from tropica.decomposition.decompose import decompose
from tropica.decomposition.prepare import inner_points
from tropica.evaluation.function import ExtractedFunction
from tropica.network.network import PiecewiseLinearNetwork
from tropica.plots import mean_curves, style
from tropica.plots.mean_curves import Curve
from tropica.studies.case import Case
from tropica.studies.study import METHODS, Measured, Results, Row, Study, Table, bands, by_decomposition, by_family, spread

LETTERS = {"dense": "D", "conv": "C", "pool": "M", "block": "B", "average": "A"}
"""Layers that are counted; what stands between them (activations, norms, flattening) is merged with the one before it."""
BATCH = 256


def cuts(names: list[str]) -> list[tuple[str, str, str | None]]:
    """The layers in the order in which they are merged: letter, name, and the tensor before (None: the input).

    >>> cuts(["flatten1", "dense1", "act1", "dense2"])
    [('D', 'dense2', 'act1'), ('D', 'dense1', None)]
    """
    found = []
    for i, name in enumerate(names):
        letter = LETTERS.get(name.rstrip("0123456789"))
        if letter is not None:
            before = next((n for n in reversed(names[:i]) if not n.startswith("flatten")), None)
            found.append((letter, name, before))
    return found[::-1]


def measure(case: Case) -> Measured:
    """A row a decomposition and number of merged layers; 0 is the network itself."""
    names = [name for name, _ in case.run.load().named_children()]
    rows: list[Row] = []
    for method in METHODS:
        rows.append(_row(case, method, 0, "", "", case.labels))
        for merged, (letter, name, at) in enumerate(cuts(names), start=1):
            head, tail = (None, case.net) if at is None else case.net.cut(at)
            labels = _labels(case, method, head, tail, f"{method} split, {merged} layers merged")
            rows.append(_row(case, method, merged, letter, name, labels))
    return Measured(rows)


def _labels(
    case: Case, method: str, head: PiecewiseLinearNetwork | None, tail: PiecewiseLinearNetwork, what: str
) -> torch.Tensor:
    """Labels of the function extracted from the tail on the head's outputs; terms are made on the way and not kept."""
    step = case.step(what)
    points, test = (x if head is None else inner_points(head, x, BATCH) for x in (case.points, case.test))
    made = decompose(tail, points, method=method, progress=step)
    return ExtractedFunction.streaming(tail, points, made, progress=step).predict(test, progress=step)


def _row(case: Case, method: str, merged: int, letter: str, name: str, labels: torch.Tensor) -> Row:
    return {
        "decomposition": method,
        "merged": merged,
        "letter": letter,
        "layer": name,
        "agreement": float((labels == case.labels).double().mean()),
        "accuracy": float((labels == case.truth).double().mean()),
    }


def tables(results: Results) -> list[Table]:
    """A table a network."""
    found = []
    for model in results.values("model"):
        rows = []
        for merged in results.values("merged", model=model):
            layer = results.where(model=model, merged=merged)[0]["layer"] or "none"
            cells = []
            for method in METHODS:
                some = results.where(model=model, merged=merged, decomposition=method)
                cells += [spread(some, key, 100).text() for key in ("agreement", "accuracy")]
            rows.append([str(merged), layer, *cells])
        headings = ["merged", "last merged", *(f"{key}, {method}" for method in METHODS for key in ("agreement", "accuracy"))]
        found.append(Table(f"{model}: in % of the test points, mean ± sd over runs", headings, rows, 4))
    return found


def findings(results: Results) -> list[str]:
    """The fall of accuracy from the network to N^(X), and the layer at which most of it is lost."""
    lines = []
    for model in results.values("model"):
        for method in METHODS:
            steps = results.values("merged", model=model)
            means = [spread(results.where(model=model, decomposition=method, merged=m), "accuracy", 100).mean for m in steps]
            falls = [before - after for before, after in pairwise(means)]
            worst = max(range(len(falls)), key=falls.__getitem__)
            layer = results.where(model=model, merged=worst + 1)[0]["layer"]
            single = f"the largest single fall, {falls[worst]:.1f} points, comes with {layer}"
            lines.append(
                f"{model}, {method} split: accuracy goes from {means[0]:.1f} % to {means[-1]:.1f} % "
                f"({means[-1] - means[0]:+.1f} points); {single if falls[worst] > 0 else 'no layer costs accuracy'}."
            )
    return lines


def figures(results: Results) -> Mapping[str, Figure]:
    """A panel a network: accuracy and agreement, both splits."""
    models = results.values("model")
    columns = min(3, len(models))
    lines_of = -(-len(models) // columns)
    figure = style.figure(height=2.6 * lines_of)
    panels = figure.subplots(lines_of, columns, squeeze=False, sharey=True).flatten()
    for ax in panels[len(models) :]:
        ax.remove()
    for ax, model in zip(panels, models, strict=False):
        steps = results.values("merged", model=model)
        lines = {}
        for method in METHODS:
            for key in ("agreement", "accuracy"):
                found = [spread(results.where(model=model, decomposition=method, merged=m), key, 100) for m in steps]
                lines[f"{key}, {method} split"] = Curve(steps, *bands(found))
        ticks = {m: results.where(model=model, merged=m)[0]["letter"] or "–" for m in steps}
        first = ax is panels[0]
        ylabel = "% of test points" if first else ""
        mean_curves(
            lines, xlabel="layers merged, from the output", ylabel=ylabel, title=model, ticks=ticks, legend=first, ax=ax
        )
    return {"figure3": figure}


def summary(results: Results) -> str:
    """What is left at the end."""
    last = [max(results.values("merged", model=row["model"])) == row["merged"] for row in results.rows]
    whole = Results([row for row, one in zip(results.rows, last, strict=True) if one], {}, results.settings)
    return (
        f"Accuracy in % before any layer is merged: {by_family(results, 'accuracy', merged=0)}; with all merged: "
        f"{by_decomposition(whole, 'accuracy')}."
    )


STUDY = Study(
    name="figure3",
    title="Figure 3: from the network to its extracted function, layer by layer",
    question="The layers of a network are merged one by one into an extracted function, the last first: test points go through "
    "the layers that are left, and the function extracted there, from the training points' values there, gives the label. With "
    "all layers merged it is N^(X). D: dense, C: convolution, M: pool, B: residual block, A: global average; – is the network.",
    paper="Fully connected networks keep more of their accuracy at every step than convolutional ones, in all networks. Narrow "
    "(a CNN) loses 36.6 points of accuracy, Wide (fully connected, with as many nodes) 8.1.",
    measure=measure,
    tables=tables,
    findings=findings,
    figures=figures,
    summary=summary,
)
