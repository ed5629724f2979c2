"""Signs of determinants of exact points: in float64 with a proven error bound, in integers where the bound does not decide.

**The bound.** A coordinate a is rounded to fl(a), |fl(a) − a| ≤ u|a|, u = 2⁻⁵³; a difference a − b has error at most 3uM with
M = |a| + |b| (by u|a − b| where the column is exact in float64). A k × k determinant of such differences, expanded by rows,
is a sum of k! products, and each product goes through at most k(k + 1)/2 roundings; so its error is at most
(3.1k + 1.01·k(k + 1)/2)·u·perm(M) < (4k + k²)·u·perm(M), with the permanent evaluated in the same way
(relative error below 1/100).
"""

from __future__ import annotations

import math

import numpy as np

from tropica.exact.determinants import bareiss, cofactors, determinants, permanents
from tropica.exact.dyadic import MANTISSA_BITS
from tropica.polyhedra.integer_rows import stack_columns

UNIT_ROUNDOFF = 2.0**-MANTISSA_BITS
BLOCK = 1 << 20
"""Minors held in memory at once: 8 MB in float64, about ten times as much in exact integers."""
MAX_EXPANDED = 9
"""Largest size k of a determinant that is expanded (2ᵏ minors); larger ones use Bareiss elimination."""


class IntegerPoints:
    """Integer points with their float64 images.

    Args:
        columns: k + 1 integer arrays (n,), int64 or object: coordinates, and heights last.
    """

    def __init__(self, columns: list[np.ndarray]) -> None:
        self.n = len(columns[0])
        self.width = len(columns)
        centered = [_centered(c) for c in columns]
        bits = [max((int(c.max(initial=0)) | int(-c.min(initial=0))).bit_length(), 1) for c in centered]
        self._difference_bits = [b + 1 for b in bits]
        self._is_exact = np.array([b <= MANTISSA_BITS for b in bits])
        self.integers = stack_columns(centered, self.n)
        """(n, k + 1) the integers, each column shifted by a constant."""
        self.floats = np.stack([_as_float(c, b) for c, b in zip(centered, bits, strict=True)], 1)
        """(n, k + 1) the integers, rounded; each column may be scaled by a power of two."""

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
        if self._fits_int64(size):
            return np.sign(determinants(_differences(self.integers, simplices, size))).astype(np.int8)
        if size > MAX_EXPANDED:
            return self._exact_signs(simplices, size)
        d = _differences(self.floats, simplices, size)
        value = determinants(d)
        bound = (4 * size + size * size) * UNIT_ROUNDOFF * permanents(self._magnitudes(d, simplices, size))
        sign = np.sign(value).astype(np.int8)
        unsettled = np.flatnonzero(_unsettled(value, bound))
        if len(unsettled):
            sign[unsettled] = self._exact_signs(simplices[unsettled], size)
        return sign

    def _fits_int64(self, size: int) -> bool:
        """Whether determinants over the first columns, and all their partial sums, fit in int64."""
        total = sum(self._difference_bits[:size]) + math.log2(math.factorial(size))
        return self.integers.dtype != object and total < 62

    def _exact_signs(self, simplices: np.ndarray, size: int) -> np.ndarray:
        """The signs of :meth:`orientation`, in integers."""
        d = _differences(self.integers, simplices, size).astype(object)
        values = determinants(d) if size <= MAX_EXPANDED else bareiss(d)
        return (values > 0).astype(np.int8) - (values < 0).astype(np.int8)

    def sides(self, ridges: np.ndarray, points: np.ndarray) -> np.ndarray:
        """The side of each ridge (B, k) on which each point (V,) lies: signs (B, V) of determinants over k columns.

        The points of a ridge give 0. Memory: about 40 bytes per pair.
        """
        size = ridges.shape[1]
        own = (ridges[:, :, None] == points[None, None, :]).any(1)
        if size > MAX_EXPANDED:
            sign, unsettled = np.zeros(own.shape, np.int8), ~own
        else:
            value, bound = self._values_at(ridges, points)
            sign = np.where(own, 0, np.sign(value)).astype(np.int8)
            unsettled = _unsettled(value, bound) & ~own
        b, v = np.nonzero(unsettled)
        if len(b):
            sign[b, v] = self.orientation(np.concatenate([ridges[b], points[v][:, None]], 1), size)
        return sign

    def _values_at(self, ridges: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The determinants (B, V) of :meth:`sides` in float64, and bounds on their errors."""
        size = ridges.shape[1]
        d = _differences(self.floats, ridges, size)  # (B, k − 1, k)
        normals, sizes = cofactors(d, signed=True), cofactors(self._magnitudes(d, ridges, size), signed=False)
        q, r0 = self.floats[points, :size], self.floats[ridges[:, 0], :size]
        rounded = ~self._is_exact[:size]
        n, m = normals[:, rounded], sizes[:, rounded]
        value = n @ q[:, rounded].T - (n * r0[:, rounded]).sum(1)[:, None]
        least = _negligible(size)  # a nonzero coordinate may round to 0
        reach = m @ np.maximum(np.abs(q[:, rounded]), least).T + (m * np.abs(r0[:, rounded])).sum(1)[:, None]
        for c in np.flatnonzero(~rounded):  # exact columns, in which a difference may be 0
            apart = q[:, c][None, :] - r0[:, c][:, None]
            value += normals[:, c][:, None] * apart
            reach += sizes[:, c][:, None] * np.abs(apart)
        # cofactors of k − 1 rows, then 2k products and sums of them: fewer than 4(k + 1) + (k + 1)² + 2k roundings
        return value, (4 * (size + 1) + (size + 1) ** 2 + 2 * size) * UNIT_ROUNDOFF * reach

    def _magnitudes(self, differences: np.ndarray, simplices: np.ndarray, size: int) -> np.ndarray:
        """The magnitudes M in the error bound of the differences.

        M is 0 only where the difference is 0, and otherwise so large that products of its entries do not underflow.
        """
        corners = np.abs(self.floats[simplices, :size])
        exact = self._is_exact[:size]
        sizes = np.where(exact, np.abs(differences), corners[:, 1:] + corners[:, :1])
        return np.where(exact & (sizes == 0), 0, np.maximum(sizes, _negligible(size)))


def _unsettled(value: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """Whether an error bound does not determine the sign of a value; NaN is unsettled too."""
    return ~((np.abs(value) > bound) | (bound == 0))


def _differences(values: np.ndarray, simplices: np.ndarray, size: int) -> np.ndarray:
    corners = values[simplices, :size] if size < values.shape[1] else values[simplices]
    return corners[:, 1:] - corners[:, :1]


def _negligible(size: int) -> float:
    """A negligible magnitude whose products of ``size`` factors do not underflow."""
    return 2.0 ** -(900 // (size + 1))


def _centered(column: np.ndarray) -> np.ndarray:
    return column - (int(column.min()) + int(column.max())) // 2 if len(column) else column


def _as_float(column: np.ndarray, bits: int) -> np.ndarray:
    """Integers rounded to float64; integers of more than 53 bits are scaled by a power of two to at most 1."""
    if bits <= MANTISSA_BITS:
        return column.astype(np.float64)
    if column.dtype != object:
        return np.ldexp(column.astype(np.float64), -bits)
    scale = 1 << bits
    return np.array([c / scale for c in column.tolist()])


def spread_out(x: np.ndarray) -> list[int]:
    """The indices of the first of points (n, k) and of up to k more, each farthest from the affine hull of the previous ones.

    Fewer are found where all points lie in an affine subspace.
    """
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
