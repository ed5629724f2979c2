"""The faces of cells, of parts of cells, and of boundaries, welded exactly."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from tropica.errors import InputError
from tropica.regions.complex.clipping import Polytopes
from tropica.regions.complex.enumerated import Enumerated
from tropica.regions.complex.facets import facet_places
from tropica.regions.complex.label_cells import places
from tropica.regions.complex.output_cells import OutputCells
from tropica.regions.topology.faces import FaceComplex, face_complex
from tropica.regions.topology.welding import NOT_FACE_TO_FACE, exactly_welded, welded

MOST_DIMENSIONS = 4


def check_topology(found: Enumerated) -> None:
    """Refuse complexes whose faces are not all there."""
    d = found.domain.dimension
    if found.domain.limits() is None:
        raise InputError("topology is of the cells of a bounded domain, as a Box; found all of space")
    if d > MOST_DIMENSIONS:
        raise InputError(f"topology is of domains of up to {MOST_DIMENSIONS} dimensions; this one has {d}")
    if found.stopped is not None:
        raise InputError(f"the cells are not all there, {found.stopped} ended the enumeration: they have no topology")


def cell_complex(found: Enumerated) -> FaceComplex:
    """All faces of the cells."""
    pairs, facet = found.shared
    _check_pairs(found.polytopes, pairs)
    part, column = facet_places(found, facet)
    corner = found.exact_corner if found.problem.exact.proves else None
    vertex = welded(found.polytopes, pairs, part, column, corner)
    faces = face_complex(found.polytopes, vertex, found.domain.dimension, np.arange(len(found)))
    _check_facets(found.polytopes, faces)
    return faces


def part_vertices(parts: OutputCells) -> np.ndarray:
    """(N,) the number of each vertex's point."""
    corner: Callable[[int], list[Fraction]] | None = parts.corner if parts.exact.proves else None
    if parts.found.stopped is not None:  # parts around a vertex need not be joined through facets that are there
        return exactly_welded(parts.parts, corner)
    pairs, facets = parts.shared
    _check_pairs(parts.parts, pairs)
    part, column = places(parts, facets)
    return welded(parts.parts, pairs, part, column, corner)


def part_complex(parts: OutputCells, chosen: np.ndarray | None = None) -> FaceComplex:
    """All faces of all parts, or of some of them (n,)."""
    every = np.arange(len(parts))
    faces = face_complex(
        parts.parts, part_vertices(parts), parts.found.domain.dimension, every if chosen is None else every[chosen]
    )
    if chosen is None:
        _check_facets(parts.parts, faces)
    return faces


def boundary_complex(parts: OutputCells, facets: np.ndarray) -> FaceComplex:
    """All faces of some facets between parts; its faces of the highest dimension are the facets, in order."""
    part, column = places(parts, facets)
    return face_complex(parts.parts, part_vertices(parts), parts.found.domain.dimension - 1, part, column)


def _check_facets(given: Polytopes, faces: FaceComplex) -> None:
    """Polytopes that fill a domain share all their facets but those on its border: an independent check of the welding."""
    count = np.bincount(faces.facets[-1][1], minlength=faces.counts[-2])
    if count.max(initial=0) > 2 or int((count == 1).sum()) != int((_stages(given) < 0).sum()):
        raise InputError(NOT_FACE_TO_FACE)


def _check_pairs(given: Polytopes, pairs: np.ndarray) -> None:
    """Each facet inside of the domain belongs to one pair of polytopes."""
    if int((_stages(given) >= 0).sum()) != 2 * len(pairs):
        raise InputError(NOT_FACE_TO_FACE)


def _stages(given: Polytopes) -> np.ndarray:
    """The stage of the hyperplane of each facet, −1 for those of the domain."""
    there = np.zeros(given.planes.shape[:2], bool)
    np.logical_or.at(there, given.owner, given.on)
    return given.planes[there, 0]
