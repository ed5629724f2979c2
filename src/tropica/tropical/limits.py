"""The size of polynomials up to which a network is turned into them, and the error beyond it."""

from __future__ import annotations

from tropica.errors import InputError

MAX_MONOMIALS = 100_000
"""Default limit on monomials: on cells, and on the monomials of each polynomial."""
ALTERNATIVES = (
    "for such a network use tp.linear_regions on a Box, a Plane or a Segment, tp.extract for the pieces at data points, or "
    "tp.bounds for bounds on their number"
)


class TooManyMonomials(InputError):
    """A network whose polynomials are too large: ``reached`` is the number of monomials at which the computation stopped."""

    def __init__(self, text: str, reached: int) -> None:
        super().__init__(text)
        self.reached = reached
