"""Facets of a cell in many dimensions: rays that leave the cell prove facets, linear programs find the rest.

From a point c inside, a ray meets the hyperplanes of the rows one after another. A point q between the first and the second
violates the first row alone: its signs, decided exactly, prove the facet. What the rays do not find goes to Clarkson's method:
max ⟨a, x⟩ over the facets known so far (HiGHS) either proposes a point outside of the row's half-space, at which a ray is
aimed, or multipliers y ≥ 0 with ⟨a, x⟩ ≤ ⟨y, b⟩ + residual on a box: a bound, rounded outwards, that proves redundancy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linprog

BLOCK = 1 << 22
"""Numbers of a block of rays."""
_ROUNDING = 2.0**-50

Signs = Callable[[np.ndarray], np.ndarray]
Box = tuple[np.ndarray, np.ndarray]


@dataclass(eq=False)
class FacetSearch:
    """What is known of the rows of one cell.

    Attributes:
        found: row → a point that violates this row alone.
        redundant: rows that are proven to be implied by others.
    """

    A: np.ndarray
    b: np.ndarray
    error: np.ndarray
    center: np.ndarray
    signs: Signs
    box: Box | None
    found: dict[int, np.ndarray] = field(default_factory=dict)
    redundant: set[int] = field(default_factory=set)

    def left(self) -> list[int]:
        """Rows of which nothing is known."""
        return [i for i in range(len(self.b)) if i not in self.found and i not in self.redundant]


def shoot(search: FacetSearch, directions: np.ndarray) -> None:
    """Send a ray from the center in each direction (M, D)."""
    slack = search.b - search.A @ search.center
    step = max(1, BLOCK // max(len(search.b), 1))
    for start in range(0, len(directions), step):
        u = directions[start : start + step]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            speed = u @ search.A.T
            t = np.where(speed > 0, slack / speed, np.inf)
        first = t.argmin(1)
        at = np.arange(len(u))
        one = t[at, first]
        t[at, first] = np.inf
        two = np.minimum(t.min(1), 2 * one)
        best: dict[int, int] = {}
        gap = np.where(np.isfinite(one), (two - one) / one, -np.inf)
        for k in np.argsort(-gap).tolist():
            row = int(first[k])
            if gap[k] > 0 and row not in search.found and row not in best:
                best[row] = k
        if not best:
            continue
        chosen = np.array(list(best.values()))
        q = search.center + u[chosen] * ((one + two) / 2)[chosen, None]
        signs = search.signs(q)
        alone = (signs > 0).sum(1) == 1
        for row, point, sign, proven in zip(best, q, signs, alone, strict=True):
            if proven and sign[row] > 0:
                search.found[row] = point
                search.redundant.discard(row)


def discard_in_box(search: FacetSearch) -> None:
    """Rows that a box alone implies, and rows without coefficients."""
    zero = (search.A == 0).all(1) & (search.error == 0)
    search.redundant.update(np.flatnonzero(zero).tolist())
    if search.box is not None:
        lo, hi = search.box
        top = np.maximum(search.A * lo, search.A * hi).sum(1)
        size = np.abs(search.A) @ np.maximum(np.abs(lo), np.abs(hi)) + np.abs(search.b)
        reach = np.maximum(np.abs(lo), np.abs(hi)).sum() + 1
        bound = top + size * (search.A.shape[1] + 8) * _ROUNDING + search.error * reach * 2
        own = _walls(search)
        search.redundant.update(i for i in np.flatnonzero(bound < search.b).tolist() if i not in own)


def _walls(search: FacetSearch) -> set[int]:
    """The last rows, which are the box itself."""
    return set(range(len(search.b) - 2 * search.A.shape[1], len(search.b))) if search.box is not None else set()


def settle(search: FacetSearch, deadline: float, prove: Callable[[int, Sequence[int], np.ndarray], bool]) -> None:
    """Clarkson's linear programs for the rows that are left, until a deadline (``time.monotonic``).

    ``prove(row, others, multipliers)`` says whether the multipliers of other rows prove a row redundant.
    """
    norm = np.linalg.norm(search.A, axis=1)
    for row in search.left():
        while row not in search.found and time.monotonic() < deadline:
            known = sorted(search.found)
            seconds = max(deadline - time.monotonic(), 0.01)
            result = linprog(
                -search.A[row] / norm[row],
                A_ub=np.concatenate([search.A[known], search.A[[row]]]) / np.append(norm[known], norm[row])[:, None],
                b_ub=np.append(search.b[known] / norm[known], search.b[row] / norm[row] + 1.0),
                bounds=(None, None),
                method="highs",
                options={"time_limit": seconds},
            )
            if result.status != 0:
                break
            y = np.maximum(-result.ineqlin.marginals, 0.0)
            if y[-1] < 1e-9 and prove(row, known, y[:-1] * norm[row] / norm[known]):
                search.redundant.add(row)
                break
            before = len(search.found)
            shoot(search, (result.x - search.center)[None])
            if len(search.found) == before:
                break


def dual_bound(search: FacetSearch, row: int, others: Sequence[int], y: np.ndarray) -> bool:
    """Whether Σ y_k (⟨a_k, x⟩ − b_k) proves ⟨a, x⟩ ≤ b on the box: a bound rounded outwards."""
    if search.box is None or not len(others):
        return False
    lo, hi = search.box
    used = np.flatnonzero(y > 0)
    a, b = search.A[others][used], search.b[others][used]
    y = y[used]
    reach = np.maximum(np.abs(lo), np.abs(hi))
    rest = search.A[row] - y @ a
    size = np.abs(search.A[row]) + y @ np.abs(a)
    terms = len(y) + len(lo) + 8
    top = np.maximum(rest * lo, rest * hi).sum() + y @ b
    rounding = (size @ reach + y @ np.abs(b) + abs(search.b[row])) * terms * _ROUNDING
    inexact = (search.error[row] + y @ search.error[others][used]) * (reach.sum() + 1) * 2
    return bool(top + rounding + inexact <= search.b[row])
