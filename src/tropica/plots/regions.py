"""The linear regions of a box or a plane: cells, decision boundary, data."""

from __future__ import annotations

from typing import Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from torch import Tensor

from tropica.errors import InputError
from tropica.plots import style
from tropica.plots.cell_colors import cell_colors
from tropica.plots.label_polygons import label_polygons
from tropica.plots.polygons import draw_boundary, fill, fill_labels, padded, scatter_points
from tropica.regions.complex.region_complex import RegionComplex
from tropica.regions.domains.constructors import Space

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
        cx: the complex of a polytope of dimension 2, as a Box with d = 2 or a Plane.
        by: the sets that share a color: those of one activation ``pattern`` (each cell), affine ``map``, linear ``region`` or
            predicted ``label`` (exactly: cells are cut where the label changes). Except for labels, colors only set neighbors
            apart, by their lightness.
        boundary: whether to draw ``cx.boundary()``.
        data: coordinates t (N, 2) of points; points outside of the domain are omitted and counted in the legend.
        labels: (N,) integers; each label has a marker and a color.
        ax: axes to draw on; a new figure by default.
        title: the title of the axes; by default the numbers of cells, regions and maps.

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
    if cx.dimension != 2 or isinstance(cx.domain, Space):
        found = f"{type(cx.domain).__name__} of dimension {cx.dimension}"
        raise InputError(f"regions are drawn for polytopes of dimension 2, as a Box or a Plane; this complex is of a {found}")
    if by not in BY:
        raise InputError(f"by must be one of {', '.join(BY)}; found {by!r}")
    points, point_labels = _points(data, labels)
    with style.applied():
        legend = point_labels is not None or by == "label"
        ax = ax or _new_axes(cx, legend)
        handles: list[Artist] = []
        if by == "label":
            handles += fill_labels(ax, *label_polygons(cx))
        else:
            fill(ax, padded(*cx.corners), cell_colors(cx.adjacency, _groups(cx, by)))
        if boundary and len(found := cx.boundary()):
            handles.append(draw_boundary(ax, found.pieces))
        outside, marks = scatter_points(ax, points, point_labels, cx.domain.limits())
        name = "x" if np.array_equal(cx.domain.basis, np.eye(2)) else "t"
        style.set_plane(ax, *_limits(cx), (f"{name}₁", f"{name}₂"))
        counts = {"cell": len(cx), "region": len(cx.regions), "map": len(cx.maps)} if not title else {}
        ax.set_title(title or ", ".join(style.plural(n, word) for word, n in counts.items()))
        if legend:
            style.legend_beside(ax, handles + marks, f"{outside} outside" if outside else None)
    return ax


def _limits(cx: RegionComplex) -> tuple[np.ndarray, np.ndarray]:
    return cx.domain.limits() or (np.zeros(2), np.ones(2))


def _new_axes(cx: RegionComplex, legend: bool) -> Axes:
    """New axes in a figure whose size follows the domain's shape and the legend."""
    low, high = _limits(cx)
    wide, tall = 3.2 * (high - low) / (high - low).max()
    return style.shown_figure(0.8 + wide + 1.5 * legend, 0.6 + tall).add_subplot()


def _groups(cx: RegionComplex, by: str) -> np.ndarray:
    """The group (C,) of each cell: its pattern, its linear region or its affine map."""
    group = np.arange(len(cx))
    if by != "pattern":
        for i, members in enumerate(cx.regions if by == "region" else cx.maps):
            group[members] = i
    return group


def _points(data: Numbers | None, labels: Numbers | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Points (N, 2), and their labels, checked."""
    if data is None:
        if labels is not None:
            raise InputError("labels need points: pass the points as data=")
        return np.zeros((0, 2)), None
    points = _array(data, "data").astype(np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise InputError(f"data must be finite coordinates t (N, 2) in the domain; found an array {points.shape}")
    if labels is None:
        return points, None
    found = _array(labels, "labels")
    if found.shape != points.shape[:1] or not np.issubdtype(found.dtype, np.integer):
        raise InputError(f"labels must be {len(points)} whole numbers; found {found.shape} {found.dtype}")
    return points, found


def _array(numbers: Numbers, name: str) -> np.ndarray:
    try:
        found = np.asarray(numbers.detach().cpu() if isinstance(numbers, Tensor) else numbers)
    except ValueError as error:
        raise InputError(f"{name} must be an array of numbers; {error}") from None
    if found.dtype.kind not in "iufb":
        raise InputError(f"{name} must be an array of numbers; found {found.dtype}")
    return found
