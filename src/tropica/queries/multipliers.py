"""Multipliers that make the bound of an objective large: steps upwards from those of the parent, for many nodes at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tropica.queries.backward_bounds import BoxBounds, Pulled, RelaxationLines, default_alpha, lines_of, pull
from tropica.queries.threshold_program import Program
from tropica.regions.lower.composed_affine import SOURCE_INPUT

LEVELS = 255
"""The number of steps in which a proof stores α."""
FORGET, FORGET_SQUARES = 0.7, 0.99


@dataclass(frozen=True, eq=False)
class Multipliers:
    """α and β (B, units) and the weights (B, R) of the objective's rows."""

    alpha: np.ndarray
    beta: np.ndarray
    weights: np.ndarray

    def at(self, index: np.ndarray) -> Multipliers:
        """Those of some nodes."""
        return Multipliers(self.alpha[index], self.beta[index], self.weights[index])


@dataclass(frozen=True, eq=False)
class Objective:
    """Σ_r w_r (⟨c_r, y⟩ − b_r) for weights w ≥ 0: positive on a set means that no point of it has c_r · y ≤ b_r for all r."""

    rows: np.ndarray
    offsets: np.ndarray


@dataclass(frozen=True, eq=False)
class Ascended:
    """What steps upwards came to.

    Attributes:
        bound: (B,) the objective is at least that; −∞ where nothing is known, ∞ where a node is void.
        size: (B,) by which the rounding of ``bound`` is measured.
        multipliers: those of the bound, α rounded to what a proof stores.
        influence: (B, D) |slope| of each input.
        factors: (B, units) the factors of the units in the objective.
        point: (B, D) where the bound is attained.
    """

    bound: np.ndarray
    size: np.ndarray
    multipliers: Multipliers
    influence: np.ndarray
    factors: np.ndarray
    point: np.ndarray

    def at_point(self, point: np.ndarray) -> Ascended:
        """The same with another point (D,) of a single node."""
        return replace(self, point=point[None])

    def replaced(self, index: np.ndarray, other: Ascended) -> Ascended:
        """These, those of some nodes taken from others where their bounds are larger."""

        def put(old: np.ndarray, new: np.ndarray) -> np.ndarray:
            out = old.copy()
            out[index] = new
            return out

        m, n = self.multipliers, other.multipliers
        multipliers = Multipliers(put(m.alpha, n.alpha), put(m.beta, n.beta), put(m.weights, n.weights))
        names = ("influence", "factors", "point")
        rest = (put(getattr(self, name), getattr(other, name)) for name in names)
        return Ascended(put(self.bound, other.bound), put(self.size, other.size), multipliers, *rest)


def first_multipliers(program: Program, bounds: BoxBounds, rows: int) -> Multipliers:
    """Multipliers to begin with."""
    low, high = bounds.joined()
    count = len(bounds.lo)
    return Multipliers(default_alpha(low, high), np.zeros((count, program.units)), np.full((count, rows), 1 / rows))


def ascended(program: Program, bounds: BoxBounds, objective: Objective, start: Multipliers, steps: int) -> Ascended:
    """The best multipliers after the given number of steps."""
    alpha, beta, weights = start.alpha.copy(), start.beta.copy(), start.weights.copy()
    if bounds.signs is not None:
        beta = np.where(np.concatenate(bounds.signs, 1) != 0, beta, 0.0)
    best, kept = np.full(len(alpha), -np.inf), Multipliers(alpha.copy(), beta.copy(), weights.copy())
    means = [np.zeros_like(v) for v in (alpha, beta)]
    squares = [np.zeros_like(v) for v in (alpha, beta)]
    for step in range(steps):
        pulled, lines = _bounded(program, bounds, objective, Multipliers(alpha, beta, weights))
        value = np.nan_to_num(pulled.least[:, 0], nan=-np.inf)
        better = value > best
        best = np.where(better, value, best)
        for old, new in zip((kept.alpha, kept.beta, kept.weights), (alpha, beta, weights), strict=True):
            old[better] = new[better]
        if step == steps - 1:
            break
        gradients, gains = _gradients(program, bounds, objective, pulled, lines)
        rate = 0.3 * (1 - step / steps) + 0.02
        moves = []
        for slope, mean, square in zip(gradients, means, squares, strict=True):
            mean *= FORGET
            mean += (1 - FORGET) * slope
            square *= FORGET_SQUARES
            square += (1 - FORGET_SQUARES) * slope**2
            corrected = np.sqrt(square / (1 - FORGET_SQUARES ** (step + 1)))
            with np.errstate(divide="ignore", invalid="ignore"):
                move = mean / (1 - FORGET ** (step + 1)) / corrected
            moves.append(rate * np.where(np.isfinite(move), move, 0.0))
        alpha = np.clip(alpha + moves[0], 0, 1)
        if bounds.signs is not None:
            beta = np.maximum(beta + moves[1] * _scale(program, pulled), 0)
        if weights.shape[1] > 1:
            weights = _reweighted(weights, gains, rate)
    low, high = bounds.joined()
    # a unit that is straight by a hair may bend for the checker: its slope is then the one that it has
    slopes = np.where((low < 0) & (high > 0), kept.alpha, default_alpha(low, high))
    rounded = Multipliers(np.round(slopes * LEVELS) / LEVELS, kept.beta, kept.weights)
    return _result(program, bounds, objective, rounded)


def _result(program: Program, bounds: BoxBounds, objective: Objective, used: Multipliers) -> Ascended:
    pulled, _ = _bounded(program, bounds, objective, used)
    bound = np.where(bounds.void, np.inf, np.nan_to_num(pulled.least[:, 0], nan=-np.inf))
    parts = [_factors(a, n) for a, n in zip(pulled.factors, bounds.low, strict=True)]
    factors = np.concatenate(parts, 1) if parts else np.zeros((len(bounds.lo), 0))
    point = np.where(pulled.slopes[:, 0] > 0, bounds.lo, bounds.hi)
    return Ascended(bound, pulled.size[:, 0], used, np.abs(pulled.slopes[:, 0]), factors, point)


def _factors(a: np.ndarray | None, like: np.ndarray) -> np.ndarray:
    return np.zeros(like.shape) if a is None else np.broadcast_to(a[:, 0], like.shape)


def _bounded(program: Program, bounds: BoxBounds, objective: Objective, m: Multipliers) -> tuple[Pulled, list[RelaxationLines]]:
    layers = zip(program.layers, bounds.low, bounds.high, program.parts(m.alpha), strict=True)
    lines = [lines_of(layer, a, b, alpha) for layer, a, b, alpha in layers]
    c = m.weights @ objective.rows
    last = program.output
    start = {k: np.asarray(c @ w)[:, None, :] for k, w in last.weights.items()}
    constant = (c @ last.bias - m.weights @ objective.offsets)[:, None]
    beta = program.parts(m.beta) if bounds.signs is not None else None
    return pull(program, start, constant, bounds, lines, beta=beta, keep=True), lines


def _gradients(
    program: Program, bounds: BoxBounds, objective: Objective, pulled: Pulled, lines: list[RelaxationLines]
) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """The slopes of the bound in α and β (B, units), and the objective's rows (B, R), at the point that attains it."""
    values = {SOURCE_INPUT: np.where(pulled.slopes[:, 0] > 0, bounds.lo, bounds.hi)}
    in_alpha, in_beta = [], []
    for k, (layer, line) in enumerate(zip(program.layers, lines, strict=True)):
        z = sum((np.asarray(values[s] @ w.T) for s, w in layer.weights.items()), layer.bias)
        a = _factors(pulled.factors[k], bounds.low[k])
        tangent = ((a >= 0) == line.tangent_below) & (bounds.low[k] < 0) & (bounds.high[k] > 0) & layer.bends
        values[k] = np.where(tangent, line.tangent * z, line.chord * z + line.level)
        in_alpha.append(np.where(tangent, a * (layer.high - layer.low) * z, 0.0))
        in_beta.append(-bounds.signs[k] * z if bounds.signs is not None else np.zeros_like(z))
    y = sum((np.asarray(values[s] @ w.T) for s, w in program.output.weights.items()), program.output.bias)
    gains = y @ objective.rows.T - objective.offsets
    if not in_alpha:
        return (np.zeros((len(y), 0)), np.zeros((len(y), 0))), gains
    return (np.concatenate(in_alpha, 1), np.concatenate(in_beta, 1)), gains


def _scale(program: Program, pulled: Pulled) -> np.ndarray:
    """(B, units) the largest factor in each unit's layer: by that its β moves."""
    count = len(pulled.least)
    largest = [
        np.zeros(count) if a is None else np.broadcast_to(np.abs(a[:, 0]).max(1, initial=0), (count,)) for a in pulled.factors
    ]
    return np.repeat(np.stack(largest, 1), np.diff(program.starts), axis=1)


def _reweighted(weights: np.ndarray, gains: np.ndarray, rate: float) -> np.ndarray:
    """Weights of rows that are large where the bound is attained grow; their sum stays 1."""
    spread = np.abs(gains).max(1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = weights * np.exp(2 * rate * np.where(spread > 0, gains / spread, 0.0))
    return moved / moved.sum(1, keepdims=True)
