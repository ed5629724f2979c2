"""Tropical hypersurfaces: curves, curves beside their duals, surfaces in space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from mpl_toolkits.mplot3d.art3d import Line3DCollection, Poly3DCollection

from tropica.errors import InputError
from tropica.plots import style
from tropica.plots.clipping import Drawn, Limits
from tropica.plots.dual_subdivision import FEW, draw_dual, name_vertex, region_colors

FAINT = 0.22
"""How much of its color a region has."""


def hypersurface(p: Any, *, limits: Limits | None = None, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw a tropical hypersurface: a curve with the regions of its monomials (two variables), or a surface (three).

    Args:
        p: a TropicalPolynomial, or exponents (n, d) and coefficients (n,) as a pair; d = 2 or 3.
        limits: ((low, high), …), a pair a variable; by default all vertices with room around them.
        ax: where to draw; new axes by default. For three variables, axes with ``projection="3d"``.
        title: of the axes; by default the numbers of vertices, bounded and unbounded pieces.

    Returns:
        The axes.

    Raises:
        InputError: another number of variables, limits that do not fit, flat axes for a surface, or what
            :func:`tropica.polyhedra.essential` does not take.

    >>> hypersurface(([[0, 0], [1, 0], [0, 1]], [0, 0, 0])).get_title()
    '1 vertex, 0 bounded edges, 3 rays'
    """
    drawn = Drawn(p, (2, 3), limits)
    with style.applied():
        if drawn.complex.ambient_dimension == 3:
            return _surface(drawn, ax, title)
        ax = ax or style.shown_figure(3.8, 3.6).add_subplot()
        _curve(ax, drawn, numbered=False)
        ax.set_title(title or counts(drawn))
    return ax


def curve_and_dual(
    p: Any, *, limits: Limits | None = None, axes: Sequence[Axes] | None = None, title: str = ""
) -> tuple[Axes, Axes]:
    """Draw a tropical curve and, beside it, the dual subdivision of its Newton polygon.

    A region and the monomial that is largest in it have one color; a vertex of the curve and the cell that is dual to it have
    one number; an edge and its dual are orthogonal.

    Args:
        p, limits: as for :func:`hypersurface`, in two variables.
        axes: two, for the curve and for the dual; new ones by default.
        title: of the curve's axes.

    Returns:
        Both axes.

    Raises:
        InputError: as :func:`hypersurface`; other than two axes.
    """
    drawn = Drawn(p, (2,), limits)
    if axes is not None and len(axes) != 2:
        raise InputError(f"two axes are needed, for the curve and for the dual; found {len(axes)}")
    with style.applied():
        left, right = axes if axes is not None else style.shown_figure(style.PAPER_WIDTH, 3.4).subplots(1, 2)
        _curve(left, drawn, numbered=True)
        left.set_title(title or counts(drawn))
        draw_dual(right, drawn, numbered=True)
        right.set_title("dual subdivision of the Newton polygon")
    return left, right


def counts(drawn: Drawn) -> str:
    """How many vertices, and pieces of each kind, a hypersurface has."""
    found, d = drawn.complex, drawn.complex.ambient_dimension
    inner, outer = len(found.bounded(d - 1)), len(found.unbounded(d - 1))
    vertices = sum(not len(found.lineality) for _ in found.vertices)
    if d == 2:
        kind = "line" if len(found.lineality) else "ray"
        return f"{_count(vertices, 'vertex', 'vertices')}, {_count(inner, 'bounded edge')}, {_count(outer, kind)}"
    return f"{_count(vertices, 'vertex', 'vertices')}, {_count(inner, 'bounded piece')}, {_count(outer, 'unbounded piece')}"


def _count(number: int, one: str, more: str = "") -> str:
    return f"{number} {one if number == 1 else more or one + 's'}"


def _curve(ax: Axes, drawn: Drawn, *, numbered: bool) -> None:
    essential = drawn.hull.vertices.tolist()
    regions = [drawn.region(i) for i in essential]
    seen = [n for n, r in enumerate(regions) if len(r) > 2]
    colors = region_colors(len(essential))
    faces = [(*colors[n], FAINT) for n in seen]
    ax.add_collection(PolyCollection([regions[n] for n in seen], facecolors=faces, edgecolors="none", zorder=0))
    curve_lines(ax, drawn)
    if not len(drawn.complex.lineality):
        inside = drawn.cells_inside()
        named = numbered and inside.sum() <= FEW
        if not named:
            ax.scatter(*drawn.vertices[inside].T, s=9, color=style.BLACK, zorder=3)
        else:
            for number in np.flatnonzero(inside).tolist():
                name_vertex(ax, drawn.vertices[number], number)
    frame(ax, drawn)


def curve_lines(ax: Axes, drawn: Drawn, **look: Any) -> None:
    """The pieces of a curve; the weight beside those where it is not 1."""
    pieces = []
    for face in drawn.complex.faces(1):
        if face.weight is None:  # a line without vertices is a piece; smaller faces are not
            continue
        segment = drawn.piece(face.dual)
        if len(segment) == 2:
            pieces.append(segment)
            if face.weight != 1 and face.weight.denominator == 1 and not look:
                ax.annotate(
                    str(face.weight), segment.mean(0), (3, 3), textcoords="offset points", fontsize=6.5, color=style.BLUE
                )
    ax.add_collection(LineCollection(pieces, **{"colors": style.BLACK, "linewidths": 1.1, "zorder": 2, **look}))


def frame(ax: Axes, drawn: Drawn) -> None:
    """Limits and names of the axes of a plane."""
    ax.set_xlim(drawn.low[0], drawn.high[0])
    ax.set_ylim(drawn.low[1], drawn.high[1])
    ax.set_aspect("equal")
    ax.set_xlabel("x₁")
    ax.set_ylabel("x₂")


def _surface(drawn: Drawn, ax: Axes | None, title: str) -> Axes:
    ax = ax or style.shown_figure(4.2, 4.0).add_subplot(projection="3d")
    if ax.name != "3d":
        raise InputError('a surface needs axes made with projection="3d"')
    faces = [f for f in drawn.complex.faces(2) if f.weight is not None]
    polygons = [q for f in faces if len(q := drawn.piece(f.dual)) > 2]
    light = np.array([0.35, 0.25, 0.9])
    colors = []
    for polygon in polygons:
        normal = np.cross(polygon[1] - polygon[0], polygon[2] - polygon[0])
        shade = float(abs(normal @ light) / (np.linalg.norm(normal) * np.linalg.norm(light) + 1e-300))
        colors.append((*_mixed(style.SKY, 0.35 + 0.6 * shade), 0.72))
    draw_polygons(ax, polygons, colors)
    for axis, name in enumerate("xyz"):
        getattr(ax, f"set_{name}lim")(drawn.low[axis], drawn.high[axis])
        getattr(ax, f"set_{name}label")("x" + "₁₂₃"[axis])
    ax.set_box_aspect(drawn.high - drawn.low, zoom=0.78)  # type: ignore[arg-type]
    ax.set_title(title or counts(drawn))
    return ax


def draw_polygons(ax: Axes, polygons: list[np.ndarray], colors: list[Any]) -> None:
    """Polygons in space with their edges."""
    if polygons:
        ax.add_collection3d(Poly3DCollection(polygons, facecolors=colors, edgecolors="none", zorder=1))  # type: ignore[attr-defined]
        rings = [np.concatenate([q, q[:1]]) for q in polygons]
        ax.add_collection3d(Line3DCollection(rings, colors=style.BLACK, linewidths=0.6, zorder=2))  # type: ignore[attr-defined]


def _mixed(color: str, share: float) -> tuple[float, float, float]:
    """A color mixed with white."""
    red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return 1 - share * (1 - red), 1 - share * (1 - green), 1 - share * (1 - blue)
