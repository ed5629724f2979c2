"""The distinct affine pieces found so far of a network's convex functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from tropica.exact.rational_arrays import RationalArray, rational_array
from tropica.tropical.convex_pieces import ConvexPieces, DegenerateFlag, convex_pieces
from tropica.tropical.exact_network import ExactNetwork
from tropica.tropical.polynomial import TropicalPolynomial

Read: TypeAlias = Callable[[ConvexPieces], list[RationalArray]]
"""The selection of convex functions to collect: a table (groups, d + 1) for each."""
DIRECTIONS = 20
"""Number of random directions to try."""


def f_then_g(found: ConvexPieces) -> list[RationalArray]:
    """F of each output, then G of each output."""
    return [
        RationalArray(part.numerators[:, i], part.denominator)
        for part in (found.f, found.g)
        for i in range(part.numerators.shape[1])
    ]


class PieceCollection:
    """The distinct pieces found of several convex functions.

    Args:
        network: the network that defines the functions.
        read: the selection of functions; by default F and G of each output.
    """

    def __init__(self, network: ExactNetwork, read: Read = f_then_g) -> None:
        self.network, self.read = network, read
        self.functions: list[Pieces] = []

    def add(self, points: np.ndarray) -> None:
        """Add the pieces at points (P, d) of floats."""
        at = rational_array(points, "points", 2)
        self.add_flags(
            np.concatenate([at.numerators, np.full((len(points), 1), at.denominator, dtype=at.numerators.dtype)], 1)[:, None]
        )

    def add_flags(self, flags: np.ndarray) -> None:
        """Add the pieces at flags (P, L, d + 1), each followed by a random direction that separates all functions."""
        tables = self.read(pieces_in_random_direction(self.network, flags))
        if not self.functions:
            self.functions = [Pieces() for _ in tables]
        for pieces, table in zip(self.functions, tables, strict=True):
            pieces.add(table)

    def polynomials(self) -> list[TropicalPolynomial]:
        """The maximum of the pieces of each function."""
        return [pieces.polynomial() for pieces in self.functions]


def pieces_in_random_direction(network: ExactNetwork, flags: np.ndarray) -> ConvexPieces:
    """Pieces at flags, each followed by a random direction; another direction where two functions are equal along it."""
    for seed in range(DIRECTIONS):
        random = np.random.default_rng(seed)
        last = random.integers(-(2**20), 2**20, (len(flags), 1, flags.shape[2])).astype(flags.dtype)
        last[..., -1] = 0
        try:
            return convex_pieces(network, np.concatenate([flags, last], 1))
        except DegenerateFlag:
            continue
    raise AssertionError("no direction separates the network's functions")


class Pieces:
    """Distinct affine functions over a common power of two, which may grow."""

    def __init__(self) -> None:
        self.denominator = 1
        self.rows: dict[tuple[int, ...], None] = {}

    def add(self, table: RationalArray) -> None:
        """Add rows (n, d + 1) over a power of two."""
        if table.denominator > self.denominator:
            factor = table.denominator // self.denominator
            self.rows = {tuple(n * factor for n in row): None for row in self.rows}
            self.denominator = table.denominator
        factor = self.denominator // table.denominator
        self.rows.update((tuple(n * factor for n in row), None) for row in table.numerators.tolist())

    def polynomial(self) -> TropicalPolynomial:
        """The maximum of the pieces, sorted. Every piece is essential: it equals the convex function on an open set."""
        top = np.empty((len(self.rows), len(next(iter(self.rows)))), dtype=object)
        for i, row in enumerate(sorted(self.rows)):
            top[i] = row
        return TropicalPolynomial(RationalArray(top, self.denominator), pruned=True)
