"""The tropical permanent, which is the determinant: the assignment problem, exactly."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from tropica.exact.rational_arrays import rationals
from tropica.polyhedra.conventions import Convention, sign_of
from tropica.tropical.matrices.reading import ZERO, as_given, exact_entries, square


@dataclass(frozen=True)
class Permanent:
    """The tropical permanent max_σ Σ_i a_{iσ(i)} of a matrix, in min-plus min_σ.

    Attributes:
        value: the permanent; the tropical zero where every permutation meets one.
        permutation: an optimal σ.
        singular: whether the optimum is attained more than once, or is the tropical zero.
    """

    value: Any
    permutation: tuple[int, ...]
    singular: bool


def permanent(a: Any, *, convention: Convention = "max") -> Permanent:
    """Solve the assignment problem max_σ Σ_i a_{iσ(i)}: the tropical permanent and, as there are no signs, determinant.

    Computed in integers, whatever the entries are; the value of a float matrix is rounded once.

    Raises:
        InputError: not a square matrix of numbers, or a value beyond float64.

    >>> permanent([[1, 2], [3, 4]])
    Permanent(value=5.0, permutation=(1, 0), singular=True)
    """
    given = square(a, convention)
    exact = exact_entries(given)
    finite = given != ZERO
    sign = sign_of(convention)
    if not finite.any():
        return Permanent(sign * ZERO, (), True)
    whole = rationals(exact[finite])
    entries = np.zeros(given.shape, dtype=object)
    entries[finite] = whole.numerators.astype(object)
    spread = max(entries[finite]) - min(entries[finite])
    entries[~finite] = min(entries[finite]) - len(given) * (spread + 1)  # worse than any assignment without a zero
    columns, rows_price, columns_price = _assigned(-entries)
    if not all(finite[i, j] for i, j in enumerate(columns)):
        return Permanent(sign * ZERO, (), True)
    tight = finite & (-entries == rows_price[:, None] + columns_price[None]).astype(bool)
    value = Fraction(sum(int(entries[i, j]) for i, j in enumerate(columns)), whole.denominator)
    return Permanent(as_given(value, given, sign), tuple(columns), _another(tight, columns))


def determinant(a: Any, *, convention: Convention = "max") -> Any:
    """The tropical determinant: the value of :func:`permanent`.

    >>> determinant([[1, 2], [3, 4]], convention="min")
    5.0
    """
    return permanent(a, convention=convention).value


def _assigned(cost: np.ndarray) -> tuple[list[int], np.ndarray, np.ndarray]:
    """An assignment of least cost in Python ints (Kuhn 1955): the column of each row, and optimal prices of rows and columns.

    Every row is added by a shortest augmenting path.
    """
    n = len(cost)
    u, v = np.zeros(n + 1, dtype=object), np.zeros(n + 1, dtype=object)
    row_of = [n] * (n + 1)  # of each column; column n stands for the row that is added
    for i in range(n):
        row_of[n] = i
        least: list[Any] = [None] * n
        before = [n] * n
        seen = [False] * (n + 1)
        j = n
        while row_of[j] != n:
            seen[j] = True
            r, best, following = row_of[j], None, n
            for c in range(n):
                if not seen[c]:
                    gap = cost[r, c] - u[r] - v[c]
                    if least[c] is None or gap < least[c]:
                        least[c], before[c] = gap, j
                    if best is None or least[c] < best:
                        best, following = least[c], c
            for c in range(n + 1):
                if seen[c]:
                    u[row_of[c]] += best
                    v[c] -= best
                elif c < n:
                    least[c] -= best
            j = following
        while j != n:
            row_of[j], j = row_of[before[j]], before[j]
    columns = [0] * n
    for c in range(n):
        columns[row_of[c]] = c
    return columns, u[:n], v[:n]


def _another(tight: np.ndarray, columns: list[int]) -> bool:
    """Whether a second optimal assignment exists: a cycle of rows, each tight in the column of the next."""
    n = len(columns)
    after = [[k for k in range(n) if k != i and tight[i, columns[k]]] for i in range(n)]
    state = [0] * n  # 1 on the path, 2 done
    for start in range(n):
        if state[start]:
            continue
        path = [(start, iter(after[start]))]
        state[start] = 1
        while path:
            node, following = path[-1]
            k = next(following, None)
            if k is None:
                state[node] = 2
                path.pop()
            elif state[k] == 1:
                return True
            elif not state[k]:
                state[k] = 1
                path.append((k, iter(after[k])))
    return False
