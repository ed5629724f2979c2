"""``tp.to_network``: a tropical rational map as a ReLU network, exactly.

The maximum of r affine functions is a tournament: max(x, y) = relu(x − y) + relu(y) − relu(−y) halves their number with one
hidden layer, so ⌈log₂ r⌉ hidden layers and a linear output do. All polynomials of a map play at the same time; who has no
opponent is passed on as relu(y) − relu(−y). Everything behind the first layer has weights −1, 0 and 1.
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
from tropica.tropical.modules import linear_layer
from tropica.tropical.polynomial import TropicalPolynomial
from tropica.tropical.rational import TropicalMap, TropicalRational

LARGEST = 50_000_000
"""Entries of the largest weight matrix of a dense network (400 MB)."""

FEW = 4
"""Variables up to which monomials that never win are found in no time."""


def to_network(
    function: TropicalMap | TropicalRational | TropicalPolynomial, *, sparse: bool = False, essential: bool | None = None
) -> nn.Sequential:
    """A ``torch.nn`` module in float64 that computes a tropical rational map, exactly in exact arithmetic.

    With r_f and r_g the numbers of monomials it has max(⌈log₂ r_f⌉, ⌈log₂ r_g⌉) hidden layers and a linear output: one layer
    less than Theorem 5.4 allows. Where all numbers are whole (and stay below 2^53) float64 makes no error either, at whole
    points. A number that no float64 holds is written as a sum of several, in a :class:`LinearSum`.

    Args:
        function: a map, a rational function or a polynomial.
        sparse: write the layers behind the first as :class:`Match`, which hold as many numbers as there are monomials, in
            place of dense ``nn.Linear``, which hold the square.
        essential: drop monomials that never win first; by default where there are up to 4 variables, so that it takes no time.

    Returns:
        A module in eval mode, (B, d) to (B, s): what ``tp.trace`` and any tool that reads ``nn.Linear`` and ``nn.ReLU`` take.

    Raises:
        InputError: a number that is no sum of floats (1/3), or a dense network that is too large.

    >>> f = TropicalPolynomial({(2, 0): 1, (0, 2): 1, (1, 1): 2, (1, 0): 2, (0, 1): 2, (0, 0): 2})
    >>> net = to_network(f)
    >>> [layer.out_features for layer in net if isinstance(layer, torch.nn.Linear)]
    [11, 7, 5, 1]
    >>> x = torch.tensor([[3.0, -1.0]], dtype=torch.float64)
    >>> net(x).item(), f(x).item()
    (7.0, 7.0)
    """
    if isinstance(function, TropicalPolynomial | TropicalRational):
        function = TropicalMap([function])
    if not isinstance(function, TropicalMap):
        raise InputError(f"a TropicalMap, TropicalRational or TropicalPolynomial is needed; found a {type(function).__name__}")
    if essential or (essential is None and function.variables <= FEW):
        function = function.essential()
    polynomials = [f for r in function for f in (r.f, r.g)]
    first = _stacked([f.table for f in polynomials])
    rounds, places = tournament([len(f) for f in polynomials])
    one = np.eye(len(places), dtype=np.int64)
    difference = one[places[::2]] - one[places[1::2]]  # F − G of each output
    entrance = rounds[0].entrance if rounds else difference
    layers: list[nn.Module] = [_exact_linear(entrance @ first.numerators.astype(object), first.denominator)]
    if not rounds:
        return nn.Sequential(*layers).eval()
    layers.append(nn.ReLU())
    for before, after in itertools.pairwise(rounds):
        layers += [Match(before, after) if sparse else _dense(after.entrance, before.exit), nn.ReLU()]
    layers.append(Match(rounds[-1], places) if sparse else _dense(difference, rounds[-1].exit))
    return nn.Sequential(*layers).eval()


def _stacked(tables: Sequence[RationalArray]) -> RationalArray:
    """The rows of all, over one denominator."""
    bottom = math.lcm(*(t.denominator for t in tables))
    return RationalArray(np.concatenate([t.numerators_over(bottom) for t in tables]), bottom)


# ── the tournament ─────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, eq=False)
class Round:
    """One round: numbers v in, their pairwise maxima out, by way of the hidden units (v_x − v_y, v_last, −v_last)₊.

    Attributes:
        players: how many numbers come in.
        x, y: (m,) who meet; ``last``: y, and then those without an opponent, in the order in which numbers go out.
    """

    players: int
    x: np.ndarray
    y: np.ndarray
    last: np.ndarray

    @property
    def entrance(self) -> np.ndarray:
        """(units, players): the hidden units before ReLU."""
        one = np.eye(self.players, dtype=np.int64)
        _check_size(len(self.x) + 2 * len(self.last), self.players)
        return np.concatenate([one[self.x] - one[self.y], one[self.last], -one[self.last]])

    @property
    def exit(self) -> np.ndarray:
        """(len(last), units): the maxima, relu(x − y) + relu(y) − relu(−y)."""
        one = np.eye(len(self.last), dtype=np.int64)
        return np.concatenate([one[:, : len(self.x)], one, -one], 1)


def tournament(counts: Sequence[int]) -> tuple[list[Round], np.ndarray]:
    """The rounds after which one number is left of each of several groups of so many; and where each group's then stands.

    >>> rounds, places = tournament([1, 6])
    >>> [(r.players, len(r.x), len(r.last)) for r in rounds], places.tolist()
    ([(7, 3, 4), (4, 1, 3), (3, 1, 2)], [1, 0])
    """
    starts = np.cumsum([0, *counts])
    groups = [list(range(low, high)) for low, high in itertools.pairwise(starts.tolist())]
    rounds: list[Round] = []
    while any(len(group) > 1 for group in groups):
        pairs = [pair for group in groups for pair in zip(group[::2], group[1::2], strict=False)]
        singles = [group[-1] for group in groups if len(group) % 2]
        x, y = np.array(pairs, dtype=np.int64).T
        last = np.concatenate([y, np.array(singles, dtype=np.int64)])
        rounds.append(Round(sum(map(len, groups)), x, y, last))
        place = {p: i for i, p in enumerate(last.tolist())}
        groups = [[place[p] for p in group if p in place] for group in groups]
    return rounds, np.array([group[0] for group in groups])


def _check_size(rows: int, columns: int) -> None:
    if rows * columns > LARGEST:
        raise InputError(
            f"a dense network would have a weight matrix of {rows:,} × {columns:,}; use to_network(..., sparse=True), or drop "
            "monomials first (simplify)"
        )


# ── modules ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Match(nn.Module):
    """The linear map between two rounds of a tournament, by indices: maxima of the one, differences for the next.

    Args:
        before: the round whose hidden units come in.
        after: the next round; or, behind the last one, where f, g, f, g, ... stand, whose differences go out.
    """

    x: Tensor
    y: Tensor
    last: Tensor

    def __init__(self, before: Round, after: Round | np.ndarray) -> None:
        super().__init__()
        self.pairs, self.winners = len(before.x), len(before.last)
        self.final = not isinstance(after, Round)
        x, y, last = (after.x, after.y, after.last) if isinstance(after, Round) else (after[::2], after[1::2], after[:0])
        for name, index in (("x", x), ("y", y), ("last", last)):
            self.register_buffer(name, torch.from_numpy(np.array(index, dtype=np.int64)))

    def forward(self, u: Tensor) -> Tensor:
        m, n = self.pairs, self.winners
        v = u[:, m : m + n] - u[:, m + n :]
        v = torch.cat([v[:, :m] + u[:, :m], v[:, m:]], 1)
        differences = v[:, self.x] - v[:, self.y]
        if self.final:
            return differences
        last = v[:, self.last]
        return torch.cat([differences, last, -last], 1)


class LinearSum(nn.Module):
    """A sum of linear layers: weights that no single float64 holds, as the exact sum of several."""

    def __init__(self, parts: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        """The sum, the smallest parts first."""
        out = self.parts[-1](x)
        for part in reversed(list(self.parts)[:-1]):
            out = out + part(x)
        return out


def _dense(entrance: np.ndarray, exit_: np.ndarray) -> nn.Linear:
    """One layer from the hidden units of a round to those of the next."""
    _check_size(len(entrance), exit_.shape[1])
    return linear_layer(entrance.astype(np.float64) @ exit_.astype(np.float64))


def _exact_linear(top: np.ndarray, bottom: int) -> nn.Module:
    """x ↦ W x + b from rows (W, b) = top / bottom: an ``nn.Linear``, or a sum of them."""
    if bottom & (bottom - 1):
        raise InputError(
            f"a coefficient has the denominator {bottom}, which is no power of two: no sum of floats is "
            "that number; multiply by it first (f ** n is n · f), or round"
        )
    parts = [linear_layer(limb[:, :-1], limb[:, -1]) for limb in limbs(top, bottom)]
    return parts[0] if len(parts) == 1 else LinearSum(parts)


def limbs(top: np.ndarray, bottom: int) -> list[np.ndarray]:
    """Rationals over a power of two as float64 arrays whose exact sum they are: the nearest, the nearest of what is left, ....

    Raises:
        InputError: a number beyond 10^308, or with digits below 10^−323.
    """
    found: list[np.ndarray] = []
    left = RationalArray(compact(top), bottom)
    while not found or bool((left.numerators != 0).any()):
        nearest = left.floats()
        if not bool(np.isfinite(nearest).all()) or (found and not nearest.any()):
            raise InputError("a coefficient is too large or too small for float64: between 10^−323 and 10^308 it must be")
        found.append(nearest)
        left = _less(left, nearest)
    return found


def _less(left: RationalArray, nearest: np.ndarray) -> RationalArray:
    """left − nearest, exactly."""
    (a, b), bottom = common_denominator(left, rational_array(nearest, "coefficients", 2))
    return RationalArray(compact(a.astype(object) - b), bottom)
