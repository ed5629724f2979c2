"""The next stage's map of a cell: rank-one terms of the units that changed since the last cell, or a whole product."""

from __future__ import annotations

import numpy as np
from numba import njit

from tropica.regions.kernels.bits import OPTIONS, ctz
from tropica.regions.kernels.maps import (
    MAX_TERMS,
    MAX_UPDATES,
    UNIT,
    add_products,
    add_term,
    distance,
    full_map,
    passed_on,
    unit_row,
    updated,
)
from tropica.regions.kernels.signs import ONE, ROUNDING, ZERO


@njit(**OPTIONS)
def next_map(dims, d, s, stages, size, next_size, words, rows, out, mask, net, maps):
    """Bring the map behind stage s to the mask: by rank-one terms, or as a whole."""
    low, step, index, factor, single = net.low[s], net.step[s], maps.columns, maps.factor, maps.single
    weight, offset = net.weight, net.offset[s + 1]
    current = maps.mask[s]
    flips = distance(mask, current, words)
    terms = maps.terms[s]
    uncached = terms > 0 and net.cached[s + 1] == net.cached[s]
    if maps.fresh[s] or uncached or flips > 40 or (flips > 24 and terms > 0) or maps.age[s] + flips + terms > MAX_UPDATES:
        full_map(dims, d, rows, mask, size, low, step, out, next_size, weight, offset, net.bias[s + 1], index, factor)
        maps.age[s] = 0
        maps.fresh[s] = 0
        maps.fresh[s + 1] = 1
        maps.terms[s + 1] = 0
    else:
        onward = s + 1 < stages and terms + flips <= MAX_TERMS
        for f in range(terms):
            j = maps.vector_unit[s, f]
            vector = maps.vector[s, f]
            if j >= 0:
                start = net.cached[s] + j * next_size
                o = maps.cache[start : start + next_size]
                old = maps.cache_mask[s, j]
                columns = maps.cache_columns[s, j]
                if columns >= 0 and columns < MAX_UPDATES and 2 * distance(current, old, words) < size:
                    columns += updated(words, next_size, step, current, old, vector, weight, offset, o, index, single)
                else:
                    passed_on(words, size, next_size, low, step, current, vector, weight, offset, o, index, single)
                    columns = 0
                maps.cache_columns[s, j] = columns
                for w in range(words):
                    old[w] = current[w]
                error = (size + 2 * columns + 16) * UNIT * net.column[s, j]
            else:
                o = maps.vector[s + 1, f]
                passed_on(words, size, next_size, low, step, current, vector, weight, offset, o, index, single)
                error = (
                    net.row_sum[s + 1] * (maps.vector_size[s, f, 1] + (size + 16) * UNIT * maps.vector_size[s, f, 0]) * 1.0001
                )
            coefficient = maps.coefficient[s, f]
            largest = add_term(dims, d, out, next_size, o, coefficient, coefficient[d + 1], error)
            if onward:
                target = maps.vector[s + 1, f]
                if j >= 0:
                    for i in range(next_size):
                        target[i] = o[i]
                maps.vector_unit[s + 1, f] = -1
                maps.vector_size[s + 1, f, 0] = largest
                maps.vector_size[s + 1, f, 1] = error
                for k in range(d + 2):
                    maps.coefficient[s + 1, f, k] = coefficient[k]
        count = terms * 0
        for w in range(words):
            changed = mask[w] ^ current[w]
            while changed != ZERO:
                u = w * 64 + ctz(changed)
                changed &= changed - ONE
                index[count] = u
                slope = step[u] if mask[w] >> np.uint64(u & 63) & ONE else -step[u]
                unit_row(dims, d, rows, u, slope, ROUNDING, factor, count)
                count += 1
        add_products(dims, d, out, next_size, weight, offset, next_size, index, factor, count)
        if s + 1 < stages:
            if onward:
                for p in range(count):
                    f = terms + p
                    start = offset + index[p] * next_size
                    for i in range(next_size):
                        maps.vector[s + 1, f, i] = weight[start + i]
                    maps.vector_unit[s + 1, f] = index[p]
                    for k in range(d + 2):
                        maps.coefficient[s + 1, f, k] = factor[p, k]
                maps.terms[s + 1] = terms + count
            else:
                maps.fresh[s + 1] = 1
                maps.terms[s + 1] = 0
        maps.age[s] += terms + count
    maps.terms[s] = 0
    for w in range(words):
        current[w] = mask[w]
