"""The kernels' arrays of a chain: every row divided by a power of two so that its bound over |t| ≤ 1 is about 1.

A row's bound holds for every sign vector. Dividing a unit by 2^k and multiplying its column by 2^k changes no sign, so layers
of size 1e±300 are ordinary.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csc_array, csr_array

from tropica.regions.engine.chain import Chain, ChainStage
from tropica.regions.kernels.arrays import Copies, NetworkArrays, SparseColumns
from tropica.regions.kernels.copies import ALWAYS_ZERO, NO_COPY
from tropica.regions.kernels.maps import UNIT_ROUNDOFF
from tropica.regions.lower.mantissas import mantissas

_CACHE_LIMIT = 1 << 23
"""Entries of the cached vectors of one stage; a stage with more gets whole products instead of passed-on terms."""
_SPARSE = 0.25
"""A matrix with a smaller share of nonzero entries is kept as sparse columns."""
SMALL = 4096
"""The largest number of entries of a matrix that is held dense."""
_NONE = -(2**40)


def scaled_network(chain: Chain, small: int = SMALL) -> tuple[NetworkArrays, np.ndarray]:
    """Arrays of a chain for the kernels, and the exponents (outputs,) by which the output rows were divided.

    Args:
        chain: the exact stages.
        small: entries up to which a matrix is dense.
    """
    d, stages = chain.dimension, (*chain.stages, chain.output)
    L = len(chain.stages)
    size = np.array([s.size for s in stages], np.int64)
    width = max(64, -(-int(size.max()) // 64) * 64)
    first, bias = np.zeros((d + 2, width)), np.zeros((L + 1, width))
    low, step = np.zeros((L + 1, width)), np.zeros((L + 1, width))
    place = np.zeros((L + 1, width), np.int64)
    weights: list[Any] = []
    bound, exponent = np.ones(d), np.zeros(d, np.int64)
    for s, stage in enumerate(stages):
        n = stage.size
        weight, constant, value, exponent = _scaled(stage, bound, exponent)
        if s == 0:
            first[:d, :n], first[d, :n] = weight.toarray().T, constant
            # nearest floats: 2⁻⁵³ of each; entries that underflowed
            first[d + 1, :n] = 2 * UNIT_ROUNDOFF * value + (d + 2) * 2.0**-1074
        else:
            weights.append(weight)
            bias[s, :n] = constant
        low[s, :n], step[s, :n] = stage.low, stage.high - stage.low
        slope = np.maximum(np.abs(stage.low), np.abs(stage.high))
        unit = value * np.where(slope > 0, slope, 1.0)
        if s < L:
            place[s, :n] = stage.output
            bound = np.zeros(stage.outputs)
            np.maximum.at(bound, stage.output, unit)
            exponent = exponent[_firsts(stage)]
    tested = np.zeros((max(L, 1), width // 64), np.uint64)
    for s, stage in enumerate(chain.stages):
        units = np.flatnonzero(stage.low != stage.high).astype(np.uint64)
        np.bitwise_or.at(tested[s], units >> np.uint64(6), np.uint64(1) << (units & np.uint64(63)))
    ends, windowed = np.zeros((max(L, 1), width), np.int64), np.zeros(max(L, 1), np.int64)
    for s, stage in enumerate(chain.stages):
        if stage.windows is not None:
            windowed[s] = 1
            own = _firsts(stage)
            ending = np.append(own[1:], stage.size)
            ends[s, own[stage.windows[own] >= 0]] = ending[stage.windows[own] >= 0]
    zero = np.logical_and.accumulate([not (s.bias.numerators != 0).any() for s in chain.stages] or [False])
    central = zero.astype(np.int64)
    flat, offset, sparse = _laid_out(weights, small)
    sparse = _no_columns(L) if sparse is None and windowed.any() else sparse
    row_sum, column, cached = _norms(chain, weights, np.zeros(L + 1) if sparse is None else sparse.flag, width)
    arrays = NetworkArrays(
        (0,) * d if d == 2 or (d == 3 and sparse is None) else (),
        d,
        size,
        first,
        flat,
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
        place,
        sparse,
        None if sparse is None else _copies(chain, ends, low, step),
    )
    return arrays, exponent


def _copies(chain: Chain, ends: np.ndarray, low: np.ndarray, step: np.ndarray) -> Copies:
    """The rows that are one output of the stage before, exactly, or 0."""
    column, first = np.full(low.shape, NO_COPY), np.zeros(ends.shape, np.int64)
    for s, stage in enumerate((*chain.stages, chain.output)):
        alone = stage.bias.numerators == 0
        column[s, : stage.size] = np.where(alone & stage.weight.zero_rows, ALWAYS_ZERO, NO_COPY)
        if s:
            copied = stage.weight.unit_rows
            column[s, : stage.size] = np.where(alone & (copied >= 0), copied, column[s, : stage.size])
        if s < len(chain.stages):
            first[s, : stage.outputs] = _firsts(stage)
    return Copies(column, first, ends, low, step)


def _firsts(stage: ChainStage) -> np.ndarray:
    """The first unit of each output."""
    return np.flatnonzero(np.diff(stage.output, prepend=-1))


def _scaled(stage: ChainStage, bound: np.ndarray, exponent: np.ndarray) -> tuple[csr_array, np.ndarray, np.ndarray, np.ndarray]:
    """Weights and constants over powers of two, the rows' bounds, and the powers' exponents."""
    m, e = stage.weight.mantissas
    bm, be = mantissas(stage.bias)
    row, column = stage.weight.row_of, stage.weight.columns
    e = np.where(m != 0, e + exponent[column], _NONE)
    top = np.where(bm != 0, be, _NONE)
    np.maximum.at(top, row, e)
    top = np.where(top == _NONE, 0, top)
    total = np.abs(_floats(bm, be - top))
    total += np.bincount(row, np.abs(_floats(m, e - top[row])) * bound[column], minlength=stage.size)
    power = top + np.frexp(total)[1]
    if stage.windows is not None:  # the rows of a window are compared: one power for all
        largest = np.full(stage.outputs, _NONE)
        np.maximum.at(largest, stage.output[total > 0], power[total > 0])
        power = np.where(largest == _NONE, 0, largest)[stage.output]
    values = _floats(m, e - power[row])
    weight = csr_array((values, column, stage.weight.starts), shape=(stage.size, stage.weight.width))
    constant = _floats(bm, be - power)
    return weight, constant, abs(weight) @ bound + np.abs(constant), power


def _floats(m: np.ndarray, e: np.ndarray) -> np.ndarray:
    """m · 2^e with underflow to 0 where the exponent is out of reach."""
    return np.ldexp(m, np.clip(e, -1200, 1000).astype(np.int32))


def _laid_out(weights: list[Any], small: int) -> tuple[np.ndarray, np.ndarray, SparseColumns | None]:
    """The columns of each matrix one after the other; those of sparse ones apart."""
    L = len(weights)
    flags = np.array([w.nnz < _SPARSE * w.shape[0] * w.shape[1] and w.shape[0] * w.shape[1] > small for w in weights], bool)
    dense = [np.zeros(0) if f else w.toarray().T.ravel() for w, f in zip(weights, flags, strict=True)]
    offset = np.concatenate([[0, 0], np.cumsum([w.size for w in dense])]).astype(np.int64)[: L + 1]
    flat = np.concatenate(dense)
    if not flags.any():
        return flat, offset, None
    found = _no_columns(L)
    starts, rows, values = [], [], []
    at, begin = 0, 0
    for s, (weight, flag) in enumerate(zip(weights, flags, strict=True)):
        if flag:
            columns = csc_array(weight)
            found.flag[s + 1], found.first[s + 1] = 1, begin
            found.terms[s + 1] = np.diff(weight.indptr).max(initial=0)
            starts.append(columns.indptr.astype(np.int64) + at)
            rows.append(columns.indices.astype(np.int32))
            values.append(columns.data)
            at, begin = at + columns.nnz, begin + len(columns.indptr)
    return flat, offset, found._replace(start=np.concatenate(starts), row=np.concatenate(rows), value=np.concatenate(values))


def _no_columns(L: int) -> SparseColumns:
    one, two, three = (np.zeros(n, np.int64) for n in (L + 1, L + 1, 1))
    return SparseColumns(one, two, three, np.zeros(0, np.int32), np.zeros(0), np.zeros(L + 1, np.int64))


def _norms(chain: Chain, weights: list[Any], sparse: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bounds of rank-one terms: absolute row sums of each stage, and of stage s + 1 times the columns of s; cache starts."""
    L = len(chain.stages)
    row_sum, column, cached = np.zeros(L + 1), np.zeros((L + 1, width)), np.zeros(L + 2, np.int64)
    slopes = [np.maximum(np.abs(s.low), np.abs(s.high)) for s in chain.stages]
    for s in range(1, L + 1):
        before, weight = chain.stages[s - 1], abs(weights[s - 1])
        largest = np.zeros(before.outputs)
        np.maximum.at(largest, before.output, slopes[s - 1])
        row_sum[s] = (weight @ largest).max(initial=0) * 1.0001
        cached[s + 1] = cached[s]
        if s < L:
            bent = csc_array(weight * slopes[s][:, None])
            largest = bent.max(axis=0).toarray().ravel() if bent.nnz else np.zeros(before.outputs)
            sums = abs(weights[s]).sum(1).max(initial=0)
            column[s, : len(largest)] = largest * sums * 1.0001
            entries = before.outputs * weights[s].shape[0]
            cached[s + 1] += entries if entries <= _CACHE_LIMIT and not sparse[s] and not sparse[s + 1] else 0
    return row_sum, column, cached
