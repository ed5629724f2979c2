"""The linear relaxation of a node: a triangle at each unit that may bend. HiGHS solves it; its duals are the multipliers.

Where no unit may bend the relaxation is the problem itself.
"""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from tropica.queries.backward_bounds import BoxBounds, default_alpha, lines_of
from tropica.queries.multipliers import Multipliers, Objective
from tropica.queries.threshold_program import Layer, Program
from tropica.regions.lower.composed_affine import SOURCE_INPUT

PENALTY = 1e3
"""What a violated sign costs, relative to the size of the objective: a node without points has a large value."""


@dataclass(frozen=True, eq=False)
class Relaxed:
    """The multipliers (1, …) of a node, and the point (D,) where the relaxation attains its least value."""

    multipliers: Multipliers
    point: np.ndarray


def relaxed(program: Program, bounds: BoxBounds, objective: Objective, seconds: float) -> Relaxed | None:
    """The relaxation of one node (1, …); None where HiGHS finds no optimum in time.

    Variables are the inputs, the rows z, the units s that may bend, the objective t, and how far signs are violated.
    """
    d, units, count = program.inputs, program.units, len(objective.rows)
    width = d + 2 * units + 2
    low, high = (part[0] for part in bounds.joined())
    bends = np.concatenate([layer.bends for layer in program.layers]) if units else np.zeros(0, bool)
    mixed = np.flatnonzero((low < 0) & (high > 0) & bends)
    signs = np.zeros(units) if bounds.signs is None else np.concatenate(bounds.signs, 1)[0]
    fixed = np.flatnonzero(signs)
    sources = _sources(program, bounds, mixed, width)
    equal = [
        _placed(np.arange(layer.size), d + a, layer.size, width)
        for layer, a in zip(program.layers, program.starts[:-1], strict=True)
    ]
    equal = [e - _read(layer, sources) for e, layer in zip(equal, program.layers, strict=True)]
    target = sparse.csr_array(objective.rows) @ _read(program.output, sources)
    target = target - _placed(np.full(count, 0), width - 2, count, width)
    shift = objective.rows @ program.output.bias - objective.offsets
    triangles, right = _triangles(program, bounds, mixed, width)
    cut = sparse.csr_array((-signs[fixed], (np.arange(len(fixed)), d + fixed)), shape=(len(fixed), width))
    cut = cut - _placed(np.full(len(fixed), 0), width - 1, len(fixed), width)
    cost = np.zeros(width)
    cost[width - 2], cost[width - 1] = 1.0, PENALTY * (1.0 + float(np.abs(shift).max(initial=0)))
    ends = np.full((width, 2), [-np.inf, np.inf])
    ends[:d] = np.stack([bounds.lo[0], bounds.hi[0]], 1)
    ends[width - 1, 0] = 0.0
    result = linprog(
        cost,
        A_ub=sparse.vstack([target, triangles, cut]).tocsr(),
        b_ub=np.concatenate([-shift, right, np.zeros(len(fixed))]),
        A_eq=sparse.vstack(equal).tocsr() if equal else None,
        b_eq=np.concatenate([layer.bias for layer in program.layers]) if equal else None,
        bounds=ends,
        method="highs",
        options={"time_limit": max(seconds, 0.01)},
    )
    if result.status != 0 or result.x is None:
        return None
    duals = np.maximum(-result.ineqlin.marginals, 0)
    one, two = duals[count : count + len(mixed)], duals[count + len(mixed) : count + 2 * len(mixed)]
    alpha, beta = default_alpha(low, high), np.zeros(units)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = two / (one + two)
    alpha[mixed] = np.where(np.isfinite(share), share, alpha[mixed])
    beta[fixed] = duals[count + 3 * len(mixed) :]
    return Relaxed(Multipliers(alpha[None], beta[None], duals[None, :count]), result.x[:d])


def _placed(row_offset: np.ndarray, column: int, count: int, width: int) -> sparse.csr_array:
    """Ones at (i, column + offset_i)."""
    return sparse.csr_array((np.ones(count), (np.arange(count), column + row_offset)), shape=(count, width))


def _sources(program: Program, bounds: BoxBounds, mixed: np.ndarray, width: int) -> dict[int, sparse.csr_array]:
    """What each source is in the variables: a row z times its slope, or a unit s of its own."""
    d, units = program.inputs, program.units
    found = {SOURCE_INPUT: _placed(np.arange(d), 0, d, width)}
    bend = np.zeros(units, bool)
    bend[mixed] = True
    for k, (layer, first) in enumerate(zip(program.layers, program.starts[:-1].tolist(), strict=True)):
        number = first + np.arange(layer.size)
        slope = np.where(bounds.low[k][0] >= 0, layer.high, layer.low)
        own = bend[number]
        column, data = np.where(own, d + units + number, d + number), np.where(own, 1.0, slope)
        found[k] = sparse.csr_array((data, (np.arange(layer.size), column)), shape=(layer.size, width))
    return found


def _read(layer: Layer, sources: dict[int, sparse.csr_array]) -> sparse.csr_array:
    """Σ W_k s_k in the variables."""
    parts = [sparse.csr_array(w) @ sources[k] for k, w in layer.weights.items()]
    width = next(iter(sources.values())).shape[1]  # pyright: ignore[reportOptionalSubscript]
    return functools.reduce(operator.add, parts, sparse.csr_array((layer.size, width)))


def _triangles(program: Program, bounds: BoxBounds, mixed: np.ndarray, width: int) -> tuple[sparse.csr_array, np.ndarray]:
    """Rows ≤ right for units that may bend: the low slopes, the high slopes, the chords."""
    lines = [lines_of(layer, a, b) for layer, a, b in zip(program.layers, bounds.low, bounds.high, strict=True)]
    empty = np.zeros(0)
    chord = np.concatenate([empty, *(line.chord[0] for line in lines)])[mixed]
    level = np.concatenate([empty, *(line.level[0] for line in lines)])[mixed]
    low, high = (np.concatenate([empty, *(getattr(la, name) for la in program.layers)])[mixed] for name in ("low", "high"))
    turn = np.where(high >= low, 1.0, -1.0)
    z, s, row = program.inputs + mixed, program.inputs + program.units + mixed, np.arange(len(mixed))
    parts = []
    for slope, sign in ((low, turn), (high, turn), (chord, -turn)):
        data, column = np.concatenate([sign * slope, -sign]), np.concatenate([z, s])
        parts.append(sparse.csr_array((data, (np.tile(row, 2), column)), shape=(len(mixed), width)))
    right = np.concatenate([np.zeros(2 * len(mixed)), turn * level])
    return sparse.csr_array(sparse.vstack(parts)), right
