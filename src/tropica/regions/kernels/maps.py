"""The next stage's map, from the sign vector alone: products, or rank-one terms for the units that changed."""

from __future__ import annotations

import numpy as np
from numba import njit

from tropica.regions.kernels.bits import ENTRY, OPTIONS, ctz, larger, popcount
from tropica.regions.kernels.signs import DOT_ROUNDING, ONE, UNIT_ROUNDOFF

MAX_TERMS = 8
"""The largest number of rank-one terms of a map that are passed on to the next; with more, the map is a full product."""
MAX_SPARSE_TERMS = 24
"""The same where matrices have sparse columns."""
MAX_UPDATES = 256
"""The number of rank-one terms after which a map is computed afresh."""


@njit(**OPTIONS)
def add_products(dims, d, out, size, weight, offset, stride, index, factor, count):
    """out[k] += Σ_p factor[p, k] · row(index[p]) for the slopes and the constant; the error bound with absolute rows."""
    p = count * 0
    while p + 3 <= count:  # three at a time: the sums are read and written once
        s0, s1, s2 = offset + index[p] * stride, offset + index[p + 1] * stride, offset + index[p + 2] * stride
        w0, w1, w2 = weight[s0 : s0 + size], weight[s1 : s1 + size], weight[s2 : s2 + size]
        for k in range(len(dims) + 1 if len(dims) > 0 else d + 1):
            c0, c1, c2 = factor[p, k], factor[p + 1, k], factor[p + 2, k]
            line = out[k]
            for i in range(size):
                line[i] += c0 * w0[i] + c1 * w1[i] + c2 * w2[i]
        c0, c1, c2 = factor[p, d + 1], factor[p + 1, d + 1], factor[p + 2, d + 1]
        line = out[d + 1]
        for i in range(size):
            line[i] += c0 * abs(w0[i]) + c1 * abs(w1[i]) + c2 * abs(w2[i])
        p += 3
    while p < count:
        start = offset + index[p] * stride
        row = weight[start : start + size]
        for k in range(len(dims) + 1 if len(dims) > 0 else d + 1):
            c = factor[p, k]
            line = out[k]
            for i in range(size):
                line[i] += c * row[i]
        c = factor[p, d + 1]
        line = out[d + 1]
        for i in range(size):
            line[i] += c * abs(row[i])
        p += 1


@njit(**OPTIONS)
def combine(out, size, weight, offset, stride, index, factor, count):
    """out += Σ_p factor[p] · row(index[p])."""
    p = count * 0
    while p + 4 <= count:
        s0, s1, s2, s3 = (
            offset + index[p] * stride,
            offset + index[p + 1] * stride,
            offset + index[p + 2] * stride,
            offset + index[p + 3] * stride,
        )
        w0, w1, w2, w3 = weight[s0 : s0 + size], weight[s1 : s1 + size], weight[s2 : s2 + size], weight[s3 : s3 + size]
        c0, c1, c2, c3 = factor[p], factor[p + 1], factor[p + 2], factor[p + 3]
        for i in range(size):
            out[i] += c0 * w0[i] + c1 * w1[i] + c2 * w2[i] + c3 * w3[i]
        p += 4
    while p < count:
        start = offset + index[p] * stride
        w0, c0 = weight[start : start + size], factor[p]
        for i in range(size):
            out[i] += c0 * w0[i]
        p += 1


@njit(**OPTIONS)
def unit_row(dims, d, rows, u, scale, relative, factor, p):
    """Row u times ``scale`` as factors of a product; in the last place its error bound and rounding."""
    total = 0.0
    for k in range(len(dims) + 1 if len(dims) > 0 else d + 1):
        factor[p, k] = scale * rows[k, u]
        total += abs(rows[k, u])
    factor[p, d + 1] = abs(scale) * (rows[d + 1, u] + relative * total) * 1.0001 + 1e-300


@njit(**OPTIONS)
def add_patches(dims, d, out, columns, first, index, factor, count):
    """:func:`add_products` where columns are sparse."""
    for p in range(count):
        begin, end = columns.start[first + index[p]], columns.start[first + index[p] + 1]
        for k in range(len(dims) + 1 if len(dims) > 0 else d + 1):
            c, line = factor[p, k], out[k]
            for q in range(begin, end):
                line[columns.row[q]] += c * columns.value[q]
        c, line = factor[p, d + 1], out[d + 1]
        for q in range(begin, end):
            line[columns.row[q]] += c * abs(columns.value[q])


@njit(**ENTRY)
def full_map(dims, d, s, rows, mask, size, place, low, step, out, next_size, weight, offset, sparse, bias, index, factor):
    """The whole map behind stage s."""
    summed = size
    if sparse is not None:  # noqa: SIM102 - numba leaves this out where it is None
        if sparse.flag[s + 1]:
            summed = sparse.terms[s + 1]
    relative = (summed + 16) * UNIT_ROUNDOFF
    count = size * 0
    for u in range(size):
        slope = low[u] + (step[u] if mask[u >> 6] >> np.uint64(u & 63) & ONE else 0.0)
        if slope != 0.0:
            index[count] = place[u]
            unit_row(dims, d, rows, u, slope, relative, factor, count)
            count += 1
    for k in range(len(dims) if len(dims) > 0 else d):
        for i in range(next_size):
            out[k, i] = 0.0
    for i in range(next_size):
        out[d, i] = bias[i]
        out[d + 1, i] = relative * abs(bias[i]) + 1e-300
    if sparse is not None:  # noqa: SIM102 - numba leaves this out where it is None
        if sparse.flag[s + 1]:
            add_patches(dims, d, out, sparse, sparse.first[s + 1], index, factor, count)
            return
    add_products(dims, d, out, next_size, weight, offset, next_size, index, factor, count)


@njit(**OPTIONS)
def passed_on(words, size, next_size, place, low, step, mask, vector, weight, offset, out, index, factor):
    """out = W diag(slopes of the mask) vector, afresh; returns the number of columns."""
    count = size * 0
    for u in range(size):
        slope = low[u] + (step[u] if mask[u >> 6] >> np.uint64(u & 63) & ONE else 0.0)
        if slope != 0.0:
            index[count] = place[u]
            factor[count] = slope * vector[u]
            count += 1
    for i in range(next_size):
        out[i] = 0.0
    combine(out, next_size, weight, offset, next_size, index, factor, count)
    return count


@njit(**OPTIONS)
def updated(words, next_size, place, step, mask, old, vector, weight, offset, out, index, factor):
    """Bring out = W diag(slopes of old) vector to the slopes of the mask; returns the number of columns."""
    count = words * 0
    for w in range(words):
        changed = mask[w] ^ old[w]
        while changed:
            u = w * 64 + ctz(changed)
            changed &= changed - ONE
            index[count] = place[u]
            factor[count] = step[u] * vector[u] if mask[w] >> np.uint64(u & 63) & ONE else -step[u] * vector[u]
            count += 1
    combine(out, next_size, weight, offset, next_size, index, factor, count)
    return count


@njit(**OPTIONS)
def distance(a, b, words):
    """How many bits differ."""
    total = 0
    for w in range(words):
        total += popcount(a[w] ^ b[w])
    return total


@njit(**OPTIONS)
def add_term(dims, d, out, next_size, vector, coefficient, error, vector_error):
    """out += vector ⊗ coefficient; ``error`` bounds the coefficients' error over the domain, ``vector_error`` the vector's."""
    total = 0.0
    for k in range(len(dims) + 1 if len(dims) > 0 else d + 1):
        c = coefficient[k]
        total += abs(c)
        line = out[k]
        for i in range(next_size):
            line[i] += c * vector[i]
    scale, shift = error + DOT_ROUNDING * total, total * vector_error * 1.0001 + 1e-300
    line, largest = out[d + 1], 0.0
    for i in range(next_size):
        line[i] += scale * abs(vector[i]) + shift
        largest = larger(largest, abs(vector[i]))
    return largest


@njit(**OPTIONS)
def clear_support(maps, s, f, size):
    """Set a vector to 0 where it is not, and begin a new sum."""
    vector, count = maps.vector[s, f], maps.support_size[s, f]
    for q in range(size if count < 0 else count):
        vector[q if count < 0 else maps.support[s, f, q]] = 0.0
    maps.support_size[s, f] = 0
    maps.mark[-1] += 1


@njit(**OPTIONS)
def add_patch(maps, s, f, columns, first, j, c):
    """Add c times a sparse column to a vector."""
    vector, support, stamp = maps.vector[s, f], maps.support[s, f], maps.mark[-1]
    count = maps.support_size[s, f]
    for q in range(columns.start[first + j], columns.start[first + j + 1]):
        i = columns.row[q]
        if maps.mark[i] != stamp:
            maps.mark[i] = stamp
            support[count] = i
            count += 1
        vector[i] += c * columns.value[q]
    maps.support_size[s, f] = count


@njit(**OPTIONS)
def pass_support(s, f, next_size, net, sparse, maps, mask):
    """Vector f of stage s + 1 = W diag(slopes of the mask) vector f of stage s, by the rows where that is not 0; its error."""
    vector, low, step, place = maps.vector[s, f], net.low[s], net.step[s], net.place[s]
    size = net.size[s]
    listed = maps.support_size[s, f]
    patches = sparse.flag[s + 1] != 0
    out = maps.vector[s + 1, f]
    if patches:
        clear_support(maps, s + 1, f, next_size)
    else:
        maps.support_size[s + 1, f] = -1
        for i in range(next_size):
            out[i] = 0.0
    count = size * 0
    for q in range(size if listed < 0 else listed):
        u = np.int64(q if listed < 0 else maps.support[s, f, q])
        slope = low[u] + (step[u] if mask[u >> 6] >> np.uint64(u & 63) & ONE else 0.0)
        c = slope * vector[u]
        if c != 0.0:
            if patches:
                add_patch(maps, s + 1, f, sparse, sparse.first[s + 1], place[u], c)
            else:
                maps.columns[count] = place[u]
                maps.single[count] = c
                count += 1
    if not patches:
        combine(out, next_size, net.weight, net.offset[s + 1], next_size, maps.columns, maps.single, count)
    summed = size if listed < 0 else listed
    return net.row_sum[s + 1] * (maps.vector_size[s, f, 1] + (summed + 16) * UNIT_ROUNDOFF * maps.vector_size[s, f, 0]) * 1.0001


@njit(**OPTIONS)
def add_supported(dims, d, out, maps, s, f, size, error, vector_error):
    """:func:`add_term` with vector f of stage s, over the rows where it is not 0; ``vector_error`` is of these rows."""
    vector, coefficient, listed = maps.vector[s, f], maps.coefficient[s, f], maps.support_size[s, f]
    if listed < 0:
        return add_term(dims, d, out, size, vector, coefficient, error, vector_error)
    total, largest = 0.0, 0.0
    for k in range(len(dims) + 1 if len(dims) > 0 else d + 1):
        c = coefficient[k]
        total += abs(c)
        line = out[k]
        for q in range(listed):
            i = maps.support[s, f, q]
            line[i] += c * vector[i]
    scale, shift = error + DOT_ROUNDING * total, total * vector_error * 1.0001 + 1e-300
    line = out[d + 1]
    for q in range(listed):
        i = maps.support[s, f, q]
        line[i] += scale * abs(vector[i]) + shift
        largest = larger(largest, abs(vector[i]))
    return largest
