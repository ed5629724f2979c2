"""The graph of a tropical polynomial in one or two variables."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from mpl_toolkits.mplot3d.art3d import Line3DCollection

from tropica.errors import InputError
from tropica.plots import style
from tropica.plots.clipped_hypersurface import ClippedHypersurface, Limits, clipped_hypersurface, lifted
from tropica.plots.dual_subdivision import monomial_colors
from tropica.plots.polygons import fill_in_space
from tropica.polyhedra.conventions import shown
from tropica.tropical.one_variable import pieces, roots
from tropica.tropical.polynomial import MinPlusPolynomial, PolynomialWithQuotients, TropicalPolynomial
from tropica.tropical.variable_names import plain_name

OPACITY = 0.55
"""Opacity of the graph of a function of two variables."""
MAX_MARKED = 30
"""Number of roots up to which the multiplicity of each is written."""


def graph(p: Any, *, limits: Limits | None = None, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw the graph of a polynomial: in one variable with its roots, in two as a surface over its curve.

    Args:
        p: a TropicalPolynomial or a MinPlusPolynomial; or exponents (n, d) and coefficients (n,) as a pair, for max-plus.
        limits: ((low, high), …) for each variable; by default all roots or vertices with room around them.
        ax: axes to draw on; a new figure by default. For two variables, axes with ``projection="3d"``.
        title: the title of the axes; by default the convention and the numbers of pieces and roots.

    Returns:
        The axes.

    Raises:
        InputError: a wrong number of variables, limits that do not fit, two-dimensional axes for a surface.

    >>> import tropica as tp
    >>> graph(tp.TropicalPolynomial([3, 0, -1])).get_title()
    'max-plus: 2 pieces, 1 root'
    """
    given = lifted(p)
    make = TropicalPolynomial if given.convention == "max" else MinPlusPolynomial
    f = make.from_arrays(given.exponents, given.coefficients, names=given.names)
    if f.variables not in (1, 2):
        raise InputError(f"a graph is drawn for 1 or 2 variables; the polynomial has {f.variables}")
    with style.applied():
        if f.variables == 1:
            ax = style.axes(ax, 3.8, 3.0)
            _draw_line(ax, f, limits)
            finite = [r for r in roots(f) if not isinstance(r.value, float)]
            counts = style.plural(len(pieces(f)), "piece"), style.plural(len(finite), "root")
        else:
            ax = style.axes_in_space(ax, "the graph of a function of two variables")
            curve = clipped_hypersurface(p, (2,), limits)
            _draw_surface(ax, curve, f)
            counts = (style.plural(len(curve.essential), "piece"),)
        ax.set_title(title or f"{shown(f.convention)}: {', '.join(counts)}")
    return ax


def _draw_line(ax: Axes, f: PolynomialWithQuotients, limits: Limits | None) -> None:
    """The graph in one variable; roots bear their multiplicities."""
    found = [r for r in roots(f) if not isinstance(r.value, float)]
    at = np.array([float(r.value) for r in found])
    if limits is None:
        extent = max(float(np.ptp(at)) if len(at) else 0.0, 1.0)
        low, high = (at.min() - 0.4 * extent, at.max() + 0.4 * extent) if len(at) else (-1.0, 1.0)
    else:
        try:
            low, high = np.asarray(limits, dtype=np.float64).reshape(2).tolist()
        except (TypeError, ValueError):
            low, high = 0.0, 0.0
        if not low < high:
            raise InputError(f"limits must be one pair (low, high) with low < high; found {limits!r}")
    inside = at[(at > low) & (at < high)]
    x = np.concatenate([[low], inside, [high]])
    ax.plot(x, f(x[:, None]), color=style.BLUE, linewidth=1.4, zorder=2)
    for piece in pieces(f) if len(found) <= MAX_MARKED else []:
        ends = np.array([low, high])
        ax.plot(ends, float(piece.slope) * ends + float(piece.constant), color="0.75", linewidth=0.6, linestyle="--", zorder=1)
    for root in found:
        value = float(root.value)
        if low < value < high:
            height = f([value])
            ax.scatter([value], [height], s=18, color=style.VERMILION, zorder=3)
            if len(found) <= MAX_MARKED and root.multiplicity != 1:
                look = {"textcoords": "offset points", "fontsize": 7, "color": style.VERMILION}
                ax.annotate(f"×{root.multiplicity}", (value, height), (4, -9), **look)
    values = f(x[:, None])
    room = 0.08 * max(float(np.ptp(values)), 1e-9)
    ax.set_xlim(low, high)
    ax.set_ylim(float(values.min()) - room, float(values.max()) + room)
    name = plain_name(f.names, 0)
    style.set_value_axes(ax, xlabel=name, ylabel=f"f({name})", title="")


def _draw_surface(ax: Axes, curve: ClippedHypersurface, f: PolynomialWithQuotients) -> None:
    """The graph in two variables above its curve, which lies on the floor."""
    polygons, colors = [], []
    for row, color in zip(curve.essential, monomial_colors(len(curve.essential)), strict=True):
        corners = curve.region(row)
        if len(corners) > 2:
            polygons.append(np.column_stack([corners, f(corners)]))
            colors.append((*color, OPACITY))
    heights = np.concatenate([q[:, 2] for q in polygons])
    extent = max(float(np.ptp(heights)), 1e-9)
    floor = float(heights.min()) - 0.35 * extent
    fill_in_space(ax, polygons, colors)
    segments = [curve.facet(face.dual) for face in curve.complex.faces(1) if face.weight is not None]
    below = [np.column_stack([s, np.full(len(s), floor)]) for s in segments if len(s) == 2]
    if below:  # matplotlib has no bounds of an empty collection
        ax.add_collection3d(Line3DCollection(below, colors=style.VERMILION, linewidths=1.2, zorder=0))  # type: ignore[attr-defined]
    low, high = np.append(curve.low, floor), np.append(curve.high, float(heights.max()))
    first, second = curve.axis_names
    style.set_space(ax, low, high, (first, second, f"f({first}, {second})"), (1.0, 1.0, 0.85))
