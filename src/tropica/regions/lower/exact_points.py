"""A lowered network at rational points, without rounding."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tropica.exact.rational_arrays import RationalArray, compact, rationals
from tropica.regions.domains.domain import Domain
from tropica.regions.lower.composed_affine import SOURCE_INPUT
from tropica.regions.lower.lowering import NO_INPUT, ZERO, Lowered, Stage


@dataclass(frozen=True, eq=False)
class ExactPoints:
    """Signs and outputs of a lowered network at B points.

    Attributes:
        signs: for each stage (B, n) int8, the signs −1, 0, 1 of the rows of a threshold; for windows (B, units, k) bool, which
            inputs attain the maximum.
        outputs: (B, s).
    """

    signs: tuple[np.ndarray, ...]
    outputs: RationalArray

    def pieces(self, lowered: Lowered) -> list[np.ndarray]:
        """For each stage (B, units): 1 for the upper piece of a threshold, the first input that attains a window's maximum."""
        return pieces_of_signs(lowered, self.signs)


def pieces_of_signs(lowered: Lowered, signs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """For each stage (N, units): 1 for the upper piece of a threshold, the first input that attains a window's maximum."""
    return [
        (sign > 0).astype(np.int64) if stage.kind == "threshold" else sign.argmax(2)
        for stage, sign in zip(lowered.stages, signs, strict=True)
    ]


def exact_points(lowered: Lowered, x: RationalArray, linear: bool = False) -> ExactPoints:
    """Evaluate a lowered network at points x (B, D); if ``linear`` without its constants: in directions x, far away.

    >>> import torch, tropica as tp
    >>> from tropica.regions.lower.lowering import lower
    >>> model = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False), torch.nn.ReLU()).double().eval()
    >>> net = tp.trace(model, torch.zeros(2, 1).double())
    >>> exact_points(lower(net), RationalArray(np.array([[0]]), 3)).signs[0].tolist()
    [[0]]
    """
    values: dict[int, RationalArray] = {SOURCE_INPUT: x}
    signs: list[np.ndarray] = []
    for s, stage in enumerate(lowered.stages):
        z = stage.affine.apply_exact({k: values[k] for k in stage.affine.sources}, linear=linear)
        sign, values[s] = _bent(stage, z) if stage.kind == "threshold" else _largest(stage, z)
        signs.append(sign)
    return ExactPoints(tuple(signs), lowered.output.apply_exact({k: values[k] for k in lowered.output.sources}, linear=linear))


def exact_maps(lowered: Lowered, domain: Domain, pieces: Mapping[int, np.ndarray]) -> RationalArray:
    """The output maps (C, s, d + 1) in t, constant last, of cells with these pieces of each stage (C, units), exactly.

    A map is a function of the pieces alone.
    """
    d = domain.dimension
    cells = len(next(iter(pieces.values()))) if pieces else 1
    start = _columns(domain)
    values = {SOURCE_INPUT: RationalArray(np.tile(start.numerators, (cells, 1)), start.denominator)}
    for s, stage in enumerate(lowered.stages):
        z = _with_bias_once(stage.affine, values, d)
        values[s] = chosen_each(stage, z, np.repeat(pieces[s], d + 1, axis=0))
    out = _with_bias_once(lowered.output, values, d)
    shaped = out.numerators.reshape(cells, d + 1, -1).swapaxes(1, 2)
    return RationalArray(np.ascontiguousarray(shaped), out.denominator)


def embedded(domain: Domain, t: RationalArray) -> RationalArray:
    """The inputs x = origin + t · basis (N, D) of coordinates (N, d), exactly."""
    origin, basis = rationals(domain.origin), rationals(domain.basis)
    moved = t.numerators.astype(object) @ basis.numerators.astype(object)
    denominator = math.lcm(t.denominator * basis.denominator, origin.denominator)
    top = moved * (denominator // (t.denominator * basis.denominator)) + origin.numerators_over(denominator)
    return RationalArray(compact(top), denominator).reduced()


def _columns(domain: Domain) -> RationalArray:
    """The d rows of the basis, then the origin: (d + 1, D)."""
    return rationals(np.concatenate([domain.basis, domain.origin[None]]))


def _with_bias_once(affine, values: Mapping[int, RationalArray], d: int) -> RationalArray:  # type: ignore[no-untyped-def]
    """The linear part of an affine map at every column, and its constant added to the last of each d + 1."""
    out = affine.apply_exact({k: values[k] for k in affine.sources}, linear=True)
    bias = affine.exact_bias
    denominator = math.lcm(out.denominator, bias.denominator)
    top = out.numerators_over(denominator).astype(object)
    top[d :: d + 1] += bias.numerators_over(denominator).astype(object)
    return RationalArray(compact(top), denominator).reduced()


def _bent(stage: Stage, z: RationalArray) -> tuple[np.ndarray, RationalArray]:
    sign = np.sign(z.numerators).astype(np.int8)
    return sign, chosen_each(stage, z, (sign > 0).astype(np.int64))


def first_pieces(stage: Stage, z: RationalArray) -> np.ndarray:
    """The pieces (B, units) at rows z (B, n): 1 where a threshold's is positive, the first input that attains a maximum."""
    if stage.kind == "threshold":
        return (z.numerators > 0).astype(np.int64)
    return _largest(stage, z)[0].argmax(2)


def chosen_each(stage: Stage, z: RationalArray, piece: np.ndarray) -> RationalArray:
    """The outputs (B, units) of a stage at rows z (B, n) whose units take given pieces (B, units)."""
    if stage.kind == "window":
        row = np.take_along_axis(np.broadcast_to(stage.inputs, (len(piece), *stage.inputs.shape)), piece[:, :, None], 2)[
            :, :, 0
        ]
        chosen = np.take_along_axis(z.numerators, np.maximum(row, 0), 1)
        return RationalArray(np.where(row == ZERO, 0, chosen), z.denominator)
    slopes = stage.slopes
    factor = np.where(piece > 0, slopes.numerators[1], slopes.numerators[0]).astype(object)
    return RationalArray(compact(z.numerators.astype(object) * factor), z.denominator * slopes.denominator).reduced()


def _largest(stage: Stage, z: RationalArray) -> tuple[np.ndarray, RationalArray]:
    given = z.numerators[:, np.maximum(stage.inputs, 0)].astype(object)
    given = np.where(stage.inputs == ZERO, 0, given)
    least = min(int(z.numerators.min(initial=0)), 0) - 1
    given = np.where(stage.inputs == NO_INPUT, least, given)
    top = given.max(2)
    attains = (given == top[:, :, None]).astype(bool)
    return attains, RationalArray(compact(top), z.denominator)
