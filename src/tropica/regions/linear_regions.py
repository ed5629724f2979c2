"""``tp.linear_regions``: the cells of a domain, exactly."""

from __future__ import annotations

from typing import overload

from torch import nn

from tropica.errors import InputError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.regions.complex import RegionComplex
from tropica.regions.domains import Box, Domain, Plane, Segment, Space
from tropica.regions.parts import Walked
from tropica.regions.segments.complex import SegmentRegions, segment_regions
from tropica.regions.solid import solid_cells
from tropica.runtime.arithmetic import own_settings


@overload
def linear_regions(net: PiecewiseLinearNetwork | nn.Module, domain: Segment) -> SegmentRegions: ...
@overload
def linear_regions(net: PiecewiseLinearNetwork | nn.Module, domain: Box | Plane | Space) -> RegionComplex: ...
@overload
def linear_regions(net: PiecewiseLinearNetwork | nn.Module, domain: Domain) -> RegionComplex | SegmentRegions: ...
@own_settings()
def linear_regions(net: PiecewiseLinearNetwork | nn.Module, domain: Domain) -> RegionComplex | SegmentRegions:
    """Take a network apart into the cells of a domain on which it is affine.

    Args:
        net: a traced network.
        domain: a Box, Plane, Segment or Space.

    Returns:
        A :class:`RegionComplex`; for a Segment :class:`SegmentRegions`, the breakpoints in order.

    Raises:
        InputError: not a traced network, or a domain that does not fit its inputs.

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
    if isinstance(domain, Segment):
        return segment_regions(net, domain)
    solid = solid_cells(net, domain)
    return RegionComplex(Walked(solid), domain, solid.folded.net)
