"""The Newton polytope of a tropical polynomial with its dual subdivision, in the plane and in space."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from mpl_toolkits.mplot3d.art3d import Line3DCollection

from tropica.exact.number_text import is_short, rounded
from tropica.plots import style
from tropica.plots.clipped_hypersurface import ClippedHypersurface, clipped_hypersurface
from tropica.plots.polygons import fill_in_space, in_order
from tropica.polyhedra.conventions import shown, sign_of
from tropica.polyhedra.polytope import Polytope

APART = 0.25
"""By how much the cells of a subdivision in space are pulled apart, relative to their distance from the middle."""
MAX_NAMED = 40
"""Number of monomials or cells up to which each is labeled."""


def dual_subdivision(p: Any, *, coefficients: bool | None = None, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw the Newton polytope of a tropical polynomial in two or three variables, subdivided by the upper faces of P(f).

    In min-plus it is subdivided by the lower faces.

    Dots are monomials: filled where they are essential, in the color that :func:`curve_and_dual` gives their region, hollow
    where they are not.

    Args:
        p: a TropicalPolynomial or a MinPlusPolynomial; or exponents (n, 2) and coefficients (n,) as a pair, for max-plus.
        coefficients: write each monomial's coefficient beside its dot, in red; by default up to 40 monomials.
        ax: axes to draw on; a new figure by default. For three variables, axes with ``projection="3d"``.
        title: the title of the axes; by default the numbers of cells and of essential monomials.

    Returns:
        The axes.

    Raises:
        InputError: a wrong number of variables, or input that :func:`tropica.polyhedra.essential` refuses.

    >>> ax = dual_subdivision(([[0, 0], [1, 0], [0, 1], [1, 1]], [0, 0, 0, -1]))
    >>> ax.get_title()
    'max-plus: 2 cells, 4 of 4 monomials essential'
    """
    curve = clipped_hypersurface(p, (2, 3))
    d = curve.points.shape[1]
    with style.applied():
        if d == 3:
            ax = style.axes_in_space(ax, "a dual subdivision in space")
            _draw_in_space(ax, curve, coefficients)
        else:
            ax = style.axes(ax, 3.6, 3.4)
            draw_dual(ax, curve, numbered=False, coefficients=coefficients)
        subdivision = curve.complex.subdivision
        cells = style.plural(len(subdivision.cells) if subdivision.dimension == d else 0, "cell")
        counts = f"{cells}, {len(curve.essential)} of {len(curve.points)} monomials essential"
        ax.set_title(title or f"{shown(subdivision.convention)}: {counts}")
    return ax


def draw_dual(ax: Axes, curve: ClippedHypersurface, *, numbered: bool, coefficients: bool | None = None) -> None:
    """Draw the dual subdivision of a curve, with or without the numbers of its cells."""
    subdivision, points = curve.complex.subdivision, curve.points
    if subdivision.dimension == 2:
        polygons = [in_order(points[[curve.row[i] for i in cell]]) for cell in subdivision.cells]
        ax.add_collection(PolyCollection(polygons, facecolors="#EEEEEE", edgecolors="none", zorder=0))
        if numbered and len(polygons) <= MAX_NAMED:
            for number, polygon in enumerate(polygons):
                number_vertex(ax, polygon.mean(0), number)
    edges = subdivision.faces(1) if subdivision.dimension else []
    lines = [points[[curve.row[i] for i in edge]] for edge in edges]
    ax.add_collection(LineCollection(lines, colors=style.BLACK, linewidths=0.9, zorder=1))
    _draw_monomials(ax, curve, len(points) <= MAX_NAMED if coefficients is None else coefficients)
    ax.set_xlabel(f"exponent of {curve.axis_names[0]}")
    ax.set_ylabel(f"exponent of {curve.axis_names[1]}")
    ax.set_aspect("equal")
    ax.margins(0.12)
    ax.autoscale_view()
    for axis in (ax.xaxis, ax.yaxis):
        axis.get_major_locator().set_params(integer=True)  # type: ignore[attr-defined]


def _draw_in_space(ax: Axes, curve: ClippedHypersurface, coefficients: bool | None) -> None:
    """Cells pulled apart a little from the middle, so that the walls between them show; essential monomials as dots."""
    subdivision, points = curve.complex.subdivision, curve.points
    middle = points[curve.essential].mean(0)
    polygons, colors = [], []
    for number, cell in enumerate(subdivision.cells if subdivision.dimension == 3 else []):
        corners = points[[curve.row[i] for i in cell]]
        away = APART * (corners.mean(0) - middle)
        color = (*style.mixed(style.label_color(number), 0.75), 0.35)
        for face in Polytope(exact_corners(curve, cell)).facets:
            polygons.append(in_order(corners[list(face)]) + away)
            colors.append(color)
    fill_in_space(ax, polygons, colors)
    if not polygons:
        edges = subdivision.faces(1) if subdivision.dimension else []
        lines = [points[[curve.row[i] for i in edge]] for edge in edges]
        ax.add_collection3d(Line3DCollection(lines, colors=style.BLACK, linewidths=0.8))  # type: ignore[attr-defined]
    ax.scatter(
        *points[curve.essential].T, s=14, c=monomial_colors(len(curve.essential)), edgecolors=style.BLACK, depthshade=False
    )
    if len(points) <= MAX_NAMED if coefficients is None else coefficients:
        heights = curve.heights * sign_of(curve.complex.convention)
        for point, height in zip(points, heights.tolist(), strict=True):
            ax.text(*point, f"{height:.4g}", fontsize=6.5, color=style.VERMILION)  # type: ignore[call-arg]
    low, high = points.min(0), points.max(0)
    room = 0.12 * max(float((high - low).max()), 1e-9)
    names = [f"exponent of {name}" for name in curve.axis_names]
    style.set_space(ax, low - room, high + room, (names[0], names[1], names[2]), np.maximum(high - low + 2 * room, room))


def exact_corners(curve: ClippedHypersurface, cell: tuple[int, ...]) -> np.ndarray:
    """The corners of a cell as exact exponents, in the order of the cell."""
    return curve.complex.exponents[list(cell)]


def monomial_colors(count: int) -> list[style.Color]:
    """A color for each essential monomial and its region: ten colors, in turn."""
    return [style.label_color(i) for i in range(count)]


def number_vertex(ax: Axes, at: np.ndarray, number: int) -> None:
    """Write the number of a vertex of the curve, or of the cell that is dual to it."""
    disc = {"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": style.BLACK, "linewidth": 0.6}
    ax.text(at[0], at[1], str(number + 1), ha="center", va="center", fontsize=5.5, bbox=disc, zorder=5, clip_on=True)


def _draw_monomials(ax: Axes, curve: ClippedHypersurface, coefficients: bool) -> None:
    points, essential = curve.points, curve.essential
    rest = sorted(set(range(len(points))) - set(essential))
    size = 26 if len(points) <= MAX_NAMED else 10
    outline = {"edgecolors": style.BLACK, "linewidths": 0.7}
    if rest:
        ax.scatter(*points[rest].T, s=0.6 * size, facecolors="white", zorder=2, **outline)
    ax.scatter(*points[essential].T, s=size, c=monomial_colors(len(essential)), zorder=3, **outline)
    if coefficients:
        c = curve.complex.subdivision.hull.configuration
        look = {"textcoords": "offset points", "fontsize": 6.5, "color": style.VERMILION, "zorder": 4}
        sign = sign_of(curve.complex.convention)  # the hull of min-plus has the negated coefficients
        for point, height in zip(points, c.heights.tolist(), strict=True):
            ax.annotate(_number(Fraction(sign * int(height), c.scales[-1])), point, (3, 3), **look)


def _number(value: Fraction) -> str:
    """A number as a fraction where it is short and its denominator at most 100, else with four digits."""
    text = str(value) if value.denominator <= 100 and is_short(value) else rounded(value)
    return text.replace("-", "−")
