"""Which cells have the same affine map: floats tell most apart, integers the rest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tropica.exact.roundoff import EPSILON

MOST_EXACT = 50_000
"""Maps that are compared in integers; of more of them, those that floats do not tell apart are counted as undecided."""
_EXACT_AT_ONCE = 512
_DIRECTIONS = 3


def distinct_maps(
    maps: np.ndarray, error: np.ndarray, corners: np.ndarray, exact: Callable[[np.ndarray], list]
) -> tuple[np.ndarray, int]:
    """Number the maps of cells: equal numbers for equal maps, in order of the first cell that has each.

    Args:
        maps: (C, s, d + 1) in t, the constant last.
        error: (C, s) bounds of the errors of their values over the domain.
        corners: (V, d) vertices of the domain: a map is determined by its values there.
        exact: the exact maps of cells (n,), as a list of n hashable things.

    Returns:
        The numbers (C,), and how many maps were told apart by floats alone.
    """
    group = _told_apart(maps, error, corners)
    crowded = np.flatnonzero(np.bincount(group)[group] > 1)
    undecided = max(0, len(crowded) - MOST_EXACT)
    if undecided:
        flat = np.ascontiguousarray(maps[crowded].reshape(len(crowded), -1))
        _, same = np.unique(flat, axis=0, return_inverse=True)
        return _renumbered(np.append(group, 0)[:-1] if not len(crowded) else _with(group, crowded, same.ravel())), len(crowded)
    known: dict[object, int] = {}
    number = np.zeros(len(crowded), np.int64)
    for start in range(0, len(crowded), _EXACT_AT_ONCE):
        for i, key in enumerate(exact(crowded[start : start + _EXACT_AT_ONCE]), start):
            number[i] = known.setdefault(key, len(known))
    return _renumbered(_with(group, crowded, number)), 0


def _with(group: np.ndarray, crowded: np.ndarray, number: np.ndarray) -> np.ndarray:
    """The groups, in which those of some cells are replaced by new ones."""
    found = group.copy()
    found[crowded] = group.max(initial=0) + 1 + number
    return found


def _told_apart(maps: np.ndarray, error: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Groups (C,) of maps that floats do not prove different, by the ranges of random combinations of their values."""
    random = np.random.default_rng(0)
    group = np.zeros(len(maps), np.int64)
    lifted = np.concatenate([corners, np.ones((len(corners), 1))], 1)
    for _ in range(_DIRECTIONS):
        share = random.uniform(0.5, 1.0, (maps.shape[1], len(lifted))) * random.choice(
            [-1.0, 1.0], (maps.shape[1], len(lifted))
        )
        weights = share @ lifted  # value = Σ_i Σ_v share_iv · map_i(corner_v)
        with np.errstate(over="ignore", invalid="ignore"):
            value = np.einsum("cik,ik->c", maps, weights)
            size = np.einsum("cik,ik->c", np.abs(maps), np.abs(share) @ np.abs(lifted))
            reach = error @ np.abs(share).sum(1) + 8 * (maps.size // max(len(maps), 1) + len(lifted)) * EPSILON * size
        low, high = value - reach, value + reach
        if not (np.isfinite(low) & np.isfinite(high)).all():
            low, high = np.nan_to_num(low, nan=-np.inf), np.nan_to_num(high, nan=np.inf)
        group = _overlapping(group, low, high)
    return group


def _overlapping(group: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Groups parted where the ranges of their members leave a gap."""
    order = np.lexsort((low, group))
    found = np.zeros(len(group), np.int64)
    starts = np.append(np.flatnonzero(np.diff(group[order], prepend=-1)), len(order))
    number = -1
    for begin, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        members = order[begin:end]
        reach = np.maximum.accumulate(high[members])
        gap = np.append(True, low[members][1:] > reach[:-1])
        found[members] = number + np.cumsum(gap)
        number += int(gap.sum())
    return found


def _renumbered(group: np.ndarray) -> np.ndarray:
    """The same groups, numbered in the order of their first members."""
    _, first, number = np.unique(group, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[number.ravel()]
