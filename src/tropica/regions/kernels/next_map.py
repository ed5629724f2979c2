"""The next stage's map of a cell: rank-one terms of the units that changed since the last cell, or a whole product."""

from __future__ import annotations

import numpy as np
from numba import njit

from tropica.regions.kernels.bits import OPTIONS, ctz, larger
from tropica.regions.kernels.maps import (
    MAX_UPDATES,
    UNIT_ROUNDOFF,
    add_patch,
    add_patches,
    add_products,
    add_supported,
    add_term,
    clear_support,
    distance,
    full_map,
    pass_support,
    passed_on,
    unit_row,
    updated,
)
from tropica.regions.kernels.signs import DOT_ROUNDING, ONE, ZERO


@njit(**OPTIONS)
def pass_vector(s, f, words, size, next_size, net, maps):
    """What a dense vector of stage s becomes behind it; returns whether it is in the cache, and its error."""
    low, step, place, index, single = net.low[s], net.step[s], net.place[s], maps.columns, maps.single
    weight, offset = net.weight, net.offset[s + 1]
    current, vector, j = maps.mask[s], maps.vector[s, f], maps.vector_unit[s, f]
    if j < 0:
        passed_on(
            words, size, next_size, place, low, step, current, vector, weight, offset, maps.vector[s + 1, f], index, single
        )
        return (
            net.row_sum[s + 1] * (maps.vector_size[s, f, 1] + (size + 16) * UNIT_ROUNDOFF * maps.vector_size[s, f, 0]) * 1.0001
        )
    start = net.cached[s] + j * next_size
    o = maps.cache[start : start + next_size]
    old = maps.cache_mask[s, j]
    columns = maps.cache_columns[s, j]
    if columns >= 0 and columns < MAX_UPDATES and 2 * distance(current, old, words) < size:
        columns += updated(words, next_size, place, step, current, old, vector, weight, offset, o, index, single)
    else:
        passed_on(words, size, next_size, place, low, step, current, vector, weight, offset, o, index, single)
        columns = 0
    maps.cache_columns[s, j] = columns
    for w in range(words):
        old[w] = current[w]
    return (size + 2 * columns + 16) * UNIT_ROUNDOFF * net.column[s, j]


@njit(**OPTIONS)
def pass_terms(dims, d, s, terms, size, next_size, words, out, onward, net, sparse, maps):
    """Add what the terms of stage s become behind it; hand them on."""
    for f in range(terms):
        j = maps.vector_unit[s, f]
        coefficient = maps.coefficient[s, f]
        target = maps.vector[s + 1, f]
        supported = False
        if sparse is not None:  # noqa: SIM102 - numba leaves this out where it is None
            if maps.support_size[s, f] >= 0 or sparse.flag[s + 1]:
                supported = True
                error = pass_support(s, f, next_size, net, sparse, maps, maps.mask[s])
                for k in range(d + 2):
                    maps.coefficient[s + 1, f, k] = coefficient[k]
                largest = add_supported(dims, d, out, maps, s + 1, f, next_size, coefficient[d + 1], error)
        if not supported:
            error = pass_vector(s, f, words, size, next_size, net, maps)
            o = target
            if j >= 0:
                start = net.cached[s] + j * next_size
                o = maps.cache[start : start + next_size]
            largest = add_term(dims, d, out, next_size, o, coefficient, coefficient[d + 1], error)
            if onward:
                maps.support_size[s + 1, f] = -1
                if j >= 0:
                    for i in range(next_size):
                        target[i] = o[i]
        if onward:
            maps.vector_unit[s + 1, f] = -1
            maps.vector_size[s + 1, f, 0] = largest  # pyright: ignore[reportPossiblyUnboundVariable]
            maps.vector_size[s + 1, f, 1] = error  # pyright: ignore[reportPossiblyUnboundVariable]
            for k in range(d + 2):
                maps.coefficient[s + 1, f, k] = coefficient[k]


@njit(**OPTIONS)
def changed_columns(dims, d, words, rows, mask, current, step, place, index, factor):
    """The columns of the units that changed, with their rows; units of one window that change places are one column."""
    count = words * 0
    for w in range(words):
        changed = mask[w] ^ current[w]
        while changed != ZERO:
            u = w * 64 + ctz(changed)
            changed &= changed - ONE
            slope = step[u] if mask[w] >> np.uint64(u & 63) & ONE else -step[u]
            unit_row(dims, d, rows, u, slope, DOT_ROUNDING, factor, count)
            if count > 0 and index[count - 1] == place[u]:
                for k in range(d + 2):
                    factor[count - 1, k] += factor[count, k]
            else:
                index[count] = place[u]
                count += 1
    return count


@njit(**OPTIONS)
def begin_terms(s, terms, count, d, next_size, net, sparse, maps):
    """The columns that changed as terms of the next stage."""
    offset = net.offset[s + 1]
    for p in range(count):
        f = terms + p
        patch = False
        if sparse is not None:  # noqa: SIM102 - numba leaves this out where it is None
            if sparse.flag[s + 1]:
                patch = True
                clear_support(maps, s + 1, f, next_size)
                add_patch(maps, s + 1, f, sparse, sparse.first[s + 1], maps.columns[p], 1.0)
                maps.vector_unit[s + 1, f] = -1
                largest = 0.0
                for q in range(maps.support_size[s + 1, f]):
                    largest = larger(largest, abs(maps.vector[s + 1, f, maps.support[s + 1, f, q]]))
                maps.vector_size[s + 1, f, 0] = largest
                maps.vector_size[s + 1, f, 1] = 2 * UNIT_ROUNDOFF * largest + 1e-300
        if not patch:
            start = offset + maps.columns[p] * next_size
            for i in range(next_size):
                maps.vector[s + 1, f, i] = net.weight[start + i]
            maps.vector_unit[s + 1, f] = maps.columns[p]
            maps.support_size[s + 1, f] = -1
        for k in range(d + 2):
            maps.coefficient[s + 1, f, k] = maps.factor[p, k]


@njit(**OPTIONS)
def next_map(dims, d, s, stages, size, next_size, words, rows, out, mask, net, sparse, maps):
    """Bring the map behind stage s to the mask: by rank-one terms, or as a whole."""
    low, step, place, index, factor = net.low[s], net.step[s], net.place[s], maps.columns, maps.factor
    weight, offset = net.weight, net.offset[s + 1]
    current = maps.mask[s]
    flips = distance(mask, current, words)
    terms, most = maps.terms[s], 40
    uncached = terms > 0 and net.cached[s + 1] == net.cached[s]
    crowded = flips > 24 and terms > 0
    if sparse is not None:
        uncached = uncached and not sparse.flag[s]
        if sparse.flag[s + 1]:
            most = 200
            crowded = False
    if maps.fresh[s] or uncached or flips > most or crowded or maps.age[s] + flips + terms > MAX_UPDATES:
        full_map(
            dims, d, s, rows, mask, size, place, low, step, out, next_size, weight, offset, sparse, net.bias[s + 1],
            index, factor,
        )  # fmt: skip
        maps.age[s] = 0
        maps.fresh[s] = 0
        maps.fresh[s + 1] = 1
        maps.terms[s + 1] = 0
    else:
        onward = s + 1 < stages and terms + flips <= maps.vector.shape[1]
        pass_terms(dims, d, s, terms, size, next_size, words, out, onward, net, sparse, maps)
        count = changed_columns(dims, d, words, rows, mask, current, step, place, index, factor)
        patches = False
        if sparse is not None:  # noqa: SIM102 - numba leaves this out where it is None
            if sparse.flag[s + 1]:
                patches = True
                add_patches(dims, d, out, sparse, sparse.first[s + 1], index, factor, count)
        if not patches:
            add_products(dims, d, out, next_size, weight, offset, next_size, index, factor, count)
        if s + 1 < stages:
            if onward:
                begin_terms(s, terms, count, d, next_size, net, sparse, maps)
                maps.terms[s + 1] = terms + count
            else:
                maps.fresh[s + 1] = 1
                maps.terms[s + 1] = 0
        maps.age[s] += terms + count
    maps.terms[s] = 0
    for w in range(words):
        current[w] = mask[w]
