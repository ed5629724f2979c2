"""The faces of all dimensions of polytopes that meet face to face, each once, with their facets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tropica.regions.complex.clipping import Polytopes
from tropica.regions.complex.simplices import chunks, facets_of, padded_vertices

Facets = tuple[np.ndarray, np.ndarray]
"""Offsets (F + 1,) into the numbers of the facets of F faces."""


@dataclass(frozen=True, eq=False)
class FaceComplex:
    """Faces of dimensions 0 … k.

    Attributes:
        rows: (V,) a row among the polytopes' vertices for each vertex.
        facets: for each dimension from 1 the facets of each face, by number among the faces of one dimension less. The faces
            of the highest dimension are in the order in which they were given.
    """

    rows: np.ndarray
    facets: tuple[Facets, ...]

    @property
    def dimension(self) -> int:
        """k."""
        return len(self.facets)

    @property
    def counts(self) -> tuple[int, ...]:
        """How many faces there are of each dimension."""
        return len(self.rows), *(len(start) - 1 for start, _ in self.facets)

    def highest(self, number: np.ndarray) -> list[np.ndarray]:
        """For each dimension the largest number (V,) among the vertices of each face."""
        found = [number]
        for start, facets in self.facets:
            found.append(np.maximum.reduceat(found[-1][facets], start[:-1]) if len(facets) else np.zeros(0, number.dtype))
        return found

    @property
    def border(self) -> np.ndarray:
        """(V,) whether each vertex lies on a face that only one face of the highest dimension has as a facet."""
        marked = np.bincount(self.facets[-1][1], minlength=self.counts[-2]) == 1
        for start, facets in reversed(self.facets[:-1]):
            below = np.zeros(int(facets.max(initial=-1)) + 1, bool)
            below[facets[np.repeat(marked, np.diff(start))]] = True
            marked = below
        return marked

    @property
    def edges(self) -> np.ndarray:
        """(E, 2) the vertices of each edge."""
        return self.facets[0][1].reshape(-1, 2) if self.facets else np.zeros((0, 2), np.int64)


def face_complex(
    given: Polytopes, vertex: np.ndarray, dimension: int, part: np.ndarray, column: np.ndarray | None = None
) -> FaceComplex:
    """All faces of some polytopes, or of some of their facets.

    Args:
        given: polytopes.
        vertex: (N,) the number of each vertex's point.
        dimension: of the faces that are given.
        part: (T,) the polytopes.
        column: (T,) of each the column of its facet that is meant; by default all of the polytope is.
    """
    width = int(np.diff(given.start).max(initial=0))
    mask = np.zeros((len(part), width), bool)
    table = padded_vertices(given.start)
    mask[:] = table[part] >= 0
    if column is not None:
        mask &= given.on[table[part], column[:, None]]
    levels: list[Facets] = []
    for k in range(dimension, 1, -1):
        start, part, mask, facets = _facets(given, table, vertex, part, mask, k)
        levels.append((start, facets))
    if dimension:
        _, place = np.nonzero(mask)
        levels.append((np.arange(0, 2 * len(mask) + 1, 2), vertex[table[np.repeat(part, 2), place]]))
        used, number = np.unique(levels[-1][1], return_inverse=True)
        levels[-1] = (levels[-1][0], number.ravel())
    else:
        used = vertex[table[part, mask.argmax(1)]] if len(part) else np.zeros(0, np.int64)
    return FaceComplex(_best_rows(given, vertex, used), tuple(levels[::-1]))


def _best_rows(given: Polytopes, vertex: np.ndarray, used: np.ndarray) -> np.ndarray:
    """For each of these points the row where it is known best."""
    order = np.lexsort((np.arange(len(vertex)), given.displacement, vertex))
    return order[np.searchsorted(vertex[order], used)]


def _facets(
    given: Polytopes, table: np.ndarray, vertex: np.ndarray, part: np.ndarray, mask: np.ndarray, dimension: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The facets of faces: offsets (T + 1,), a polytope and its vertices for each different one, and their numbers."""
    owners, parts, masks = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [mask[:0]]
    sizes = np.append(0, np.cumsum(np.diff(given.start)[part]))
    for chosen in chunks(sizes, given.on.shape[1]):
        own, wide = part[chosen], int(np.diff(given.start)[part[chosen]].max())
        member = mask[chosen, :wide]
        meets = given.on[table[own, :wide]] & member[:, :, None]
        row, facet = np.nonzero(facets_of(meets, member))
        owners.append(chosen[row])
        parts.append(own[row])
        masks.append(np.pad(meets[row, :, facet], ((0, 0), (0, mask.shape[1] - wide))))
    owner, part, mask = np.concatenate(owners), np.concatenate(parts), np.concatenate(masks)
    first, number = _different(np.where(mask, vertex[table[part]], -1))
    order = np.argsort(owner, kind="stable")
    start = np.append(0, np.cumsum(np.bincount(owner, minlength=len(sizes) - 1)))
    return start, part[first], mask[first], number[order]


def _different(sets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first of each different set of numbers, rows (n, w) filled with −1, and the number (n,) of each row's set."""
    if not len(sets):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    ordered = np.sort(sets, axis=1)[:, ::-1]
    ordered = np.ascontiguousarray(ordered[:, : max(1, int((ordered >= 0).sum(1).max()))], np.int64)
    hashes = np.zeros(len(sets), np.uint64)
    with np.errstate(over="ignore"):
        for numbers in ordered.T:
            hashes = (hashes ^ numbers.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
            hashes ^= hashes >> np.uint64(31)
    order = np.argsort(hashes, kind="stable")
    same_hash = hashes[order[1:]] == hashes[order[:-1]]
    same = (ordered[order[1:]] == ordered[order[:-1]]).all(1)
    if (same_hash & ~same).any():  # two sets of one hash: compare all numbers
        _, first, number = np.unique(ordered, axis=0, return_index=True, return_inverse=True)
        return first, number.ravel()
    number = np.empty(len(sets), np.int64)
    number[order] = np.append(0, np.cumsum(~same))
    return order[np.append(True, ~same)], number
