"""Cycle means, eigenvalue and eigenvectors of tropical matrices, computed exactly and rounded once for float entries."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from tropica.errors import InputError
from tropica.polyhedra.conventions import Convention, sign_of
from tropica.tropical.matrices.products import star
from tropica.tropical.matrices.reading import ZERO, as_given, exact_entries, square


@dataclass(frozen=True)
class CycleMean:
    """The largest (in min-plus smallest) mean weight of a cycle in a strongly connected component.

    Attributes:
        value: the mean.
        nodes: of the component, increasing.
        cycle: the nodes of a cycle of that mean, in order.
    """

    value: Any
    nodes: tuple[int, ...]
    cycle: tuple[int, ...]


def cycle_means(a: Any, *, convention: Convention = "max") -> list[CycleMean]:
    """The largest (in min-plus smallest) mean weight of a cycle in each strongly connected component that has a cycle (Karp).

    >>> [(m.value, m.nodes, m.cycle) for m in cycle_means([[0, 1], [2, -3]])]
    [(1.5, (0, 1), (0, 1))]
    """
    given = square(a, convention)
    return [
        CycleMean(as_given(value, given, sign_of(convention)), nodes, cycle)
        for value, nodes, cycle in _means(exact_entries(given))
    ]


def eigenvalue(a: Any, *, convention: Convention = "max") -> Any:
    """The largest (in min-plus smallest) mean weight of a cycle; the tropical zero where there is no cycle.

    For an irreducible matrix it is the only λ with A ⊙ v = λ ⊙ v for some finite v. An array of Fractions gives a Fraction.

    >>> eigenvalue([[0, 1], [2, -3]])
    1.5
    """
    given = square(a, convention)
    best = max((value for value, _, _ in _means(exact_entries(given))), default=ZERO)
    return as_given(best, given, sign_of(convention))


def eigenvectors(a: Any, *, convention: Convention = "max") -> np.ndarray:
    """Columns (n, k) with A ⊙ v = λ ⊙ v for the eigenvalue λ: one for each class of nodes on cycles of mean λ.

    They are columns of (A − λ)*. For an irreducible matrix they are finite, and every eigenvector is a combination of them; in
    other matrices entries may be the tropical zero.

    Raises:
        InputError: a matrix without a cycle, which has no eigenvalue.

    >>> eigenvectors([[0, 1], [2, -3]]).tolist()
    [[0.0], [0.5]]
    """
    given = square(a, convention)
    exact = exact_entries(given)
    means = [value for value, _, _ in _means(exact)]
    if not means:
        raise InputError("the matrix has no cycle, so it has no eigenvalue")
    finite = exact != ZERO
    lowered = exact.copy()
    lowered[finite] = exact[finite] - max(means)
    closed = star(lowered, convention)
    around = lowered + closed.T  # the largest weight of a cycle through an arc
    critical = finite & (around == 0).astype(bool)
    _, label = connected_components(csr_array(critical), connection="strong")
    on_cycle = critical.any(0) & critical.any(1)
    chosen = [int(np.flatnonzero(on_cycle & (label == c))[0]) for c in np.unique(label[on_cycle]).tolist()]
    return as_given(closed[:, sorted(chosen)], given, sign_of(convention))


def _means(exact: np.ndarray) -> list[tuple[Fraction, tuple[int, ...], tuple[int, ...]]]:
    """The largest cycle mean of each component with a cycle, its nodes, and a cycle."""
    arcs = exact != ZERO
    _, label = connected_components(csr_array(arcs), connection="strong")
    found = []
    for c in range(int(label.max()) + 1):
        nodes = np.flatnonzero(label == c)
        part = exact[np.ix_(nodes, nodes)]
        if (part != ZERO).any():
            value, cycle = _karp(part)
            found.append((value, tuple(nodes.tolist()), tuple(int(nodes[i]) for i in cycle)))
    return found


def _karp(a: np.ndarray) -> tuple[Fraction, list[int]]:
    """The largest cycle mean of a strongly connected graph, and a cycle that has it."""
    n = len(a)
    best = np.full((n + 1, n), ZERO, dtype=object)  # best[k, v]: the largest weight of a walk of k arcs from node 0 to v
    best[0, 0] = 0
    before = np.zeros((n + 1, n), dtype=np.int64)
    for k in range(n):
        sums = best[k][:, None] + a
        before[k + 1] = [int(np.argmax(column)) for column in sums.T]
        best[k + 1] = [max(column) for column in sums.T.tolist()]
    means = {
        v: min(Fraction(best[n, v] - best[k, v]) / (n - k) for k in range(n) if best[k, v] != ZERO)
        for v in range(n)
        if best[n, v] != ZERO
    }
    value = max(means.values())
    walk = [max(means, key=lambda v: (means[v], -v))]
    for k in range(n, 0, -1):
        walk.append(int(before[k, walk[-1]]))
    return value, _cycle(a, walk[::-1], value)


def _cycle(a: np.ndarray, walk: list[int], value: Fraction) -> list[int]:
    """A cycle of the given mean that a walk runs through, from its least node on."""
    for start in range(len(walk)):
        for end in range(start + 1, len(walk)):
            if walk[start] == walk[end]:
                part = walk[start:end]
                weight = sum(Fraction(a[p, q]) for p, q in zip(part, [*part[1:], part[0]], strict=True))
                if weight == value * len(part) and len(set(part)) == len(part):
                    least = part.index(min(part))
                    return part[least:] + part[:least]
    raise AssertionError("a walk of Karp's holds a cycle of the largest mean")
