"""The face lattice of a polytope: every face is an intersection of facets."""

from __future__ import annotations

from collections.abc import Iterable

from tropica.errors import InputError

MAX_FACES = 1_000_000
"""Largest number of faces to list."""


def faces_from_facets(vertices: int, facets: Iterable[Iterable[int]], max_faces: int = MAX_FACES) -> dict[tuple[int, ...], int]:
    """The non-empty faces of a polytope, as sorted tuples of vertices, and the dimension of each.

    Args:
        vertices: the number of vertices.
        facets: the vertices of each facet.
        max_faces: the largest number of faces to list.

    Raises:
        InputError: more than ``max_faces`` faces.

    >>> faces_from_facets(3, [(0, 1), (1, 2), (0, 2)])  # a triangle
    {(0,): 0, (1,): 0, (2,): 0, (0, 1): 1, (0, 2): 1, (1, 2): 1, (0, 1, 2): 2}
    """
    masks = [sum(1 << v for v in f) for f in facets]
    below: dict[int, set[int]] = {}  # a face, as a bit mask of its vertices, to smaller faces that contain all its facets
    stack = [(1 << vertices) - 1]
    while stack:
        face = stack.pop()
        if face in below:
            continue
        if len(below) > max_faces:
            raise InputError(f"the polytope has more than {max_faces:,} faces: ask for its vertices or facets instead")
        below[face] = {face & m for m in masks} - {face, 0}
        stack += below[face]
    dimension: dict[int, int] = {}
    for face in sorted(below, key=int.bit_count):  # a face has more vertices than its proper faces
        dimension[face] = 1 + max((dimension[b] for b in below[face]), default=-1)
    found = {tuple(v for v in range(vertices) if face >> v & 1): size for face, size in dimension.items()}
    return {face: found[face] for face in sorted(found, key=lambda face: (found[face], face))}
