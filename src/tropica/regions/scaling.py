"""The kernels' arrays of a chain: every row divided by a power of two so that its bound over |t| ≤ 1 is about 1.

A row's bound holds for every sign vector. Dividing a unit by 2^k and multiplying its column by 2^k changes no sign, so layers
of size 1e±300 are ordinary.
"""

from __future__ import annotations

import math

import numpy as np

from tropica.exact.rational_arrays import RationalArray
from tropica.regions.chain import Chain
from tropica.regions.kernels.arrays import NetworkArrays
from tropica.regions.kernels.maps import UNIT

_CACHE_LIMIT = 1 << 23
"""Entries of the cached vectors of one stage; a stage with more gets whole products instead of passed-on terms."""


def mantissas(array: RationalArray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers as m · 2^e with ½ ≤ |m| < 1, m rounded to the nearest float64; zeros have m = 0."""
    numerators = array.numerators
    if numerators.dtype != object and array.denominator.bit_count() == 1:  # int64 to float64 rounds to nearest
        m, e = np.frexp(numerators.astype(np.float64))
        return m, e.astype(np.int64) - (array.denominator.bit_length() - 1)
    flat = [_mantissa(int(n), array.denominator) for n in numerators.ravel().tolist()]
    m = np.array([x[0] for x in flat], dtype=np.float64).reshape(numerators.shape)
    e = np.array([x[1] for x in flat], dtype=np.int64).reshape(numerators.shape)
    return m, e


def _mantissa(numerator: int, denominator: int) -> tuple[float, int]:
    if numerator == 0:
        return 0.0, 0
    shift = abs(numerator).bit_length() - denominator.bit_length()
    value = numerator / (denominator << shift) if shift >= 0 else (numerator << -shift) / denominator
    m, e = math.frexp(value)
    return m, e + shift


def _scaled(m: np.ndarray, e: np.ndarray) -> np.ndarray:
    """m · 2^e with underflow to 0 where the exponent is out of reach."""
    return np.ldexp(m, np.clip(e, -1200, 1000).astype(np.int32))


def scaled_network(chain: Chain) -> tuple[NetworkArrays, np.ndarray]:
    """Arrays of a chain for the kernels, and the exponents (outputs,) by which the output rows were divided."""
    d, stages = chain.dimension, (*chain.stages, chain.output)
    L = len(chain.stages)
    size = np.array([s.size for s in stages], np.int64)
    width = max(64, -(-int(size.max()) // 64) * 64)
    first, bias = np.zeros((d + 2, width)), np.zeros((L + 1, width))
    low, step = np.zeros((L + 1, width)), np.zeros((L + 1, width))
    weights: list[np.ndarray] = []
    bound, exponent = np.ones(d), np.zeros(d, np.int64)
    for s, stage in enumerate(stages):
        n = stage.size
        m, e = mantissas(stage.weight)
        bm, be = mantissas(stage.bias)
        e = e + exponent[None, :]
        top = np.maximum(np.where(m != 0, e, -(2**40)).max(1, initial=-(2**40)), np.where(bm != 0, be, -(2**40)))
        top = np.where(top == -(2**40), 0, top)
        total = (np.abs(_scaled(m, e - top[:, None])) * bound[None, :]).sum(1) + np.abs(_scaled(bm, be - top))
        exponent_next = top + np.frexp(total)[1]
        if stage.windows is not None:  # the rows of a window are compared: one power for all
            own = stage.windows >= 0
            largest = np.full(int(stage.windows.max()) + 1, -(2**40))
            np.maximum.at(largest, stage.windows[own & (total > 0)], exponent_next[own & (total > 0)])
            exponent_next[own] = np.where(largest == -(2**40), 0, largest)[stage.windows[own]]
        weight = _scaled(m, e - exponent_next[:, None])
        constant = _scaled(bm, be - exponent_next)
        slope = np.maximum(np.abs(stage.low), np.abs(stage.high))
        value = np.abs(weight) @ bound + np.abs(constant)
        if s == 0:
            first[:d, :n], first[d, :n] = weight.T, constant
            # nearest floats: 2⁻⁵³ of each; entries that underflowed
            first[d + 1, :n] = 2 * UNIT * value + (d + 2) * 2.0**-1074
        else:
            weights.append(np.ascontiguousarray(weight.T))
            bias[s, :n] = constant
        low[s, :n], step[s, :n] = stage.low, stage.high - stage.low
        bound, exponent = value * np.where(slope > 0, slope, 1.0), exponent_next
    offset = np.concatenate([[0, 0], np.cumsum([w.size for w in weights])]).astype(np.int64)[: L + 1]
    tested = np.zeros((max(L, 1), width // 64), np.uint64)
    for s, stage in enumerate(chain.stages):
        for u in np.flatnonzero(stage.low != stage.high).tolist():
            tested[s, u >> 6] |= np.uint64(1 << (u & 63))
    ends, windowed = np.zeros((max(L, 1), width), np.int64), np.zeros(max(L, 1), np.int64)
    for s, stage in enumerate(chain.stages):
        if stage.windows is not None:
            windowed[s] = 1
            first_units = np.flatnonzero((np.diff(stage.windows, prepend=-2) != 0) & (stage.windows >= 0))
            ends[s, first_units] = first_units + np.bincount(stage.windows[stage.windows >= 0])
    zero = np.logical_and.accumulate([not (s.bias.numerators != 0).any() for s in chain.stages] or [False])
    central = zero.astype(np.int64)
    row_sum, column, cached = _norms(chain, weights, width)
    arrays = NetworkArrays(
        (0,) * d if d in (2, 3) and not windowed.any() else (),
        d,
        size,
        first,
        np.concatenate([w.ravel() for w in weights]),
        offset,
        bias,
        low,
        step,
        tested,
        row_sum,
        column,
        cached,
        ends,
        windowed,
        central,
    )
    return arrays, exponent


def _norms(chain: Chain, weights: list[np.ndarray], width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bounds of rank-one terms: absolute row sums of each stage, and of stage s + 1 times the columns of s; cache starts."""
    L = len(chain.stages)
    row_sum, column, cached = np.zeros(L + 1), np.zeros((L + 1, width)), np.zeros(L + 2, np.int64)
    slopes = [np.maximum(np.abs(s.low), np.abs(s.high)) for s in chain.stages]
    for s in range(1, L + 1):
        row_sum[s] = (np.abs(weights[s - 1]) * slopes[s - 1][:, None]).sum(0).max(initial=0) * 1.0001
        cached[s + 1] = cached[s]
        if s < L:
            largest = (np.abs(weights[s - 1]) * slopes[s][None, :]).max(1, initial=0)  # of each unit of s − 1
            sums = np.abs(weights[s]).sum(0).max(initial=0)
            column[s, : len(largest)] = largest * sums * 1.0001
            entries = weights[s - 1].shape[0] * weights[s].shape[1]
            cached[s + 1] += entries if entries <= _CACHE_LIMIT else 0
    return row_sum, column, cached
