"""Viro's patchworking of a plane curve, from the dual subdivision and signs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from tropica.errors import InputError
from tropica.plots import style
from tropica.plots.clipped_hypersurface import ClippedHypersurface, clipped_hypersurface
from tropica.polyhedra.conventions import shown


def patchworking(p: Any, signs: Any, *, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw the piecewise-linear curve that Viro's patchworking glues from a triangulation and signs.

    The dual subdivision is reflected into the four quadrants; the sign of the exponent (i, j) in the quadrant (a, b), where a
    and b are ±1, is its own sign times a^i·b^j. In every triangle with both signs a segment separates them. For a unimodular
    triangulation the curve is isotopic to a real algebraic curve in the toric surface of the polygon.

    Args:
        p: a polynomial as for :func:`hypersurface`, in two variables, with integer exponents, whose dual subdivision is a
            triangulation.
        signs: 1 or −1 for each essential monomial: {exponents: sign}, or a function of the two exponents.
        ax: axes to draw on; a new figure by default.
        title: the title of the axes.

    Returns:
        The axes.

    Raises:
        InputError: a cell that is not a triangle, exponents that are not integers, a missing or other sign.

    >>> import tropica as tp
    >>> conic = tp.TropicalPolynomial({(i, j): -(i * i + i * j + j * j) for i in range(3) for j in range(3 - i)})
    >>> patchworking(conic, lambda i, j: -1 if i and j else 1).get_title()
    'max-plus: patchworking of 4 triangles in four quadrants'
    """
    curve = clipped_hypersurface(p, (2,))
    subdivision = curve.complex.subdivision
    if subdivision.dimension != 2 or any(len(cell) != 3 for cell in subdivision.hull.cells):
        raise InputError("patchworking needs a dual subdivision into triangles, without further points on them")
    exponents = curve.points.round().astype(np.int64)
    if (exponents != curve.points).any():
        raise InputError("patchworking needs integer exponents")
    sign = _signs(curve, exponents, signs)
    mirrors = [np.array(m) for m in product((1, -1), repeat=2)]
    triangles, segments, dots = [], [], []
    for mirror in mirrors:
        own = sign * np.where(mirror == -1, (-1) ** (exponents % 2), 1).prod(1)
        dots.append((exponents * mirror, own))
        for cell in subdivision.cells:
            rows = [curve.row[i] for i in cell]
            corners = exponents[rows] * mirror
            triangles.append(np.concatenate([corners, corners[:1]]))
            ends = [(corners[a] + corners[b]) / 2 for a, b in ((0, 1), (1, 2), (2, 0)) if own[rows[a]] != own[rows[b]]]
            if ends:
                segments.append(ends)
    with style.applied():
        ax = style.axes(ax, 4.2, 4.2)
        ax.add_collection(LineCollection(triangles, colors="0.8", linewidths=0.6, zorder=1))
        ax.add_collection(LineCollection(segments, colors=style.BLUE, linewidths=1.8, zorder=2))
        used = sorted(curve.essential)
        for points, own in dots:
            for value, face in ((1, style.BLACK), (-1, "white")):
                chosen = [i for i in used if own[i] == value]
                ax.scatter(*points[chosen].T, s=14, c=face, edgecolors=style.BLACK, linewidths=0.6, zorder=3)
        reach = np.abs(exponents).max() + 0.5
        first, second = (f"exponent of {name}" for name in curve.axis_names)
        style.set_plane(ax, (-reach, -reach), (reach, reach), (first, second))
        counts = style.plural(len(subdivision.cells), "triangle")
        ax.set_title(title or f"{shown(subdivision.convention)}: patchworking of {counts} in four quadrants")
    return ax


def _signs(curve: ClippedHypersurface, exponents: np.ndarray, signs: Any) -> np.ndarray:
    """The sign of each monomial; 1 for those that are not essential."""
    out = np.ones(len(exponents), np.int64)
    for row in curve.essential:
        key = tuple(exponents[row].tolist())
        value = _sign(signs, key)
        if value not in (1, -1):
            raise InputError(f"there must be a sign, 1 or -1, for the monomial {key}; found {value!r}")
        out[row] = value
    return out


def _sign(signs: Any, key: Sequence[int]) -> Any:
    if isinstance(signs, Mapping):
        return signs.get(tuple(key))
    if callable(signs):
        return signs(*key)
    raise InputError(f"signs are a mapping {{exponents: sign}} or a function of the exponents; found {type(signs).__name__}")
