"""``tp.to_tropical``: a network as a tropical rational map, exactly.

F and G are affine on every activation cell, so their essential monomials are what they are there: one exact forward pass of
affine functions at a point of each cell gives all of them, and nothing has to be pruned. The points come from the region
engine, or in more than 5 dimensions from a random generator; what F and G are at a point is computed in integers
(:mod:`tropica.tropical.pieces`), so that every monomial is essential, wherever the points are. That none is missing is checked
where F and its monomials could differ: at the vertices and in the directions of the rays of the tropical hypersurface
(:mod:`tropica.tropical.complete`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import nn

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray, rational_array
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import trace
from tropica.regions.domains import Space
from tropica.regions.points import TooManyCells, points_of_cells
from tropica.tropical.affine import ExactNetwork
from tropica.tropical.pieces import Pieces, Unlucky, pieces
from tropica.tropical.polynomial import TropicalPolynomial
from tropica.tropical.rational import TropicalMap, TropicalRational

LIMIT = 100_000
"""Monomials, as cells or in a polynomial, up to which a network is turned into polynomials."""
DIMENSIONS = 12
"""Inputs up to which all of their space is taken apart."""
SAMPLES = 2000
"""Points at which pieces are looked for in more."""
INSTEAD = (
    "for such a network use tp.linear_regions on a Box, a Plane or a Segment, tp.extract for the pieces at data points, or "
    "tp.bounds for bounds on their number"
)

Method = Literal["regions", "algebra"]


class TooManyMonomials(InputError):
    """A network whose polynomials are too large: ``reached`` says how many monomials there were when it was given up."""

    def __init__(self, text: str, reached: int) -> None:
        super().__init__(text)
        self.reached = reached


def to_tropical(
    net: PiecewiseLinearNetwork | nn.Module,
    *,
    method: Method = "regions",
    limit: int = LIMIT,
    check: bool = True,
) -> TropicalMap:
    """The tropical rational map F ⊘ G that a network is, a rational function for each output, with essential monomials only.

    F and G are those of Zhang, Naitzat and Lim: an affine op A = A⁺ − A⁻ maps (F, G) to (A⁺F + A⁻G + b, A⁻F + A⁺G), and ReLU
    takes max(F, G) and leaves G; other nonlinearities accordingly (:mod:`tropica.tropical.pieces`). Weights are taken as the rationals
    that float64 has them as; whole weights give whole exponents and coefficients.

    Args:
        net: a traced network, or a chain of torch modules that begins with a Linear layer; any affine ops and nonlinearities.
        method: "regions" reads the monomials off the network's activation cells; "algebra" multiplies polynomials out, op by
            op, and prunes after each (slower, and without the region engine: the one checks the other).
        limit: monomials (cells) at which it is given up.
        check: prove that no monomial is missing. In more than 5 inputs the search starts from random points instead of from
            the cells, and the proof is refused for more than 64 monomials.

    Returns:
        A :class:`TropicalMap`; ``tropical(x)`` is the network's output up to rounding, ``tropical.exact(x)`` without.

    Raises:
        TooManyMonomials: an InputError that says how many monomials were reached, and what to use instead.
        InputError: not a network, or one with too many inputs.

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1)).double().eval()
    >>> with torch.no_grad():
    ...     _ = model[0].weight.copy_(torch.tensor([[1.0], [-2.0]])), model[0].bias.copy_(torch.tensor([0.0, 1.0]))
    ...     _ = model[2].weight.copy_(torch.tensor([[1.0, -1.0]])), model[2].bias.zero_()
    >>> to_tropical(model)[0]  # relu(x) − relu(1 − 2x)
    (0⊙x₁² ⊕ 0⊙x₁³) ⊘ (1 ⊕ 0⊙x₁²)
    """
    if method not in ("regions", "algebra"):
        raise InputError(f"method is 'regions' or 'algebra'; found {method!r}")
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise InputError(f"limit must be a whole number, 1 or more; found {limit!r}")
    network = ExactNetwork(traced(net))
    if method == "algebra":
        from tropica.tropical.algebra import multiplied_out

        return multiplied_out(network, limit)
    found = Collection(network)
    found.add(starting_points(network.net, limit) if check else cell_points(network.net, limit))
    if check:
        from tropica.tropical.complete import complete

        complete(found, limit)
    both = found.polynomials()
    outputs = len(both) // 2
    return TropicalMap(TropicalRational(f, g) for f, g in zip(both[:outputs], both[outputs:], strict=True))


def traced(net: PiecewiseLinearNetwork | nn.Module) -> PiecewiseLinearNetwork:
    """A traced network; a chain of modules is traced here, as its first Linear layer says what it takes.

    Raises:
        InputError: neither.
    """
    if isinstance(net, PiecewiseLinearNetwork):
        return net
    first = next((m for m in net.modules() if isinstance(m, nn.Linear)), None) if isinstance(net, nn.Module) else None
    if first is None:
        raise InputError(f"a traced network is needed, tp.trace(model, example); found a {type(net).__name__}")
    return trace(net, torch.zeros(2, first.in_features, dtype=first.weight.dtype, device=first.weight.device))


def starting_points(net: PiecewiseLinearNetwork, limit: int) -> np.ndarray:
    """Points (P, d) where the search for pieces begins, which the proof completes: one in each cell, or, in more than five
    dimensions, random ones near and far from the origin.

    Raises:
        TooManyMonomials: as :func:`cell_points`.
    """
    from tropica.tropical.complete import FLAT

    d = int(np.prod(net.input_shape))
    if not FLAT < d <= DIMENSIONS:
        return cell_points(net, limit)
    random = np.random.default_rng(0)
    return random.standard_normal((SAMPLES, d)) * 10.0 ** random.integers(-1, 3, (SAMPLES, 1))


def cell_points(net: PiecewiseLinearNetwork, limit: int) -> np.ndarray:
    """A point inside each activation cell (C, d), as the region engine finds them.

    Raises:
        TooManyMonomials: more than ``limit`` cells.
    """
    d = int(np.prod(net.input_shape))
    if d > DIMENSIONS:
        raise TooManyMonomials(
            f"the network has {d} inputs; all of space is taken apart for up to {DIMENSIONS}: {INSTEAD}", reached=0
        )
    try:
        return points_of_cells(net, Space(d), limit)
    except TooManyCells as found:
        more = ", and the next one makes far more" if found.more else ""
        raise TooManyMonomials(
            f"after nonlinearity {found.nonlinearities} of {len(net.nonlinearities)} there are {found.cells:,} cells, each of which can be a monomial of "
            f"F and of G{more}; the limit is {limit:,}; raise limit=, or {INSTEAD}",
            reached=found.cells,
        ) from None


Read = Callable[[Pieces], list[RationalArray]]
"""What is collected of pieces: convex functions, a table (groups, d + 1) each."""


def convex_parts(found: Pieces) -> list[RationalArray]:
    """F of each output, and then G of each."""
    both = ((part.numerators, part.denominator) for part in (found.f, found.g))
    return [RationalArray(top[:, i], bottom) for top, bottom in both for i in range(top.shape[1])]


class Collection:
    """The pieces of convex functions that have been found, each once.

    Args:
        network: what they are functions of.
        read: which functions; by default F and G of each output.
    """

    def __init__(self, network: ExactNetwork, read: Read = convex_parts) -> None:
        self.network, self.read = network, read
        self.functions: list[Monomials] = []

    def add(self, points: np.ndarray) -> None:
        """The pieces at points (P, d) of floats."""
        at = rational_array(points, "points", 2)
        self.add_flags(
            np.concatenate([at.numerators, np.full((len(points), 1), at.denominator, dtype=at.numerators.dtype)], 1)[:, None]
        )

    def add_flags(self, flags: np.ndarray) -> None:
        """The pieces at flags (P, L, d + 1); a direction that tells all functions apart is put behind them."""
        tables = self.read(directed(self.network, flags))
        if not self.functions:
            self.functions = [Monomials() for _ in tables]
        for monomials, table in zip(self.functions, tables, strict=True):
            monomials.add(table.numerators, table.denominator)

    def polynomials(self) -> list[TropicalPolynomial]:
        """The functions, as far as they have been found."""
        return [monomials.polynomial() for monomials in self.functions]


def directed(network: ExactNetwork, flags: np.ndarray) -> Pieces:
    """Pieces at flags, with a random direction behind them: with another one where two functions are equal along it."""
    for seed in range(20):
        random = np.random.default_rng(seed)
        d = flags.shape[2] - 1
        last = random.integers(-(2**20), 2**20, (len(flags), 1, d + 1)).astype(flags.dtype)
        last[..., -1] = 0
        try:
            return pieces(network, np.concatenate([flags, last], 1))
        except Unlucky:
            continue
    raise AssertionError("no direction tells the network's functions apart")


class Monomials:
    """Distinct affine functions over a common denominator that may grow."""

    def __init__(self) -> None:
        self.bottom = 1
        self.rows: dict[tuple[int, ...], None] = {}

    def add(self, top: np.ndarray, bottom: int) -> bool:
        """Add rows (n, d + 1) over a power of two; was one of them new?"""
        if bottom > self.bottom:
            factor = bottom // self.bottom
            self.rows = {tuple(n * factor for n in row): None for row in self.rows}
            self.bottom = bottom
        factor = self.bottom // bottom
        before = len(self.rows)
        scaled = top.tolist() if factor == 1 else [[n * factor for n in row] for row in top.tolist()]
        self.rows.update((tuple(row), None) for row in scaled)
        return len(self.rows) > before

    def polynomial(self) -> TropicalPolynomial:
        """Their maximum, in the order of exponents. All are essential: each is what a convex function is on an open set."""
        top = np.empty((len(self.rows), len(next(iter(self.rows)))), dtype=object)
        for i, row in enumerate(sorted(self.rows)):
            top[i] = row
        found = TropicalPolynomial.from_table(RationalArray(top, self.bottom))
        found.__dict__["_essential"] = found
        return found
