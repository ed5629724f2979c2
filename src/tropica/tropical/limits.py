"""How many monomials a network's polynomials may have, the limit on them, and the error beyond it."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from tropica.bounds.upper import serra2018
from tropica.errors import InputError
from tropica.exact.binomials import binomial_sum
from tropica.network.network import PiecewiseLinearNetwork
from tropica.runtime.progress import ProgressCallback

MAX_MONOMIALS = 100_000
"""Default limit on the number of cells and on the number of monomials of each polynomial."""
ALTERNATIVES = (
    "for such a network use tp.linear_regions on a Box, a Plane or a Segment, tp.extract for the linear terms at data "
    "points, or tp.bounds for bounds on their number"
)


class TooManyMonomials(InputError):
    """A network with too many monomials.

    Attributes:
        reached: the number at which the computation stopped.
        known: what was found: for ``to_tropical`` a TropicalMap of the essential monomials found so far, for ``zonotopes`` the
            zonotopes P(G) and P(H) of each output; None where nothing was.

    >>> import tropica as tp
    >>> net = tp.from_layers([([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], None), ([[1.0, 1.0, -1.0]], None)])
    >>> try:
    ...     found = tp.to_tropical(net, limit=2)
    ... except tp.tropical.TooManyMonomials as error:
    ...     print(error.reached)
    3
    """

    def __init__(self, text: str, reached: int, known: Any = None) -> None:
        super().__init__(text)
        self.reached, self.known = reached, known


class LargeAnswerWarning(UserWarning):
    """An answer that may be larger than the limit at which the computation stops.

    >>> import warnings, tropica as tp
    >>> with warnings.catch_warnings():  # stop before a computation that may be too large
    ...     warnings.simplefilter("error", tp.tropical.LargeAnswerWarning)
    ...     len(tp.to_tropical(tp.from_layers([([[1.0]], None), ([[1.0]], None)])))
    1
    """


def most_monomials(net: PiecewiseLinearNetwork) -> int:
    """Bound the number of activation cells of a network from above, and so the monomials of F and of G of each output.

    Every nonlinearity cuts a cell by the hyperplanes on which two pieces of a unit are equal; h of them make at most
    Σ_{j≤d} C(h, j) parts in d dimensions. The bound is the product over all nonlinearities; of dense ReLU networks, Serra's.

    >>> import tropica as tp
    >>> most_monomials(tp.from_layers([([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [0.0] * 3), ([[1.0, 1.0, 1.0]], [0.0])]))
    7
    """
    d = int(np.prod(net.input_shape))
    total = 1
    for node in net.nonlinearities:
        pieces = node.op.num_pieces(*(net.shapes[name] for name in node.inputs))
        total *= binomial_sum(node.units * math.comb(pieces, 2), d)
    try:
        return min(total, serra2018(net))
    except InputError:
        return total


def announce(most: int, limit: int, what: str, report: ProgressCallback | None) -> None:
    """Say before a computation starts how large its answer may become: to a progress report; beyond the limit, as a warning."""
    if report is not None:
        report(0, min(most, limit), f"at most {shown_count(most)} {what}, limit {limit:,}")
    if most > limit:
        text = f"the answer may have up to {shown_count(most)} {what}; the computation stops at limit={limit:,}"
        warnings.warn(text, LargeAnswerWarning, stacklevel=4)


def shown_count(count: int) -> str:
    """A count with separators, of large ones the power of ten."""
    return f"{count:,}" if count < 10**12 else f"10^{len(str(count)) - 1}" if count.bit_length() < 10_000 else "10^3000 or more"
