"""A domain as inequalities on inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray, rationals
from tropica.regions.domains.constructors import Box, Space
from tropica.regions.domains.domain import Domain


@dataclass(frozen=True, eq=False)
class Walls:
    """The half-spaces of a domain of full dimension.

    Attributes:
        exact: (W, D + 1) rows [a | c] of a·x + c ≤ 0.
        floats: the same in float64.
        error: (W,) bounds on the error of the floats.
        box: (lo, hi) of a box, whose rows are those of hi, then those of lo; None for another domain.
    """

    exact: RationalArray
    floats: np.ndarray
    error: np.ndarray
    box: tuple[np.ndarray, np.ndarray] | None

    def __len__(self) -> int:
        return len(self.floats)


def walls_of(domain: Domain, input_shape: Sequence[int]) -> Walls | None:
    """The inequalities of a domain; None for all of space.

    Raises:
        InputError: no domain, one of another size, or one that is not of full dimension.
    """
    if not isinstance(domain, Domain):
        raise InputError(f"a domain is needed, as tp.Box(-1, 1, d=2); found {type(domain).__name__}")
    domain.check_input(tuple(input_shape))
    if domain.dimension < domain.input_size:
        raise InputError(f"the domain must have as many dimensions as the input; found {domain!r}")
    if isinstance(domain, Space):
        return None
    size = domain.input_size
    if isinstance(domain, Box):
        floats = np.concatenate([np.column_stack([np.eye(size), -domain.hi]), np.column_stack([-np.eye(size), domain.lo])])
        return Walls(rationals(floats), floats, np.zeros(len(floats)), (domain.lo, domain.hi))
    straight = not domain.origin.any() and np.array_equal(domain.basis, np.eye(size))
    rows = (domain if straight else domain.slice(np.zeros(size), np.eye(size))).halfspaces
    turned = rows.numerators.astype(object).copy()
    turned[:, -1] = -turned[:, -1]
    exact = RationalArray(turned, rows.denominator).reduced()
    floats = exact.floats()
    return Walls(exact, floats, np.abs(floats).max(1) * 2.0**-53, None)
