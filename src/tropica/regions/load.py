"""``tp.load_regions``: a complex from its file."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from tropica.errors import InputError, StoreError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.regions.complex.archive import read_cells
from tropica.regions.complex.enumerated import Enumerated
from tropica.regions.complex.parts import Stored
from tropica.regions.complex.region_complex import RegionComplex
from tropica.regions.engine.cell_stream import problem_on
from tropica.regions.engine.tasks import Counters
from tropica.regions.lower.lowering import lower
from tropica.runtime.arithmetic import own_settings


@own_settings()
def load_regions(path: str | os.PathLike[str], net: PiecewiseLinearNetwork | None = None) -> RegionComplex:
    """Read a complex that ``cx.save(path)`` wrote.

    Args:
        path: the file.
        net: the network that it is of. Without it cells, maps, volumes and neighbors can be read; what needs the network, such
            as ``locate``, ``boundary`` and ``facets``, is refused.

    Returns:
        The :class:`RegionComplex`.

    Raises:
        StoreError: no such file, not one of regions, damaged, or of another network; names the file.
        InputError: ``net`` is not a traced network.

    >>> import tempfile, torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.ReLU()).double().eval()
    >>> with torch.no_grad():
    ...     _ = model[0].weight.fill_(1.0), model[0].bias.fill_(0.0)
    >>> cx = tp.linear_regions(tp.trace(model, torch.zeros(2, 2).double()), tp.Box(-1, 1, d=2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cx.save(f"{folder}/regions.safetensors")
    ...     again = tp.load_regions(f"{folder}/regions.safetensors")
    >>> len(again.cells), len(again.maps), again.volume
    (2, 2, 4.0)
    """
    if net is not None and not isinstance(net, PiecewiseLinearNetwork):
        raise InputError(f"load_regions needs a traced network, tp.trace(model, example); got {type(net).__name__}")
    file = Path(path)
    cells, fingerprint, connected = read_cells(file)
    if net is None:
        return RegionComplex(cells, cells.domain, None, fingerprint, connected)
    if cells.upto is not None:
        net = net.upto(cells.upto)
    if net.fingerprint != fingerprint:
        raise StoreError(f"{file}: of another network (fingerprint {fingerprint[:12]}…, this one has {net.fingerprint[:12]}…)")
    found = _with_network(cells, net)
    if found.layout_digest != cells.layout_digest:
        raise StoreError(f"{file}: the units have other numbers in this version of tropica; it can be read without the network")
    return RegionComplex(found, cells.domain, found.net, fingerprint, connected)


def _with_network(cells: Stored, net: PiecewiseLinearNetwork) -> Enumerated:
    lowered, own = lower(net, simplify=cells.simplify), net.to(torch.float64).to("cpu")
    problem, counters = problem_on(lowered, cells.domain), Counters(undecided=cells.undecided)
    options = cells.stopped, cells.simplify, cells.upto
    return Enumerated(own, lowered, cells.domain, problem, cells.cells, counters, *options)
