"""Many convex polytopes, each cut by a half-space of its own: vertices, and the facets that each of them lies on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tropica.exact.roundoff import EPSILON
from tropica.regions.complex.simplices import facets_of, padded_vertices

Plane = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Polytopes:
    """P polytopes of dimension d, their vertices one polytope after the other.

    Attributes:
        start: (P + 1,) offsets into the vertices.
        at: (N, d + 1) vertices: (t, 1) for a point, (direction, 0) for a ray.
        displacement: (N,) bounds of their errors in each coordinate.
        on: (N, F) whether each vertex lies on each facet of its polytope; exact and complete.
        planes: (P, F, 3) the hyperplane of each facet; a facet without vertices is none.
    """

    start: np.ndarray
    at: np.ndarray
    displacement: np.ndarray
    on: np.ndarray
    planes: np.ndarray

    def __len__(self) -> int:
        return len(self.planes)

    @property
    def owner(self) -> np.ndarray:
        """(N,) the polytope of each vertex."""
        return np.repeat(np.arange(len(self)), np.diff(self.start))

    def select(self, chosen: np.ndarray) -> Polytopes:
        """Some polytopes, by numbers (n,), which may repeat."""
        counts = np.diff(self.start)[chosen]
        start = np.append(0, np.cumsum(counts))
        rows = np.repeat(self.start[chosen] - start[:-1], counts) + np.arange(start[-1])
        return Polytopes(start, self.at[rows], self.displacement[rows], self.on[rows], self.planes[chosen])

    def through(self, vertex: int) -> list[Plane]:
        """The hyperplanes of the facets that a vertex lies on."""
        own = int(np.searchsorted(self.start, vertex, side="right")) - 1
        return [(s, u, o) for s, u, o in self.planes[own, self.on[vertex]].tolist()]


def joined(parts: list[Polytopes]) -> Polytopes:
    """Several arrays of polytopes as one."""
    width = max(p.on.shape[1] for p in parts)
    shift = np.cumsum([0, *(len(p.at) for p in parts)])
    start = np.concatenate([[0], *(p.start[1:] + s for p, s in zip(parts, shift, strict=False))])
    on = [np.pad(p.on, ((0, 0), (0, width - p.on.shape[1]))) for p in parts]
    planes = [np.pad(p.planes, ((0, 0), (0, width - p.planes.shape[1]), (0, 0))) for p in parts]
    at, error = np.concatenate([p.at for p in parts]), np.concatenate([p.displacement for p in parts])
    return Polytopes(start, at, error, np.concatenate(on), np.concatenate(planes))


def cut(
    given: Polytopes,
    value: np.ndarray,
    error: np.ndarray,
    sign: np.ndarray,
    plane: np.ndarray,
    solve: Callable[[int, list[Plane], np.ndarray], np.ndarray],
    extent: float,
) -> tuple[Polytopes, np.ndarray]:
    """The parts of polytopes in which functions are ≥ 0.

    Args:
        given: the polytopes.
        value, error, sign: (N,) of a polytope's function at each of its vertices, with the bounds of its errors and its exact
            signs −1, 0, 1.
        plane: (P, 3) names of the functions' zero sets.
        solve: a function of a polytope's number, hyperplanes and a float point: the point (d + 1,) on these hyperplanes, solved
            for exactly, where floating point is too far off.
        extent: the size of what the polytopes lie in; vertices are to be closer than 1e-10 of it.

    Returns:
        The parts that have an interior, and the number of the polytope that each is a part of.
    """
    owner = given.owner
    above = np.logical_or.reduceat(sign > 0, given.start[:-1])
    below = np.logical_or.reduceat(sign < 0, given.start[:-1])
    crossed = np.flatnonzero(above & below)
    if not len(crossed):
        kept = np.flatnonzero(above)
        return (given if len(kept) == len(given) else given.select(kept)), kept
    first, second = _edges(given, sign, crossed)
    made, made_error = _crossings(given, value, error, first, second)
    on = np.concatenate([given.on, (sign == 0)[:, None] & (above & below)[owner][:, None]], 1)
    on_made = np.concatenate([given.on[first] & given.on[second], np.ones((len(first), 1), bool)], 1)
    planes = np.concatenate([given.planes, plane[:, None]], 1)
    for i in np.flatnonzero(~(made_error <= 1e-10 * extent)).tolist():
        own = int(owner[first[i]])
        made[i] = solve(own, [(s, u, o) for s, u, o in planes[own, on_made[i]].tolist()], made[i])
        made_error[i] = 2.0**-53 * np.abs(made[i]).max()
    old = np.flatnonzero((sign >= 0) & above[owner])
    whose = np.concatenate([owner[old], owner[first]])
    order = np.argsort(whose, kind="stable")
    kept = np.flatnonzero(above)
    start = np.append(0, np.cumsum(np.bincount(whose, minlength=len(given))[kept]))
    at = np.concatenate([given.at[old], made])[order]
    displacement = np.concatenate([given.displacement[old], made_error])[order]
    found = Polytopes(start, at, displacement, np.concatenate([on[old], on_made])[order], planes[kept])
    return _with_facets_alone(found), kept


def _edges(given: Polytopes, sign: np.ndarray, crossed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The edges of some polytopes from a sign 1 to a sign −1: two vertices, whose common facets no third holds."""
    table = padded_vertices(given.start)[crossed]
    plus, minus = ((table >= 0) & (s * sign[table] > 0) for s in (1, -1))
    which, i, j = np.nonzero(plus[:, :, None] & minus[:, None, :])
    first, second = table[which, i], table[which, j]
    common = given.on[first] & given.on[second]
    enough = common.sum(1) >= given.at.shape[1] - 2
    which, first, second, common = which[enough], first[enough], second[enough], common[enough]
    holders = np.zeros(len(which), np.int64)
    for column in table[which].T:  # one vertex of each polytope at a time
        holders += (column >= 0) & ~(common & ~given.on[column]).any(1)
    return first[holders == 2], second[holders == 2]


def _crossings(
    given: Polytopes, value: np.ndarray, error: np.ndarray, first: np.ndarray, second: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The zeros (n, d + 1) of functions on edges, and bounds of their errors."""
    a, b = given.at[first], given.at[second]
    high, low = np.maximum(value[first], 0), np.maximum(-value[second], 0)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        total = high + low
        share = np.where(total > 0, low / total, 0.5)[:, None]
        at = share * a + (1 - share) * b
        doubt = (error[first] + error[second]) / total
        scale = at[:, -1:].copy()
        finite = scale[:, 0] > 0
        at = np.where(finite[:, None], at / np.where(finite[:, None], scale, 1), at)
        length = np.abs(a - b).max(1) / np.where(finite, scale[:, 0], 1)
        moved = np.maximum(given.displacement[first], given.displacement[second]) + doubt * length
        moved = moved / np.where(finite, scale[:, 0], 1) + 8 * EPSILON * np.abs(at).max(1)
    lost = ~finite & (a[:, -1] + b[:, -1] > 0)  # a zero so far away that it seems to be at infinity
    return at, np.where((doubt < 0.25) & ~lost, moved, np.inf)


def _with_facets_alone(given: Polytopes) -> Polytopes:
    """The polytopes with those hyperplanes alone that hold a facet."""
    table = padded_vertices(given.start)
    member = table >= 0
    meets = given.on[table] & member[:, :, None]
    facet = facets_of(meets, member)
    column = np.argsort(~facet, axis=1, kind="stable")[:, : int(facet.sum(1).max(initial=0))]
    there = np.take_along_axis(facet, column, 1)
    owner = given.owner
    on = np.take_along_axis(given.on, column[owner], 1) & there[owner]
    return Polytopes(given.start, given.at, given.displacement, on, np.take_along_axis(given.planes, column[:, :, None], 1))
