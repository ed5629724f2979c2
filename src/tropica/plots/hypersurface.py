"""Tropical hypersurfaces: curves, curves beside their duals, surfaces in space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection

from tropica.errors import InputError
from tropica.plots import style
from tropica.plots.clipped_hypersurface import ClippedHypersurface, Limits, clipped_hypersurface
from tropica.plots.dual_subdivision import MAX_NAMED, draw_dual, monomial_colors, number_vertex
from tropica.plots.polygons import fill_in_space
from tropica.polyhedra.conventions import shown
from tropica.polyhedra.dual_complexes import PolyhedralComplex

OPACITY = 0.22
"""Opacity of the color of a region."""
LIGHT = np.array([0.35, 0.25, 0.9])
"""The direction from which surfaces are lit."""


def hypersurface(p: Any, *, limits: Limits | None = None, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw a tropical hypersurface: a curve with the regions of its monomials (two variables), or a surface (three).

    Args:
        p: a TropicalPolynomial or a MinPlusPolynomial; or exponents (n, d) and coefficients (n,) as a pair, for max-plus;
            d = 2 or 3.
        limits: ((low, high), …) for each variable; by default all vertices with room around them.
        ax: axes to draw on; a new figure by default. For three variables, axes with ``projection="3d"``.
        title: the title of the axes; by default the convention and the numbers of vertices, bounded and unbounded facets.

    Returns:
        The axes.

    Raises:
        InputError: a wrong number of variables, limits that do not fit, two-dimensional axes for a surface, or input
            that :func:`tropica.polyhedra.essential` refuses.

    >>> hypersurface(([[0, 0], [1, 0], [0, 1]], [0, 0, 0])).get_title()
    'max-plus: 1 vertex, 0 bounded edges, 3 rays'
    """
    surface = clipped_hypersurface(p, (2, 3), limits)
    with style.applied():
        if surface.complex.ambient_dimension == 3:
            ax = style.axes_in_space(ax, "a surface")
            _draw_surface(ax, surface)
        else:
            ax = style.axes(ax, 3.8, 3.6)
            _draw_curve(ax, surface, numbered=False)
        ax.set_title(title or _counts(surface.complex))
    return ax


def curve_and_dual(
    p: Any, *, limits: Limits | None = None, axes: Sequence[Axes] | None = None, title: str = ""
) -> tuple[Axes, Axes]:
    """Draw a tropical curve and, beside it, the dual subdivision of its Newton polygon.

    A region and its monomial, which is the largest in it (in min-plus the smallest), share a color; a vertex of the curve and
    its dual cell share a number; an edge and its dual are orthogonal.

    Args:
        p, limits: as for :func:`hypersurface`, in two variables.
        axes: two, for the curve and for the dual; new ones by default.
        title: the title of the curve's axes.

    Returns:
        Both axes.

    Raises:
        InputError: as :func:`hypersurface`; other than two axes.

    >>> import tropica as tp
    >>> curve, dual = tp.plots.curve_and_dual(tp.parse_tropical("max(x, y, 0)"))
    >>> curve.get_title(), dual.get_title()
    ('max-plus: 1 vertex, 0 bounded edges, 3 rays', 'max-plus: dual subdivision')
    """
    curve = clipped_hypersurface(p, (2,), limits)
    if axes is not None and len(axes) != 2:
        raise InputError(f"two axes are needed, for the curve and for the dual; found {len(axes)}")
    with style.applied():
        left, right = axes if axes is not None else style.shown_figure(style.PAPER_WIDTH, 3.4).subplots(1, 2)
        _draw_curve(left, curve, numbered=True)
        left.set_title(title or _counts(curve.complex))
        draw_dual(right, curve, numbered=True)
        right.set_title(f"{shown(curve.complex.convention)}: dual subdivision")
    return left, right


def draw_edges(ax: Axes, curve: ClippedHypersurface, *, weights: bool = True, **look: Any) -> None:
    """Draw the edges of a curve, with the weight beside those where it is not 1."""
    segments = []
    for face in curve.complex.faces(1):
        if face.weight is None:  # only facets of the hypersurface have a weight
            continue
        segment = curve.facet(face.dual)
        if len(segment) == 2:
            segments.append(segment)
            if weights and face.weight != 1 and face.weight.denominator == 1:
                look_of_text = {"textcoords": "offset points", "fontsize": 6.5, "color": style.BLUE}
                ax.annotate(str(face.weight), segment.mean(0), (3, 3), **look_of_text)
    ax.add_collection(LineCollection(segments, **{"colors": style.BLACK, "linewidths": 1.1, "zorder": 2, **look}))


def _draw_curve(ax: Axes, curve: ClippedHypersurface, *, numbered: bool) -> None:
    """Regions, edges and vertices of a curve; up to ``MAX_NAMED`` vertices are numbered."""
    colors = monomial_colors(len(curve.essential))
    regions = [(curve.region(row), (*color, OPACITY)) for row, color in zip(curve.essential, colors, strict=True)]
    seen = [(corners, color) for corners, color in regions if len(corners) > 2]
    faces = [color for _, color in seen]
    ax.add_collection(PolyCollection([corners for corners, _ in seen], facecolors=faces, edgecolors="none", zorder=0))
    draw_edges(ax, curve)
    if not len(curve.complex.lineality):
        inside = np.flatnonzero(curve.inside)
        if numbered and len(inside) <= MAX_NAMED:
            for number in inside.tolist():
                number_vertex(ax, curve.vertices[number], number)
        else:
            ax.scatter(*curve.vertices[inside].T, s=9, color=style.BLACK, zorder=3)
    style.set_plane(ax, curve.low, curve.high, (curve.axis_names[0], curve.axis_names[1]))


def _draw_surface(ax: Axes, surface: ClippedHypersurface) -> None:
    """The facets of a surface, the lighter the more they face the light."""
    faces = [f for f in surface.complex.faces(2) if f.weight is not None]
    polygons = [q for f in faces if len(q := surface.facet(f.dual)) > 2]
    colors = []
    for polygon in polygons:
        normal = np.cross(polygon[1] - polygon[0], polygon[2] - polygon[0])
        shade = float(abs(normal @ LIGHT) / (np.linalg.norm(normal) * np.linalg.norm(LIGHT) + 1e-300))
        colors.append((*style.mixed(style.SKY, 0.35 + 0.6 * shade), 0.72))
    fill_in_space(ax, polygons, colors)
    first, second, third = surface.axis_names
    style.set_space(ax, surface.low, surface.high, (first, second, third), surface.high - surface.low)


def _counts(surface: PolyhedralComplex) -> str:
    """The numbers of vertices, and of bounded and unbounded facets."""
    d = surface.ambient_dimension
    unbounded = "unbounded facet" if d == 3 else "line" if len(surface.lineality) else "ray"
    parts = (
        style.plural(0 if len(surface.lineality) else len(surface.vertices), "vertex", "vertices"),
        style.plural(len(surface.bounded(d - 1)), "bounded edge" if d == 2 else "bounded facet"),
        style.plural(len(surface.unbounded(d - 1)), unbounded),
    )
    return f"{shown(surface.convention)}: {', '.join(parts)}"
