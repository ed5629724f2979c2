"""``tp.to_tropical``: a network as a tropical rational map, exactly.

F and G are affine on every activation cell, and these affine functions are their essential monomials: one exact forward pass
at a point of each cell gives all of them, and no monomial has to be pruned. The points come from the region engine, or in more
than 5 dimensions from a random generator. F and G near a point are computed in integers
(:mod:`tropica.tropical.convex_pieces`), so that every monomial is essential, wherever the points are. Completeness is checked
where F and the maximum of the monomials found could differ: at the vertices and along the rays of the hypersurface of that
maximum (:mod:`tropica.tropical.completeness`).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import nn

from tropica.errors import InputError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import as_network
from tropica.regions.domains.constructors import Space
from tropica.regions.points import TooManyCells, points_of_cells
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.progress import ProgressCallback, progress_callback
from tropica.tropical.completeness import LOW_DIMENSION, complete
from tropica.tropical.exact_network import exact_network
from tropica.tropical.limits import ALTERNATIVES, MAX_MONOMIALS, TooManyMonomials, announce, most_monomials
from tropica.tropical.multiplied_out import multiplied_out
from tropica.tropical.piece_collection import PieceCollection
from tropica.tropical.polynomial import TropicalRational
from tropica.tropical.rational_map import TropicalMap

MAX_INPUTS = 12
"""Inputs up to which all of space is decomposed into cells."""
SAMPLES = 2000
"""Random points at which the search for pieces starts in more than 5 dimensions."""

Method = Literal["regions", "algebra"]


@own_settings()
def to_tropical(
    net: PiecewiseLinearNetwork | nn.Module,
    *,
    method: Method = "regions",
    limit: int = MAX_MONOMIALS,
    check: bool = True,
    progress: bool | ProgressCallback = False,
) -> TropicalMap:
    """Write a network as a tropical rational map F ⊘ G, a rational function for each output, with essential monomials only.

    F and G are those of Zhang, Naitzat and Lim: an affine op A = A⁺ − A⁻ maps (F, G) to (A⁺F + A⁻G + b, A⁻F + A⁺G), and ReLU
    replaces F by max(F, G) and keeps G; other nonlinearities: :mod:`tropica.tropical.convex_pieces`. Weights are read as
    the rationals that float64 stores; integer weights give integer exponents and coefficients.

    Args:
        net: a traced network, or a torch module whose first layer is ``nn.Linear``; any affine ops and nonlinearities.
        method: "regions" reads the monomials off the network's activation cells; "algebra" multiplies polynomials out, op by
            op, and prunes after each op (slower and independent of the region engine: each method checks the other).
        limit: number of monomials (cells) beyond which the computation stops.
        check: prove that no monomial is missing; without the proof, monomials of cells thinner than rounding may be. In more
            than 5 inputs the search starts from random points instead of from the cells, and the proof is refused for more
            than 64 monomials.

        progress: True for a bar, or a callback. The first message says how many monomials there may be, before anything starts;
            beyond the limit this is a ``LargeAnswerWarning`` as well.

    Returns:
        A :class:`TropicalMap`; ``tropical(x)`` is the network's output up to rounding, ``tropical.exact(x)`` without.

    Raises:
        TooManyMonomials: more than ``limit`` monomials; the error states the number reached and alternatives, and its ``known``
            is the map of the essential monomials found so far, or None.
        InputError: not a network, or a network with too many inputs.

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1)).double().eval()
    >>> with torch.no_grad():
    ...     _ = model[0].weight.copy_(torch.tensor([[1.0], [-2.0]])), model[0].bias.copy_(torch.tensor([0.0, 1.0]))
    ...     _ = model[2].weight.copy_(torch.tensor([[1.0, -1.0]])), model[2].bias.zero_()
    >>> to_tropical(model)[0]  # relu(x) − relu(1 − 2x)
    max-plus: (0⊙x₁² ⊕ 0⊙x₁³) ⊘ (1 ⊕ 0⊙x₁²)
    """
    if method not in ("regions", "algebra"):
        raise InputError(f"method is 'regions' or 'algebra'; found {method!r}")
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise InputError(f"limit must be a whole number, 1 or more; found {limit!r}")
    net = as_network(net).to(torch.float64).to("cpu")
    with progress_callback(progress) as report:
        most = most_monomials(net)
        announce(most, limit, "monomials of each polynomial", report)
        if method == "algebra":
            return multiplied_out(exact_network(net), limit)
        points = starting_points(net, limit) if check else cell_points(net, limit)
        found = PieceCollection(exact_network(net))
        found.add(points)
        if report is not None:
            report(max(len(f.rows) for f in found.functions), min(most, limit), "monomials found")
        if check:
            try:
                complete(found, limit)
            except TooManyMonomials as error:
                error.known = _map_of(found)
                raise
        return _map_of(found)


def _map_of(found: PieceCollection) -> TropicalMap:
    """F ⊘ G of each output, of the pieces found."""
    both = found.polynomials()
    outputs = len(both) // 2
    return TropicalMap(TropicalRational(f, g) for f, g in zip(both[:outputs], both[outputs:], strict=True))


def starting_points(net: PiecewiseLinearNetwork, limit: int) -> np.ndarray:
    """Points (P, d) at which the search for pieces starts; the completeness proof finds the remaining pieces.

    One point in each cell; in more than five dimensions, random points near the origin and far from it.

    Raises:
        TooManyMonomials: as :func:`cell_points`.
    """
    d = int(np.prod(net.input_shape))
    if not LOW_DIMENSION < d <= MAX_INPUTS:
        return cell_points(net, limit)
    random = np.random.default_rng(0)
    return random.standard_normal((SAMPLES, d)) * 10.0 ** random.integers(-1, 3, (SAMPLES, 1))


def cell_points(net: PiecewiseLinearNetwork, limit: int) -> np.ndarray:
    """A point (C, d) inside each activation cell, from the region engine; none for a cell that holds no float point.

    Raises:
        TooManyMonomials: more than ``limit`` cells.
    """
    d = int(np.prod(net.input_shape))
    if d > MAX_INPUTS:
        raise TooManyMonomials(
            f"the network has {d} inputs; all of space is decomposed for up to {MAX_INPUTS}: {ALTERNATIVES}", reached=0
        )
    try:
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            points = points_of_cells(net, Space(d), limit)
    except TooManyCells as found:
        raise TooManyMonomials(
            f"there are at least {found.cells:,} cells, each of which can be a monomial of F and of G; the limit is {limit:,}; "
            f"raise limit=, or {ALTERNATIVES}",
            reached=found.cells,
        ) from None
    points = points[np.isfinite(points).all(1)]  # a cell may be thinner than rounding, and hold no float point
    return points if len(points) else np.zeros((1, d))
