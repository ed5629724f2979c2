"""Volume of a cell: pyramids over its facets, down to simplices."""

from __future__ import annotations

import numpy as np
from numba import njit

from tropica.regions.kernels.bits import ENTRY, OPTIONS, ctz
from tropica.regions.kernels.signs import ONE, ZERO


@njit(**OPTIONS)
def area(X, cell, sets, words, v0, nv):
    """Area of a polygon: triangles from the first vertex to each edge."""
    o, total = cell[v0], 0.0
    for i in range(1, nv):
        for j in range(i + 1, nv):
            for w in range(words):
                if sets[v0 + i, w] & sets[v0 + j, w] & ~sets[v0, w]:
                    p, q = cell[v0 + i], cell[v0 + j]
                    total += abs((X[p, 0] - X[o, 0]) * (X[q, 1] - X[o, 1]) - (X[p, 1] - X[o, 1]) * (X[q, 0] - X[o, 0]))
    return 0.5 * total


@njit(**OPTIONS)
def determinant(d, table):
    """|det| of table (d, d), by elimination."""
    result = 1.0
    for c in range(d):
        best = c
        for r in range(c + 1, d):
            if abs(table[r, c]) > abs(table[best, c]):
                best = r
        if table[best, c] == 0.0:
            return 0.0
        for k in range(c, d):
            table[c, k], table[best, k] = table[best, k], table[c, k]
        result *= table[c, c]
        for r in range(c + 1, d):
            factor = table[r, c] / table[c, c]
            for k in range(c, d):
                table[r, k] -= factor * table[c, k]
    return abs(result)


@njit(**OPTIONS)
def facet_of(sets, words, members, count, slot, out):
    """The members on a slot, into out; how many."""
    found = 0
    w, bit = slot >> 6, ONE << np.uint64(slot & 63)
    for i in range(count):
        if sets[members[i], w] & bit:
            out[found] = members[i]
            found += 1
    return found


@njit(**OPTIONS)
def redundant(sets, words, members, count, face, size, slot):
    """Whether another slot's face holds this face: a larger one, or the same with a lower slot (never all members)."""
    for w in range(words):
        common = ~ZERO
        for i in range(size):
            common &= sets[face[i], w]
        while common != ZERO:
            other = 64 * w + ctz(common)
            common &= common - ONE
            if other == slot:
                continue
            on = 0
            for i in range(count):
                on += 1 if sets[members[i], w] >> np.uint64(other & 63) & ONE else 0
            if on < count and (on > size or other < slot):
                return True
    return False


@njit(**OPTIONS)
def pyramids(d, X, cell, sets, words, faces, count, depth, apexes, table):
    """d! times the volume of the face spanned by the members ``faces[depth]``, over the apexes chosen above it."""
    members = faces[depth]
    if depth == d:
        for r in range(d):
            for k in range(d):
                table[r, k] = X[cell[members[0]], k] - X[cell[apexes[r]], k]
        return determinant(d, table)
    apex = members[0]
    apexes[depth] = apex
    total = 0.0
    face = faces[depth + 1]
    for w in range(words):
        used = ZERO
        for i in range(count):
            used |= sets[members[i], w]
        used &= ~sets[apex, w]
        while used != ZERO:
            slot = 64 * w + ctz(used)
            used &= used - ONE
            size = facet_of(sets, words, members, count, slot, face)
            if size >= d - depth and not redundant(sets, words, members, count, face, size, slot):
                total += pyramids(d, X, cell, sets, words, faces, size, depth + 1, apexes, table)
    return total


@njit(**OPTIONS)
def volume(d, X, cell, sets, words, v0, nv, apexes, table, faces):
    """Volume of a cell in t-units."""
    if d == 1:
        return abs(X[cell[v0], 0] - X[cell[v0 + 1], 0])
    if d == 2:
        return area(X, cell, sets, words, v0, nv)
    factorial = 1.0
    for i in range(nv):
        faces[0, i] = v0 + i
    for k in range(2, d + 1):
        factorial *= k
    return pyramids(d, X, cell, sets, words, faces, nv, nv * 0, apexes, table) / factorial


@njit(**ENTRY)
def volumes(d, X, cell, sets, start, apexes, table, faces, out):
    """Volumes of the cells of a block: ``cell`` numbers the vertices, those of cell i are from start[i] to start[i + 1]."""
    for i in range(len(out)):
        v0 = start[i]
        out[i] = volume(d, X, cell, sets, sets.shape[1], v0, start[i + 1] - v0, apexes, table, faces)
