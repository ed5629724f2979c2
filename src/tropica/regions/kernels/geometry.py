"""A cell as a list of vertices with the set of hyperplanes through each, and the cut of a cell by a hyperplane.

Two vertices are joined by an edge exactly if no third vertex lies on all hyperplanes that they share: the sets are exact and
complete, so no floating-point number decides. A new vertex has a bound of its displacement from the exact point, by the error
of the position on its edge; where the bound has grown too large it is renewed from the vertex's own hyperplanes.
"""

from __future__ import annotations

from numba import njit

from tropica.regions.kernels.bits import OPTIONS, ctz, larger, popcount
from tropica.regions.kernels.signs import ONE, ZERO

COARSE = 1e-10
"""A displacement above it is bounded again from the vertex's own hyperplanes."""
TINY = 8 * 2.0**-53


@njit(**OPTIONS)
def adjacent(d, sets, words, v0, nv, i, j, sizes):
    """Whether vertices i and j of a cell (positions in its list) are joined by an edge."""
    shared = 0
    for w in range(words):
        shared += popcount(sets[v0 + i, w] & sets[v0 + j, w])
    if shared < d - 1:
        return False
    if d <= 2 or sizes[i] == d or sizes[j] == d:
        return True
    for k in range(nv):
        if k != i and k != j:
            inside = True
            for w in range(words):
                both = sets[v0 + i, w] & sets[v0 + j, w]
                inside = inside and (both & ~sets[v0 + k, w]) == ZERO
            if inside:
                return False
    return True


@njit(**OPTIONS)
def between(dims, d, X, disp, a, b, w, value_a, value_b, tolerance, length):
    """Place vertex w where a form changes sign between the vertices a and b, and bound its displacement."""
    total = abs(value_a) + abs(value_b)
    t = abs(value_a) / total if total > 0 else 0.5
    if not t <= 1.0:
        t = 0.5
    far = 0.0
    for k in range(len(dims) if len(dims) > 0 else d):
        step = X[b, k] - X[a, k]
        X[w, k] = X[a, k] + t * step
        far = larger(far, abs(step))
    most = larger(disp[a], disp[b])
    error = (tolerance + length * most) / total if total > 0 else 1.0
    if not error <= 1.0:
        error = 1.0
    disp[w] = (most + (error + TINY) * (far + disp[a] + disp[b])) * 1.0001 + TINY


@njit(**OPTIONS)
def invert(d, table):
    """Gauss-Jordan with row exchanges on table (d, 2 d), the right half the identity; False where a pivot is 0."""
    for c in range(d):
        best = c
        for r in range(c + 1, d):
            if abs(table[r, c]) > abs(table[best, c]):
                best = r
        if not abs(table[best, c]) > 1e-290:
            return False
        if best != c:
            for k in range(2 * d):
                table[c, k], table[best, k] = table[best, k], table[c, k]
        pivot = 1.0 / table[c, c]
        for k in range(2 * d):
            table[c, k] *= pivot
        for r in range(d):
            if r != c and table[r, c] != 0.0:
                factor = table[r, c]
                for k in range(2 * d):
                    table[r, k] -= factor * table[c, k]
    return True


@njit(**OPTIONS)
def renew(d, x, displacement, planes, plane_error, ids, start, table, scratch):
    """Correct x by one Newton step on d hyperplanes through it; returns the new bound, or the old one where it is better.

    With an approximate inverse B of the rows G and q ≥ ‖1 − B G‖, the distance to the exact point is at most
    |B| (|residuals| + errors of the rows) / (1 − q).
    """
    for i in range(d):
        largest = 0.0
        for k in range(d):
            largest = larger(largest, abs(planes[ids[start + i], k]))
        if not largest > 1e-290:
            return displacement
        scratch[0, i] = 1.0 / largest
        for k in range(d):
            table[i, k] = planes[ids[start + i], k] * scratch[0, i]
            table[i, d + k] = 1.0 if i == k else 0.0
    if not invert(d, table):
        return displacement
    q = 0.0
    for r in range(d):
        row = 0.0
        for c in range(d):
            entry, total = 0.0, 0.0
            for i in range(d):
                term = table[r, d + i] * (planes[ids[start + i], c] * scratch[0, i])
                entry += term
                total += abs(term)
            row += abs((1.0 if r == c else 0.0) - entry) + (2 * d + 4) * 2.0**-53 * (total + 1.0)
        q = larger(q, row)
    if not q < 0.5:
        return displacement
    for k in range(d):
        scratch[1, k] = x[k]
    for step in range(2):
        for i in range(d):
            p = ids[start + i]
            value, total = planes[p, d], abs(planes[p, d])
            for k in range(d):
                value += planes[p, k] * scratch[1, k]
                total += abs(planes[p, k] * scratch[1, k])
            scratch[2, i] = value * scratch[0, i]
            scratch[3, i] = (plane_error[p] + (2 * d + 4) * 2.0**-53 * total) * scratch[0, i]
        if step == 0:
            for k in range(d):
                for i in range(d):
                    scratch[1, k] -= table[k, d + i] * scratch[2, i]
    worst = 0.0
    for k in range(d):
        total = 0.0
        for i in range(d):
            total += abs(table[k, d + i]) * (abs(scratch[2, i]) + scratch[3, i])
        worst = larger(worst, total)
    bound = worst / (1.0 - q) * 1.0001 + 1e-300
    if not bound < displacement:
        return displacement
    for k in range(d):
        x[k] = scratch[1, k]
    return bound


@njit(**OPTIONS)
def drop_lost(d, sets, words, start, count):
    """Clear the bits of hyperplanes that hold fewer than d vertices of a cell: they are no facets of it."""
    for w in range(words):
        seen = ZERO
        for j in range(count):
            seen |= sets[start + j, w]
        while seen != ZERO:
            bit = seen & (~seen + ONE)
            seen ^= bit
            on = 0
            for j in range(count):
                on += 1 if sets[start + j, w] & bit else 0
            if on < d:
                for j in range(count):
                    sets[start + j, w] &= ~bit


@njit(**OPTIONS)
def free_slot(sets, words, v0, nv):
    """The lowest bit that no vertex of a cell uses; −1 where all are taken."""
    for w in range(words):
        used = ZERO
        for j in range(nv):
            used |= sets[v0 + j, w]
        if ~used != ZERO:
            return 64 * w + ctz(~used)
    return -1
