"""Rows that are copies of earlier units, followed back through the sign vector: what is 0 or equal on a whole cell is found
without arithmetic. With a relu in front of a max-pool whole windows are 0."""

from __future__ import annotations

import numpy as np
from numba import njit

from tropica.regions.kernels.bits import OPTIONS, smaller
from tropica.regions.kernels.signs import ONE, ZERO

NO_COPY, ALWAYS_ZERO = -1, -2
"""In place of the column that a row is: it is another combination of columns; it is 0."""
NOWHERE = -1
"""The origin of a row that is 0 under the sign vector."""


@njit(**OPTIONS)
def is_set(mask, u):
    """Whether a unit's bit is set."""
    return (mask[u >> 6] >> np.uint64(u & 63) & ONE) != ZERO


@njit(**OPTIONS)
def origin(copies, s, u, masks):
    """The unit, as stage · width + number, whose row is row u of stage s under the sign vector; NOWHERE if this is 0."""
    stage, unit = s, u
    while True:
        column = copies.column[stage, unit]
        if column == ALWAYS_ZERO:
            return s * 0 + NOWHERE
        if column == NO_COPY:
            break
        before, mask = stage - 1, masks[stage - 1]
        v = copies.first[before, column]
        for w in range(v, copies.ends[before, v]):  # of a window the unit that is chosen
            if is_set(mask, w):
                v = w
        slope = copies.low[before, v]
        if is_set(mask, v):
            if slope != 0.0 and copies.step[before, v] != 0.0:  # their sum may be rounded
                break
            slope += copies.step[before, v]
        if slope == 0.0:
            return s * 0 + NOWHERE
        if slope != 1.0:
            break
        stage, unit = before, v
    return stage * copies.column.shape[1] + unit


@njit(**OPTIONS)
def drop_zeros(copies, s, listed, count, masks):
    """Drop the listed units that are 0 on the cell, whose sign is 0; returns the number of the others."""
    left = s * 0
    for i in range(count):
        if origin(copies, s, listed[i], masks) != NOWHERE:
            listed[left] = listed[i]
            left += 1
    return left


@njit(**OPTIONS)
def drop_equals(copies, s, found, count, origins, masks):
    """Of the listed units of a window that have one origin keep the first of the window; returns the number of the others."""
    left = s * 0
    for i in range(count):
        own, same = origin(copies, s, found[i], masks), left
        for j in range(left):
            if origins[j] == own:
                same = j
        if same < left:
            found[same] = smaller(found[same], found[i])
        else:
            found[left], origins[left] = found[i], own
            left += 1
    return left
