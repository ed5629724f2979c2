"""Limit on the number of monomials of a network's polynomials, and the error beyond it."""

from __future__ import annotations

from tropica.errors import InputError

MAX_MONOMIALS = 100_000
"""Default limit on the number of cells and on the number of monomials of each polynomial."""
ALTERNATIVES = (
    "for such a network use tp.linear_regions on a Box, a Plane or a Segment, tp.extract for the linear terms at data "
    "points, or tp.bounds for bounds on their number"
)


class TooManyMonomials(InputError):
    """A network with too many monomials; ``reached`` is the number at which the computation stopped."""

    def __init__(self, text: str, reached: int) -> None:
        super().__init__(text)
        self.reached = reached
