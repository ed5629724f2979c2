"""Volumes, integrals and facet sizes of many polytopes at once."""

from __future__ import annotations

import numpy as np

from tropica.regions.complex.clipping import Polytopes
from tropica.regions.complex.simplices import chunks, padded_vertices, simplex_volumes, triangulate


def polytope_sizes(given: Polytopes) -> np.ndarray:
    """Volumes (P,) of bounded polytopes."""
    return polytope_integrals(given, np.zeros((len(given.at), 0)))[0]


def polytope_integrals(given: Polytopes, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Volumes (P,) of bounded polytopes, and the integrals (P, m) over t of functions, affine on each, by their values at the
    vertices (N, m)."""
    d = given.at.shape[1] - 1
    sizes, integrals = np.zeros(len(given)), np.zeros((len(given), values.shape[1]))
    for chosen in chunks(given.start, given.on.shape[1]):
        some = given.select(chosen)
        counts = np.diff(some.start)
        rows = np.repeat(given.start[chosen] - some.start[:-1], counts) + np.arange(some.start[-1])
        table = padded_vertices(some.start)
        face, simplex = triangulate(table >= 0, some.on[table], d)
        corners = table[face[:, None], simplex]
        volumes = simplex_volumes(some.at[corners, :d])
        sizes[chosen] = np.bincount(face, volumes, minlength=len(chosen))
        for k in range(values.shape[1]):
            mean = values[rows[corners], k].mean(1)
            integrals[chosen, k] = np.bincount(face, np.where(volumes > 0, volumes * mean, 0.0), minlength=len(chosen))
    return sizes, integrals


def facet_sizes(given: Polytopes, part: np.ndarray, column: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """The (d − 1)-dimensional volumes (n,), in the units of x = t · basis, of facets; ∞ where one is unbounded.

    Args:
        given: polytopes.
        part, column: (n,) the polytope of each facet, and its column there.
        basis: (d, D).
    """
    d, found = given.at.shape[1] - 1, np.zeros(len(part))
    if not len(part):
        return found
    lengths = np.diff(given.start)[part]
    for chosen in chunks(np.append(0, np.cumsum(lengths)), given.on.shape[1]):
        some = given.select(part[chosen])
        table = padded_vertices(some.start)
        own = some.on[table, column[chosen, None]] & (table >= 0)
        face, simplex = triangulate(own, some.on[table], d - 1)
        at = some.at[table[face[:, None], simplex]]
        volumes = simplex_volumes(at[:, :, :d] @ basis) if d > 1 else np.ones(len(face))
        volumes = np.where((at[:, :, d] > 0).all(1), volumes, np.inf)
        found[chosen] = np.bincount(face, volumes, minlength=len(chosen))
    return found
