"""Monomials as one integer table (n, d + 1): exponents and, in the last column, coefficients."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from torch import Tensor

from tropica.errors import InputError
from tropica.exact.rational_arrays import (
    RationalArray,
    common_denominator,
    compact,
    from_fractions,
    multiply,
    rational_array,
    to_fraction,
)
from tropica.polyhedra.conventions import Convention, sign_of
from tropica.polyhedra.overlay import overlay_pairs

MAX_PRODUCT = 5_000_000
"""Largest number of monomials in a product before equal exponents are merged (about 100 bytes each)."""


# ── reading ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def read_terms(terms: Any, convention: Convention = "max") -> RationalArray:
    """Monomials from {exponents: coefficient}, or from the coefficients of x⁰, x¹, ... of one variable, in max-plus.

    The tropical zero, −∞ in max-plus and +∞ in min-plus, is dropped, as None is. Coefficients of min-plus change their signs.

    Raises:
        InputError: neither, no monomial, exponents of different lengths, NaN, the other infinity.
    """
    sign = sign_of(convention)
    if isinstance(terms, list | np.ndarray) and all(value is None or not isinstance(value, list) for value in terms):
        terms = {(i,): value for i, value in enumerate(terms) if value is not None}
    if not isinstance(terms, Mapping):
        raise InputError(
            "a tropical polynomial is made of {exponents: coefficient}, or, in one variable, of a list [c₀, c₁, ...] with None "
            f"for no monomial; found {type(terms).__name__}"
        )
    rows: list[list[Fraction]] = []
    for key, value in terms.items():
        exponents = key if isinstance(key, tuple | list | np.ndarray) else [key]
        row = [to_fraction(e, f"an exponent of {key!r}") for e in exponents]
        if rows and len(row) != len(rows[0]) - 1:
            raise InputError(f"exponents must have equal lengths; found {len(rows[0]) - 1}, and {len(row)} in {key!r}")
        if not is_tropical_zero(value, convention):
            rows.append([*row, sign * to_fraction(value, f"the coefficient of {key!r}")])
    if not rows:
        raise _no_monomial(convention)
    return from_fractions((n for row in rows for n in row), (len(rows), len(rows[0])))


def read_arrays(exponents: Any, coefficients: Any, convention: Convention = "max") -> RationalArray:
    """Monomials from exponents (n, d) and coefficients (n,): arrays, tensors or nested sequences; in max-plus.

    Raises:
        InputError: as :func:`read_terms`, or different numbers of exponents and coefficients.
    """
    listed = coefficients.tolist() if isinstance(coefficients, np.ndarray | Tensor) else coefficients
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        raise InputError(f"coefficients must be an array of 1 dimension; found {coefficients!r}")
    keep = [i for i, value in enumerate(listed) if not is_tropical_zero(value, convention)]
    powers = rational_array(exponents, "exponents", 2)
    if len(powers.numerators) != len(listed):
        raise InputError(f"there must be a coefficient for each exponent; found {len(powers.numerators)} and {len(listed)}")
    if not keep:
        raise _no_monomial(convention)
    if isinstance(coefficients, np.ndarray | Tensor) and len(keep) == len(listed):
        constants = rational_array(coefficients, "coefficients", 1)
    else:
        constants = from_fractions([to_fraction(listed[i], "a coefficient") for i in keep], (len(keep),))
    (top, last), bottom = common_denominator(RationalArray(powers.numerators[keep], powers.denominator), constants)
    return RationalArray(np.concatenate([top, sign_of(convention) * last[:, None]], 1), bottom)


def checked_count(variables: Any) -> int:
    """The number of variables, checked to be an int ≥ 0."""
    if isinstance(variables, bool) or not isinstance(variables, int | np.integer) or variables < 0:
        raise InputError(f"the number of variables is a whole number, 0 or more; found {variables!r}")
    return int(variables)


def is_tropical_zero(value: object, convention: Convention = "max") -> bool:
    """Whether a value is −∞ in max-plus, or +∞ in min-plus."""
    return isinstance(value, float | np.floating) and bool(value == -math.inf * sign_of(convention))


def _no_monomial(convention: Convention) -> InputError:
    side = "above −∞" if convention == "max" else "below +∞"
    return InputError(f"a tropical polynomial has at least one monomial; found none with a coefficient {side}")


# ── the semiring ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def merged(top: np.ndarray) -> np.ndarray:
    """The monomials with each exponent once, at its largest coefficient, in order of first appearance."""
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
    return RationalArray(np.concatenate([first, last]), bottom)


def product(a: RationalArray, b: RationalArray) -> RationalArray:
    """The monomials of f ⊙ g: every sum of a monomial of f and one of g.

    Raises:
        InputError: more than ``MAX_PRODUCT`` monomials.
    """
    rows = len(a.numerators) * len(b.numerators)
    if rows > MAX_PRODUCT:
        raise InputError(
            f"a product of {len(a.numerators):,} and {len(b.numerators):,} monomials has {rows:,}; the limit is "
            f"{MAX_PRODUCT:,}; use f.essential() * g.essential(), or f.times_essential(g)"
        )
    (first, last), bottom = common_denominator(a, b)
    total = first[:, None, :] + last[None, :, :]
    return RationalArray(compact(total.reshape(rows, -1)), bottom)


def essential_product(a: RationalArray, b: RationalArray) -> tuple[RationalArray, np.ndarray]:
    """The essential monomials of f ⊙ g, without forming all sums, and the pair of factors of each (M, 2)."""
    (first, last), bottom = common_denominator(a, b)
    pairs = overlay_pairs(first[:, :-1], first[:, -1], last[:, :-1], last[:, -1])
    total = first.astype(object)[pairs[:, 0]] + last[pairs[:, 1]]
    return RationalArray(compact(total), bottom), pairs


def scaled(a: RationalArray, numerator: int, denominator: int) -> RationalArray:
    """The monomials of f^a for a = ``numerator / denominator``, by scaling: (a·α, a·c)."""
    return RationalArray(multiply(a.numerators, numerator), a.denominator * denominator)


def same(a: RationalArray, b: RationalArray) -> bool:
    """Whether two tables hold the same monomials, in any order."""
    if len(a.numerators) != len(b.numerators):
        return False
    (first, last), _ = common_denominator(a, b)
    return set(map(tuple, first.tolist())) == set(map(tuple, last.tolist()))
