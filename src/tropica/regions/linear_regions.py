"""``tp.linear_regions``: the cells of a domain, exactly."""

from __future__ import annotations

from typing import overload

from torch import nn

from tropica.errors import InputError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.regions.complex import RegionComplex
from tropica.regions.domain import Domain
from tropica.regions.domains import Ball, Box, Plane, Polygon, Polytope, Segment, Simplex, Slice, Space
from tropica.regions.enumerated import can_enumerate, enumerate_cells
from tropica.regions.parts import Walked
from tropica.regions.segments.complex import SegmentRegions, segment_regions
from tropica.regions.solid import solid_cells
from tropica.runtime.arithmetic import own_settings


@overload
def linear_regions(net: PiecewiseLinearNetwork | nn.Module, domain: Segment) -> SegmentRegions: ...
@overload
def linear_regions(
    net: PiecewiseLinearNetwork | nn.Module, domain: Box | Plane | Space | Polytope | Polygon | Simplex | Ball | Slice
) -> RegionComplex: ...
@overload
def linear_regions(net: PiecewiseLinearNetwork | nn.Module, domain: Domain) -> RegionComplex | SegmentRegions: ...
@own_settings()
def linear_regions(net: PiecewiseLinearNetwork | nn.Module, domain: Domain) -> RegionComplex | SegmentRegions:
    """Take a network apart into the cells of a domain on which it is affine.

    Args:
        net: a traced network.
        domain: a Segment, a Space, or a polytope: Box, Plane, Polytope, Triangle, Polygon, Simplex, Ball, Slice.

    Returns:
        A :class:`RegionComplex`; for a Segment :class:`SegmentRegions`, the breakpoints in order.

    Raises:
        InputError: not a traced network, a domain that does not fit its inputs or has too many dimensions.

    >>> import torch, tropica as tp
    >>> torch.manual_seed(0)  # doctest: +ELLIPSIS
    <...>
    >>> layers = [torch.nn.Linear(2, 16), torch.nn.ReLU(), torch.nn.Linear(16, 16), torch.nn.ReLU(), torch.nn.Linear(16, 16)]
    >>> model = torch.nn.Sequential(*layers, torch.nn.ReLU(), torch.nn.Linear(16, 1)).double().eval()
    >>> net = tp.trace(model, torch.zeros(2, 2, dtype=torch.float64))
    >>> cx = tp.linear_regions(net, tp.Box(-1, 1, d=2))
    >>> len(cx.cells), round(cx.volume, 12)
    (178, 4.0)
    """
    if not isinstance(net, PiecewiseLinearNetwork):
        raise InputError(f"linear_regions needs a traced network, tp.trace(model, example); got {type(net).__name__}")
    if not isinstance(domain, Domain):
        raise InputError(f"a domain is needed, as tp.Box(-1, 1, d=2); found {type(domain).__name__}")
    domain.check_input(net.input_shape)
    if isinstance(domain, Segment):
        return segment_regions(net, domain)
    if can_enumerate(net, domain):
        found = enumerate_cells(net, domain)
        return RegionComplex(found, domain, found.net)
    solid = solid_cells(net, domain)
    return RegionComplex(Walked(solid), domain, solid.folded.net)
