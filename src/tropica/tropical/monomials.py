"""Lists of monomials as one integer table: (n, d + 1) exponents and, in the last column, the coefficient."""

from __future__ import annotations

import numpy as np

from tropica.errors import InputError
from tropica.exact.tables import Table, compact, times, together
from tropica.polyhedra.overlay import overlay_pairs

LARGEST = 5_000_000
"""Monomials that a product may have before equal ones are merged (some 100 bytes each)."""


def merged(top: np.ndarray) -> np.ndarray:
    """Each exponent once, with its largest coefficient, in the order in which exponents appear first."""
    if len(top) < 2:
        return top
    if top.dtype != object:
        keys = np.ascontiguousarray(top[:, :-1])
        if not keys.shape[1]:
            return top[[int(top[:, -1].argmax())]]
        order = np.lexsort((-top[:, -1], *keys.T[::-1]))
        new = np.append(True, (np.diff(keys[order], axis=0) != 0).any(1))
        if bool(new.all()):
            return top
        starts = np.flatnonzero(new)
        first = np.minimum.reduceat(order, starts)
        return top[order[starts]][np.argsort(first)]
    best: dict[tuple[int, ...], int] = {}
    for row in top.tolist():
        key = tuple(row[:-1])
        known = best.get(key)
        if known is None or known < row[-1]:
            best[key] = row[-1]
    if len(best) == len(top):
        return top
    out = np.empty((len(best), top.shape[1]), dtype=object)
    for i, (key, coefficient) in enumerate(best.items()):
        out[i] = [*key, coefficient]
    return out


def joined(a: Table, b: Table) -> Table:
    """The monomials of f ⊕ g."""
    (first, last), bottom = together(a, b)
    return Table(merged(np.concatenate([first, last])), bottom).lowest()


def product(a: Table, b: Table) -> Table:
    """The monomials of f ⊙ g: every sum of one of either.

    Raises:
        InputError: more than ``LARGEST``.
    """
    rows = len(a.top) * len(b.top)
    if rows > LARGEST:
        raise InputError(
            f"a product of {len(a.top):,} and {len(b.top):,} monomials has {rows:,}, more than the {LARGEST:,} that fit; "
            "drop what never wins first: f.essential() * g.essential()"
        )
    (first, last), bottom = together(a, b)
    total = first[:, None, :] + last[None, :, :]
    return Table(merged(compact(total.reshape(rows, -1))), bottom).lowest()


def essential_product(a: Table, b: Table) -> tuple[Table, np.ndarray]:
    """The essential monomials of f ⊙ g, and of which of f and of g each is the sum (M, 2): without making all sums."""
    (first, last), bottom = together(a, b)
    pairs = overlay_pairs(first[:, :-1], first[:, -1], last[:, :-1], last[:, -1])
    total = first.astype(object)[pairs[:, 0]] + last[pairs[:, 1]]
    return Table(compact(total), bottom).lowest(), pairs


def scaled(a: Table, numerator: int, denominator: int) -> Table:
    """The monomials of f to a nonnegative rational power, as scaling: (a·α, a·c)."""
    return Table(merged(times(a.top, numerator)), a.bottom * denominator).lowest()


def same(a: Table, b: Table) -> bool:
    """Do two lists hold the same monomials, in any order?"""
    if len(a.top) != len(b.top):
        return False
    (first, last), _ = together(a, b)
    return set(map(tuple, first.tolist())) == set(map(tuple, last.tolist()))
