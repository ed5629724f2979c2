"""Chords: where functions of a step vanish on a face of the old complex, one dimension of it.

The chord (F, S) is where the functions S of a step vanish on an old face F of dimension |S| + 1; (e, ∅) is the old edge e. All
functions of the step are affine along it. Its two ends are the new vertices (F', S) on facets F' of F, or old vertices. Another
function k with different signs there crosses the chord in the new vertex (F, S ∪ {k}). So the vertices of one dimension follow
from those of the one before, all at a time:

1. crossings of chords are found from the signs at their ends, and made on the chord of all functions but the last;
2. signs at new vertices are read off their values where the ends of the chord differ, or follow from the order of crossings;
3. new vertices with one key, once an old constraint is released, are the two ends of one chord of the next dimension.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tropica.regions.signs import bit, set_bits
from tropica.regions.state import State, Words, together

Implied = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Signs that follow from others: vertices, functions, whether positive."""
NONE: Implied = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, bool)


class Tangled(Exception):
    """Functions cannot be done together: some vanish at one point, or are too close to it; or there are too many crossings.

    Attributes:
        size: so many might be.
    """

    def __init__(self, size: int = 0) -> None:
        super().__init__(size)
        self.size = size


@dataclass(frozen=True)
class Chords:
    """Chords (n,) of one dimension.

    Attributes:
        ends: (n, 2) vertices.
        on: (n, d − 1) constraints that vanish on each, sorted.
        key: (n, 2) as edges have them while a step lasts: without its functions' signs.
        steep: (n, d − 1) for each constraint, a lower bound on the length of its gradient in every cell there.
        line: (n, 2) the ends of a longer piece of the same line, on which the functions are affine, too.
        last: (n,) the last of the functions S, −1 where there is none.
        inside: (n, 2^(d − 1)) or None: which of the cells around each are there.
    """

    ends: np.ndarray
    on: np.ndarray
    key: Words
    steep: np.ndarray
    line: np.ndarray
    last: np.ndarray
    inside: np.ndarray | None

    def __len__(self) -> int:
        return len(self.ends)


@dataclass(frozen=True)
class Crossings:
    """Functions that cross chords (m,), sorted by chord and then by function.

    Attributes:
        vertex: where; each of these lies on as many chords as functions vanish there,
        made: and was made where this is set, on the chord of all but the last of these.
    """

    chord: np.ndarray
    function: np.ndarray
    vertex: np.ndarray
    made: np.ndarray


@dataclass(frozen=True)
class Made:
    """New vertices ``first`` … of one dimension.

    Attributes:
        steep: (n, d) for each constraint, a lower bound on the length of its gradient in every cell there.
        last: (n,) the last function that vanishes.
    """

    first: int
    steep: np.ndarray
    last: np.ndarray


def met(keys: Words, made: np.ndarray, vertex: np.ndarray, times: int) -> np.ndarray:
    """The vertices of crossings that have equal keys where they are of one vertex, on so many chords; ``vertex`` has them
    where they are ``made``.

    Raises:
        Tangled: the signs contradict each other.
    """
    order, keys = together(keys)
    if len(order) % times:
        raise Tangled
    half = keys[:, 0].reshape(-1, times)
    own = made[order].reshape(-1, times)
    if (half != half[:, :1]).any() or (half[1:, 0] == half[:-1, -1]).any() or (own.sum(1) != 1).any():
        raise Tangled
    found = np.empty_like(vertex)
    found[order] = np.repeat(vertex[order].reshape(-1, times)[own], times)
    return found


def ranks(chords: Chords, crossings: Crossings, positive: np.ndarray) -> tuple[np.ndarray, Implied]:
    """How many crossings of its chord come before each one, from its first end (m,); and signs that follow.

    Of two functions j < k, the one that is crossed first is known from the sign of k at the crossing with j. Where k comes
    behind all functions of the chord, that sign was read there; and the sign of j at the crossing with k, which was made here,
    follows and is written into ``positive``. With these, all others are known.

    Raises:
        Tangled: the signs contradict each other.
    """
    chord, function, vertex = crossings.chord, crossings.function, crossings.vertex
    count = np.bincount(chord, minlength=len(chords))
    starts = np.cumsum(count) - count
    index = np.arange(len(chord)) - starts[chord]
    others = count[chord] - 1 - index
    p = np.repeat(np.arange(len(chord)), others)
    q = p + 1 + np.arange(len(p)) - np.repeat(np.cumsum(others) - others, others)
    rank = np.zeros(len(chord), np.int64)
    implied = NONE
    if not len(p):
        return rank, implied
    fresh = crossings.made[q]
    for some in (fresh, ~fresh):
        first, second = p[some], q[some]
        if not len(first):
            continue
        start = chords.ends[chord[first], 0]
        sooner = bit(positive, vertex[first], function[second]) == bit(positive, start, function[second])
        if some is fresh:
            sign = bit(positive, start, function[first]) ^ sooner
            implied = vertex[second], function[first], sign
            set_bits(positive, vertex[second][sign], function[first][sign])
        rank += np.bincount(second[sooner], minlength=len(rank))
        rank += np.bincount(first[~sooner], minlength=len(rank))
    taken = np.zeros(len(rank), bool)
    if (rank >= count[chord]).any():
        raise Tangled
    taken[starts[chord] + rank] = True
    if not taken.all():
        raise Tangled
    return rank, implied


def pieces(chords: Chords, crossings: Crossings, rank: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pieces into which chords are cut, along each in turn: their chords, and their ends (p, 2)."""
    count = np.bincount(crossings.chord, minlength=len(chords)) + 1
    stop = np.cumsum(count)
    at = (stop - count)[crossings.chord] + rank
    ends = np.empty((int(count.sum()), 2), np.int64)
    ends[stop - count, 0], ends[stop - 1, 1] = chords.ends[:, 0], chords.ends[:, 1]
    ends[at, 1] = ends[at + 1, 0] = crossings.vertex
    return np.repeat(np.arange(len(chords)), count), ends


def joined(state: State, new: Made, released: int, sums: Words | None, oldest: int, sure: bool) -> Chords:
    """The chords between new vertices: two of these lie on each, and are found by its key.

    Args:
        new: the vertices.
        released: how many of their constraints, the first ones, are old; one of them is released, to either side.
        sums: (n, 2) what earlier functions of the step add to their keys.
        oldest: constraints from this one on are of the step: their signs are not in the keys.
        sure: raise Tangled where more or fewer than two have one key.
    """
    vertices, names, n = state.vertices, state.names, len(new.last)
    rows = slice(new.first, new.first + n)
    on, stored = vertices["on"][rows], vertices["key"][rows]
    keys = stored if sums is None else stored + sums
    inside = vertices["inside"][rows] if "inside" in vertices else None
    faces, owner, around = [], [], []
    for slot in range(released):
        c = on[:, slot]
        without = keys - names.zero.take(c, axis=0)
        for side, face in enumerate((without + names.positive.take(c, axis=0), without)):
            there = names.sided[c] if side else None
            if inside is not None:
                halves = inside.reshape(n, -1, 2, 1 << slot)[:, :, side].reshape(n, -1)
                there = halves.any(1)  # a face of no cell that is here is left alone
                around.append(halves[there])
            own = np.arange(n) if there is None else np.flatnonzero(there)
            faces.append(face if there is None else face.take(own, axis=0))
            owner.append(own + (2 * slot + side) * n)
    order, face = together(np.concatenate(faces))
    own = np.concatenate(owner)[order]
    first = np.flatnonzero((face[1:, 0] == face[:-1, 0]) & (face[1:, 1] == face[:-1, 1]))
    if sure and not (2 * len(first) == len(face) and (first[1:] - first[:-1] == 2).all()):
        raise Tangled
    way, one = np.divmod(own[first], n)
    slot, side = way >> 1, way & 1
    other_way, other = np.divmod(own[first + 1], n)
    kept = np.arange(on.shape[1] - 1)
    left = kept + (kept >= slot[:, None])
    right = kept + (kept >= (other_way >> 1)[:, None])
    c = on[one, slot]
    plus = names.positive.take(c, axis=0)
    plus[(side == 1) & (c < oldest)] = 0
    ends = np.stack([one, other], 1) + new.first
    return Chords(
        ends,
        _columns(on, one, left),
        stored.take(one, axis=0) + plus - names.zero.take(c, axis=0),
        np.maximum(_columns(new.steep, one, left), _columns(new.steep, other, right)),
        ends,
        new.last[one],
        None if inside is None else np.concatenate(around).take(order[first], axis=0),
    )


def _columns(table: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Some columns (n, k) of each of some rows (n,)."""
    return np.take_along_axis(table.take(rows, axis=0), columns, 1)
