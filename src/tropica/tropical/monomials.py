"""Lists of monomials as one integer table: (n, d + 1) exponents and, in the last column, the coefficient."""

from __future__ import annotations

import numpy as np

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray, common_denominator, compact, multiply
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


def joined(a: RationalArray, b: RationalArray) -> RationalArray:
    """The monomials of f ⊕ g."""
    (first, last), bottom = common_denominator(a, b)
    return RationalArray(merged(np.concatenate([first, last])), bottom).reduced()


def product(a: RationalArray, b: RationalArray) -> RationalArray:
    """The monomials of f ⊙ g: every sum of one of either.

    Raises:
        InputError: more than ``LARGEST``.
    """
    rows = len(a.numerators) * len(b.numerators)
    if rows > LARGEST:
        raise InputError(
            f"a product of {len(a.numerators):,} and {len(b.numerators):,} monomials has {rows:,}; at most {LARGEST:,} fit; "
            "drop what never wins first: f.essential() * g.essential()"
        )
    (first, last), bottom = common_denominator(a, b)
    total = first[:, None, :] + last[None, :, :]
    return RationalArray(merged(compact(total.reshape(rows, -1))), bottom).reduced()


def essential_product(a: RationalArray, b: RationalArray) -> tuple[RationalArray, np.ndarray]:
    """The essential monomials of f ⊙ g, and of which of f and of g each is the sum (M, 2): without making all sums."""
    (first, last), bottom = common_denominator(a, b)
    pairs = overlay_pairs(first[:, :-1], first[:, -1], last[:, :-1], last[:, -1])
    total = first.astype(object)[pairs[:, 0]] + last[pairs[:, 1]]
    return RationalArray(compact(total), bottom).reduced(), pairs


def scaled(a: RationalArray, numerator: int, denominator: int) -> RationalArray:
    """The monomials of f to a nonnegative rational power, as scaling: (a·α, a·c)."""
    return RationalArray(merged(multiply(a.numerators, numerator)), a.denominator * denominator).reduced()


def same(a: RationalArray, b: RationalArray) -> bool:
    """Do two lists hold the same monomials, in any order?"""
    if len(a.numerators) != len(b.numerators):
        return False
    (first, last), _ = common_denominator(a, b)
    return set(map(tuple, first.tolist())) == set(map(tuple, last.tolist()))
