"""The linear regions of a box or a plane: cells, decision boundary, data."""

from __future__ import annotations

from collections import deque
from typing import Literal

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from torch import Tensor

from tropica.errors import InputError
from tropica.plots import style
from tropica.plots.plane import draw_boundary, fill, fill_labels, padded, scatter_points
from tropica.polyhedra.polygons import clip
from tropica.regions.complex import RegionComplex
from tropica.regions.domains import Box, Plane

SHADES = "cividis"
"""Its lightness grows all along, also for color-blind readers."""
FAINT = 0.65
"""Cells are mixed with white, so that lines and points stand out."""
BY = ("pattern", "map", "label", "region")

Numbers = Tensor | np.ndarray | list | tuple


def regions(
    cx: RegionComplex,
    *,
    by: Literal["pattern", "map", "label", "region"] = "pattern",
    boundary: bool = True,
    data: Numbers | None = None,
    labels: Numbers | None = None,
    ax: Axes | None = None,
    title: str = "",
) -> Axes:
    """Draw the cells of a two-dimensional complex as polygons, the decision boundary on top of them, and data on top of that.

    Args:
        cx: of a Box with d = 2 or of a Plane.
        by: what has one color: an activation pattern (every cell), an affine ``map``, a linear ``region``, or the points
            of one predicted ``label`` (exactly: cells are cut where the label changes). But for labels, neighbors differ in
            lightness, and a color says nothing else.
        boundary: draw ``cx.boundary()``.
        data: coordinates t (N, 2) of points; those outside of the domain are left out, and the legend says so.
        labels: (N,) whole numbers, a marker and a color each.
        ax: where to draw; new axes by default.
        title: of the axes; by default the numbers of cells, regions and maps.

    Returns:
        The axes.

    Raises:
        InputError: a complex of another domain or dimension, an unknown ``by``, data or labels that do not fit.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.ReLU()).double().eval()
    >>> with torch.no_grad():
    ...     _ = model[0].weight.fill_(1.0), model[0].bias.fill_(0.0)
    >>> cx = tp.linear_regions(tp.trace(model, torch.zeros(2, 2).double()), tp.Box(-1, 1, d=2))
    >>> ax = tp.plots.regions(cx, data=[[0.5, 0.5]], labels=[1])
    >>> ax.get_title(), ax.get_xlabel()
    ('2 cells, 2 regions, 2 maps', 'x₁')
    """
    if not isinstance(cx, RegionComplex):
        raise InputError(f"a complex is needed, tp.linear_regions(net, domain); found {type(cx).__name__}")
    if cx.dimension != 2 or not isinstance(cx.domain, (Box, Plane)):
        found = f"{type(cx.domain).__name__} of dimension {cx.dimension}"
        raise InputError(f"regions are drawn for a Box with d = 2 or a Plane; this complex is of a {found}")
    if by not in BY:
        raise InputError(f"by must be one of {', '.join(BY)}; found {by!r}")
    points, names = _points(data, labels)
    with style.applied():
        legend = names is not None or by == "label"
        ax = ax or _axes(cx, legend)
        handles = _by_label(ax, cx) if by == "label" else _by_number(ax, cx, by)
        if boundary and len(found := cx.boundary()):
            handles.append(draw_boundary(ax, found.pieces))
        outside, drawn = scatter_points(ax, points, names, cx.domain.limits())
        handles += drawn
        _dress(ax, cx, title)
        if legend:
            note = f"{outside} outside" if outside else None
            ax.legend(handles=handles, title=note, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)
    return ax


def _axes(cx: RegionComplex, legend: bool) -> Axes:
    """New axes in a figure as wide as the domain's shape and the legend need."""
    low, high = cx.domain.limits() or (np.zeros(2), np.ones(2))
    wide, tall = high - low
    largest = max(wide, tall)
    return style.shown_figure(0.8 + 3.2 * wide / largest + 1.5 * legend, 0.6 + 3.2 * tall / largest).add_subplot()


# ── cells ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _by_number(ax: Axes, cx: RegionComplex, by: str) -> list[Artist]:
    """All cells, a shade for each pattern, region or map."""
    number = np.arange(len(cx))
    if by != "pattern":
        for i, members in enumerate(cx.regions if by == "region" else cx.maps):
            number[members] = i
    fill(ax, padded(*cx.corners), shades(cx.adjacency, number))
    return []


def _by_label(ax: Axes, cx: RegionComplex) -> list[Artist]:
    """The parts of cells that have one label each, and their names."""
    return fill_labels(ax, *label_parts(cx))


def shades(adjacency: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Colors (C, 4) of cells, one a number; neighbors of different numbers lie in different bands of lightness.

    >>> shades(np.array([[0, 1], [1, 2]]), np.array([0, 1, 0])).shape
    (3, 4)
    """
    count = int(number.max()) + 1
    band = _bands(count, number[adjacency])
    bands = int(band.max()) + 1
    place = np.array([0, *range(2, bands), 1][:bands]).argsort()  # the first two, which have most of the cells, at either end
    within = np.random.default_rng(0).uniform(0.0, 0.55, count)
    shade = 0.15 + 0.85 * (place[band] + within) / (bands - 0.45)
    return (1 - FAINT * (1 - mpl.colormaps[SHADES](shade)))[number]


def _bands(count: int, pairs: np.ndarray) -> np.ndarray:
    """A band for each number, another than its neighbors': the first that is free, in an order that stays connected.

    Two bands are then enough wherever two can be (lines through a whole plane).
    """
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    both = np.concatenate([pairs, pairs[:, ::-1]])
    both = both[np.argsort(both[:, 0], kind="stable")]
    ends = np.searchsorted(both[:, 0], np.arange(count + 1)).tolist()
    other = both[:, 1].tolist()
    band, seen = [-1] * count, [False] * count
    for first in range(count):
        queue = deque([] if seen[first] else [first])
        seen[first] = True
        while queue:
            at = queue.popleft()
            near = other[ends[at] : ends[at + 1]]
            taken = {band[i] for i in near}
            band[at] = next(b for b in range(len(taken) + 1) if b not in taken)
            for i in near:
                if not seen[i]:
                    seen[i] = True
                    queue.append(i)
    return np.array(band)


def label_parts(cx: RegionComplex) -> tuple[list[np.ndarray], np.ndarray]:
    """Polygons (V, 2), cells or parts of cells, and the label (P,) predicted in each: the lowest where labels tie all over."""
    starts, at = cx.corners
    weight, bias = cx.logits
    if bias.shape[1] == 1:
        weight, bias = np.concatenate([-weight, weight], 1), np.concatenate([-bias, bias], 1)
    cell = np.repeat(np.arange(len(cx)), np.diff(starts))
    scores = np.einsum("msd,md->ms", weight[cell], at[:, :2]) + bias[cell]
    # Affine functions: a label that wins at all corners wins in all of the cell.
    slack = 1e-12 * np.maximum(np.abs(scores).max(1, keepdims=True), 1e-300)
    best = (scores >= scores.max(1, keepdims=True) - slack).astype(np.int8)
    wins = np.minimum.reduceat(best, starts[:-1], axis=0) > 0
    polygons, label = np.split(at[:, :2], starts[1:-1]), wins.argmax(1)
    whole = wins.any(1)
    mixed = np.flatnonzero(~whole)
    parts: list[tuple[np.ndarray, int]] = []
    for c in mixed.tolist():
        corners, values = polygons[c], scores[starts[c] : starts[c + 1]]
        for k in range(bias.shape[1]):
            part, _ = clip(corners, values[:, [k]] - np.delete(values, k, 1))
            parts += [(part, k)] if len(part) else []
    kept = [polygons[c] for c in np.flatnonzero(whole)]
    return kept + [part for part, _ in parts], np.append(label[whole], [k for _, k in parts]).astype(np.int64)


# ── points ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _points(data: Numbers | None, labels: Numbers | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Points (N, 2), and their labels."""
    if data is None:
        if labels is not None:
            raise InputError("labels are of points: give these as data=")
        return np.zeros((0, 2)), None
    points = _array(data, "data").astype(np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise InputError(f"data must be finite coordinates t (N, 2) in the domain; found an array {points.shape}")
    if labels is None:
        return points, None
    names = _array(labels, "labels")
    if names.shape != points.shape[:1] or not np.issubdtype(names.dtype, np.integer):
        raise InputError(f"labels must be {len(points)} whole numbers; found {names.shape} {names.dtype}")
    return points, names


def _array(numbers: Numbers, name: str) -> np.ndarray:
    try:
        found = np.asarray(numbers.detach().cpu() if isinstance(numbers, Tensor) else numbers)
    except ValueError as error:
        raise InputError(f"{name} must be an array of numbers; {error}") from None
    if found.dtype.kind not in "iufb":
        raise InputError(f"{name} must be an array of numbers; found {found.dtype}")
    return found


def _dress(ax: Axes, cx: RegionComplex, title: str) -> None:
    low, high = cx.domain.limits() or (np.zeros(2), np.ones(2))
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
    ax.set_aspect("equal")
    name = "x" if isinstance(cx.domain, Box) else "t"
    ax.set_xlabel(f"{name}₁")
    ax.set_ylabel(f"{name}₂", rotation=0, labelpad=8)
    if not title:
        counts = {"cell": len(cx), "region": len(cx.regions), "map": len(cx.maps)}
        title = ", ".join(f"{n:,} {word}{'s' * (n != 1)}" for word, n in counts.items())
    ax.set_title(title)
