"""How the split decides what N^(X) knows: K scaled by λ (new here)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from matplotlib.figure import Figure
from torch import Tensor

from tropica.plots import Curve, curves, style
from tropica.studies.case import Case
from tropica.studies.study import METHODS, Measured, Results, Row, Study, Table, bands, by_split, spread
from tropica.terms import ExtractedFunction, LinearTerms, TermBlock
from tropica.terms.maxima import Functions, RunningMaxima

FACTORS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
CHUNK = 2048


def scaled(terms: LinearTerms, factor: float) -> LinearTerms:
    """The terms of the split λK: F⁻ is linear in K, so a⁻ is that of K times λ, and a⁺ = a + λa⁻.

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
    return replace(terms, blocks=blocks, centre=terms.centre * factor)


def violations(terms: LinearTerms, x: Tensor) -> dict[str, float]:
    """Where Theorem 3.3 fails among all pairs of the extracted points.

    Args:
        terms: those of the points.
        x: the points (D, *input).

    Returns:
        ``points``: how many have some other point's a⁻ or a⁺ above their own, by more than 100 units of rounding in the terms'
        dtype; ``largest``: by how much at most, in logits.
    """
    wrong, largest, first = 0, 0.0, 0
    # Without F⁻ all a⁻ are 0: none exceeds another, and to find that out would mean to compare ties, which is slow.
    flat = not any(bool(block.minus.any()) or bool(block.minus_bias.any()) for block in terms)
    rounding = 100 * torch.finfo(terms.dtype).eps
    for part in x.to(terms.dtype).flatten(1).split(CHUNK):
        rows = torch.arange(first, first + len(part))
        bad = torch.zeros(len(part), dtype=torch.bool)
        for side in ("plus",) if flat else ("plus", "minus"):
            state = RunningMaxima(part, 1)
            at = 0
            for block in terms:
                state.update(_functions(block, side, at))
                at += len(block)
            own, size = _own(terms, side, rows, part)
            excess = state.value[:, 0].cpu() - own
            bad |= excess > rounding * size
            largest = max(largest, float(excess.max()))
        wrong += int(bad.sum())
        first += len(part)
    return {"points": wrong, "largest": largest}


def _functions(block: TermBlock, side: str, first: int) -> Functions:
    if side == "minus":
        return Functions((block.minus,), block.minus_bias, first=first)
    return Functions((block.local, block.minus), block.local_bias + block.minus_bias, first=first)


def _own(terms: LinearTerms, side: str, rows: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Each point's own a at the point, and the size of what is added up in it; both in float64."""
    block = terms.select(rows).blocks[0]
    weight, bias = block.minus.double(), block.minus_bias.clone()
    if side == "plus":
        weight, bias = weight + block.local.double(), bias + block.local_bias
    products = weight * x.double()
    return (products.sum(1) + bias).cpu(), (products.abs().sum(1) + bias.abs()).cpu()


def measure(case: Case) -> Measured:
    """A row a split and factor."""
    rows: list[Row] = []
    inputs = case.points.inputs
    for method in METHODS:
        terms = case.terms(method)
        potential = torch.cat([case.split(method).potential(part.to(case.dtype)) for part in inputs.split(512)])
        for factor in FACTORS:
            some = scaled(terms, factor)
            function = ExtractedFunction(some)
            step = case.step(f"{method} split × {factor:g}")
            found = violations(some, inputs)
            kept = function.predict(case.points, progress=step) == terms.labels.cpu()
            labels = function.predict(case.test, progress=step)
            rows.append(
                {
                    "split": method,
                    "factor": factor,
                    "violating": found["points"] / len(terms),
                    "largest_violation": found["largest"],
                    "labels_kept": float(kept.double().mean()),
                    "agreement": float((labels == case.labels).double().mean()),
                    "accuracy": float((labels == case.truth).double().mean()),
                    "largest_potential": factor * float(potential.max()),
                }
            )
    return Measured(rows)


def tables(results: Results) -> list[Table]:
    """A table a network."""
    headings = ["split", "λ", "violating points", "training labels kept", "agreement, test", "accuracy, test", "largest F⁻"]
    found = []
    for model in results.values("model"):
        rows = []
        for method in METHODS:
            for factor in FACTORS:
                some = results.where(model=model, split=method, factor=factor)
                shares = [spread(some, key, 100) for key in ("violating", "labels_kept", "agreement", "accuracy")]
                size = f"{spread(some, 'largest_potential').mean:.3g}"
                rows.append([method, f"{factor:g}", *(one.text() for one in shares), size])
        note = "Violating: training points at which some other point's a⁻ or a⁺ is the largest; checked over all pairs."
        found.append(Table(f"{model}: in %, mean ± sd over runs", headings, rows, 6, note))
    return found


def smallest(results: Results, model: str, method: str) -> float | None:
    """The smallest factor at which no training point violates Theorem 3.3, in any run; None where there is none.

    It is found on the training points alone: the test points have no say in it.
    """
    for factor in FACTORS:
        if all(row["violating"] == 0 for row in results.where(model=model, split=method, factor=factor)):
            return factor
    return None


def findings(results: Results) -> list[str]:
    """The smallest scale that keeps Theorem 3.3, and what becomes of the gap between the families."""
    lines: list[str] = []
    gaps: dict[tuple[str, str], dict[str, list[float]]] = {}
    for model in results.values("model"):
        kind = results.where(model=model)[0]["family"]
        for method in METHODS:
            agreement = {f: spread(results.where(model=model, split=method, factor=f), "agreement", 100) for f in FACTORS}
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
    for (method, what), by_family in gaps.items():
        if len(by_family) == 2:
            fcn, cnn = (sum(by_family[kind]) / len(by_family[kind]) for kind in ("FCN", "CNN"))
            lines.append(f"FCN minus CNN, {method} split with {what}: {fcn - cnn:+.1f} points of agreement.")
    return lines


def figures(results: Results) -> Mapping[str, Figure]:
    """Agreement and violating points over λ, a column a split."""
    figure = style.figure(height=4.6)
    panels = figure.subplots(2, len(METHODS), sharex=True, sharey="row", squeeze=False)
    ticks = {float(i): f"{factor:g}" for i, factor in enumerate(FACTORS)}
    quantities = {"agreement": "N vs N^(X)\n(% of test points)", "violating": "violating Theorem 3.3\n(% of training points)"}
    for column, method in zip(panels.T, METHODS, strict=True):
        for ax, (key, label) in zip(column, quantities.items(), strict=True):
            lines = {}
            for model in results.values("model"):
                found = [spread(results.where(model=model, split=method, factor=f), key, 100) for f in FACTORS]
                lines[model] = Curve(list(ticks), *bands(found))
            title = f"{method} split" if ax is column[0] else ""
            ylabel = label if column[0] is panels[0][0] else ""
            xlabel = "λ, the factor of K" if ax is column[-1] else ""
            first = ax is panels[0][0]
            curves(lines, xlabel=xlabel, ylabel=ylabel, title=title, ticks=ticks, legend=first, ax=ax)
    return {"split": figure}


def summary(results: Results) -> str:
    """K itself beside the smallest factor without violation, and no F⁻."""
    whole, none = (by_split(results, "agreement", factor=factor) for factor in (1.0, 0.0))
    least = [
        f"{model} {spread(results.where(model=model, split=method, factor=factor), 'agreement', 100).mean:.1f} "
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
    name="split",
    title="How the split decides what N^(X) knows",
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
    summary=summary,
)
