"""All of space as a fan of cones: a network on it in homogeneous coordinates.

A point t is (T, s) with t = T / s; where s = 0, T is a direction. Every row ⟨w, t⟩ + c is the linear form ⟨w, T⟩ + c s. The
half-space s ≥ 0 is covered by d + 1 cones, spanned by the apex (0, 1) and d of d + 1 rays (r, 0). Such a cone is met by the
hyperplane Σ λ = 1 in a simplex, so that the engine sees a network on a simplex. The rays are generic: hardly any unit of a
network vanishes on a wall of the fan.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from tropica.exact.linear_algebra import kernel, solve
from tropica.exact.rational_arrays import RationalArray, as_objects, compact, from_fractions, rationals
from tropica.regions.domains.constructors import Space
from tropica.regions.domains.domain import Faces
from tropica.regions.engine.cell_blocks import Problem, check_dimension, problem_of_chain
from tropica.regions.engine.chain import Chain, ChainStage
from tropica.regions.engine.exact_signs import ExactSigns
from tropica.regions.engine.lowered_chain import lowered_chain
from tropica.regions.kernels.arrays import NetworkArrays
from tropica.regions.lower.exact_rows import ExactRows
from tropica.regions.lower.lowering import Lowered
from tropica.regions.lower.mantissas import mantissas

_LENGTH = 64
"""Length of the rays, before a power of two that fits them to the network."""
_SPREAD = 9
_MOST_SCALE = 900
INFINITY = 0
"""Number of the hyperplane at infinity among the walls of a :class:`SpaceProblem`."""


@dataclass(frozen=True, eq=False)
class SpaceProblem:
    """A network on all of space, as the kernels read it.

    Attributes:
        cones: the network on each cone of the fan, in coordinates λ of the simplex.
        directions: (d + 1, d) ints, the rays of the fan over 2^exponent; cone i has all but ray i.
        exponent: of the rays.
        exact: exact signs over t; wall 0 is the hyperplane at infinity, wall :func:`wall_number` (i, j) that between two cones.
        net: of the first cone: all have stages of the same sizes.
        exponents: (d,) zeros: t is not scaled.
        chain: the network over t.
    """

    cones: tuple[Problem, ...]
    directions: np.ndarray
    exponent: int
    exact: ExactSigns
    net: NetworkArrays
    exponents: np.ndarray
    chain: Chain

    @cached_property
    def sections(self) -> tuple[Problem, ...] | None:
        """Of a network without biases, whose cells are cones: the network on Σ λ = 1 in each cone, of dimension d − 1."""
        d = self.dimension
        if d == 1 or any((stage.bias.numerators != 0).any() for stage in self.chain.stages):
            return None
        simplex = _simplex(d - 1)
        chains = (_on_section(self.chain, rationals(self.cone_rays(i))) for i in range(d + 1))
        return tuple(problem_of_chain(chain, simplex) for chain in chains)

    def fresh(self) -> SpaceProblem:
        """The same with exact signs that remember nothing."""
        return replace(self, cones=tuple(cone.fresh() for cone in self.cones), exact=self.exact.fresh())

    @property
    def dimension(self) -> int:
        """d."""
        return self.directions.shape[1]

    def cone_rays(self, i: int) -> np.ndarray:
        """The rays (d, d) of a cone."""
        return np.ldexp(np.delete(self.directions, i, axis=0).astype(np.float64), self.exponent)


def wall_number(i: int, j: int, d: int) -> int:
    """The number of the wall between the cones i and j."""
    return 1 + min(i, j) * (d + 1) + max(i, j)


def cones_at(wall: int, d: int) -> tuple[int, int]:
    """The two cones at a wall."""
    return divmod(wall - 1, d + 1)


def make_space_problem(lowered: Lowered, space: Space) -> SpaceProblem:
    """Lay a lowered network on all of space out for the kernels.

    Raises:
        InputError: the dimension is out of reach.
    """
    d = space.dimension
    check_dimension(d)
    chain, _ = lowered_chain(lowered, space.origin, space.basis, np.zeros(d, np.int64))
    directions = fan_rays(d)
    exponent = _scale(chain) - _LENGTH.bit_length() + 1
    rays = np.ldexp(directions.astype(np.float64), exponent)
    simplex = _simplex(d)
    cones = tuple(problem_of_chain(_on_cone(chain, rationals(np.delete(rays, i, axis=0))), simplex) for i in range(d + 1))
    return SpaceProblem(
        cones, directions, exponent, ExactSigns(chain, *_walls(directions)), cones[0].net, np.zeros(d, np.int64), chain
    )


def fan_rays(d: int) -> np.ndarray:
    """d + 1 generic rays (d + 1, d) int64 that span space positively: near 64 e_k each, and minus their sum.

    >>> fan_rays(1).tolist()
    [[64], [-64]]
    """
    if d == 1:
        return np.array([[_LENGTH], [-_LENGTH]])
    random = np.random.default_rng(d)
    for _ in range(100):
        rays = np.zeros((d + 1, d), np.int64)
        rays[:d] = _LENGTH * np.eye(d, dtype=np.int64) + random.integers(-_SPREAD, _SPREAD + 1, (d, d))
        rays[d] = -rays[:d].sum(0) + random.integers(-_SPREAD, _SPREAD + 1, d)
        shares = solve(rays[:d].T, -rays[d][:, None])
        if shares is not None and all(x > 0 for x in shares.ravel()):
            return rays
    raise AssertionError("rays near the axes span space positively")


def _scale(chain: Chain) -> int:
    """The power of two about which the first stage's hyperplanes are away from the origin."""
    stage = chain.stages[0]
    (m, e), (bm, be) = mantissas(stage.weight.matrix), mantissas(stage.bias)
    top = np.where(m != 0, e, -(2**40)).max(1, initial=-(2**40))
    bends = (stage.low != stage.high) & (bm != 0) & (top > -(2**40))
    return int(np.clip(np.median((be - top)[bends]), -_MOST_SCALE, _MOST_SCALE)) if bends.any() else 0


def _on_cone(chain: Chain, rays: RationalArray) -> Chain:
    """The chain over λ of a cone, T = Σ λ_i r_i and s = 1 − Σ λ_i, with s as one more unit that is handed on."""
    first = chain.stages[0]
    own = first.weight.matrix
    turned = RationalArray(
        compact(own.numerators.astype(object) @ rays.numerators.astype(object).T), own.denominator * rays.denominator
    )
    weight, bias = _over(turned, first.bias)
    slopes = weight.numerators.astype(object) - bias.numerators.astype(object)[:, None]
    one = bias.denominator
    slopes = np.concatenate([slopes, np.full((1, slopes.shape[1]), -one, dtype=object)])
    constant = np.append(bias.numerators.astype(object), one)
    stages = [_with_scale(first, RationalArray(slopes, one).reduced(), RationalArray(constant, one).reduced())]
    stages += [_with_scale(stage, *_linear(stage, True)) for stage in chain.stages[1:]]
    output = chain.output
    rows, constants = _linear(output, False)
    return Chain(tuple(stages), ChainStage(ExactRows.of(rows), constants, output.low, output.high), chain.dimension)


def _on_section(chain: Chain, rays: RationalArray) -> Chain:
    """A chain without biases over λ_1 … λ_{d − 1} of a cone, T = r_0 + Σ λ_i (r_i − r_0)."""
    first = chain.stages[0]
    own = first.weight.matrix
    at_rays = own.numerators.astype(object) @ rays.numerators.astype(object).T
    below = own.denominator * rays.denominator
    slopes, constant = RationalArray(at_rays[:, 1:] - at_rays[:, :1], below), RationalArray(at_rays[:, 0], below)
    start = replace(first, weight=ExactRows.of(slopes.reduced()), bias=constant.reduced())
    return Chain((start, *chain.stages[1:]), chain.output, chain.dimension - 1)


def _linear(stage: ChainStage, onward: bool) -> tuple[RationalArray, RationalArray]:
    """The rows with their constants as the weights of s, and where s is handed on its own row; no constants."""
    weight, bias = _over(stage.weight.matrix, stage.bias)
    rows = np.concatenate([weight.numerators.astype(object), bias.numerators.astype(object)[:, None]], axis=1)
    if onward:
        last = as_objects([0] * (rows.shape[1] - 1) + [weight.denominator])
        rows = np.concatenate([rows, last[None]])
    return RationalArray(rows, weight.denominator).reduced(), RationalArray(np.zeros(len(rows), np.int64))


def _over(weight: RationalArray, bias: RationalArray) -> tuple[RationalArray, RationalArray]:
    """The same numbers over one denominator."""
    denominator = int(np.lcm.reduce(as_objects([weight.denominator, bias.denominator])))
    return RationalArray(weight.numerators_over(denominator), denominator), RationalArray(
        bias.numerators_over(denominator), denominator
    )


def _with_scale(stage: ChainStage, weight: RationalArray, bias: RationalArray) -> ChainStage:
    windows = None if stage.windows is None else np.append(stage.windows, -1)
    return ChainStage(ExactRows.of(weight), bias, np.append(stage.low, 1.0), np.append(stage.high, 1.0), windows)


def _simplex(d: int) -> Faces:
    """λ ≥ 0, Σ λ ≤ 1: facet i is λ_i = 0, facet d the hyperplane at infinity."""
    vertices = np.concatenate([np.zeros((1, d), np.int64), np.eye(d, dtype=np.int64)])
    normals = np.concatenate([-np.eye(d, dtype=np.int64), np.ones((1, d), np.int64)])
    halfspaces = np.concatenate([normals, np.append(np.zeros(d, np.int64), 1)[:, None]], axis=1)
    incidence = (vertices @ normals.T) == halfspaces[:, -1]
    return Faces(RationalArray(vertices), RationalArray(halfspaces), incidence)


def _walls(rays: np.ndarray) -> tuple[RationalArray, RationalArray]:
    """Normals and offsets of the hyperplane at infinity and of all walls, each at its number; zeros elsewhere."""
    d = rays.shape[1]
    normals, offsets = np.zeros(((d + 1) ** 2 + 1, d), dtype=object), np.zeros((d + 1) ** 2 + 1, np.int64)
    offsets[INFINITY] = 1
    for j in range(d + 1):
        for i in range(j):
            spanned = np.delete(rays, [i, j], axis=0)
            normals[wall_number(i, j, d)] = kernel(spanned)[0] if d > 1 else [1]
    return from_fractions(normals.ravel().tolist(), normals.shape), RationalArray(offsets)
