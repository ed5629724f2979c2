"""``tp.to_network``: a tropical rational map as a ReLU network, exactly.

The maximum of r affine functions is computed by a tournament: max(x, y) = relu(x − y) + relu(y) − relu(−y) halves their number
with one hidden layer, so ⌈log₂ r⌉ hidden layers and a linear output suffice. All polynomials of a map share the layers; a
value without a partner is passed on as relu(y) − relu(−y). All weights after the first layer are −1, 0 and 1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray, common_denominator, compact, rational_array
from tropica.runtime.arithmetic import own_settings
from tropica.tropical.polynomial import TropicalPolynomial, TropicalRational
from tropica.tropical.rational_map import TropicalMap, as_map

MAX_ENTRIES = 50_000_000
"""Largest number of entries in a weight matrix of a dense network (400 MB)."""
LOW_DIMENSION = 4
"""Variables up to which nonessential monomials are found quickly."""


@own_settings()
def to_network(
    function: TropicalMap | TropicalRational | TropicalPolynomial, *, sparse: bool = False, essential: bool | None = None
) -> nn.Sequential:
    """Write a tropical rational map as a ``torch.nn`` module in float64, equal to it in exact arithmetic (Theorem 5.4).

    With r_f and r_g the numbers of monomials, the module has max(⌈log₂ r_f⌉, ⌈log₂ r_g⌉) hidden layers and a linear output: one
    layer fewer than Theorem 5.4 allows. Where all numbers are integers (and stay below 2^53), float64 is exact at integer
    points. A number that is not a float64 is represented as a sum of float64 numbers, in a :class:`LinearSum`.

    Args:
        function: a map, a rational function or a polynomial.
        sparse: write the layers after the first as :class:`SparseTournamentLayer`, with n indices for n monomials, instead
            of dense ``nn.Linear`` with n² weights.
        essential: first drop nonessential monomials; by default for up to 4 variables, where this is fast.

    Returns:
        A module in eval mode, (B, d) → (B, s), for ``tp.trace`` and any tool that reads ``nn.Linear`` and ``nn.ReLU``.

    Raises:
        InputError: a number that is not a sum of float64 numbers (1/3), or a dense network that is too large.

    >>> f = TropicalPolynomial({(2, 0): 1, (0, 2): 1, (1, 1): 2, (1, 0): 2, (0, 1): 2, (0, 0): 2})
    >>> net = to_network(f)
    >>> [layer.out_features for layer in net if isinstance(layer, torch.nn.Linear)]
    [11, 7, 5, 1]
    >>> x = torch.tensor([[3.0, -1.0]], dtype=torch.float64)
    >>> net(x).item(), f(x).item()
    (7.0, 7.0)
    """
    function = as_map(function)
    if essential or (essential is None and function.variables <= LOW_DIMENSION):
        function = function.essential()
    polynomials = [f for r in function for f in (r.f, r.g)]
    first = _stacked([f.table for f in polynomials])
    rounds, positions = tournament([len(f) for f in polynomials])
    one = np.eye(len(positions), dtype=np.int64)
    difference = one[positions[::2]] - one[positions[1::2]]  # F − G of each output
    inputs = rounds[0].input_matrix if rounds else difference
    layers: list[nn.Module] = [_exact_linear(inputs @ first.numerators.astype(object), first.denominator)]
    if not rounds:
        return nn.Sequential(*layers).eval()
    layers.append(nn.ReLU())
    for before, after in itertools.pairwise(rounds):
        layers.append(SparseTournamentLayer(before, after) if sparse else _dense(after.input_matrix, before.output_matrix))
        layers.append(nn.ReLU())
    layers.append(SparseTournamentLayer(rounds[-1], positions) if sparse else _dense(difference, rounds[-1].output_matrix))
    return nn.Sequential(*layers).eval()


def _stacked(tables: Sequence[RationalArray]) -> RationalArray:
    """The rows of all tables over one denominator."""
    bottom = math.lcm(*(t.denominator for t in tables))
    return RationalArray(np.concatenate([t.numerators_over(bottom) for t in tables]), bottom)


# ── the tournament ─────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, eq=False)
class TournamentRound:
    """One round: values v in, their pairwise maxima out, through the hidden units relu(v_x − v_y, v_last, −v_last).

    Attributes:
        size: the number of input values.
        x, y: (m,) the pairs.
        last: y, then the values without a partner: the order of the output values.
    """

    size: int
    x: np.ndarray
    y: np.ndarray
    last: np.ndarray

    @property
    def input_matrix(self) -> np.ndarray:
        """(units, size): from the input values to the hidden units before ReLU."""
        one = np.eye(self.size, dtype=np.int64)
        _check_size(len(self.x) + 2 * len(self.last), self.size)
        return np.concatenate([one[self.x] - one[self.y], one[self.last], -one[self.last]])

    @property
    def output_matrix(self) -> np.ndarray:
        """(len(last), units): from the hidden units to the maxima relu(x − y) + relu(y) − relu(−y)."""
        one = np.eye(len(self.last), dtype=np.int64)
        return np.concatenate([one[:, : len(self.x)], one, -one], 1)


def tournament(counts: Sequence[int]) -> tuple[list[TournamentRound], np.ndarray]:
    """The rounds that reduce groups of ``counts`` values to one value each, and the final position of each group's value.

    >>> rounds, positions = tournament([1, 6])
    >>> [(r.size, len(r.x), len(r.last)) for r in rounds], positions.tolist()
    ([(7, 3, 4), (4, 1, 3), (3, 1, 2)], [1, 0])
    """
    starts = np.cumsum([0, *counts])
    groups = [list(range(low, high)) for low, high in itertools.pairwise(starts.tolist())]
    rounds: list[TournamentRound] = []
    while any(len(group) > 1 for group in groups):
        pairs = [pair for group in groups for pair in zip(group[::2], group[1::2], strict=False)]
        singles = [group[-1] for group in groups if len(group) % 2]
        x, y = np.array(pairs, dtype=np.int64).T
        last = np.concatenate([y, np.array(singles, dtype=np.int64)])
        rounds.append(TournamentRound(sum(map(len, groups)), x, y, last))
        position = {p: i for i, p in enumerate(last.tolist())}
        groups = [[position[p] for p in group if p in position] for group in groups]
    return rounds, np.array([group[0] for group in groups])


def _check_size(rows: int, columns: int) -> None:
    if rows * columns > MAX_ENTRIES:
        raise InputError(
            f"a dense network would have a weight matrix of {rows:,} × {columns:,}; use to_network(..., sparse=True), or drop "
            "monomials first (tp.tropical.simplify)"
        )


# ── modules ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class SparseTournamentLayer(nn.Module):
    """The linear map between two rounds of a tournament, by indexing: maxima of the first, differences for the second.

    Args:
        before: the round whose hidden units are the input.
        after: the next round; or, after the last round, the positions of f, g, f, g, ..., whose differences are the output.

    >>> import tropica as tp
    >>> net = tp.to_network(tp.parse_tropical("max(x, y, 2*x, 1)"), sparse=True)
    >>> [type(layer).__name__ for layer in net]
    ['Linear', 'ReLU', 'SparseTournamentLayer', 'ReLU', 'SparseTournamentLayer']
    """

    x: Tensor
    y: Tensor
    last: Tensor

    def __init__(self, before: TournamentRound, after: TournamentRound | np.ndarray) -> None:
        super().__init__()
        self.pairs, self.maxima = len(before.x), len(before.last)
        self.final = isinstance(after, np.ndarray)
        if isinstance(after, TournamentRound):
            x, y, last = after.x, after.y, after.last
        else:
            x, y, last = after[::2], after[1::2], after[:0]
        for name, index in (("x", x), ("y", y), ("last", last)):
            self.register_buffer(name, torch.from_numpy(np.array(index, dtype=np.int64)))

    def forward(self, u: Tensor) -> Tensor:
        m, n = self.pairs, self.maxima
        v = u[:, m : m + n] - u[:, m + n :]
        v = torch.cat([v[:, :m] + u[:, :m], v[:, m:]], 1)
        differences = v[:, self.x] - v[:, self.y]
        if self.final:
            return differences
        last = v[:, self.last]
        return torch.cat([differences, last, -last], 1)


def linear_layer(weight: np.ndarray, bias: np.ndarray | None = None) -> nn.Linear:
    """An ``nn.Linear`` in float64 with weights (out, in) and biases (out,); no random number is drawn.

    >>> linear_layer(np.array([[2.0, 3.0]]))
    Linear(in_features=2, out_features=1, bias=False)
    """
    out, inputs = weight.shape
    layer = nn.Linear(inputs, out, bias=bias is not None, device="meta", dtype=torch.float64)
    layer.weight = nn.Parameter(torch.from_numpy(np.array(weight, dtype=np.float64)))
    if bias is not None:
        layer.bias = nn.Parameter(torch.from_numpy(np.array(bias, dtype=np.float64)))
    return layer


class LinearSum(nn.Module):
    """A sum of linear layers, for weights that are sums of float64 numbers.

    >>> layer = torch.nn.Linear(1, 1, bias=False)
    >>> _ = torch.nn.init.constant_(layer.weight, 2.0)
    >>> LinearSum([layer, layer])(torch.tensor([[3.0]])).item()
    12.0
    """

    def __init__(self, parts: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        """The sum, the smallest parts first."""
        out = self.parts[-1](x)
        for part in reversed(list(self.parts)[:-1]):
            out = out + part(x)
        return out


def _dense(input_matrix: np.ndarray, output_matrix: np.ndarray) -> nn.Linear:
    """The dense layer from the hidden units of one round to those of the next."""
    _check_size(len(input_matrix), output_matrix.shape[1])
    return linear_layer(input_matrix.astype(np.float64) @ output_matrix.astype(np.float64))


def _exact_linear(top: np.ndarray, bottom: int) -> nn.Module:
    """x ↦ W x + b from rows (W, b) = top / bottom: an ``nn.Linear``, or a sum of them."""
    if bottom & (bottom - 1):
        raise InputError(
            f"a coefficient has the denominator {bottom}, which is not a power of two, so it is not a sum "
            "of floats; multiply by the denominator first (f ** n is n · f), or round"
        )
    parts = [linear_layer(limb[:, :-1], limb[:, -1]) for limb in limbs(top, bottom)]
    return parts[0] if len(parts) == 1 else LinearSum(parts)


def limbs(top: np.ndarray, bottom: int) -> list[np.ndarray]:
    """Rationals over a power of two as float64 arrays with exact sum: the nearest, then the nearest to the remainder, ....

    Raises:
        InputError: a number beyond 10^308, or with digits below 10^−323.
    """
    found: list[np.ndarray] = []
    rest = RationalArray(compact(top), bottom)
    while not found or bool((rest.numerators != 0).any()):
        nearest = rest.floats()
        if not bool(np.isfinite(nearest).all()) or (found and not nearest.any()):
            raise InputError("a coefficient is too large or too small for float64: its size must be between 10^−323 and 10^308")
        found.append(nearest)
        rest = _minus(rest, nearest)
    return found


def _minus(numbers: RationalArray, nearest: np.ndarray) -> RationalArray:
    """numbers − nearest, exactly."""
    (a, b), bottom = common_denominator(numbers, rational_array(nearest, "coefficients", 2))
    return RationalArray(compact(a.astype(object) - b), bottom)
