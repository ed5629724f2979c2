"""``tp.count_cells`` and ``tp.iter_cells``: the cells of a network on a domain, counted or as a stream."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np
from torch import nn

from tropica.errors import InputError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import as_network
from tropica.regions.domains.domain import Domain
from tropica.regions.engine.cell_blocks import MAPS, SIGNS, VERTICES, VOLUMES, CellBlock
from tropica.regions.engine.cell_stream import problem_on
from tropica.regions.engine.limited_stream import LimitedStream
from tropica.regions.engine.settings import EnumerationSettings, Prune
from tropica.regions.engine.shared import count_shared
from tropica.regions.engine.tasks import Counters
from tropica.regions.lower.lowering import Lowered, lower
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.html import HtmlRepr
from tropica.runtime.processes import Processes
from tropica.runtime.progress import ProgressCallback, progress_callback

ARRAYS = (SIGNS, VOLUMES, MAPS, VERTICES)

SHARPENING = 1 << 20
"""Products of integers that may be spent on the vertices and maps of a block."""


class CellCount(HtmlRepr, int):
    """A number of cells.

    Attributes:
        complete: whether it counts all cells; otherwise a limit or Ctrl-C ended it, and ``cells`` is a lower bound.
        stopped: what ended the count: "Ctrl-C", "max_cells=…", "max_seconds=…"; None for a complete one.
        certified: whether every cell that was counted is proven to be one: no sign rests on floating point alone.
        signs: how many signs were decided by the ``filter`` on a cell's box, at its ``vertices`` in float64, and by ``exact``
            integers.
        seconds: time it took.

    >>> import tropica as tp
    >>> net = tp.from_layers([([[1.0, 0.0], [0.0, 1.0]], None), ([[1.0, 0.0], [0.0, 1.0]], None)])  # (relu(x₁), relu(x₂))
    >>> count = tp.count_cells(net, tp.Box(-1, 1, d=2))
    >>> count, count + 1, count.complete, count.certified
    (4 cells, 5, True, True)
    """

    complete: bool
    stopped: str | None
    certified: bool
    signs: dict[str, int]
    seconds: float

    def __repr__(self) -> str:
        return f"{'' if self.complete else 'at least '}{int(self):,} cells"


@own_settings()
def count_cells(
    net: PiecewiseLinearNetwork | nn.Module,
    domain: Domain,
    *,
    upto: str | None = None,
    simplify: bool = True,
    max_cells: int | None = None,
    max_seconds: float | None = None,
    memory: int | None = None,
    threads: int | None = None,
    progress: bool | ProgressCallback = False,
    distributed: bool = False,
) -> CellCount:
    """Count the cells of a network on a domain: full-dimensional sets of inputs with one sign vector.

    Args:
        net: a traced network.
        domain: a box, segment, plane or another polytope, or all of space.
        upto: the module path or node name whose output takes the place of the network's.
        simplify: merge nonlinearities where linear regions stay the same (a relu with its max-pool); otherwise cells are the
            activation patterns of the network as written.
        max_cells, max_seconds: stop after about this number of cells, or seconds; the count is then not complete.
        memory: bytes for cells that wait for their turn.
        threads: how many; all cores by default.
        progress: a bar, or a function of (cells, estimated total, message).
        distributed: share the work among the processes of torch.distributed, all of which make the same call and get the
            whole count; without limits and progress.

    Returns:
        A :class:`CellCount`, an int. Ctrl-C ends the enumeration with what there is.

    Raises:
        InputError: not a traced network, a domain that does not fit it or has too many dimensions.

    >>> import torch, tropica as tp
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1)).eval()
    >>> tp.count_cells(tp.trace(model, torch.zeros(2, 2)), tp.Box(-1, 1, d=2))
    8 cells
    """
    start, counters = time.monotonic(), Counters()
    settings = EnumerationSettings(upto, simplify, max_cells, max_seconds, memory, threads, progress, distributed)
    network, polytope = prepare(net, domain)
    lowered = lower(network, simplify=simplify, upto=upto)
    if distributed:
        processes, problem = Processes.join(), problem_on(lowered, polytope)
        count = CellCount(count_shared(problem, processes, settings.number_of_threads, counters))
        count.stopped = None
    else:
        count = _counted(lowered, polytope, settings, counters)
    count.complete = count.stopped is None
    count.certified, count.seconds = counters.undecided == 0, time.monotonic() - start
    count.signs = {"filter": counters.by_filter, "vertices": counters.at_vertices, "exact": counters.exactly}
    return count


def _counted(lowered: Lowered, domain: Domain, settings: EnumerationSettings, counters: Counters) -> CellCount:
    """The number of cells within the limits, and what stopped the count."""
    want, found = frozenset((VOLUMES,)) if settings.progress else frozenset[str](), 0
    with progress_callback(settings.progress) as report:
        stream = LimitedStream(lowered, domain, want, settings, counters, report)
        try:
            for block in stream:
                found += len(block)
        except KeyboardInterrupt:
            stream.stopped = "Ctrl-C"
    count = CellCount(found)
    count.stopped = stream.stopped
    return count


@own_settings()
def iter_cells(
    net: PiecewiseLinearNetwork | nn.Module,
    domain: Domain,
    *,
    arrays: Sequence[str] = ARRAYS,
    prune: Prune | None = None,
    upto: str | None = None,
    simplify: bool = True,
    max_cells: int | None = None,
    max_seconds: float | None = None,
    memory: int | None = None,
    threads: int | None = None,
    progress: bool | ProgressCallback = False,
) -> Iterator[CellBlock]:
    """Yield the cells of a network on a domain in blocks of arrays: any number of cells in bounded memory.

    The cells and their order depend on the network, the domain and ``prune``, not on the threads. The caller may
    stop at any time.

    Args:
        arrays: what is made of each cell: any of "signs", "volumes", "maps", "vertices".
        prune: a function of lower and upper bounds (outputs,) of the outputs. A cell is left out where it returns True for the
            cell's range; where it does for bounds over a larger set, all of the set is. It must return True for every part of
            a set for which it does.
        net, domain, upto, simplify, max_cells, max_seconds, memory, threads, progress: as in :func:`count_cells`.

    Yields:
        :class:`CellBlock`.

    Raises:
        InputError: as :func:`count_cells`; another word in ``arrays``.

    >>> import torch, tropica as tp
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1)).eval()
    >>> net = tp.trace(model, torch.zeros(2, 2))
    >>> sum(block.volumes.sum() for block in tp.iter_cells(net, tp.Box(-1, 1, d=2), arrays=["volumes"])).round(12)
    np.float64(4.0)
    """
    if unknown := [a for a in arrays if a not in ARRAYS]:
        raise InputError(f"arrays must be any of {', '.join(ARRAYS)}; found {unknown[0]!r}")
    corners = not {VOLUMES, VERTICES}.isdisjoint(arrays)
    want = (
        frozenset(arrays)
        | (frozenset(ARRAYS) - {MAPS} if corners else frozenset())
        | (frozenset((SIGNS,)) if MAPS in arrays or prune else frozenset())
        | (frozenset((MAPS, VERTICES)) if prune else frozenset())
        | (frozenset((VOLUMES,)) if progress else frozenset())
    )

    settings = EnumerationSettings(upto, simplify, max_cells, max_seconds, memory, threads, progress)
    network, polytope = prepare(net, domain)  # errors come at once, not with the first block
    lowered = lower(network, simplify=simplify, upto=upto)

    def blocks() -> Iterator[CellBlock]:
        with progress_callback(progress) as report:
            with own_settings():
                stream = LimitedStream(lowered, polytope, want, settings, Counters(), report, prune)
            for found in stream:
                block = stream.sharpened(found, SHARPENING) if corners or MAPS in arrays else found
                kept = block if prune is None else block.select(~_pruned(block, prune))
                if len(kept):
                    yield kept.only(frozenset(arrays))

    return blocks()


def _pruned(block: CellBlock, prune: Prune) -> np.ndarray:
    low, high = block.output_range()
    return np.array([bool(prune(a, b)) for a, b in zip(low, high, strict=True)], bool)


def prepare(net: PiecewiseLinearNetwork | nn.Module, domain: Domain) -> tuple[PiecewiseLinearNetwork, Domain]:
    """Check a network and a domain against each other."""
    polytope = as_domain(domain)
    net = as_network(net, inputs=polytope.input_size)
    polytope.check_input(net.input_shape)
    return net, polytope


def as_domain(domain: object) -> Domain:
    """A domain of the engine."""
    if isinstance(domain, Domain):
        return domain
    raise InputError(f"a domain is needed, as tp.Box(-1, 1, d=2); found {type(domain).__name__}")
