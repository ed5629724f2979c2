"""Writing a finished cell."""

from __future__ import annotations

import numpy as np
from numba import njit

from tropica.regions.kernels.bits import OPTIONS
from tropica.regions.kernels.signs import DOT_ROUNDING, ONE, ZERO
from tropica.regions.kernels.volume import volume


@njit(**OPTIONS)
def is_facet(d, sets, words, v0, nv, slot):
    """Whether a hyperplane holds a facet of the cell: d vertices or more, and no other hyperplane holds more of them."""
    w, u = slot >> 6, np.uint64(slot & 63)
    on = 0
    for j in range(v0, v0 + nv):
        on += np.int64(sets[j, w] >> u & ONE)
    if on < d:
        return False
    if d <= 3:
        return True
    for x in range(words):
        common = ~ZERO
        for j in range(v0, v0 + nv):
            if sets[j, w] >> u & ONE:
                common &= sets[j, x]
        if x == w:
            common &= ~(ONE << u)
        if common != ZERO:
            return False
    return True


@njit(**OPTIONS)
def write_corners(d, i, cells, v0, nv, s0, ns, output):
    """Vertices, facets and incidences of cell i; False where there is no place."""
    lists, sets, words = cells.list, cells.sets, cells.sets.shape[1]
    at, fat = output.vertex_start[i], output.facet_start[i]
    if at + nv > len(output.vertices) or fat + ns > len(output.facets):
        return False
    for j in range(nv):
        a = lists[v0 + j]
        for k in range(d):
            output.vertices[at + j, k] = cells.X[a, k]
        output.disp[at + j] = cells.disp[a]
        for w in range(words):
            output.sets[at + j, w] = ZERO
    facets = 0
    for slot in range(ns):
        if cells.slots[s0 + slot] >= 0 and is_facet(d, sets, words, v0, nv, slot):
            w, u = slot >> 6, np.uint64(slot & 63)
            plane = cells.slots[s0 + slot]
            output.facets[fat + facets, 0] = cells.plane_unit[plane, 0]
            output.facets[fat + facets, 1] = cells.plane_unit[plane, 1]
            output.facets[fat + facets, 2] = cells.plane_unit[plane, 2]
            for j in range(nv):
                if sets[v0 + j, w] >> u & ONE:
                    output.sets[at + j, facets >> 6] |= ONE << np.uint64(facets & 63)
            facets += 1
    output.vertex_start[i + 1] = at + nv
    output.facet_start[i + 1] = fat + facets
    return True


@njit(**OPTIONS)
def write_cell(d, i, stages, size, cells, v0, nv, s0, ns, maps, output, query):
    """Write cell i; False where there is no place for it."""
    want = output.want
    if want[3] and not write_corners(d, i, cells, v0, nv, s0, ns, output):
        return False
    if want[0]:
        at = 0
        for s in range(stages):
            for w in range((size[s] + 63) // 64):
                output.signs[i, at] = maps.mask[s, w]
                at += 1
    if want[1]:
        output.volume[i] = volume(
            d, cells.X, cells.list, cells.sets, cells.sets.shape[1], v0, nv, query.apexes, query.table, query.faces
        )
    if want[2]:
        rows = maps.rows[stages]
        for j in range(size[stages]):
            total = 0.0
            for k in range(d + 1):
                output.maps[i, j, k] = rows[k, j]
                total += abs(rows[k, j])
            output.maps[i, j, d + 1] = rows[d + 1, j] + DOT_ROUNDING * total
    return True
