"""Signs of a stage's units on a cell: the filter, then three-valued signs at the vertices, doubtful ones asked of the caller.

A map is an array (d + 2, units): d slopes, the constant, and an absolute bound of the row's error over |t| ≤ 1. A sign is
accepted only where |value| > bound; a comparison with NaN or infinity fails, and the sign is doubtful.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from tropica.regions.kernels.bits import OPTIONS, call, ctz, smaller

UNIT_ROUNDOFF = 2.0**-53
"""Defined here: what kernels read is in this folder, whose files the cache of compiled kernels is keyed by."""
DOT_ROUNDING = 300 * UNIT_ROUNDOFF
"""Rounding of the at most 256 updates of a map and of one evaluation, relative to the sum of a row's absolute values."""
ZERO, ONE = np.uint64(0), np.uint64(1)
ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


@njit(**OPTIONS)
def lowest(word):
    """The lowest one bit alone."""
    return word & (~word + ONE)


@njit(**OPTIONS)
def ball(dims, d, rows, size, middle, radius, tested, positive, undecided):
    """Signs of all units by the box around a cell: words of positive units, and the list of undecided ones."""
    found = 0
    for start in range(0, size, 64):
        doubtful, above, count = ZERO, ZERO, smaller(64, size - start)
        for i in range(count):
            j = start + i
            value = rows[d, j]
            width = rows[d + 1, j] + DOT_ROUNDING * abs(value)
            for k in range(len(dims) if len(dims) > 0 else d):
                value += rows[k, j] * middle[k]
                width += abs(rows[k, j]) * radius[k]
            doubtful |= np.uint64(not (abs(value) > width)) << np.uint64(i)
            above |= np.uint64(value > width) << np.uint64(i)
        word = start >> 6
        doubtful &= tested[word]
        positive[word] = above & tested[word]
        while doubtful != ZERO:
            undecided[found] = start + ctz(doubtful)
            found += 1
            doubtful &= doubtful - ONE
    return found


@njit(**OPTIONS)
def gather(dims, d, rows, units, start, count, forms, tolerance, length):
    """Copy the rows of up to 64 units; their error bounds and the sums of their absolute slopes."""
    for i in range(count):
        u = units[start + i]
        slope = 0.0
        for k in range(len(dims) if len(dims) > 0 else d):
            forms[k, i] = rows[k, u]
            slope += abs(rows[k, u])
        forms[d, i] = rows[d, u]
        length[i] = slope * 1.0001
        tolerance[i] = (rows[d + 1, u] + DOT_ROUNDING * (slope + abs(rows[d, u]))) * 1.0001 + 1e-300


@njit(**OPTIONS)
def evaluate(dims, d, forms, tolerance, length, count, x, displacement):
    """Words of the certainly positive and the certainly negative units at one vertex."""
    above, below = ZERO, ZERO
    for i in range(count):
        value = forms[d, i]
        for k in range(len(dims) if len(dims) > 0 else d):
            value += forms[k, i] * x[k]
        bound = tolerance[i] + length[i] * displacement
        above |= np.uint64(value > bound) << np.uint64(i)
        below |= np.uint64(value < -bound) << np.uint64(i)
    return above, below


@njit(**OPTIONS)
def full_word(count):
    """A word with the lowest ``count`` bits set."""
    return ALL if count == 64 else (ONE << np.uint64(count)) - ONE


@njit(**OPTIONS)
def ask(address, head, doubts, count, level, stage):
    """Have the caller decide doubtful signs; returns whether it could."""
    head[0] = level
    head[1] = stage
    head[2] = count
    return call(address, np.int64(count)) == 0


@njit(**OPTIONS)
def is_origin(dims, d, x, displacement):
    """Whether a vertex is the origin, exactly."""
    at = displacement == 0.0
    for k in range(len(dims) if len(dims) > 0 else d):
        at = at and x[k] == 0.0
    return at


@njit(**OPTIONS)
def at_vertices(
    dims,
    d,
    forms,
    tolerance,
    length,
    count,
    units,
    start,
    partner,
    central,
    cell,
    v0,
    nv,
    X,
    disp,
    S,
    N,
    level,
    stage,
    address,
    head,
    doubts,
):
    """Three-valued signs of ``count`` gathered forms at the vertices of a cell; returns (somewhere +, somewhere −, done).

    A form is the row of ``units[start + i]``, minus that of ``partner[i]`` where this is not −1. Where constants are exactly 0
    whatever the sign vector (``central``), all forms vanish at the origin.
    """
    full = full_word(count)
    asked = nv * 0  # not a literal, here and elsewhere: numba would compile what is called twice
    for j in range(v0, v0 + nv):
        a = cell[j]
        if central and is_origin(dims, d, X[a], disp[a]):
            S[level, a] = N[level, a] = ZERO
            continue
        above, below = evaluate(dims, d, forms, tolerance, length, count, X[a], disp[a])
        S[level, a] = above
        N[level, a] = below
        unknown = full & ~(above | below)
        while unknown != ZERO:
            if asked == len(doubts):
                return ZERO, ZERO, False
            bit = ctz(unknown)
            unknown &= unknown - ONE
            doubts[asked, 0] = a
            doubts[asked, 1] = bit
            doubts[asked, 2] = units[start + bit]
            doubts[asked, 3] = partner[bit]
            asked += 1
    if asked and not ask(address, head, doubts, asked, level, stage):
        return ZERO, ZERO, False
    plus, minus = ZERO, ZERO
    for j in range(v0, v0 + nv):
        plus |= S[level, cell[j]]
        minus |= N[level, cell[j]]
    return plus, minus, True
