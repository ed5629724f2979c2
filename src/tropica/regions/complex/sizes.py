"""Volumes, first moments and facet sizes of many polytopes at once."""

from __future__ import annotations

import numpy as np

from tropica.regions.complex.clipping import Polytopes
from tropica.regions.complex.simplices import chunks, padded_vertices, simplex_volumes, triangulate


def polytope_moments(given: Polytopes) -> tuple[np.ndarray, np.ndarray]:
    """Volumes (P,) and first moments ∫ t dt (P, d) of bounded polytopes."""
    d = given.at.shape[1] - 1
    sizes, moments = np.zeros(len(given)), np.zeros((len(given), d))
    for chosen in chunks(given.start, given.on.shape[1]):
        some = given.select(chosen)
        table = padded_vertices(some.start)
        face, simplex = triangulate(table >= 0, some.on[table], d)
        corners = some.at[table[face[:, None], simplex], :d]
        volumes = simplex_volumes(corners)
        sizes[chosen] = np.bincount(face, volumes, minlength=len(chosen))
        for k in range(d):
            moments[chosen, k] = np.bincount(face, volumes * corners[:, :, k].mean(1), minlength=len(chosen))
    return sizes, moments


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
