"""The search: filter, decide, cut, next map, depth first over the stages of a network."""

from __future__ import annotations

import numpy as np
from numba import njit

from tropica.regions.kernels.bits import ENTRY, OPTIONS, ctz, larger, smaller
from tropica.regions.kernels.copies import drop_zeros
from tropica.regions.kernels.cut import LEVEL, NV, PLANES, SFREE, SLOT0, SLOTS, STAGE, TOP, V0, VFREE, split
from tropica.regions.kernels.next_map import next_map
from tropica.regions.kernels.output import write_cell
from tropica.regions.kernels.signs import DOT_ROUNDING, ONE, ZERO, at_vertices, ball, full_word, gather
from tropica.regions.kernels.windows import SMALLER, choose, enter_windows, narrow, part

DONE, GIVEN_BACK, TOO_SMALL, UNDECIDED, TOO_MANY_FACETS = range(5)
"""How a search ends: nothing left; subtrees left on the stack; a stack too small; the caller gave up; more facets than bits."""


@njit(**OPTIONS)
def box_of(dims, d, X, disp, lists, v0, nv, middle, radius):
    """The box around a cell, widened by its vertices' displacement and by rounding."""
    most = 0.0
    for j in range(v0, v0 + nv):
        most = larger(most, disp[lists[j]])
    for k in range(len(dims) if len(dims) > 0 else d):
        lo = hi = X[lists[v0], k]
        for j in range(v0 + 1, v0 + nv):
            lo, hi = smaller(lo, X[lists[j], k]), larger(hi, X[lists[j], k])
        middle[k] = 0.5 * (lo + hi)
        radius[k] = (0.5 * (hi - lo) + most) * 1.0001 + 2 * DOT_ROUNDING


@njit(**OPTIONS)
def group_signs(dims, d, s, level, rows, units, start, count, central, v0, nv, cells, levels, query, address):
    """Three-valued signs of up to 64 listed units on a cell, as words of the level's group; see :func:`at_vertices`."""
    forms, tolerance, length = levels.forms[level], levels.tolerance[level], levels.length[level]
    gather(dims, d, rows, units, start, count, forms, tolerance, length)
    return at_vertices(
        dims, d, forms, tolerance, length, count, units, start, levels.none, central, cells.list, v0, nv, cells.X, cells.disp,
        levels.S, levels.N, level, s, address, query.head, query.doubts,
    )  # fmt: skip


@njit(**OPTIONS)
def group(dims, d, s, level, v0, nv, rows, units, count, central, cells, levels, maps, query, address):
    """Three-valued signs of the listed units; returns the word of the first 64 mixed ones, and whether all were decided.

    Units with one strict sign go into the level's mask, further mixed ones into its rest.
    """
    unit = levels.unit[level]
    mask, rest = levels.mask[level], levels.rest[level]
    single, found = count <= 64, 0
    mixed = ZERO
    for start in range(0, count, 64):
        m = smaller(64, count - start)
        plus, minus, done = group_signs(
            dims, d, s, level, rows, units, start, m, central, v0, nv, cells, levels, query, address
        )
        if not done:
            return ZERO, False
        query.counters[1] += nv * m
        both, positive = plus & minus, plus & ~minus
        while positive != ZERO:
            u = units[start + ctz(positive)]
            positive &= positive - ONE
            mask[u >> 6] |= ONE << np.uint64(u & 63)
        if single:
            mixed = both
            for i in range(m):
                unit[i] = units[i]
        else:
            while both != ZERO:
                rest[found] = units[start + ctz(both)]
                found += 1
                both &= both - ONE
    taken = 0
    if not single:
        taken = smaller(64, found)
        for i in range(taken):
            unit[i] = rest[i]
        if taken:
            plus, minus, done = group_signs(
                dims, d, s, level, rows, rest, s * 0, taken, central, v0, nv, cells, levels, query, address
            )
            if not done:
                return ZERO, False
            mixed = full_word(taken)
    levels.rest_range[level, 0] = taken
    levels.rest_range[level, 1] = found - taken if not single else 0
    # begin where the last cell was
    latest, open_ = ZERO, mixed
    while open_ != ZERO:
        i = ctz(open_)
        open_ &= open_ - ONE
        u = unit[i]
        if maps.mask[s, u >> 6] >> np.uint64(u & 63) & ONE:
            latest |= ONE << np.uint64(i)
            mask[u >> 6] |= ONE << np.uint64(u & 63)
    levels.latest[level] = latest
    return mixed, True


@njit(**OPTIONS)
def push(cells, e, level, s, v0, nv, free, top, plane, s0, ns, sfree, mixed, chosen):
    """Put a cell on the stack."""
    row = cells.stack[e]
    row[LEVEL], row[STAGE], row[V0], row[NV], row[VFREE] = level, s, v0, nv, free
    row[TOP], row[PLANES], row[SLOT0], row[SLOTS], row[SFREE] = top, plane, s0, ns, sfree
    cells.mixed[e] = mixed
    cells.chosen[e] = chosen


@njit(**ENTRY)
def search(net, ends, sparse, copies, start, units, cells, levels, maps, output, query, address, limit):
    """Enumerate the cells below one cell, up to about ``limit`` of them.

    Args:
        net: NetworkArrays.
        ends: (L, width) one past the last unit of each window at its first, 0 elsewhere; None where there are no
            windows and no sparse columns, which leaves less to compile.
        sparse, copies: SparseColumns and Copies, or None with ``ends``.
        start: (7,) stage, vertices, hyperplanes, slots, number of units to decide, level 0's mask is set; all units to filter.
        units: the undecided units of the first stage.
        cells, levels, maps, output, query: fresh arrays, the start's cell at the beginning of ``cells``.
        address: of the callback that decides doubtful signs.
        limit: the number of cells after which the search ends; the stack holds what is left.

    Returns:
        (status, number of cells, stack entries left).
    """
    dims, d, stages = net.dims, net.d, len(net.size) - 1
    counting = output.want[0] + output.want[1] + output.want[2] + output.want[3] == 0
    middle, radius, children, sizes = query.middle, query.radius, query.children, query.sizes
    nothing = start[0] * 0  # literals would have the kernels compiled twice
    found = e = level = v0 = s0 = nothing
    s, nv = start[0], start[1]
    free, top, plane, ns, sfree = nv, nv, start[2], start[3], start[3]
    kind, count, listed = 2, start[4], units
    while True:
        if kind:
            if level >= len(levels.mask):
                return TOO_SMALL, found, e
            rows = maps.rows[s]
            windowed, mixed, done = False, ZERO, True
            if kind == 1:
                box_of(dims, d, cells.X, cells.disp, cells.list, v0, nv, middle, radius)
                query.counters[0] += net.size[s]
            if ends is not None:  # noqa: SIM102 - numba leaves this out where ends is None
                if net.windowed[s]:
                    windowed = True
                    enter_windows(
                        dims,
                        d,
                        s,
                        level,
                        kind == 1,
                        rows,
                        net.size[s],
                        ends[s],
                        middle,
                        radius,
                        listed,
                        count,
                        levels,
                        copies,
                        maps.mask,
                    )
            if not windowed:
                if kind == 1:
                    listed = levels.undecided
                    count = ball(dims, d, rows, net.size[s], middle, radius, net.tested[s], levels.mask[level], listed)
                    if ends is not None:
                        count = drop_zeros(copies, s, listed, count, maps.mask)
                mixed, done = group(
                    dims, d, s, level, v0, nv, rows, listed, count, net.central[s], cells, levels, maps, query, address
                )
            if not done:
                return UNDECIDED, found, e
            if e + 1 > len(cells.stack):
                return TOO_SMALL, found, e
            push(cells, e, level, s, v0, nv, free, top, plane, s0, ns, sfree, mixed, ZERO)
            e += 1
            kind = 0
        if e == 0:
            return DONE, found, 0
        if found >= limit:
            return GIVEN_BACK, found, e
        row = cells.stack[e - 1]
        level, s = row[LEVEL], row[STAGE]
        mixed, chosen = cells.mixed[e - 1], cells.chosen[e - 1]
        windowed = False
        if ends is not None:  # noqa: SIM102 - as above
            if net.windowed[s]:
                windowed = True
                smaller_part = (mixed & SMALLER) != ZERO
                mixed &= ~SMALLER
                if chosen != ZERO:
                    first = levels.rest[level, np.int64(mixed) - 1]
                    choose(levels.mask[level], first, ends[s, first], np.int64(chosen) - 1)
                p = np.int64(mixed)
                if p < levels.rest_range[level, 1]:
                    box_of(dims, d, cells.X, cells.disp, cells.list, row[V0], row[NV], middle, radius)
                    if smaller_part:
                        if level + 2 > len(levels.mask):
                            return TOO_SMALL, found, e
                        narrow(
                            dims,
                            d,
                            s,
                            level,
                            p,
                            levels.rest_range[level, 1],
                            maps.rows[s],
                            ends[s],
                            middle,
                            radius,
                            levels,
                            copies,
                            maps.mask,
                        )
                        row[LEVEL], cells.mixed[e - 1], cells.chosen[e - 1] = level + 1, ZERO, ZERO
                        continue
                    status, e = part(
                        dims,
                        d,
                        s,
                        e - 1,
                        level,
                        p,
                        maps.rows[s],
                        ends[s],
                        middle,
                        radius,
                        copies,
                        maps.mask,
                        net.central[s],
                        cells,
                        levels,
                        query,
                        address,
                        children,
                        sizes,
                    )
                    if status:
                        return TOO_SMALL if status == 1 else (UNDECIDED if status == 2 else TOO_MANY_FACETS), found, e
                    continue
        if windowed or mixed == ZERO:
            e -= 1
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
            mask = levels.mask[level]
            if not windowed:
                changed = chosen ^ levels.latest[level]
                levels.latest[level] = chosen
                while changed != ZERO:
                    u = levels.unit[level, ctz(changed)]
                    changed &= changed - ONE
                    mask[u >> 6] ^= ONE << np.uint64(u & 63)
            if not windowed and levels.rest_range[level, 1] > 0:  # the units left of this stage
                level += 1
                first, count = levels.rest_range[level - 1, 0], levels.rest_range[level - 1, 1]
                listed = levels.rest[level - 1][first : first + count]
                for w in range(len(mask)):
                    levels.mask[level, w] = mask[w]
                kind = 2
                continue
            words = (net.size[s] + 63) // 64
            last = s == stages - 1
            if last and not output.want[2]:
                for w in range(words):
                    maps.mask[s, w] = mask[w]
            else:
                next_map(
                    dims,
                    d,
                    s,
                    stages,
                    net.size[s],
                    net.size[s + 1],
                    words,
                    maps.rows[s],
                    maps.rows[s + 1],
                    mask,
                    net,
                    sparse,
                    maps,
                )
            if last:
                if not write_cell(d, found, stages, net.size, cells, v0, nv, s0, ns, maps, output, query):
                    return (
                        GIVEN_BACK,
                        found,
                        push_back(cells, e, level, s, v0, nv, free, top, plane, s0, ns, sfree, mixed, chosen),
                    )
                found += 1
            else:
                s += 1
                level += 1
                kind = 1
            continue
        if counting and s == stages - 1 and mixed & (mixed - ONE) == ZERO and levels.rest_range[level, 1] == 0:
            found += 2  # both parts are cells, and nothing else is asked of them
            e -= 1
            continue
        # cut by the lowest mixed unit
        bit = ctz(mixed)
        one = ONE << np.uint64(bit)
        rest = mixed ^ one
        status, plus_a, minus_a, plus_b, minus_b = split(
            dims,
            d,
            e - 1,
            bit,
            rest,
            levels.forms[level],
            levels.tolerance[level],
            levels.length[level],
            levels.unit[level],
            levels.none,
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
            return TOO_SMALL if status == 1 else (UNDECIDED if status == 2 else TOO_MANY_FACETS), found, e
        query.counters[2] += 1
        e -= 1
        for second in range(2):  # pushed first: visited second
            if (second == 0) == ((levels.latest[level] & one) != ZERO):
                push(
                    cells,
                    e,
                    level,
                    s,
                    children[2],
                    children[3],
                    children[4],
                    children[5],
                    children[6],
                    children[7],
                    children[8],
                    children[9],
                    rest & plus_b & minus_b,
                    chosen | (rest & plus_b & ~minus_b),
                )
            else:
                push(
                    cells,
                    e,
                    level,
                    s,
                    children[0],
                    children[1],
                    children[4],
                    children[5],
                    children[6],
                    children[7],
                    children[8],
                    children[9],
                    rest & plus_a & minus_a,
                    chosen | one | (rest & plus_a & ~minus_a),
                )
            e += 1


@njit(**OPTIONS)
def push_back(cells, e, level, s, v0, nv, free, top, plane, s0, ns, sfree, mixed, chosen):
    """Put a finished cell back that had no place in the output; returns the new height of the stack."""
    push(cells, e, level, s, v0, nv, free, top, plane, s0, ns, sfree, mixed, chosen)
    return e + 1
