"""The common refinement of two tropical hypersurfaces: its cells are the upper vertices of P(f) + P(g).

No sum is formed. By the Cayley trick p_i + q_j is an upper vertex of the Minkowski sum exactly if the segment from (p_i, 0) to
(q_j, 1) is an edge of the upper hull of both configurations, side by side in one dimension more.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from tropica.errors import InputError
from tropica.exact.linear_algebra import ranks
from tropica.exact.rational_arrays import exact_array
from tropica.polyhedra.configuration import Configuration, configuration
from tropica.polyhedra.hull import essential
from tropica.polyhedra.upper import Groups, propose
from tropica.polyhedra.wrapping import cell_ridges, wrap


def overlay_pairs(p1: Any, h1: Any, p2: Any, h2: Any) -> np.ndarray:
    """The essential monomials of f ⊙ g: which monomial of f with which of g.

    Args:
        p1, h1: exponents (n, d) and coefficients (n,) of f, as :func:`essential` takes them.
        p2, h2: those of g.

    Returns:
        (M, 2) indices, sorted: i and j are both alone the largest at some point. One row a cell of the common refinement.

    Raises:
        InputError: as :func:`essential`; two different d.

    >>> overlay_pairs([[0], [1]], [0, 0], [[0], [2]], [0, -2]).tolist()  # bends at 0 and at 1
    [[0, 0], [1, 0], [1, 1]]
    """
    points, heights, left = side_by_side(p1, h1, p2, h2)
    numbers = np.concatenate([essential(points[:left], heights[:left]), left + essential(points[left:], heights[left:])])
    second = numbers >= left
    both = configuration(np.concatenate([points[numbers], second[:, None].astype(points.dtype)], 1), heights[numbers])
    pairs = numbers[_mixed_edges(both, second)]
    pairs = np.sort(pairs, axis=1) - [0, left]
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def overlay_cells(p1: Any, h1: Any, p2: Any, h2: Any) -> int:
    """How many full-dimensional cells the common refinement has: the pieces (f, g) is affine on, upper vertices of P(f) + P(g).

    For a tropical rational map f ⊘ g this bounds its linear regions from above; generically it is their number.

    >>> overlay_cells([[0], [1]], [0, 0], [[0], [2]], [0, -2])
    3
    """
    return len(overlay_pairs(p1, h1, p2, h2))


def side_by_side(p1: Any, h1: Any, p2: Any, h2: Any) -> tuple[np.ndarray, np.ndarray, int]:
    """Two configurations in one array each of points and heights, and the length of the first."""
    first, second = exact_array(p1, "points of the first", 2), exact_array(p2, "points of the second", 2)
    if first.shape[1] != second.shape[1]:
        raise InputError(f"both need points in one space; found dimensions {first.shape[1]} and {second.shape[1]}")
    tops = exact_array(h1, "heights of the first", 1), exact_array(h2, "heights of the second", 1)
    for name, p, h in (("first", first, tops[0]), ("second", second, tops[1])):
        if len(p) != len(h):
            raise InputError(f"there must be one height a point; the {name} has {len(p)} points and {len(h)} heights")
        if not len(p):
            raise InputError(f"at least one point is needed; the {name} has none")
    return _joined(first, second), _joined(*tops), len(first)


def _joined(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """One after the other, exactly: floats and integers do not become floats together."""
    if a.dtype != b.dtype:
        a, b = (exact_array(x.astype(object), "numbers", x.ndim) for x in (a, b))
    return np.concatenate([a, b])


def _mixed_edges(both: Configuration, second: np.ndarray) -> np.ndarray:
    """Edges (M, 2) of the upper hull between a point of the first and one of the second, all of which are vertices."""
    found = propose(both.lifted)
    if found is not None:
        return Groups(both.lifted, found).faces(2, second.astype(np.int64))
    z = both.lifted.whole.astype(object)[:, :-1]
    edges: set[tuple[int, int]] = set()
    for cell in wrap(both.lifted):
        ridges = cell_ridges(z, cell)
        for i, j in product(cell[~second[cell]].tolist(), cell[second[cell]].tolist()):
            through = [normal for points, normal in ridges if i in points and j in points]
            if both.k == 1 or (through and ranks(np.stack(through)[None])[0] == both.k - 1):
                edges.add((i, j))
    return np.array(sorted(edges), np.int64).reshape(-1, 2)
