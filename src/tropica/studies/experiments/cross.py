"""Straight and cross terms: does the winning a⁺ come from the same training point as the winning a⁻? (authors' scripts)"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure
from torch import Tensor

from tropica.plots import grouped_means, style
from tropica.studies.case import Case
from tropica.studies.study import METHODS, Measured, Results, Row, Study, Table, bands, by_decomposition, families, spread
from tropica.terms.linear_terms import LinearTerms
from tropica.terms.maxima import RunningMaxima, functions_of

KEYS = ("straight", "agreement_straight", "agreement_cross", "accuracy_straight", "accuracy_cross")


def minus_winner(terms: LinearTerms, x: Tensor) -> Tensor:
    """The training point whose a⁻ is largest at each point: (B,) int64, the first one at a tie.

    >>> import tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> x = torch.randn(50, 4)
    >>> terms = tp.extract(model, x)
    >>> bool((terms.minus(x).argmax(1) == minus_winner(terms, x)).double().mean() > 0.9)      # but for ties
    True
    """
    state = RunningMaxima(x.to(terms.dtype).flatten(1), 1)
    first = 0
    for block in terms:
        state.update(functions_of(block, "minus", first))
        first += len(block)
    return state.winner[:, 0].cpu()


def measure(case: Case) -> Measured:
    """A row a split."""
    rows: list[Row] = []
    for method in METHODS:
        terms = case.terms(method)
        labels, plus = case.function(method).decide(case.test, progress=case.step(f"winners, {method} split"))
        minus = torch.cat([minus_winner(terms, part) for part in case.test.inputs.split(2048)])
        straight = plus == minus
        row: Row = {"decomposition": method, "points": len(straight), "straight": float(straight.double().mean())}
        for name, chosen in (("straight", straight), ("cross", ~straight)):
            row[f"number_{name}"] = int(chosen.sum())
            row[f"agreement_{name}"] = _share(labels, case.labels, chosen)
            row[f"accuracy_{name}"] = _share(labels, case.truth, chosen)
            row[f"network_{name}"] = _share(case.labels, case.truth, chosen)
        rows.append(row)
    return Measured(rows)


def _share(a: Tensor, b: Tensor, chosen: Tensor) -> float | None:
    return float((a == b)[chosen].double().mean()) if bool(chosen.any()) else None


def tables(results: Results) -> list[Table]:
    """By network and split."""
    rows = []
    for model in results.values("model"):
        for method in METHODS:
            found = results.where(model=model, decomposition=method)
            rows.append([model, method, *(spread(found, key, 100).text() for key in KEYS)])
    headings = [
        "in %",
        "decomposition",
        "straight",
        "agreement, straight",
        "agreement, cross",
        "accuracy, straight",
        "accuracy, cross",
    ]
    note = "Agreement of N^(X) with N, and accuracy of N^(X), among the straight and among the cross points."
    return [Table("Test points, mean ± sd over runs", headings, rows, 5, note)]


def findings(results: Results) -> list[str]:
    """How often straight, and what it says of the label."""
    lines = []
    for name in families(results):
        for method in METHODS:
            straight, a, b = (spread(results.where(family=name, decomposition=method), key, 100).text() for key in KEYS[:3])
            lines.append(
                f"{name}, {method} split: {straight} % of the test points are straight; N^(X) agrees with N on {a} % of these "
                f"and on {b} % of the cross ones."
            )
    return lines


def figures(results: Results) -> Mapping[str, Figure]:
    """A panel a split, a group a quantity, a mark a network."""
    figure = style.figure(height=2.6)
    panels = figure.subplots(1, len(METHODS), sharey=True)
    names = ("straight\npoints", "agreement,\nstraight", "agreement,\ncross")
    for ax, method in zip(panels, METHODS, strict=True):
        series = {}
        for model in results.values("model"):
            found = [spread(results.where(model=model, decomposition=method), key, 100) for key in KEYS[:3]]
            series[model] = bands(found)
        first = ax is panels[0]
        grouped_means(names, series, ylabel="% of test points" if first else "", title=f"{method} split", legend=first, ax=ax)
    return {"cross": figure}


def summary(results: Results) -> str:
    """How often straight."""
    return f"Winning a⁺ and a⁻ are of one training point for so many % of the test points: {by_decomposition(results, 'straight')}."


STUDY = Study(
    name="cross",
    title="Straight and cross terms",
    question="The value of N^(X) at a test point is the largest a⁺ minus the largest a⁻. Are they of one training point "
    "(straight), so that the value is that of one linear term of N, or of two (cross)? On the training points all are "
    "straight, by Theorem 3.3.",
    paper="The authors' scripts count straight and cross terms; the main text reports no number of it.",
    measure=measure,
    tables=tables,
    findings=findings,
    figures=figures,
    summary=summary,
)
