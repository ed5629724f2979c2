"""``tp.linear_regions``: the cells of a domain, exactly."""

from __future__ import annotations

from torch import nn

from tropica.errors import InputError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import as_network
from tropica.regions.complex.enumerated import enumerate_cells
from tropica.regions.complex.region_complex import Connected, RegionComplex
from tropica.regions.domains.domain import Domain
from tropica.regions.engine.settings import EnumerationSettings
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.progress import ProgressCallback


@own_settings()
def linear_regions(
    net: PiecewiseLinearNetwork | nn.Module,
    domain: Domain,
    *,
    upto: str | None = None,
    simplify: bool = True,
    connected: Connected = "facet",
    max_cells: int | None = None,
    max_seconds: float | None = None,
    memory: int | None = None,
    threads: int | None = None,
    progress: bool | ProgressCallback = False,
    distributed: bool = False,
) -> RegionComplex:
    """Take a network apart into the cells of a domain on which it is affine.

    Args:
        net: a traced network.
        domain: a Segment, a Space, or a polytope: Box, Plane, Polytope, Triangle, Polygon, Simplex, Ball, Slice.
        upto: the module path or node name whose output takes the place of the network's.
        simplify: merge nonlinearities where linear regions stay the same (a relu with its max-pool); otherwise cells are the
            activation patterns of the network as written.
        connected: what connects the cells of a linear region: a common "facet" or a common "point".
        max_cells, max_seconds: stop after about this number of cells, or seconds; the complex is then not ``complete``.
        memory: bytes for the cells; by default a quarter of what is free.
        threads: how many; all cores by default.
        progress: a bar, or a function of (cells, estimated total, message): cells / total is the share of the volume done.
        distributed: share the enumeration among the processes of torch.distributed, all of which make the same call and get
            all cells; without limits and progress.

    Returns:
        The :class:`RegionComplex`; along a line (a Segment) its cells are in order. Ctrl-C ends the enumeration with the cells
        that there are; ``complete`` and the ``repr`` say so.

    Raises:
        InputError: not a network, a domain that does not fit its inputs or has too many dimensions, more cells than fit
            the memory.

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
    if not isinstance(domain, Domain):
        raise InputError(f"a domain is needed, as tp.Box(-1, 1, d=2); found {type(domain).__name__}")
    net = as_network(net, inputs=domain.input_size)
    if connected not in ("facet", "point"):
        raise InputError(f'connected must be "facet" or "point"; found {connected!r}')
    settings = EnumerationSettings(upto, simplify, max_cells, max_seconds, memory, threads, progress, distributed)
    domain.check_input(net.input_shape)
    part = net if upto is None else net.upto(upto)
    found = enumerate_cells(part, domain, settings)
    return RegionComplex(found, domain, found.net, connected=connected)
