"""How the decomposition decides what N^(X) knows: K scaled by λ (new here)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from tropica.decomposition.pairs import SIDES, OwnTerms, excesses, scaled_functions
from tropica.evaluation.function import ExtractedFunction
from tropica.plots import mean_curves, style
from tropica.plots.mean_curves import Curve
from tropica.studies.case import Case
from tropica.studies.study import METHODS, Measured, Results, Row, Study, Table, bands, by_decomposition, spread
from tropica.terms.linear_terms import LinearTerms, TermBlock

FACTORS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
MINIMAL = "minimal"


def scaled(terms: LinearTerms, factor: float) -> LinearTerms:
    """The terms of the decomposition λK: F⁻ is linear in K, so a⁻ is that of K times λ, and a⁺ = a + λa⁻.

    >>> import tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> terms = tp.extract(model, torch.randn(50, 4))
    >>> bool(torch.allclose(scaled(terms, 0.5).plus.bias, terms.local.bias + terms.minus.bias / 2))
    True
    """
    blocks = [
        TermBlock(block.labels, block.local, block.local_bias, block.minus * factor, block.minus_bias * factor)
        for block in terms
    ]
    return replace(terms, blocks=blocks, center=terms.center * factor)


def violations(terms: LinearTerms, x: Tensor) -> dict[str, float]:
    """Where Theorem 3.3 fails among all pairs of the extracted points.

    Args:
        terms: those of the points.
        x: the points (D, *input).

    Returns:
        ``points``: how many have some other point's a⁻ or a⁺ above their own, by more than 100 units of rounding in the terms'
        dtype; ``largest``: by how much at most, in logits.
    """
    x = x.to(terms.dtype).flatten(1)
    own, first = OwnTerms.room(len(x), x.device), [0, *accumulate(terms.lengths)]
    for at, block in zip(first, terms, strict=False):
        own.see(at, x[at : at + len(block)], block, torch.zeros(len(block)), terms.center)
    bad, largest = torch.zeros(len(x), dtype=torch.bool), 0.0
    # Without F⁻ all a⁻ are 0: none exceeds another, and to find that out would mean to compare ties, which is slow.
    for side in SIDES if bool(own.minus_size.any()) else SIDES[:1]:
        functions = (scaled_functions(block, side, first=at) for at, block in zip(first, terms, strict=False))
        excess, _ = excesses(x, own.value(side), functions)
        bad |= excess > own.tolerance(side, terms.dtype)
        largest = max(largest, float(excess.max()))
    return {"points": int(bad.sum()), "largest": largest}


def measure(case: Case) -> Measured:
    """A row a decomposition and factor, and one for the minimal decomposition, whose factor is that of the calibrated K."""
    rows: list[Row] = []
    for method in METHODS:
        potential = _potential(case, method)
        for factor in FACTORS:
            step = case.step(f"{method} split × {factor:g}")
            rows.append({"decomposition": method, "factor": factor, **_quality(case, scaled(case.terms(method), factor), step)})
            rows[-1]["largest_potential"] = factor * potential
    found = max(case.decomposition(MINIMAL).factors.values(), default=0.0)
    quality = _quality(case, case.terms(MINIMAL), case.step("minimal decomposition"))
    rows.append({"decomposition": MINIMAL, "factor": found, **quality, "largest_potential": _potential(case, MINIMAL)})
    return Measured(rows)


def _quality(case: Case, terms: LinearTerms, step: Any) -> Row:
    """Where these terms violate Theorem 3.3, and what N^(X) is worth."""
    function = ExtractedFunction(terms)
    found = violations(terms, case.points.inputs)
    kept = function.predict(case.points, progress=step) == terms.labels.cpu()
    labels = function.predict(case.test, progress=step)
    return {
        "violating": found["points"] / len(terms),
        "largest_violation": found["largest"],
        "labels_kept": float(kept.double().mean()),
        "agreement": float((labels == case.labels).double().mean()),
        "accuracy": float((labels == case.truth).double().mean()),
    }


def _potential(case: Case, method: str) -> float:
    """The largest F⁻ on the training points."""
    parts = case.points.inputs.split(512)
    return max(float(case.decomposition(method).f_minus(part.to(case.dtype)).max()) for part in parts)


def tables(results: Results) -> list[Table]:
    """A table a network."""
    headings = [
        "decomposition",
        "λ",
        "violating points",
        "training labels kept",
        "agreement, test",
        "accuracy, test",
        "largest F⁻",
    ]
    found = []
    for model in results.values("model"):
        rows = []
        for method in METHODS:
            for factor in FACTORS:
                some = results.where(model=model, decomposition=method, factor=factor)
                shares = [spread(some, key, 100) for key in ("violating", "labels_kept", "agreement", "accuracy")]
                size = f"{spread(some, 'largest_potential').mean:.3g}"
                rows.append([method, f"{factor:g}", *(one.text() for one in shares), size])
        some = results.where(model=model, decomposition=MINIMAL)
        shares = [spread(some, key, 100) for key in ("violating", "labels_kept", "agreement", "accuracy")]
        size = f"{spread(some, 'largest_potential').mean:.3g}"
        rows.append([MINIMAL, spread(some, "factor").text(3), *(one.text() for one in shares), size])
        note = (
            "Violating: training points at which some other point's a⁻ or a⁺ is the largest; checked over all pairs. minimal: "
            "the smallest λ of the calibrated K without violation, and 1 % more, found for each run on its training points."
        )
        found.append(Table(f"{model}: in %, mean ± sd over runs", headings, rows, 6, note))
    return found


def smallest(results: Results, model: str, method: str) -> float | None:
    """The smallest factor at which no training point violates Theorem 3.3, in any run; None where there is none.

    It is found on the training points alone: the test points have no say in it.
    """
    for factor in FACTORS:
        if all(row["violating"] == 0 for row in results.where(model=model, decomposition=method, factor=factor)):
            return factor
    return None


def findings(results: Results) -> list[str]:
    """The smallest scale that keeps Theorem 3.3, and what becomes of the gap between the families."""
    lines: list[str] = []
    gaps: dict[tuple[str, str], dict[str, list[float]]] = {}
    for model in results.values("model"):
        kind = results.where(model=model)[0]["family"]
        for method in METHODS:
            agreement = {
                f: spread(results.where(model=model, decomposition=method, factor=f), "agreement", 100) for f in FACTORS
            }
            factor = smallest(results, model, method)
            least = "no λ of these is without violation"
            if factor is not None:
                least = f"with the smallest λ without violation, {factor:g}, {agreement[factor].text()} %"
                gaps.setdefault((method, "the smallest λ without violation"), {}).setdefault(kind, []).append(
                    agreement[factor].mean
                )
            lines.append(
                f"{model}, {method} split: {agreement[1.0].text()} % agreement with K itself; {least}; "
                f"{agreement[0.0].text()} % without F⁻."
            )
            gaps.setdefault((method, "λ = 1"), {}).setdefault(kind, []).append(agreement[1.0].mean)
        least = results.where(model=model, decomposition=MINIMAL)
        found = spread(least, "agreement", 100)
        gaps.setdefault((MINIMAL, "the smallest λ of each run"), {}).setdefault(kind, []).append(found.mean)
        lines.append(
            f"{model}, minimal decomposition: {found.text()} % agreement; λ = {spread(least, 'factor').text(3)} of the calibrated K."
        )
    for (method, what), by_family in gaps.items():
        if len(by_family) == 2:
            fcn, cnn = (sum(by_family[kind]) / len(by_family[kind]) for kind in ("FCN", "CNN"))
            lines.append(f"FCN minus CNN, {method} split with {what}: {fcn - cnn:+.1f} points of agreement.")
    return lines


def figures(results: Results) -> Mapping[str, Figure]:
    """Agreement and violating points over λ, a column a split, with the minimal decomposition among the calibrated K's."""
    figure = style.figure(height=4.6)
    panels = figure.subplots(2, len(METHODS), sharex=True, sharey="row", squeeze=False)
    ticks = {float(i): f"{factor:g}" for i, factor in enumerate(FACTORS)}
    quantities = {"agreement": "N vs N^(X)\n(% of test points)", "violating": "violating Theorem 3.3\n(% of training points)"}
    for column, method in zip(panels.T, METHODS, strict=True):
        for ax, (key, label) in zip(column, quantities.items(), strict=True):
            lines = {}
            for model in results.values("model"):
                found = [spread(results.where(model=model, decomposition=method, factor=f), key, 100) for f in FACTORS]
                lines[model] = Curve(list(ticks), *bands(found))
            title = f"{method} split" if ax is column[0] else ""
            ylabel = label if column[0] is panels[0][0] else ""
            xlabel = "λ, the factor of K" if ax is column[-1] else ""
            first = ax is panels[0][0]
            mean_curves(lines, xlabel=xlabel, ylabel=ylabel, title=title, ticks=ticks, legend=first, ax=ax)
    _mark_minimal(panels[0][METHODS.index("calibrated")], results)
    return {"decomposition": figure}


def place(factor: float) -> float:
    """Where a factor lies on the figure's axis, on which `FACTORS` are evenly spaced: between them by its logarithm, below
    the smallest that is not 0 by itself.

    >>> place(0.0), place(0.01), round(place(0.0173), 2), place(10)
    (0.0, 1.0, 1.5, 7.0)
    """
    if factor < FACTORS[1]:
        return factor / FACTORS[1]
    return float(np.interp(np.log10(factor), np.log10(FACTORS[1:]), range(1, len(FACTORS))))


def _mark_minimal(ax: Axes, results: Results) -> None:
    """A star for each model's minimal decomposition, whose λ is one of the calibrated K, in the color of its curve."""
    for model, line in zip(results.values("model"), list(ax.lines), strict=True):
        some = results.where(model=model, decomposition=MINIMAL)
        at, mean = place(spread(some, "factor").mean), spread(some, "agreement", 100).mean
        ax.plot([at], [mean], "*", markersize=9, color=line.get_color(), markeredgecolor=style.BLACK, markeredgewidth=0.5)
    ax.plot([], [], marker="*", markersize=8, color=style.BLACK, linestyle="none", label="minimal decomposition")
    ax.legend(handles=[ax.lines[-1]])


def summary(results: Results) -> str:
    """K itself beside the smallest factor without violation, and no F⁻."""
    whole, none = (by_decomposition(results, "agreement", factor=factor) for factor in (1.0, 0.0))
    least = [
        f"{model} {spread(results.where(model=model, decomposition=method, factor=factor), 'agreement', 100).mean:.1f} "
        f"({method} split, λ = {factor:g})"
        for model in results.values("model")
        for method in METHODS
        if (factor := smallest(results, model, method)) is not None
    ]
    return (
        f"Agreement in % with K itself: {whole}; with the smallest λ of the grid without violation: "
        f"{', '.join(least) or 'there is none'}; without F⁻: {none}."
    )


STUDY = Study(
    name="decomposition",
    title="How the decomposition decides what N^(X) knows",
    question="N = F⁺ − F⁻ can be split in many ways, and N^(X) depends on which. Both splits' K are scaled by λ from 0 (no F⁻ "
    "at all) to 10. At each scale: at how many training points Theorem 3.3 fails over all pairs, how many keep their label, "
    "and how well N^(X) agrees with N on test points. Is the paper's gap between CNN and FCN a fact about networks, or about "
    "the split?",
    paper="The paper has one split, its own (paper, λ = 1), and reads the gap between fully connected and convolutional "
    "networks as a property of the networks: 97.7 against 95.7 % on MNIST, 52.5 against 30.8 % on CIFAR-10.",
    measure=measure,
    tables=tables,
    findings=findings,
    figures=figures,
    decompositions=(*METHODS, MINIMAL),
    summary=summary,
)
