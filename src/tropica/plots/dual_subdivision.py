"""The Newton polygon of a tropical polynomial with its dual subdivision."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection

from tropica.plots import style
from tropica.plots.clipped_hypersurface import ClippedHypersurface, clipped_hypersurface
from tropica.plots.polygons import in_order
from tropica.polyhedra.conventions import shown, sign_of

MAX_NAMED = 40
"""Number of monomials or cells up to which each is labeled."""


def dual_subdivision(p: Any, *, coefficients: bool | None = None, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw the Newton polygon of a tropical polynomial in two variables, subdivided by the upper faces of P(f).

    In min-plus it is subdivided by the lower faces.

    Dots are monomials: filled where they are essential, in the color that :func:`curve_and_dual` gives their region, hollow
    where they are not.

    Args:
        p: a TropicalPolynomial or a MinPlusPolynomial; or exponents (n, 2) and coefficients (n,) as a pair, for max-plus.
        coefficients: write each monomial's coefficient beside its dot, in red; by default up to 40 monomials.
        ax: axes to draw on; a new figure by default.
        title: the title of the axes; by default the numbers of cells and of essential monomials.

    Returns:
        The axes.

    Raises:
        InputError: a wrong number of variables, or input that :func:`tropica.polyhedra.essential` refuses.

    >>> ax = dual_subdivision(([[0, 0], [1, 0], [0, 1], [1, 1]], [0, 0, 0, -1]))
    >>> ax.get_title()
    'max-plus: 2 cells, 4 of 4 monomials essential'
    """
    curve = clipped_hypersurface(p, (2,))
    with style.applied():
        ax = style.axes(ax, 3.6, 3.4)
        draw_dual(ax, curve, numbered=False, coefficients=coefficients)
        subdivision = curve.complex.subdivision
        cells = style.plural(len(subdivision.cells) if subdivision.dimension == 2 else 0, "cell")
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
    """A number as a fraction where its denominator is at most 100, else with two digits."""
    text = str(value) if value.denominator <= 100 else f"{float(value):.2g}"
    return text.replace("-", "−")
