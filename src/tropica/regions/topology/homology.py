"""Betti numbers, persistence pairs and critical points of a complex whose vertices have an order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tropica.exact.gf2 import boundary_pairs
from tropica.regions.topology.faces import FaceComplex


@dataclass(frozen=True, eq=False)
class Filtration:
    """The faces of a complex in the order in which they come: each with the last of its vertices, in the order of dimension.

    Attributes:
        faces: the complex.
        place: (V,) different numbers, the order of the vertices.
    """

    faces: FaceComplex
    place: np.ndarray

    @cached_property
    def order(self) -> np.ndarray:
        """(n,) the faces in order, by their numbers; vertices are numbered first, then edges, …"""
        return np.lexsort((self._dimensions, np.concatenate(self.faces.highest(self.place))))

    @property
    def _dimensions(self) -> np.ndarray:
        return np.repeat(np.arange(self.faces.dimension + 1), self.faces.counts)

    @property
    def dimension(self) -> np.ndarray:
        """(n,) in order."""
        return self._dimensions[self.order]

    @property
    def last(self) -> np.ndarray:
        """(n,) the last vertex of each face, in order."""
        return np.argsort(self.place)[np.concatenate(self.faces.highest(self.place))[self.order]]

    def partner(self, there: np.ndarray | None = None, level: np.ndarray | None = None) -> np.ndarray:
        """(n,) the partner of each face, by places in the order; −1 for a face without.

        Args:
            there: (V,) whether a vertex belongs to the subcomplex; a face does if all its vertices do. By default all do.
            level: (V,) numbers that do not decrease in the order: facets of a lower level than their face's count as nothing.
        """
        faces, offset = self.faces, np.append(0, np.cumsum(self.faces.counts))
        counts = np.concatenate([np.zeros(len(faces.rows), np.int64), *(np.diff(start) for start, _ in faces.facets)])
        row = np.concatenate([np.zeros(0, np.int64), *(f + offset[k] for k, (_, f) in enumerate(faces.facets))])
        owner = np.repeat(np.arange(len(counts)), counts)
        if there is not None:
            kept = self.kept(there)[owner]
            owner, row = owner[kept], row[kept]
        if level is not None:
            value = np.concatenate(faces.highest(level))
            kept = value[owner] == value[row]
            owner, row = owner[kept], row[kept]
        number = np.argsort(self.order)
        own = number[owner]
        start = np.append(0, np.cumsum(np.bincount(own, minlength=len(counts))))
        return boundary_pairs(start, number[row][np.argsort(own, kind="stable")], self.dimension)

    def kept(self, there: np.ndarray) -> np.ndarray:
        """(n,) whether each face, by its number, has only vertices that are there (V,)."""
        return ~np.concatenate(self.faces.highest(~there))


def betti_numbers(faces: FaceComplex, there: np.ndarray | None = None) -> tuple[int, ...]:
    """b_0 … b_k over GF(2) of a complex, or of its faces whose vertices are all there (V,).

    Faces come with their latest vertex, so that columns of the boundary matrix stay short; any order is right.
    """
    filtration = Filtration(faces, np.arange(len(faces.rows)))
    free = filtration.partner(there) < 0
    if there is not None:
        free &= filtration.kept(there)[filtration.order]
    return tuple(np.bincount(filtration.dimension[free], minlength=faces.dimension + 1).tolist())


def persistence_pairs(faces: FaceComplex, ranks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The dimension (P,) of each class of the lower-star filtration, and the vertices at which it begins and ends (−1: never).

    A face comes with the last of its vertices. Classes that end at the rank at which they begin are left out.

    Args:
        faces: the complex.
        ranks: (V,) of its vertices' values, equal for equal values.
    """
    filtration = Filtration(faces, np.argsort(np.argsort(ranks, kind="stable")))
    partner, last, dimension = filtration.partner(), filtration.last, filtration.dimension
    first = np.flatnonzero((partner < 0) | (partner > np.arange(len(partner))))
    births, ends = last[first], np.where(partner[first] < 0, -1, last[partner[first]])
    chosen = np.flatnonzero((ends < 0) | (ranks[ends] > ranks[births]))
    chosen = chosen[np.lexsort((ranks[births[chosen]], dimension[first[chosen]]))]
    return dimension[first[chosen]], births[chosen], ends[chosen]


def local_homology(faces: FaceComplex, ranks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each vertex the number of its component of equal values, and for each component (n, k + 1) the ranks of H_i.

    A component is a connected set of faces on which the values are equal, most often a vertex alone. The homology is that of
    its lower star relative to what lies below: of (K_≤, K_<) near the component. All ranks are 0 where it is regular.
    """
    ends = faces.edges[ranks[faces.edges[:, 0]] == ranks[faces.edges[:, 1]]]
    graph = coo_array((np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), shape=(len(ranks), len(ranks)))
    count, component = connected_components(graph, directed=False)
    filtration = Filtration(faces, np.argsort(np.argsort(ranks, kind="stable")))
    free = np.flatnonzero(filtration.partner(level=ranks) < 0)
    found = np.zeros((count, faces.dimension + 1), np.int64)
    np.add.at(found, (component[filtration.last[free]], filtration.dimension[free]), 1)
    return component, found
