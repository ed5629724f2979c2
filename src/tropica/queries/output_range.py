"""``tp.output_range``: the exact minimum and maximum of a linear function of the outputs on a box."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from tropica.errors import InputError
from tropica.exact.rational_arrays import exact_array, nearest_float
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import as_network
from tropica.queries.arguments import positive
from tropica.queries.cell import MOST_DIMENSIONS
from tropica.queries.lipschitz_range import LipschitzSearch
from tropica.queries.range_search import Extreme, RangeSearch
from tropica.queries.unit_range import least_by_units
from tropica.queries.walls import walls_of
from tropica.queries.watch import Watch, watched
from tropica.regions.domains.constructors import Box
from tropica.regions.domains.domain import Domain
from tropica.regions.lower.lowering import Lowered, lower
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.html import HtmlRepr
from tropica.runtime.progress import ProgressCallback


@dataclass(frozen=True, eq=False, repr=False)
class OutputRange(HtmlRepr):
    """The range of a linear function of the outputs on a box.

    Attributes:
        minimum, maximum: an :class:`Extreme` each, with the point that attains it.
        boxes: how many boxes were bounded, or nodes with fixed units.
        cells: how many cells were visited.
        seconds: time it took.
        stopped: "Ctrl-C" where that ended a search, else None.

    >>> import tropica as tp
    >>> net = tp.from_layers([([[1.0], [-1.0]], None), ([[1.0, 1.0]], None)])  # |x|
    >>> found = tp.output_range(net, tp.Box(-1, 2, d=1))
    >>> found
    OutputRange(0 … 2, exact, 2 boxes, 4 cells)
    >>> found.maximum.value, found.maximum.point, found.exact
    (Fraction(2, 1), array([2.]), True)
    """

    minimum: Extreme
    maximum: Extreme
    boxes: int
    cells: int
    seconds: float
    stopped: str | None = None

    @property
    def exact(self) -> bool:
        """Whether both extremes are proven."""
        return self.minimum.exact and self.maximum.exact

    def __repr__(self) -> str:
        low, high = float(self.minimum), float(self.maximum)
        ends = (nearest_float(*e.bound.as_integer_ratio()) for e in (self.minimum, self.maximum))
        state = "exact" if self.exact else "within {:.9g} … {:.9g}".format(*ends)
        return f"OutputRange({low:.9g} … {high:.9g}, {state}, {self.boxes:,} boxes, {self.cells:,} cells)"


@own_settings()
def output_range(
    net: PiecewiseLinearNetwork | torch.nn.Module,
    domain: Box,
    objective: int | Sequence[float] | Any = 0,
    *,
    norm: str | None = None,
    output: int | None = None,
    max_boxes: int | None = None,
    max_seconds: float | None = None,
    seed: int = 0,
    progress: bool | ProgressCallback = False,
) -> OutputRange:
    """Find the minimum and the maximum of ⟨c, N(x)⟩ on a box.

    Boxes are taken in the order of their bounds, which are rounded outwards; a box whose bound is no better than the best value
    found is never looked into. A box in which few units may bend is taken apart into its cells, whose vertices are
    exact; so values are rational numbers, and the extreme is exact once no box is left. Within limits there is the best value
    found, and a bound.

    Above 8 dimensions the signs of units are fixed instead, one after the other, until the bound that the checker of proofs
    gives for the whole tree is within 10⁻⁷ of the best value. It is exact where rational arithmetic finds that they meet: for
    extremes at corners of the box.

    Args:
        net: a network or a module.
        domain: a box of full dimension.
        objective: an output, or the vector c (s,); or "lipschitz": the norm of the Jacobian, over all cells that meet the
            inside of the box. Its maximum is the local Lipschitz constant. The point is one of the cell.
        norm: for "lipschitz", of inputs and outputs: "l1" (largest sum of |entries| of a column), "linf" (of a row), "l2" of
            one output (the square of the gradient's length, as lengths need not be rational).
        output: for "lipschitz" the one output; all of them by default.
        max_boxes, max_seconds: limits for each of the two searches.
        seed: of the points that are tried first.
        progress: True for a bar, or a function (boxes, 0, message).

    Ctrl-C ends the search as a limit does; a second Ctrl-C ends it at once.

    Raises:
        InputError: no such box, an objective that is none, a limit that is not positive, a large network.

    >>> import tropica as tp
    >>> net = tp.from_layers([([[1.0, 0], [-1, 0], [0, 1], [0, -1]], None), ([[1.0, 1, 1, 1]], None)])  # |x| + |y|
    >>> found = tp.output_range(net, tp.Box([-1, -0.5], [0.25, 2]))
    >>> found.minimum.value, found.maximum.value, found.exact
    (Fraction(0, 1), Fraction(3, 1), True)
    >>> steep = tp.output_range(net, tp.Box([-1, -0.5], [0.25, 2]), "lipschitz", norm="l2")  # the gradient is (±1, ±1)
    >>> steep.minimum.value, steep.maximum.value
    (Fraction(2, 1), Fraction(2, 1))
    """
    net = as_network(net, inputs=domain.input_size if isinstance(domain, Domain) else None)
    if not isinstance(domain, Box):
        raise InputError(f"output_range needs a box, as tp.Box(lo, hi); found {type(domain).__name__}")
    walls_of(domain, net.input_shape)
    positive(max_boxes, "max_boxes")
    positive(max_seconds, "max_seconds")
    lowered, start = lower(net), time.monotonic()
    if isinstance(objective, str):
        chosen = _lipschitz(objective, norm, output, net.num_outputs, domain)
        both = [LipschitzSearch(net, lowered, domain, norm or "", chosen, sign, seed) for sign in (1, -1)]
        with watched(progress) as watch:
            return _searched(both, max_boxes, max_seconds, start, watch)
    if norm is not None or output is not None:
        raise InputError('norm and output are for the objective "lipschitz"')
    c = _objective(objective, net.num_outputs)
    with watched(progress) as watch:
        if domain.dimension > MOST_DIMENSIONS:
            return _by_units(net, lowered, domain, c, (max_boxes, max_seconds), seed, watch)
        both = [RangeSearch(net, lowered, domain, [sign * v for v in c], seed) for sign in (1, -1)]
        return _searched(both, max_boxes, max_seconds, start, watch)


def _searched(
    both: Sequence[RangeSearch],
    max_boxes: int | None,
    max_seconds: float | None,
    start: float,
    watch: Watch,
) -> OutputRange:
    """The range from the searches for the least value and for the least negative."""
    both[1].all_cells = both[0].all_cells
    found = []
    for search, name in zip(both, ("minimum", "maximum"), strict=True):
        watch.begin(f"{name}: boxes")
        found.append(search.run(max_boxes, max_seconds, watch))
    (low, one), (high, two) = found
    top = Extreme(-high.value, -high.bound, high.point, high.rational)
    return OutputRange(low, top, one.boxes + two.boxes, one.cells + two.cells, time.monotonic() - start, watch.stopped)


def _lipschitz(objective: str, norm: str | None, output: int | None, outputs: int, domain: Box) -> list[int]:
    """The outputs that the local Lipschitz constant is of."""
    if objective != "lipschitz":
        raise InputError(
            f'objective must be an output 0 … {outputs - 1}, {outputs} numbers, or "lipschitz"; found {objective!r}'
        )
    if norm not in ("l1", "l2", "linf"):
        raise InputError(f'the objective "lipschitz" needs norm="l1", "l2" or "linf"; found {norm!r}')
    if output is not None and (isinstance(output, bool) or not isinstance(output, int) or not 0 <= output < outputs):
        raise InputError(f"output must be one of 0 … {outputs - 1}; found {output!r}")
    if norm == "l2" and output is None and outputs > 1:
        raise InputError(f"the l2 norm is exact for one output; choose output= among {outputs}, or l1 or linf for all")
    if domain.dimension > MOST_DIMENSIONS:
        raise InputError(f'"lipschitz" is for up to {MOST_DIMENSIONS} dimensions; the box has {domain.dimension}')
    return [output] if output is not None else list(range(outputs))


def _by_units(
    net: PiecewiseLinearNetwork,
    lowered: Lowered,
    domain: Box,
    c: list[Fraction],
    limits: tuple[int | None, float | None],
    seed: int,
    watch: Watch,
) -> OutputRange:
    """The range in many dimensions."""
    start, nodes, ends = time.monotonic(), 0, []
    for sign, name in ((1, "minimum"), (-1, "maximum")):
        watch.begin(f"{name}: nodes")
        until = math.inf if limits[1] is None else time.monotonic() + limits[1]
        box, objective = (domain.lo, domain.hi), [sign * v for v in c]
        found = least_by_units(net, lowered, box, objective, limits[0] or math.inf, until, seed, watch)
        if found.bound is None:
            raise InputError("the outputs are too large for bounds in float64")
        point = np.array([float(v) for v in found.point]).reshape(net.input_shape)
        ends.append(Extreme(sign * found.value, sign * found.bound, point, found.point))
        nodes += found.nodes
    return OutputRange(ends[0], ends[1], nodes, 0, time.monotonic() - start, watch.stopped)


def _objective(objective: Any, outputs: int) -> list[Fraction]:
    if isinstance(objective, int) and not isinstance(objective, bool):
        if not 0 <= objective < outputs:
            raise InputError(f"objective must be an output 0 … {outputs - 1}, or {outputs} numbers; found {objective}")
        return [Fraction(int(k == objective)) for k in range(outputs)]
    try:
        array = exact_array(objective, "objective", 1)
    except (InputError, TypeError):
        raise InputError(f"objective must be an output 0 … {outputs - 1}, or {outputs} numbers; found {objective!r}") from None
    if len(array) != outputs:
        raise InputError(f"objective must have {outputs} numbers, one an output; found {len(array)}")
    return [Fraction(v) for v in array.tolist()]
