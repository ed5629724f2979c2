"""The Newton polygon of a tropical polynomial with its dual subdivision."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection

from tropica.plots import style
from tropica.plots.clipping import Drawn

FEW = 40
"""Up to so many monomials and cells are named."""


def dual_subdivision(p: Any, *, coefficients: bool | None = None, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw the Newton polygon of a tropical polynomial in two variables, subdivided: the upper faces of P(f), seen from above.

    Dots are monomials: filled where they are essential, in the color that :func:`curve_and_dual` gives their region, hollow
    where they are not.

    Args:
        p: a TropicalPolynomial, or exponents (n, 2) and coefficients (n,) as a pair.
        coefficients: write each monomial's coefficient beside its dot, in red; by default where there are few.
        ax: where to draw; new axes by default.
        title: of the axes; by default the numbers of cells and of essential monomials.

    Returns:
        The axes.

    Raises:
        InputError: another number of variables, or what :func:`tropica.polyhedra.essential` does not take.

    >>> ax = dual_subdivision(([[0, 0], [1, 0], [0, 1], [1, 1]], [0, 0, 0, -1]))
    >>> ax.get_title()
    '2 cells, 4 of 4 monomials essential'
    """
    drawn = Drawn(p, (2,))
    with style.applied():
        ax = ax or style.shown_figure(3.6, 3.4).add_subplot()
        _fill(ax, drawn, numbered=False)
        _dots(ax, drawn, coefficients)
        essential, every = len(drawn.hull.vertices), len(drawn.points)
        count = len(drawn.complex.subdivision.cells) if drawn.hull.dimension == 2 else 0
        ax.set_title(title or f"{count} {_plural(count, 'cell')}, {essential} of {every} monomials essential")
    return ax


def draw_dual(ax: Axes, drawn: Drawn, *, numbered: bool, coefficients: bool | None = None) -> None:
    """The subdivision of a polynomial that is read already, its cells numbered or not."""
    _fill(ax, drawn, numbered)
    _dots(ax, drawn, coefficients)


def region_colors(count: int) -> list[tuple[float, float, float]]:
    """A color for each essential monomial and its region; ten colors, in turn."""
    return [style.label_color(i) for i in range(count)]


def _fill(ax: Axes, drawn: Drawn, numbered: bool) -> None:
    subdivision = drawn.complex.subdivision
    edges = subdivision.faces(1) if subdivision.dimension else []
    if subdivision.dimension == 2:
        polygons = [_around(drawn.points[[drawn.place[i] for i in cell]]) for cell in subdivision.cells]
        ax.add_collection(PolyCollection(polygons, facecolors="#EEEEEE", edgecolors="none", zorder=0))
        if numbered and len(polygons) <= FEW:
            for number, polygon in enumerate(polygons):
                name_vertex(ax, polygon.mean(0), number)
    lines = [drawn.points[[drawn.place[i] for i in edge]] for edge in edges]
    ax.add_collection(LineCollection(lines, colors=style.BLACK, linewidths=0.9, zorder=1))


def name_vertex(ax: Axes, at: np.ndarray, number: int) -> None:
    """The number of a vertex of the curve, and of the cell that is dual to it."""
    disc = {"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": style.BLACK, "linewidth": 0.6}
    ax.text(at[0], at[1], str(number + 1), ha="center", va="center", fontsize=5.5, bbox=disc, zorder=5, clip_on=True)


def _dots(ax: Axes, drawn: Drawn, coefficients: bool | None) -> None:
    essential = [drawn.place[int(i)] for i in drawn.hull.vertices]
    rest = sorted(set(range(len(drawn.points))) - set(essential))
    size = 26 if len(drawn.points) <= FEW else 10
    x = drawn.points
    if rest:
        ax.scatter(*x[rest].T, s=0.6 * size, facecolors="white", edgecolors=style.BLACK, linewidths=0.7, zorder=2)
    ax.scatter(*x[essential].T, s=size, c=region_colors(len(essential)), edgecolors=style.BLACK, linewidths=0.7, zorder=3)
    if coefficients if coefficients is not None else len(x) <= FEW:
        c = drawn.hull.configuration
        for i, h in enumerate(c.heights.tolist()):
            ax.annotate(
                number_text(Fraction(int(h), c.scales[-1])),
                x[i],
                (3, 3),
                textcoords="offset points",
                fontsize=6.5,
                color=style.VERMILION,
                zorder=4,
            )
    ax.set_xlabel("exponent of x₁")
    ax.set_ylabel("exponent of x₂")
    ax.set_aspect("equal")
    ax.margins(0.12)
    ax.autoscale_view()
    for axis in (ax.xaxis, ax.yaxis):
        axis.get_major_locator().set_params(integer=True)  # type: ignore[attr-defined]


def number_text(value: Fraction) -> str:
    """A number as one writes it: a fraction where it is a short one."""
    if value.denominator <= 100:
        return str(value).replace("-", "−")
    return f"{float(value):.2g}".replace("-", "−")


def _around(polygon: np.ndarray) -> np.ndarray:
    """Corners of a convex polygon in order."""
    x, y = (polygon - polygon.mean(0)).T
    return polygon[np.argsort(np.arctan2(y, x))]


def _plural(count: int, noun: str) -> str:
    return noun if count == 1 else noun + "s"
