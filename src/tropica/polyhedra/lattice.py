"""Faces of polytopes from their facets: every face is an intersection of facets."""

from __future__ import annotations

from collections.abc import Iterable

from tropica.errors import InputError

MOST = 1_000_000
"""Faces that are listed at most."""


def faces(top: frozenset[int], facets: Iterable[frozenset[int]]) -> dict[frozenset[int], int]:
    """The faces of a polytope but the empty one, as sets of vertices, and the dimension of each.

    Args:
        top: all vertices.
        facets: the vertices of each facet.

    Raises:
        InputError: more than a million faces.
    """
    masks = [sum(1 << v for v in f) for f in facets]
    whole = sum(1 << v for v in top)
    below: dict[int, set[int]] = {}
    stack = [whole]
    while stack:
        face = stack.pop()
        if face in below:
            continue
        if len(below) > MOST:
            raise InputError(f"the polytope has more than {MOST:,} faces: ask for its vertices or facets instead")
        below[face] = {face & m for m in masks} - {face, 0}
        stack += below[face]
    dimension: dict[int, int] = {}
    for face in sorted(below, key=int.bit_count):  # a face's proper faces have fewer vertices
        dimension[face] = 1 + max((dimension[b] for b in below[face]), default=-1)
    return {frozenset(_bits(face)): size for face, size in dimension.items()}


def _bits(mask: int) -> list[int]:
    out = []
    while mask:
        low = mask & -mask
        out.append(low.bit_length() - 1)
        mask ^= low
    return out
