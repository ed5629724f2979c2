"""Homology over GF(2) by ranks of boundary matrices of all faces, in Python integers; nothing is fast, nothing is clever.

A face is the set of its vertices. Faces of cells are all intersections of their facets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tests.oracles.convex import Polyhedron, Row, rank

Face = frozenset[Row]


def faces_of(body: Polyhedron) -> set[Face]:
    """All faces of a bounded polyhedron, itself among them, without the empty one."""
    facets = list(body.facets())
    found = {frozenset(body.vertices)}
    while True:
        more = {face & facet for face in found for facet in facets} - found - {frozenset()}
        if not more:
            return found
        found |= more


def complex_of(bodies: Iterable[Polyhedron | Face], of: Callable[[Face], bool] = lambda face: True) -> set[Face]:
    """The faces of polyhedra that satisfy a condition."""
    return {face for body in bodies if isinstance(body, Polyhedron) for face in faces_of(body) if of(face)}


def below(faces: set[Face], tops: Iterable[Face]) -> set[Face]:
    """Those faces that lie in one of some faces."""
    listed = list(tops)
    return {face for face in faces if any(face <= top for top in listed)}


def dimension(face: Face) -> int:
    return rank(list(face)) - 1


def relative_betti(faces: Iterable[Face], d: int) -> list[int]:
    """dim H_k = (faces of dimension k) − rank ∂_k − rank ∂_{k+1}, of a set of faces; facets that are not in it count as 0."""
    by: list[list[Face]] = [[] for _ in range(d + 2)]
    for face in faces:
        by[dimension(face)].append(face)
    ranks = [0] + [_rank_mod_2(_boundary(by[k], by[k - 1])) for k in range(1, d + 2)]
    return [len(by[k]) - ranks[k] - ranks[k + 1] for k in range(d + 1)]


def _boundary(faces: Sequence[Face], facets: Sequence[Face]) -> list[int]:
    """Columns as bits: a facet is a face of one dimension less that lies in the face."""
    return [sum(1 << i for i, g in enumerate(facets) if g < f) for f in faces]


def _rank_mod_2(columns: Iterable[int]) -> int:
    basis: dict[int, int] = {}
    for column in columns:
        while column:
            top = column.bit_length()
            if top not in basis:
                basis[top] = column
                break
            column ^= basis[top]
    return len(basis)
