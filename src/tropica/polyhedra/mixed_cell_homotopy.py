"""Mixed cells of n supports in ℤⁿ, by tropical homotopy continuation (Jensen 2016), in exact arithmetic.

Each support A_i gets generic heights ω. A *mixed cell* is a pair a_i, b_i ∈ A_i for every i such that at one point x both
attain max_{c ∈ A_i} (ω_c + ⟨c, x⟩), alone; its volume is |det(a_i − b_i)|, and the mixed volume is the sum of all volumes.

The cells are tracked from a system whose cells are known. A_i lies in the simplex with the vertices 0, d_i·e_1, …, d_i·e_n,
which are added to it with heights that sink from +∞ to −∞ as s grows. In the beginning these simplices alone count, and have
one mixed cell, of volume Π d_i. A cell stays mixed until the slack of some c ∈ A_i, linear in s, becomes 0; then the circuit of
c and the cell's points is flipped: one of a_i, b_i is replaced by c. Where two cells become one, the one that lacks the point
of larger index goes on. At the end the cells without added points are those of the A_i. Determinants are rounded from floating
point and proven by multiplication in integers. The volumes of all cells must sum to Π d_i, which is checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tropica.errors import InputError
from tropica.exact.determinants import bareiss

BATCH = 512
"""Cells that are tracked at once."""
MAX_VISITS = 20_000_000
"""Largest number of cells on the way."""
HEIGHTS = 1 << 18
"""Random heights are below this number."""
EXACT_FLOAT = 1 << 52
"""Integers below this number, and their sums of two, are exact in float64."""
EXACT_INT = 1 << 61
"""Integers below this number, and their sums of two, are exact in int64."""


class NotGeneric(Exception):
    """Two circuits of a cell vanish at once: other heights are needed."""


@dataclass(frozen=True, eq=False)
class System:
    """Points of all supports with the added simplices.

    Attributes:
        points: (m, n) int64 or Python ints.
        color: (m,) the support of each point.
        added: (m,) whether a point is a vertex of an added simplex.
        heights: (m,) random heights.
        volume: Π d_i.
        first: (n, 2) the first mixed cell.
    """

    points: np.ndarray
    color: np.ndarray
    added: np.ndarray
    heights: np.ndarray
    volume: int
    first: np.ndarray


def mixed_cell_volumes(supports: Sequence[np.ndarray]) -> list[int]:
    """The volumes of the mixed cells of a generic subdivision of n integer supports (m_i, n); their sum is the mixed volume.

    Raises:
        InputError: more than ``MAX_VISITS`` cells on the way.

    >>> square = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    >>> sum(mixed_cell_volumes([square, square]))
    2
    """
    if any(len(a) < 2 for a in supports):
        return []
    for seed in range(20):
        try:
            return _tracked(_system(supports, seed))
        except NotGeneric:
            continue
    raise AssertionError("twenty random liftings were not generic")


def _system(supports: Sequence[np.ndarray], seed: int) -> System:
    n = len(supports)
    random = np.random.default_rng(seed)
    points, color, heights, added, first, volume, start = [], [], [], [], [], 1, 0
    for i, support in enumerate(supports):
        own = support.astype(object) - support.astype(object).min(0)
        size = max(sum(row) for row in own.tolist())
        volume *= size
        simplex = np.concatenate([np.zeros((1, n), np.int64), np.eye(n, dtype=np.int64)]).astype(object) * size
        sunk = -random.integers(1, HEIGHTS, n + 1)
        sunk[[0, i + 1]] = 0
        points += [own, simplex]
        heights += [random.integers(0, HEIGHTS, len(own)), sunk]
        added += [np.zeros(len(own), bool), np.ones(n + 1, bool)]
        color.append(np.full(len(own) + n + 1, i))
        first.append((start + len(own), start + len(own) + i + 1))
        start += len(own) + n + 1
    whole = np.concatenate(points)
    small = max(map(abs, whole.ravel().tolist())) < 1 << 30
    return System(
        whole.astype(np.int64) if small else whole,
        np.concatenate(color),
        np.concatenate(added),
        np.concatenate(heights),
        volume,
        np.array(first),
    )


def _tracked(system: System) -> list[int]:
    stack, visits, total = [system.first[None]], 0, 0
    found: list[int] = []
    while stack:
        cells = np.concatenate(stack)
        stack = [cells[:-BATCH]] if len(cells) > BATCH else []
        cells = cells[-BATCH:]
        visits += len(cells)
        if visits > MAX_VISITS:
            raise InputError(f"more than {MAX_VISITS:,} cells on the way to the mixed volume; use smaller supports")
        following, final, volumes = _step(system, cells)
        total += sum(volumes)
        inner = ~system.added[final].any((1, 2))
        found += [v for v, keep in zip(volumes, inner.tolist(), strict=True) if keep]
        if len(following):
            stack.append(following)
    if total != system.volume:
        raise AssertionError(f"the mixed cells have the volume {total}, and must have {system.volume}")
    return found


def _step(system: System, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """The cells after the next flip of each cell; the cells that stay for ever, and their volumes."""
    determinant, expansion = _expansions(system, cells)
    value, slope = _slacks(system, cells, determinant, expansion)
    own = np.zeros(value.shape, bool)
    np.put_along_axis(own, cells.reshape(len(cells), -1), True, axis=1)
    moves = (slope < 0) & ~own
    final = ~moves.any(1)
    going = np.flatnonzero(~final)
    if not len(going):
        return cells[:0], cells[final], [int(v) for v in determinant[final].tolist()]
    c = _first_event(value[going], slope[going], moves[going])
    color = system.color[c]
    rows = np.arange(len(going))
    a, b = cells[going, color, 0], cells[going, color, 1]
    share, whole = expansion[going, c, color], determinant[going]
    keeps_a = (share < whole) & ((share >= 0) | (c > a))  # b is replaced
    keeps_b = (share > 0) & ((share <= whole) | (c > b))  # a is replaced
    out = []
    for keep, partner in ((keeps_a, a), (keeps_b, b)):
        made = cells[going].copy()
        made[rows, color, 0], made[rows, color, 1] = partner, c
        out.append(made[keep.astype(bool)])
    return np.concatenate(out), cells[final], [int(v) for v in determinant[final].tolist()]


def _expansions(system: System, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """D = |det(a_j − b_j)| (N,), and D·λ (N, m, n) with c − b_i = Σ_j λ_j (a_j − b_j) for every point c of support i."""
    a, b = system.points[cells[:, :, 0]], system.points[cells[:, :, 1]]
    sides = a - b
    differences = system.points[None] - b[:, system.color]
    found = _rounded_adjugates(sides) if sides.dtype != object else None
    if found is not None:
        determinant, adjugate = found
        n = sides.shape[1]
        if n * float(np.abs(differences).max()) * float(np.abs(adjugate).max()) < EXACT_FLOAT:
            expansion = (differences.astype(np.float64) @ adjugate.astype(np.float64)).astype(np.int64)
            return determinant, expansion
    else:
        determinant, adjugate = _exact_adjugates(sides)
    return determinant, differences.astype(object) @ adjugate.astype(object)


def _rounded_adjugates(sides: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """|det| (N,) and sign(det)·adj (N, n, n), rounded and proven by M·adj = det·I; None where floating point is too coarse."""
    floats = sides.astype(np.float64)
    determinant = np.linalg.det(floats)
    try:
        adjugate = np.rint(np.linalg.inv(floats) * np.abs(determinant)[:, None, None])
    except np.linalg.LinAlgError:
        return None
    size = np.rint(np.abs(determinant))
    bound = sides.shape[1] * np.abs(floats).max() * np.abs(adjugate).max()
    if not (np.isfinite(bound) and bound < EXACT_FLOAT and size.max() < EXACT_FLOAT):
        return None
    sign = np.where(determinant < 0, -1.0, 1.0)
    product = floats @ adjugate
    if not (product == (size * sign**2)[:, None, None] * np.eye(sides.shape[1])).all():
        return None
    return size.astype(np.int64), adjugate.astype(np.int64)


def _exact_adjugates(sides: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The result of :func:`_rounded_adjugates` in Python ints."""
    n = sides.shape[1]
    whole = sides.astype(object)
    determinant = bareiss(whole)
    adjugate = np.empty(whole.shape, dtype=object)
    for i in range(n):
        for j in range(n):
            minors = np.delete(np.delete(whole, i, axis=1), j, axis=2)
            adjugate[:, j, i] = (1 if (i + j) % 2 == 0 else -1) * (bareiss(minors) if n > 1 else 1)
    sign = np.array([-1 if v < 0 else 1 for v in determinant.tolist()], dtype=object)
    return determinant * sign, adjugate * sign[:, None, None]


def _slacks(system: System, cells: np.ndarray, determinant: np.ndarray, expansion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """D times the slack of every point at each cell's point x, as ``value + slope · s``: both (N, m)."""
    largest = max(abs(int(determinant.max())), abs(int(expansion.max())), abs(int(expansion.min())))
    if (len(system.first) + 1) * largest * 2 * HEIGHTS >= EXACT_INT:
        determinant, expansion = determinant.astype(object), expansion.astype(object)
    parts = []
    for heights in (system.heights, -system.added.astype(np.int64)):
        at = heights[cells]  # (N, n, 2)
        below = at[:, system.color, 1] - heights[None]
        across = expansion @ (at[:, :, 0] - at[:, :, 1])[:, :, None].astype(expansion.dtype)
        parts.append(determinant[:, None] * below + across[:, :, 0])
    return parts[0], parts[1]


def _first_event(value: np.ndarray, slope: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """The point whose slack first becomes 0, at s = −value / slope, among those that sink.

    Raises:
        NotGeneric: two points at once.
    """
    if value.dtype == object:
        rows = zip(value, slope, moves, strict=True)
        return np.array([_exactly_first(v, s, np.flatnonzero(m).tolist()) for v, s, m in rows])
    with np.errstate(divide="ignore", invalid="ignore"):
        time = np.where(moves, value.astype(np.float64) / -slope.astype(np.float64), np.inf)
    first = time.min(1)
    near = moves & (time <= (first + 1e-9 * np.abs(first) + 1e-9)[:, None])
    best = time.argmin(1)
    for row in np.flatnonzero(near.sum(1) > 1).tolist():
        best[row] = _exactly_first(value[row], slope[row], np.flatnonzero(near[row]).tolist())
    return best


def _exactly_first(value: np.ndarray, slope: np.ndarray, candidates: list[int]) -> int:
    best = candidates[0]
    tie = False
    for c in candidates[1:]:
        gap = int(value[c]) * -int(slope[best]) - int(value[best]) * -int(slope[c])
        if gap < 0:
            best, tie = c, False
        elif gap == 0:
            tie = True
    if tie:
        raise NotGeneric
    return best
