"""One cut: a cell and a unit with both strict signs at its vertices make two cells."""

from __future__ import annotations

import numpy as np
from numba import njit

from tropica.regions.kernels.bits import OPTIONS, ctz, larger, popcount
from tropica.regions.kernels.geometry import COARSE, adjacent, between, drop_lost, free_slot, renew
from tropica.regions.kernels.signs import ONE, ZERO, ask, lowest

LEVEL, STAGE, V0, NV, VFREE, TOP, PLANES, SLOT0, SLOTS, SFREE = range(10)
"""Columns of the stack: level, stage; where the cell's vertices are listed, how many, what is free behind; vertices and
hyperplanes on the path; where the hyperplanes of its slots are listed, how many, what is free behind."""


@njit(**OPTIONS)
def value(dims, d, forms, bit, x):
    """A gathered form at a vertex."""
    total = forms[d, bit]
    for k in range(len(dims) if len(dims) > 0 else d):
        total += forms[k, bit] * x[k]
    return total


@njit(**OPTIONS)
def split(dims, d, e, bit, rest, forms, tolerance, length, unit, partner, S, N, level, cells, query, address, children, sizes):
    """Cut the cell of stack entry e by the group's unit ``bit``.

    Writes the children's lists behind the stack's, and into ``children``: start and length of both, free list, top, planes,
    slot list, slots, free slots. Returns (status, +words, −words of the positive child, the same of the negative one).
    Status 0: done; 1: a stack is too small; 2: the caller could not decide a sign; 3: more facets than bits.
    """
    X, disp, lists, sets, slots = cells.X, cells.disp, cells.list, cells.sets, cells.slots
    words = sets.shape[1]
    row = cells.stack[e]
    v0, nv, free, top, plane, s0, ns, sfree = (
        row[V0],
        row[NV],
        row[VFREE],
        row[TOP],
        row[PLANES],
        row[SLOT0],
        row[SLOTS],
        row[SFREE],
    )
    u = np.uint64(bit)
    above, below = 0, 0
    for j in range(v0, v0 + nv):
        above += np.int64(S[level, lists[j]] >> u & ONE)
        below += np.int64(N[level, lists[j]] >> u & ONE)
        size = 0
        for w in range(words):
            size += popcount(sets[j, w])
        sizes[j - v0] = size
    most = above * below
    if (
        free + 2 * (nv + most) > len(lists)
        or top + most + 1 > len(X)
        or plane + 1 > len(cells.planes)
        or sfree + ns + 1 > len(slots)
        or e + 3 > len(cells.stack)
    ):
        return 1, ZERO, ZERO, ZERO, ZERO
    slot = free_slot(sets, words, v0, nv)
    if slot < 0:
        return 3, ZERO, ZERO, ZERO, ZERO
    sw, sbit = slot >> 6, ONE << np.uint64(slot & 63)
    # the hyperplane, and the slots of both children
    for k in range(d + 1):
        cells.planes[plane, k] = forms[k, bit]
    cells.plane_error[plane] = tolerance[bit]
    cells.plane_unit[plane, 0] = row[STAGE]
    cells.plane_unit[plane, 1] = unit[bit]
    cells.plane_unit[plane, 2] = partner[bit]
    for k in range(ns):
        slots[sfree + k] = slots[s0 + k]
    for k in range(ns, slot):
        slots[sfree + k] = -1
    slots[sfree + slot] = plane
    # old vertices
    a0, b0 = free, free + nv + most
    na = nb = nv * 0
    plus_a, minus_a, plus_b, minus_b = ZERO, ZERO, ZERO, ZERO
    touched = False
    for j in range(v0, v0 + nv):
        a = lists[j]
        sp, sn = S[level, a], N[level, a]
        positive, negative = sp >> u & ONE, sn >> u & ONE
        if negative == ZERO:
            lists[a0 + na] = a
            for w in range(words):
                sets[a0 + na, w] = sets[j, w]
            if positive == ZERO:
                sets[a0 + na, sw] |= sbit
                touched = True
            na += 1
            plus_a |= sp
            minus_a |= sn
        if positive == ZERO:
            lists[b0 + nb] = a
            for w in range(words):
                sets[b0 + nb, w] = sets[j, w]
            if negative == ZERO:
                sets[b0 + nb, sw] |= sbit
            nb += 1
            plus_b |= sp
            minus_b |= sn
    # new vertices
    first = top
    asked = nv * 0
    for i in range(nv):
        a = lists[v0 + i]
        if S[level, a] >> u & ONE == ZERO:
            continue
        value_a = value(dims, d, forms, bit, X[a])
        for j in range(nv):
            b = lists[v0 + j]
            if N[level, b] >> u & ONE == ZERO or not adjacent(d, sets, words, v0, nv, i, j, sizes):
                continue
            start = cells.definition[top]
            count = 0
            for w in range(words):
                both = sets[v0 + i, w] & sets[v0 + j, w]
                sets[a0 + na, w] = both
                if start + count + 65 > len(cells.through):
                    return 1, ZERO, ZERO, ZERO, ZERO
                while both != ZERO:
                    cells.through[start + count] = slots[s0 + 64 * w + ctz(both)]
                    count += 1
                    both &= both - ONE
            cells.through[start + count] = plane
            cells.definition[top + 1] = start + count + 1
            sets[a0 + na, sw] |= sbit
            for w in range(words):
                sets[b0 + nb, w] = sets[a0 + na, w]
            between(dims, d, X, disp, a, b, top, value_a, value(dims, d, forms, bit, X[b]), tolerance[bit], length[bit])
            if disp[top] > COARSE and count == d - 1:
                disp[top] = renew(
                    d, X[top], disp[top], cells.planes, cells.plane_error, cells.through, start, query.table, query.scratch
                )
                query.counters[3] += 1
            pa, ma, pb, mb = S[level, a], N[level, a], S[level, b], N[level, b]
            above_w = (pa | pb) & ~(ma | mb)
            below_w = (ma | mb) & ~(pa | pb)
            open_ = ((pa & mb) | (ma & pb)) & rest
            while open_ != ZERO:
                one = lowest(open_)
                open_ ^= one
                k = ctz(one)
                z = value(dims, d, forms, k, X[top])
                bound = tolerance[k] + length[k] * disp[top]
                if z > bound:
                    above_w |= one
                elif z < -bound:
                    below_w |= one
                else:
                    if asked == len(query.doubts):
                        return 1, ZERO, ZERO, ZERO, ZERO
                    query.doubts[asked, 0] = top
                    query.doubts[asked, 1] = k
                    query.doubts[asked, 2] = unit[k]
                    query.doubts[asked, 3] = partner[k]
                    asked += 1
            S[level, top] = above_w
            N[level, top] = below_w
            lists[a0 + na] = top
            lists[b0 + nb] = top
            na += 1
            nb += 1
            top += 1
    if asked and not ask(address, query.head, query.doubts, asked, level, row[STAGE]):
        return 2, ZERO, ZERO, ZERO, ZERO
    for w in range(first, top):
        plus_a |= S[level, w]
        minus_a |= N[level, w]
        plus_b |= S[level, w]
        minus_b |= N[level, w]
    if touched:
        drop_lost(d, sets, words, a0, na)
        drop_lost(d, sets, words, b0, nb)
    children[0], children[1], children[2], children[3] = a0, na, b0, nb
    children[4], children[5], children[6] = b0 + nb, top, plane + 1
    children[7], children[8] = sfree, larger(ns, slot + 1)
    children[9] = sfree + larger(ns, slot + 1)
    return 0, plus_a, minus_a, plus_b, minus_b
