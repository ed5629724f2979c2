"""Shifted images, and N^(X) with shifted copies of its terms (experiments of the authors' scripts)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from tropica.evaluation.function import ExtractedFunction
from tropica.plots import mean_curves
from tropica.studies.case import Case, equal_share
from tropica.studies.panels import PERCENT, decomposition_panels
from tropica.studies.study import METHODS, Measurement, Results, Row, Study
from tropica.studies.tables import Table, by_decomposition, by_family, curve, percent, select

MAX_SHIFT = 5
"""The largest shift in pixels, as in the authors' scripts; smaller for small images."""
BATCH = 8192
"""The number of points whose maxima are in memory at a time."""
RULES = ("maximum", "sum")
NETWORK = "network"
"""Stands for the decomposition in the rows of the network itself."""


def shifted(x: Tensor, by: Sequence[int]) -> Tensor:
    """T_s x: the points moved along their last axes, with zeros at the border: (T_s x)[p] = x[p − s], or 0.

    Args:
        x: (N, *input).
        by: the shift s, a number of pixels for each of the last axes.

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
    """The eight ways to move an image by one pixel, or the two ways to move a signal.

    Points (channels, height, width) are images; (channels, length) and plain vectors are signals.

    >>> len(directions((1, 8, 8))), directions((1, 40))
    (8, [(-1,), (1,)])
    """
    axes = 2 if len(shape) == 3 else 1
    return [step for step in itertools.product((-1, 0, 1), repeat=axes) if any(step)]


def max_shift(shape: Sequence[int]) -> int:
    """The largest shift of points of a shape: MAX_SHIFT, or less than half of a smaller image.

    >>> max_shift((3, 32, 32)), max_shift((1, 8, 8))
    (5, 3)
    """
    axes = 2 if len(shape) == 3 else 1
    return max(1, min(MAX_SHIFT, (min(shape[-axes:]) - 1) // 2))


def shift_in_turn(x: Tensor, pixels: int) -> Tensor:
    """Points shifted by this many pixels, in each direction in turn: point k in direction k modulo the number of directions."""
    out, ways = x.clone(), directions(tuple(x.shape[1:]))
    for k, way in enumerate(ways):
        out[k :: len(ways)] = shifted(x[k :: len(ways)], [pixels * step for step in way])
    return out


@dataclass(frozen=True)
class CopyLabels:
    """Labels of N^(X) with the copies of its terms that are shifted by up to ``radius`` pixels, by maximum and by sum."""

    radius: int
    maximum: Tensor
    sum: Tensor


def labels_with_copies(function: ExtractedFunction, x: Tensor, radius: int) -> Iterator[CopyLabels]:
    """The labels with copies shifted by up to 0, 1, …, ``radius`` pixels.

    The copy of an affine function a(x) = ⟨w, x⟩ + b for the shift s is a^s(x) = ⟨T_s w, x⟩ + b. With S the shifts by 0 … r
    pixels in all directions, and k over the points with label i or over all of them,

        maximum:  N_i(x) = max_{s ∈ S} max_{k: i} a⁺_k^s(x) − max_{s ∈ S} max_k a⁻_k^s(x),
        sum:      N_i(x) = Σ_{s ∈ S} (max_{k: i} a⁺_k^s(x) − max_k a⁻_k^s(x)).

    T_s^T = T_{−s}, so a^s(x) = a(T_{−s} x): the copies' values are those of the terms at the points shifted back, and no
    copy is made. The label is where the first part is largest, as the second is common to all labels.

    Memory: that of one block of products, and (BATCH × labels) float64 values thrice.

    Args:
        function: N^(X).
        x: points (N, *input).
        radius: r.
    """
    parts = [list(_labels(function, part, radius)) for part in x.split(BATCH)]
    for r, found in enumerate(zip(*parts, strict=True)):
        yield CopyLabels(r, *(torch.cat(column) for column in zip(*found, strict=True)))


def _labels(function: ExtractedFunction, x: Tensor, radius: int) -> Iterator[tuple[Tensor, Tensor]]:
    total = torch.zeros(len(x), function.num_classes, dtype=torch.float64)
    largest = torch.full_like(total, -torch.inf)
    ways = directions(x.shape[1:])
    for r in range(radius + 1):
        for way in ways if r else [tuple(0 for _ in ways[0])]:
            values = function.f_plus(shifted(x, [-r * step for step in way]))
            total += values
            largest = torch.maximum(largest, values)
        yield largest.argmax(1), total.argmax(1)


def measure(case: Case) -> Measurement:
    """A row for each decomposition, shift of the points, radius of the copies and rule; and rows of the network itself."""
    rows: list[Row] = []
    largest = max_shift(case.points.input_shape)
    for pixels in range(largest + 1):
        x = shift_in_turn(case.test.inputs, pixels)
        given = case.predict(x)
        rows.append(_row(case, given, given, NETWORK, pixels))
        for method in METHODS:
            for copies in labels_with_copies(case.function(method), x, largest):
                for rule in RULES if copies.radius else RULES[:1]:
                    labels = copies.maximum if rule == "maximum" else copies.sum
                    rows.append(_row(case, labels, given, method, pixels, copies.radius, rule if copies.radius else None))
    return Measurement(rows)


def _row(
    case: Case, labels: Tensor, given: Tensor, who: str, pixels: int, radius: int | None = None, rule: str | None = None
) -> Row:
    accuracy, agreement = equal_share(labels, case.true_labels), equal_share(labels, given)
    kind = {"decomposition": who, "pixels": pixels, "radius": radius, "rule": rule}
    return {**kind, "accuracy": accuracy, "agreement": agreement}


def tables(results: Results) -> list[Table]:
    """A table for each network: accuracy by shift, for each decomposition, rule and radius."""
    rows = results.rows
    rows = rows.assign(
        function=[_function(*row) for row in rows[["decomposition", "rule"]].itertuples(index=False)],
        copies=["–" if pd.isna(rule) else f"≤ {r:.0f} px" for rule, r in rows[["rule", "radius"]].itertuples(index=False)],
        shift=["not shifted" if p == 0 else f"{p} px" for p in rows["pixels"]],
    )
    found = []
    for model in results.models:
        parts = []
        for who in (NETWORK, *METHODS):
            for rule in (None, *RULES):
                chosen = select(rows, model=model, decomposition=who, rule=rule)
                if len(chosen):
                    by = ["function", "copies", "shift"]
                    frame = chosen.groupby(by, sort=False)["accuracy"].agg(percent).unstack("shift")
                    parts.append(frame[chosen["shift"].unique()])
        title = f"{model}: right answers in %, mean ± sd over runs"
        note = "Columns: how far the test points are shifted. Copies: of all terms, shifted by at most this distance."
        found.append(Table(title, pd.concat(parts), note))
    return found


def _function(who: str, rule: str | None) -> str:
    if who == NETWORK:
        return "N"
    return f"N^(X), {who}" if pd.isna(rule) else f"+ copies, {rule}"


def _mean(rows: pd.DataFrame, **wanted: object) -> str:
    return f"{100 * select(rows, **wanted)['accuracy'].mean():.1f}"


def findings(results: Results) -> list[str]:
    """The accuracy on shifted points, and the effect of the copies on points with and without shift."""
    lines = []
    far, largest = results.rows["pixels"].max(), int(results.rows["radius"].max())
    sizes = list(dict.fromkeys((1, largest)))
    reach = ", ".join(map(str, sizes))
    for model in results.models:
        network = select(results.rows, model=model, decomposition=NETWORK)
        still, one, most = (_mean(network, pixels=p) for p in (0, 1, far))
        lines.append(f"{model}, N: {still} % right; points shifted by 1 pixel {one} %, by {far} {most} %.")
        for method in METHODS:
            rows = select(results.rows, model=model, decomposition=method)
            still, one, most = (_mean(rows, pixels=p, radius=0) for p in (0, 1, far))
            name = f"{model}, N^(X), {method} decomposition"
            line = f"{name}: {still} % right; points shifted by 1 pixel {one} %, by {far} {most} %."
            for rule in RULES:
                still, one = (", ".join(_mean(rows, pixels=p, radius=r, rule=rule) for r in sizes) for p in (0, 1))
                line += f" Copies of up to {reach} px by {rule}: {still} %; points shifted by 1 pixel: {one} %."
            lines.append(line)
    return lines


def figures(results: Results) -> Mapping[str, Figure]:
    """A panel for each network and decomposition: N, N^(X), and the copies of the smallest and the largest radius."""
    models, rows = results.models, results.rows
    largest = int(rows["radius"].max())
    figure, panels = decomposition_panels(2.2 * len(models) + 0.5, rows=len(models), sharex=True)
    ticks = {float(p): str(p) for p in rows["pixels"].unique()}
    for line, model in zip(panels, models, strict=True):
        for ax, method in zip(line, METHODS, strict=True):
            found = select(rows, model=model, decomposition=method)
            network = select(rows, model=model, decomposition=NETWORK)
            lines = {"N": curve(network, "pixels", "accuracy"), "N^(X)": curve(select(found, radius=0), "pixels", "accuracy")}
            for rule in RULES:
                for radius in dict.fromkeys((1, largest)):
                    copies = select(found, radius=radius, rule=rule)
                    lines[f"+ copies ≤ {radius} px, {rule}"] = curve(copies, "pixels", "accuracy")
            ylabel = "right answers (%)" if ax is line[0] else ""
            xlabel = "test points shifted by (pixels)" if model == models[-1] else ""
            title = f"{model}, {method} decomposition"
            look = {"legend": False, "within": PERCENT}
            mean_curves(lines, xlabel=xlabel, ylabel=ylabel, title=title, ticks=ticks, ax=ax, **look)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, handlelength=2.6)
    return {"shift": figure}


def summary(results: Results) -> str:
    """The accuracy on points shifted by one pixel, without copies and with copies shifted by one pixel."""
    rows = select(results.rows, pixels=1)
    network = by_family(select(rows, decomposition=NETWORK), "accuracy")
    plain = by_decomposition(select(rows, radius=0), "accuracy", METHODS)
    copies = select(rows, radius=1)
    rules = "; ".join(f"{rule}: {by_decomposition(select(copies, rule=rule), 'accuracy', METHODS)}" for rule in RULES)
    return (
        f"Right answers in % on points shifted by 1 pixel: N {network}; N^(X) {plain}; with copies of the terms shifted by 1 "
        f"pixel, {rules}."
    )


STUDY = Study(
    name="shift",
    title="Shifted images, and shifted copies of the terms",
    question="Convolutions commute with shifts; the affine terms of single images do not. Each test point is shifted by 0, 1, "
    "… pixels, in one of the eight directions in turn (signals: in one of two), with zeros at the border. How often are N and "
    "N^(X) right? And N^(X) with copies of all its terms, shifted by up to r pixels in all directions, combined by maximum "
    "(all terms and copies make one extracted function) or by sum (of the values of each shift's extracted function)?",
    paper="The authors' scripts measure accuracy on images shifted by up to 5 pixels, and N^(X) with shifted copies of the "
    "terms added (maximum or sum); the main text reports no numbers for either.",
    measure=measure,
    tables=tables,
    findings=findings,
    figures=figures,
    summary=summary,
)
