"""Windows: units that are the largest of several rows. A cell is cut into the parts on which one row is the largest.

A window's units lie side by side; ``ends[u]`` is one past its last where u is its first, 0 elsewhere. Exactly one unit of a
window is chosen; of rows that are equal on a whole cell the first. A part is the cell clipped by the differences to the other
rows, so that nothing is cut but the upper envelope.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from tropica.regions.kernels.bits import OPTIONS, smaller
from tropica.regions.kernels.copies import drop_equals
from tropica.regions.kernels.cut import NV, PLANES, SFREE, SLOT0, SLOTS, TOP, V0, VFREE, split
from tropica.regions.kernels.signs import DOT_ROUNDING, ONE, ZERO, at_vertices, full_word

SMALLER = ONE << np.uint64(62)
"""Beside the number of the next window: the cell is a part of the one that the windows were filtered on."""
FEW = 12
"""Up to this number of windows are compared one by one instead of being filtered again."""


@njit(**OPTIONS)
def ranges(dims, d, rows, first, end, middle, radius, least, most):
    """Bounds of units on the box around a cell."""
    for u in range(first, end):
        value, width = rows[d, u], rows[d + 1, u] + DOT_ROUNDING * abs(rows[d, u])
        for k in range(len(dims) if len(dims) > 0 else d):
            value += rows[k, u] * middle[k]
            width += abs(rows[k, u]) * radius[k]
        least[u] = value - width * 1.0001
        most[u] = value + width * 1.0001


@njit(**OPTIONS)
def candidates(s, first, end, levels, copies, masks):
    """The units of a window that bounds do not exclude, into ``found``; their number, the one with the largest bound first.

    Of units that are equal by the sign vector only the first is listed.
    """
    least, most, found = levels.least, levels.most, levels.found
    at, floor = first, -np.inf
    for u in range(first, end):
        if least[u] > floor:
            floor, at = least[u], u
    count = 1
    found[0] = at
    for u in range(first, end):
        if u != at and not (most[u] < floor):
            found[count] = u
            count += 1
    return count if count == 1 else drop_equals(copies, s, found, count, levels.kept, masks)


@njit(**OPTIONS)
def choose(mask, first, end, unit):
    """Set the bit of a window's chosen unit and clear its others."""
    for u in range(first, end):
        mask[u >> 6] &= ~(ONE << np.uint64(u & 63))
    if unit >= 0:
        mask[unit >> 6] |= ONE << np.uint64(unit & 63)


@njit(**OPTIONS)
def filter_windows(dims, d, s, level, rows, size, ends, middle, radius, levels, copies, masks):
    """Choose the windows that the box decides, in the mask; the first units of the others into the level's rest."""
    mask, undecided, found = levels.mask[level], levels.rest[level], levels.found
    for w in range(len(mask)):
        mask[w] = ZERO
    ranges(dims, d, rows, size * 0, size, middle, radius, levels.least, levels.most)
    left = u = size * 0
    while u < size:
        end = ends[u]
        if end == 0:
            u += 1
            continue
        if candidates(s, u, end, levels, copies, masks) == 1:
            mask[found[0] >> 6] |= ONE << np.uint64(found[0] & 63)
        else:
            undecided[left] = u
            left += 1
        u = end
    return left


@njit(**OPTIONS)
def narrow(dims, d, s, level, p, count, rows, ends, middle, radius, levels, copies, masks):
    """Begin a new level on a smaller cell: of the windows from the p-th on, those that its box decides are chosen."""
    mask, rest = levels.mask[level + 1], levels.rest[level + 1]
    for w in range(len(mask)):
        mask[w] = levels.mask[level, w]
    left = s * 0
    for q in range(p, count):
        first = levels.rest[level, q]
        end = ends[first]
        ranges(dims, d, rows, first, end, middle, radius, levels.least, levels.most)
        if candidates(s, first, end, levels, copies, masks) == 1:
            choose(mask, first, end, levels.found[0])
        else:
            rest[left] = first
            left += 1
    levels.rest_range[level + 1, 0] = 0
    levels.rest_range[level + 1, 1] = left


@njit(**OPTIONS)
def enter_windows(dims, d, s, level, new, rows, size, ends, middle, radius, listed, count, levels, copies, masks):
    """Begin a stage on a cell: a new one is filtered, of one that was given back the undecided windows are listed."""
    if new:
        count = filter_windows(dims, d, s, level, rows, size, ends, middle, radius, levels, copies, masks)
    else:
        for i in range(count):
            levels.rest[level, i] = listed[i]
    levels.rest_range[level, 0] = 0
    levels.rest_range[level, 1] = count


@njit(**OPTIONS)
def gather_differences(dims, d, rows, unit, partner, count, forms, tolerance, length):
    """The rows of ``unit`` minus those of ``partner``, with the error bounds of both."""
    for i in range(count):
        u, v = unit[i], partner[i]
        slope, size = 0.0, 0.0
        for k in range(len(dims) if len(dims) > 0 else d):
            forms[k, i] = rows[k, u] - rows[k, v]
            slope += abs(forms[k, i])
            size += abs(rows[k, u]) + abs(rows[k, v])
        forms[d, i] = rows[d, u] - rows[d, v]
        size += abs(rows[d, u]) + abs(rows[d, v])
        length[i] = slope * 1.0001
        tolerance[i] = (rows[d + 1, u] + rows[d + 1, v] + DOT_ROUNDING * size) * 1.0001 + 1e-300


@njit(**OPTIONS)
def difference_signs(dims, d, s, level, rows, count, central, cell, v0, nv, cells, levels, query, address):
    """Three-valued signs on a cell of the level's units minus their partners, as words; see :func:`at_vertices`."""
    forms, tolerance, length = levels.forms[level], levels.tolerance[level], levels.length[level]
    unit, partner = levels.unit[level], levels.partner[level]
    gather_differences(dims, d, rows, unit, partner, count, forms, tolerance, length)
    return at_vertices(
        dims, d, forms, tolerance, length, count, unit, s * 0, partner, central, cell, v0, nv, cells.X, cells.disp,
        levels.S, levels.N, level, s, address, query.head, query.doubts,
    )  # fmt: skip


@njit(**OPTIONS)
def undominated(dims, d, s, level, cell, v0, nv, rows, found, count, central, cells, levels, query, address):
    """Drop the candidates that the first one dominates on the cell, and the first where another dominates it; −1: undecided."""
    unit, partner = levels.unit[level], levels.partner[level]
    reference, kept, beaten = found[0], 0, False
    for start in range(1, count, 64):
        m = smaller(64, count - start)
        for i in range(m):
            unit[i] = found[start + i]
            partner[i] = reference
        plus, minus, done = difference_signs(dims, d, s, level, rows, m, central, cell, v0, nv, cells, levels, query, address)
        if not done:
            return -1
        query.counters[1] += nv * m
        for i in range(m):
            above, below = plus >> np.uint64(i) & ONE, minus >> np.uint64(i) & ONE
            if above != ZERO or (below == ZERO and unit[i] < reference):
                beaten = beaten or below == ZERO
                levels.kept[kept] = unit[i]
                kept += 1
    if not beaten:
        levels.kept[kept] = reference
        kept += 1
    for i in range(kept):
        found[i] = levels.kept[i]
    return kept


@njit(**OPTIONS)
def clip(dims, d, s, level, e, piece, found, count, rows, central, cells, levels, query, address, children, sizes):
    """Clip the cell of stack entry e to where ``piece`` is the largest candidate; status as :func:`split`, −1: empty."""
    forms, tolerance, length = levels.forms[level], levels.tolerance[level], levels.length[level]
    unit, partner = levels.unit[level], levels.partner[level]
    row = cells.stack[e]
    at = s * 0
    while at < count:
        m = s * 0
        while at < count and m < 64:
            if found[at] != piece:
                unit[m] = piece
                partner[m] = found[at]
                m += 1
            at += 1
        plus, minus, done = difference_signs(
            dims, d, s, level, rows, m, central, cells.list, row[V0], row[NV], cells, levels, query, address
        )
        if not done:
            return 2
        query.counters[1] += row[NV] * m
        for i in range(m):
            above, below = plus >> np.uint64(i) & ONE, minus >> np.uint64(i) & ONE
            if above == ZERO and (below != ZERO or partner[i] < piece):
                return -1
            if above == ZERO or below == ZERO:
                continue
            rest = full_word(m) & ~full_word(i + 1)
            status, plus, minus, _, _ = split(
                dims,
                d,
                e,
                i,
                rest,
                forms,
                tolerance,
                length,
                unit,
                partner,
                levels.S,
                levels.N,
                level,
                cells,
                query,
                address,
                children,
                sizes,
            )
            if status:
                return status
            query.counters[2] += 1
            row[V0], row[NV], row[VFREE], row[TOP] = children[0], children[1], children[4], children[5]
            row[PLANES], row[SLOT0], row[SLOTS], row[SFREE] = children[6], children[7], children[8], children[9]
    return 0


@njit(**OPTIONS)
def copy_entry(cells, source, target):
    """Copy a stack entry."""
    for k in range(cells.stack.shape[1]):
        cells.stack[target, k] = cells.stack[source, k]


@njit(**OPTIONS)
def part(
    dims, d, s, e, level, p, rows, ends, middle, radius, copies, masks, central, cells, levels, query, address, children, sizes
):
    """Replace stack entry e, a cell whose p-th undecided window comes next, by its parts; returns (status, new height)."""
    first = levels.rest[level, p]
    row = cells.stack[e]
    found, current = levels.found, masks[s]
    ranges(dims, d, rows, first, ends[first], middle, radius, levels.least, levels.most)
    count = candidates(s, first, ends[first], levels, copies, masks)
    if count > 1:
        count = undominated(
            dims, d, s, level, cells.list, row[V0], row[NV], rows, found, count, central, cells, levels, query, address
        )
        if count < 0:
            return 2, e
    if count == 1:
        cells.mixed[e] = np.uint64(p + 1)
        cells.chosen[e] = np.uint64(found[0] + 1)
        return 0, e + 1
    for i in range(count):  # the part where the last cell was comes first: it is pushed last
        u = found[i]
        if current[u >> 6] >> np.uint64(u & 63) & ONE:
            found[i], found[count - 1] = found[count - 1], u
            break
    # a spare entry holds the whole cell; its stacks begin behind those of the parts so far
    base = len(cells.stack) - 1
    if e + count + 4 > base:
        return 1, e
    copy_entry(cells, e, base)
    top = e
    for i in range(count):
        copy_entry(cells, base, top)
        status = clip(
            dims, d, s, level, top, found[i], found, count, rows, central, cells, levels, query, address, children, sizes
        )
        if status > 0:
            return status, e
        if status == 0:
            cells.mixed[top] = np.uint64(p + 1) | (SMALLER if levels.rest_range[level, 1] - p > FEW else ZERO)
            cells.chosen[top] = np.uint64(found[i] + 1)
            for column in (VFREE, TOP, PLANES, SFREE):
                cells.stack[base, column] = cells.stack[top, column]
            top += 1
    return 0, top
