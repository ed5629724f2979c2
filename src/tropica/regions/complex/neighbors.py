"""Which cells share a facet.

Across a facet of a unit in general position only that unit changes, so the neighbor is the cell with this bit flipped. Where no
cell has that vector, several units change on the facet; then facets are the same if the network's three-valued signs are the
same at a rational point of their relative interiors.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tropica.regions.complex.sign_vectors import SignIndex


def neighbors(
    offsets: np.ndarray,
    index: SignIndex,
    facet_start: np.ndarray,
    facets: np.ndarray,
    exact_key: Callable[[np.ndarray], list[bytes]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs (A, 2) of cells that share a facet, lower number first, sorted; the facet (A,) of one of both; all shared facets.

    Args:
        offsets: the first word of each stage in a sign vector.
        index: the cells by their sign vectors.
        facet_start, facets: (C + 1,) offsets, and (K, 3) stage, unit and other unit of each facet.
        exact_key: names of facets (n,) by their exact signs.
    """
    cell = np.repeat(np.arange(len(facet_start) - 1), np.diff(facet_start))
    inner = np.flatnonzero(facets[:, 0] >= 0)
    other = index.find(_across(offsets, index.vectors, cell[inner], facets[inner]))
    pairs, on = [np.stack([cell[inner], other], 1)[other >= 0]], [inner[other >= 0]]
    rest, more = inner[other < 0], []
    if len(rest):
        named: dict[bytes, list[int]] = {}
        for facet, key in zip(rest.tolist(), exact_key(rest), strict=True):
            named.setdefault(key, []).append(facet)
        shared = np.array([(a, b) for same in named.values() for a in same for b in same if a < b], np.int64).reshape(-1, 2)
        pairs.append(cell[shared])
        on.append(shared[:, 0])
        more.append(shared[:, 1])
    found, first = np.unique(np.sort(np.concatenate(pairs), axis=1), axis=0, return_index=True)
    return found.reshape(-1, 2), np.concatenate(on)[first], np.concatenate([*on, *more])


def _across(offsets: np.ndarray, vectors: np.ndarray, cell: np.ndarray, facets: np.ndarray) -> np.ndarray:
    """The sign vectors of cells with the unit of a facet flipped; a window's two units change places."""
    found = vectors[cell].copy()
    rows = np.arange(len(cell))
    for column in (1, 2):
        unit = facets[:, column]
        there = np.flatnonzero(unit >= 0)
        word = offsets[facets[there, 0]] + unit[there] // 64
        found[rows[there], word] ^= np.uint64(1) << (unit[there] % 64).astype(np.uint64)
    return found
