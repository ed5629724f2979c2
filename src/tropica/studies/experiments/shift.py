"""Shifted images, and N^(X) with shifted copies of its terms (experiments of the authors' scripts)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from matplotlib.figure import Figure
from torch import Tensor

from tropica.plots import mean_curves, style
from tropica.plots.mean_curves import Curve
from tropica.studies.case import Case
from tropica.studies.study import METHODS, Measured, Results, Row, Study, Table, by_decomposition, by_family, spread
from tropica.terms.linear_terms import LinearTerms
from tropica.terms.maxima import Functions, RunningMaxima

FARTHEST = 5
"""Pixels, as in the authors' scripts; less where images are small."""
POINTS = 8192
"""Points whose maxima are kept at a time."""
RULES = ("maximum", "sum")
KEYS = ("agreement", "accuracy")


def shifted(x: Tensor, by: Sequence[int]) -> Tensor:
    """T_s x: the points moved along their last axes, with zeros where nothing comes in: (T_s x)[p] = x[p − s], or 0.

    Args:
        x: (N, *input).
        by: s, a number of places for each of the last axes.

    >>> shifted(torch.tensor([[1.0, 2.0, 3.0]]), [1]), shifted(torch.tensor([[1.0, 2.0, 3.0]]), [-2])
    (tensor([[0., 1., 2.]]), tensor([[3., 0., 0.]]))
    """
    out = torch.zeros_like(x)
    sizes = x.shape[x.ndim - len(by) :]
    target, source = [
        [slice(max(sign * s, 0), n + min(sign * s, 0)) for s, n in zip(by, sizes, strict=True)] for sign in (1, -1)
    ]
    if all(abs(s) < n for s, n in zip(by, sizes, strict=True)):
        out[(..., *target)] = x[(..., *source)]
    return out


def directions(shape: Sequence[int]) -> list[tuple[int, ...]]:
    """The eight ways to move an image by one pixel, the two ways to move a signal by one place.

    Points (channels, height, width) are images; (channels, length) and plain vectors are signals.

    >>> len(directions((1, 8, 8))), directions((1, 40))
    (8, [(-1,), (1,)])
    """
    axes = 2 if len(shape) == 3 else 1
    return [step for step in itertools.product((-1, 0, 1), repeat=axes) if any(step)]


def farthest(shape: Sequence[int]) -> int:
    """How far points are moved at most: FARTHEST, or less than half of a smaller image.

    >>> farthest((3, 32, 32)), farthest((1, 8, 8))
    (5, 3)
    """
    axes = 2 if len(shape) == 3 else 1
    return max(1, min(FARTHEST, (min(shape[-axes:]) - 1) // 2))


def moved(x: Tensor, pixels: int) -> Tensor:
    """Each point moved by so many pixels, in one direction after the other: point k in direction k modulo their number."""
    out, ways = x.clone(), directions(tuple(x.shape[1:]))
    for k, way in enumerate(ways):
        out[k :: len(ways)] = shifted(x[k :: len(ways)], [pixels * step for step in way])
    return out


@dataclass(frozen=True)
class Copies:
    """Labels of N^(X) with the copies of its terms that are shifted by up to ``radius`` pixels, by maximum and by sum."""

    radius: int
    maximum: Tensor
    sum: Tensor


def with_copies(terms: LinearTerms, x: Tensor, radius: int) -> Iterator[Copies]:
    """The labels for 0, 1, …, ``radius`` pixels.

    The copy of an affine function a(x) = ⟨w, x⟩ + b for the shift s is a^s(x) = ⟨T_s w, x⟩ + b. With S the shifts by 0 … r
    pixels in all directions, and k over the points with label i or over all of them,

        maximum:  N_i(x) = max_{s ∈ S} max_{k: i} a⁺_k^s(x) − max_{s ∈ S} max_k a⁻_k^s(x),
        sum:      N_i(x) = Σ_{s ∈ S} (max_{k: i} a⁺_k^s(x) − max_k a⁻_k^s(x)).

    T_s^T = T_{−s}, so a^s(x) = a(T_{−s} x): the copies' values are those of the terms at the points shifted back, and no copy
    is ever made. The label is where the first part is largest, as the second is common to all labels.

    Memory: that of one block of products, and (POINTS × labels) float64 values thrice.

    Args:
        terms: of the training points.
        x: points (N, *input).
        radius: r.
    """
    parts = [list(_labels(terms, part, radius)) for part in x.to(terms.dtype).split(POINTS)]
    for r, found in enumerate(zip(*parts, strict=True)):
        yield Copies(r, *(torch.cat(column) for column in zip(*found, strict=True)))


def _labels(terms: LinearTerms, x: Tensor, radius: int) -> Iterator[tuple[Tensor, Tensor]]:
    total = torch.zeros(len(x), terms.num_classes, dtype=torch.float64)
    largest = torch.full_like(total, -torch.inf)
    shape = tuple(x.shape[1:])
    ways = directions(shape)
    for r in range(radius + 1):
        for way in ways if r else [tuple(0 for _ in ways[0])]:
            values = largest_plus(terms, shifted(x, [-r * step for step in way]))
            total += values
            largest = torch.maximum(largest, values)
        yield largest.argmax(1), total.argmax(1)


def largest_plus(terms: LinearTerms, x: Tensor) -> Tensor:
    """max over the points k with label i of a⁺_k(x), (N, labels) in float64: −∞ where no point has the label.

    What is common to all a⁻, ``center``, moves no label of N^(X), but counts here, where values at shifted points meet.
    """
    flat = x.flatten(1)
    state = RunningMaxima(flat, terms.num_classes)
    first = 0
    for block in terms:
        parts, bias = (block.local, block.minus), block.local_bias + block.minus_bias
        state.update(Functions(parts, bias, block.labels, first))
        first += len(block)
    return state.value + (flat.double() @ terms.center.double()).unsqueeze(1)


def measure(case: Case) -> Measured:
    """A row a split, a shift of the points, a radius of the copies and a rule; the network's own rows have no split."""
    rows: list[Row] = []
    most = farthest(case.points.input_shape)
    for pixels in range(most + 1):
        x = moved(case.test.inputs, pixels)
        given = case.predict(case.net, x)
        rows.append(_row(case, given, given, "network", pixels))
        for method in METHODS:
            terms = case.terms(method)
            for copies in with_copies(terms, x, most):
                for rule in RULES if copies.radius else RULES[:1]:
                    labels = getattr(copies, rule)
                    rows.append(_row(case, labels, given, method, pixels, copies.radius, rule if copies.radius else None))
    return Measured(rows)


def _row(
    case: Case, labels: Tensor, given: Tensor, who: str, pixels: int, radius: int | None = None, rule: str | None = None
) -> Row:
    return {
        "decomposition": who,
        "pixels": pixels,
        "radius": radius,
        "rule": rule,
        "accuracy": float((labels == case.truth).double().mean()),
        "agreement": float((labels == given).double().mean()),
    }


def tables(results: Results) -> list[Table]:
    """A table a network and split: accuracy by shift, for each radius and rule."""
    pixels = results.values("pixels")
    found = []
    for model in results.values("model"):
        rows = [["N", "–", *_cells(results, pixels, model=model, split="network")]]
        for method in METHODS:
            for rule, radius in _kinds(results):
                name = f"N^(X), {method}" if rule is None else f"+ copies, {rule}"
                wanted = {"model": model, "decomposition": method, "rule": rule, "radius": radius}
                rows.append([name, "–" if rule is None else f"≤ {radius} px", *_cells(results, pixels, **wanted)])
        headings = ["function", "copies", *(f"{p} px" if p else "not shifted" for p in pixels)]
        note = "Columns: how far the test points are shifted. Copies: of all terms, shifted by up to so many pixels."
        found.append(Table(f"{model}: right answers in %, mean ± sd over runs", headings, rows, len(pixels), note))
    return found


def _kinds(results: Results) -> list[tuple[str | None, int]]:
    """N^(X) itself, and then each rule with each radius."""
    radii = [radius for radius in results.values("radius") if radius]
    return [(None, 0), *((rule, radius) for rule in RULES for radius in radii)]


def _cells(results: Results, pixels: Sequence[int], **wanted: object) -> list[str]:
    return [spread(results.where(pixels=p, **wanted), "accuracy", 100).text() for p in pixels]


def findings(results: Results) -> list[str]:
    """What a shift by one pixel costs, and what the copies bring and cost."""
    lines = []
    pixels, radii = results.values("pixels"), results.values("radius")
    far = pixels[-1]
    sizes = list(dict.fromkeys((1, max(radius for radius in radii if radius))))
    reach = ", ".join(map(str, sizes))

    def accuracy(p: int, **wanted: object) -> str:
        return f"{spread(results.where(pixels=p, **wanted), 'accuracy', 100).mean:.1f}"

    for model in results.values("model"):
        for method in ("network", *METHODS):
            plain = {"model": model, "decomposition": method, "radius": None if method == "network" else 0}
            still, one, most = (accuracy(p, **plain) for p in (0, 1, far))
            who = "N" if method == "network" else f"N^(X), {method} split"
            line = f"{model}, {who}: {still} % right; points shifted by 1 pixel {one} %, by {far} {most} %."
            for rule in RULES if method != "network" else ():
                copies = [{**plain, "radius": size, "rule": rule} for size in sizes]
                means = [", ".join(accuracy(p, **one) for one in copies) for p in (0, 1)]
                line += f" Copies of up to {reach} px by {rule}: {means[0]} %; points shifted by 1 pixel: {means[1]} %."
            lines.append(line)
    return lines


def figures(results: Results) -> Mapping[str, Figure]:
    """A panel a network and split: accuracy over the shift, N, N^(X), and the copies of one and of most pixels."""
    models, pixels = results.values("model"), results.values("pixels")
    radii = [radius for radius in results.values("radius") if radius]
    figure = style.figure(height=2.2 * len(models) + 0.5)
    panels = figure.subplots(len(models), len(METHODS), sharex=True, sharey=True, squeeze=False)
    for line, model in zip(panels, models, strict=True):
        for ax, method in zip(line, METHODS, strict=True):
            wanted = {"N": {"decomposition": "network"}, "N^(X)": {"decomposition": method, "radius": 0}}
            for rule in RULES:
                for radius in dict.fromkeys((radii[0], radii[-1])):
                    name = f"+ copies ≤ {radius} px, {rule}"
                    wanted[name] = {"decomposition": method, "radius": radius, "rule": rule}
            lines = {}
            for name, keys in wanted.items():
                found = [spread(results.where(model=model, pixels=p, **keys), "accuracy", 100) for p in pixels]
                lines[name] = Curve(pixels, [one.mean for one in found], [one.sd for one in found])
            ylabel = "right answers (%)" if ax is line[0] else ""
            xlabel = "test points shifted by (pixels)" if model == models[-1] else ""
            ticks = {float(p): str(p) for p in pixels}
            title = f"{model}, {method} split"
            mean_curves(lines, xlabel=xlabel, ylabel=ylabel, title=title, ticks=ticks, legend=False, ax=ax)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, handlelength=2.6)
    return {"shift": figure}


def summary(results: Results) -> str:
    """One pixel, without copies and with those of one pixel."""
    network = by_family(results, "accuracy", split="network", pixels=1)
    plain = by_decomposition(results, "accuracy", pixels=1, radius=0)
    rules = "; ".join(f"{rule}: {by_decomposition(results, 'accuracy', pixels=1, radius=1, rule=rule)}" for rule in RULES)
    return (
        f"Right answers in % on points shifted by 1 pixel: N {network}; N^(X) {plain}; with copies of the terms shifted by 1 "
        f"pixel, {rules}."
    )


STUDY = Study(
    name="shift",
    title="Shifted images, and shifted copies of the terms",
    question="Convolutions commute with shifts; the affine terms of single images do not. Each test point is shifted by 0, 1, "
    "… pixels, in one of the eight directions in turn (signals: in one of two), zeros coming in. How often are N and N^(X) "
    "right? And N^(X) with copies of all its terms, shifted by up to r pixels in all directions, put together by maximum (all "
    "terms and copies make one extracted function) or by sum (of the values of each shift's extracted function)?",
    paper="The authors' scripts measure accuracy on images shifted by up to 5 pixels, and N^(X) with shifted copies of the "
    "terms added (maximum or sum); the main text reports no number for either.",
    measure=measure,
    tables=tables,
    findings=findings,
    figures=figures,
    summary=summary,
)
