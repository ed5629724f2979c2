"""Signs of determinants of exact points: in float64 with a proven error bound, in integers where the bound does not settle it.

**The bound.** A coordinate a is seen as fl(a), |fl(a) − a| ≤ u|a|, u = 2⁻⁵³; a difference of two is off by at most 3uM with
M = |a| + |b| (by u|a − b| where the column is exact in float64). A k × k determinant of such differences, expanded by rows,
is a sum of k! products, and each product goes through at most k(k + 1)/2 roundings; so it is off by at most
(3.1k + 1.01·k(k + 1)/2)·u·perm(M) < (4k + k²)·u·perm(M), the permanent being evaluated alike (relative error below 1/100).
"""

from __future__ import annotations

import math

import numpy as np

from tropica.exact.determinants import bareiss, cofactors, determinants, permanents

UNIT = 2.0**-53
BLOCK = 1 << 20
"""Minors that are held at once: 8 MB in float64, and some ten times that of exact integers."""
LARGEST = 9
"""Matrices up to this size are expanded (2ᵏ minors); larger ones go to Bareiss' elimination at once."""


class Points:
    """Integer points with their float64 images.

    Args:
        columns: k + 1 integer arrays (n,), int64 or object: coordinates, and heights last.
    """

    def __init__(self, columns: list[np.ndarray]) -> None:
        self.n = len(columns[0])
        self.width = len(columns)
        shifted = [_centerd(c) for c in columns]
        bits = [max((int(c.max(initial=0)) | int(-c.min(initial=0))).bit_length(), 1) for c in shifted]
        self._reach = [b + 1 for b in bits]  # of differences
        exact = [b <= 53 for b in bits]
        self.exact = np.array(exact)
        self.floats = np.stack([_as_float(c, b) for c, b in zip(shifted, bits, strict=True)], 1)
        whole = all(c.dtype != object for c in shifted)
        self.whole = np.stack(shifted, 1) if whole else _stacked(shifted)

    def _small(self, size: int) -> bool:
        """Do determinants over the first columns fit in int64, with all their partial sums?"""
        total = sum(self._reach[:size]) + math.log2(math.factorial(size))
        return self.whole.dtype != object and total < 62

    def orientation(self, simplices: np.ndarray, size: int) -> np.ndarray:
        """The signs (B,) of det(p₁ − p₀, …, p_k − p₀) over the first ``size`` = k columns, for rows (p₀, …, p_k) of indices."""
        out = np.empty(len(simplices), np.int8)
        step = max(1, BLOCK >> size)
        for start in range(0, len(simplices), step):
            out[start : start + step] = self._signs(simplices[start : start + step], size)
        return out

    def _signs(self, simplices: np.ndarray, size: int) -> np.ndarray:
        if size == 0:
            return np.ones(len(simplices), np.int8)
        if self._small(size):
            return np.sign(determinants(self._differences(self.whole, simplices, size))).astype(np.int8)
        if size > LARGEST:
            return self.exact_signs(simplices, size)
        d = self._differences(self.floats, simplices, size)
        value = determinants(d)
        bound = (4 * size + size * size) * UNIT * permanents(self._sizes(d, simplices, size))
        sign = np.sign(value).astype(np.int8)
        # not (a > b), rather than a <= b: NaN is unsettled too
        unsettled = np.flatnonzero(~((np.abs(value) > bound) | (bound == 0)))
        if len(unsettled):
            sign[unsettled] = self.exact_signs(simplices[unsettled], size)
        return sign

    def exact_signs(self, simplices: np.ndarray, size: int) -> np.ndarray:
        """As :meth:`orientation`, in integers."""
        d = self._differences(self.whole, simplices, size).astype(object)
        return _object_signs(determinants(d) if size <= LARGEST else bareiss(d))

    def sides(self, ridges: np.ndarray, points: np.ndarray) -> np.ndarray:
        """The side of each ridge (B, k) of k points on which each point (V,) lies: signs (B, V) of det over k columns.

        Ridges' own points give 0. Memory: some 40 bytes a pair.
        """
        size = ridges.shape[1]
        own = (ridges[:, :, None] == points[None, None, :]).any(1)
        if size > LARGEST:
            sign, unsettled = np.zeros(own.shape, np.int8), ~own
        else:
            d = self._differences(self.floats, ridges, size)  # (B, k − 1, k)
            normals, sizes = cofactors(d, signed=True), cofactors(self._sizes(d, ridges, size), signed=False)
            q, r0 = self.floats[points, :size], self.floats[ridges[:, 0], :size]
            rough = ~self.exact[:size]
            n, m = normals[:, rough], sizes[:, rough]
            value = n @ q[:, rough].T - (n * r0[:, rough]).sum(1)[:, None]
            least = _least(size)  # a coordinate may be 0 only in float64
            reach = m @ np.maximum(np.abs(q[:, rough]), least).T + (m * np.abs(r0[:, rough])).sum(1)[:, None]
            for c in np.flatnonzero(~rough):  # columns in which a point and a ridge may have one coordinate
                apart = q[:, c][None, :] - r0[:, c][:, None]
                value += normals[:, c][:, None] * apart
                reach += sizes[:, c][:, None] * np.abs(apart)
            # cofactors of k − 1 rows, then 2k products and sums of them: below 4(k + 1) + (k + 1)² + 2k roundings
            bound = (4 * (size + 1) + (size + 1) ** 2 + 2 * size) * UNIT * reach
            sign = np.sign(value).astype(np.int8)
            unsettled = ~((np.abs(value) > bound) | (bound == 0)) & ~own
            sign[own] = 0
        b, v = np.nonzero(unsettled)
        if len(b):
            sign[b, v] = self.orientation(np.concatenate([ridges[b], points[v][:, None]], 1), size)
        return sign

    @staticmethod
    def _differences(values: np.ndarray, simplices: np.ndarray, size: int) -> np.ndarray:
        corners = values[simplices, :size] if size < values.shape[1] else values[simplices]
        return corners[:, 1:] - corners[:, :1]

    def _sizes(self, differences: np.ndarray, simplices: np.ndarray, size: int) -> np.ndarray:
        """M: what the error of each difference is measured by; never so small that products of them underflow, and 0 only
        where the difference is."""
        corners = np.abs(self.floats[simplices, :size])
        exact = self.exact[:size]
        sizes = np.where(exact, np.abs(differences), corners[:, 1:] + corners[:, :1])
        return np.where(exact & (sizes == 0), 0, np.maximum(sizes, _least(size)))


def _least(size: int) -> float:
    """So small a number that it counts for nothing, though products of ``size`` such numbers do not underflow."""
    return 2.0 ** -(900 // (size + 1))


def _centerd(column: np.ndarray) -> np.ndarray:
    if not len(column):
        return column
    return column - (int(column.min()) + int(column.max())) // 2


def _stacked(columns: list[np.ndarray]) -> np.ndarray:
    out = np.empty((len(columns[0]), len(columns)), dtype=object)
    for i, c in enumerate(columns):
        out[:, i] = c.astype(object)
    return out


def _as_float(column: np.ndarray, bits: int) -> np.ndarray:
    """Rounded to nearest; where float64 does not have them, scaled by a power of two so that the largest is at most 1."""
    if bits <= 53:
        return column.astype(np.float64)
    if column.dtype != object:
        return np.ldexp(column.astype(np.float64), -bits)
    scale = 1 << bits
    return np.array([c / scale for c in column.tolist()])


def spread_out(x: np.ndarray) -> list[int]:
    """The first of some points (n, k) and k more, each the farthest from the flat through those before; fewer in a flat."""
    left = x - x[:1]
    chosen = [0]
    for _ in range(x.shape[1]):
        lengths = (left * left).sum(1)
        far = int(lengths.argmax())
        if lengths[far] == 0:
            break
        chosen.append(far)
        axis = left[far] / np.sqrt(lengths[far])
        left = left - (left @ axis)[:, None] * axis
    return chosen


def _object_signs(values: np.ndarray) -> np.ndarray:
    return (values > 0).astype(np.int8) - (values < 0).astype(np.int8)
