"""``tp.count_cells`` and ``tp.iter_cells``: the cells of a network on a domain, counted or as a stream."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from torch import nn

from tropica.errors import InputError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.regions.cell_blocks import MAPS, SIGNS, VERTICES, VOLUMES, CellBlock, Problem, Sizes
from tropica.regions.cell_stream import problem_on, stream
from tropica.regions.domain import Domain
from tropica.regions.domains import Space
from tropica.regions.exact_vertices import sharpened
from tropica.regions.lower import lower
from tropica.regions.output_bounds import output_bounds
from tropica.regions.tasks import Counters, Task
from tropica.regions.volume import hull_volume
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.memory import budget
from tropica.runtime.progress import ProgressCallback, progress_callback

Prune = Callable[[np.ndarray, np.ndarray], bool]
"""A function of lower and upper bounds (outputs,) over a set of inputs: True where nothing in the set is wanted."""
ARRAYS = (SIGNS, VOLUMES, MAPS, VERTICES)


class CellCount(int):
    """A number of cells.

    Attributes:
        complete: whether it counts all cells; otherwise a limit or Ctrl-C ended it, and there are at least so many.
        certified: whether every cell that was counted is proven to be one: no sign rests on floating point alone.
        signs: how many signs were decided by the ``filter`` on a cell's box, at its ``vertices`` in float64, and by ``exact``
            integers.
        seconds: time it took.
    """

    complete: bool
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
) -> CellCount:
    """Count the cells of a network on a domain: full-dimensional sets of inputs with one sign vector.

    Args:
        net: a traced network.
        domain: a box, segment, plane or another polytope.
        upto: the module path or node name whose output takes the place of the network's.
        simplify: merge nonlinearities where linear regions stay the same (a relu with its max-pool); otherwise cells are the
            activation patterns of the network as written.
        max_cells, max_seconds: stop after about so many; the count is then not complete.
        memory: bytes for cells that wait for their turn.
        threads: how many; all cores by default.
        progress: a bar, or a function of (cells, estimated total, message).

    Returns:
        A :class:`CellCount`, an int. Ctrl-C ends the enumeration with what there is.

    Raises:
        InputError: not a traced network, a domain that does not fit it, is unbounded or has too many dimensions.

    >>> import torch, tropica as tp
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1)).eval()
    >>> tp.count_cells(tp.trace(model, torch.zeros(2, 2)), tp.Box(-1, 1, d=2))
    8 cells
    """
    start, counters, found = time.monotonic(), Counters(), 0
    want = frozenset((VOLUMES,)) if progress else frozenset[str]()
    complete = True
    with progress_callback(progress) as report:
        stream = _Stream(net, domain, want, upto, simplify, max_cells, max_seconds, memory, threads, report, counters)
        try:
            for block in stream:
                found += len(block)
            complete = stream.complete
        except KeyboardInterrupt:
            complete = False
    count = CellCount(found)
    count.complete, count.certified, count.seconds = complete, counters.undecided == 0, time.monotonic() - start
    count.signs = {"filter": counters.by_filter, "vertices": counters.at_vertices, "exact": counters.exactly}
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
    sharp = not {VOLUMES, VERTICES}.isdisjoint(arrays)
    want = (
        frozenset(arrays)
        | (frozenset(ARRAYS) - {MAPS} if sharp else frozenset())
        | (frozenset((MAPS, VERTICES)) if prune else frozenset())
        | (frozenset((VOLUMES,)) if progress else frozenset())
    )

    def blocks() -> Iterator[CellBlock]:
        with progress_callback(progress) as report:
            with own_settings():
                stream = _Stream(
                    net, domain, want, upto, simplify, max_cells, max_seconds, memory, threads, report, Counters(), prune
                )
            for found in stream:
                block = stream.sharpened(found) if sharp else found
                kept = block if prune is None else block.select(~_pruned(block, prune))
                if len(kept):
                    yield kept.only(frozenset(arrays))

    prepare(net, domain)  # errors come at once, not with the first block
    return blocks()


def _pruned(block: CellBlock, prune: Prune) -> np.ndarray:
    low, high = block.output_range()
    return np.array([bool(prune(a, b)) for a, b in zip(low, high, strict=True)], bool)


class _Stream:
    """The blocks of one enumeration within its limits; ``complete`` once all were given."""

    def __init__(
        self, net, domain, want, upto, simplify, max_cells, max_seconds, memory, threads, report, counters, prune=None
    ) -> None:
        network, polytope = prepare(net, domain)
        self._limits = _positive(max_cells, "max_cells"), _positive(max_seconds, "max_seconds")
        self._threads = _threads(threads)
        self._bytes = budget(memory)
        self._problem = problem_on(lower(network, simplify=simplify, upto=upto), polytope)
        self._bounded = not isinstance(polytope, Space)
        self._volume = hull_volume(polytope.vertices, polytope.dimension) if report and self._bounded else 0.0
        self._want, self._report, self._counters, self._prune = want, report, counters, prune
        self._extent = float(np.ptp(polytope.vertices, axis=0).max()) if self._bounded else np.inf
        self.complete = False

    def sharpened(self, block: CellBlock) -> CellBlock:
        """The block with exact solutions where its vertices have large errors."""
        return sharpened(self._problem, block, self._extent) if isinstance(self._problem, Problem) else block

    def __iter__(self) -> Iterator[CellBlock]:
        start, found, done = time.monotonic(), 0, 0.0
        most, seconds = self._limits
        problem, prune = self._problem, self._prune
        sizes = Sizes() if prune is None else Sizes(32, 64, 128)
        window = _window(problem, self._want, sizes, self._bytes, self._threads)
        skip = None if prune is None else lambda part, task: prune(*_scaled_bounds(part, task, self._bounded))
        blocks = stream(
            problem,
            self._want,
            threads=min(self._threads, window),
            window=window,
            sizes=sizes,
            counters=self._counters,
            skip=skip,
        )
        for block in blocks:
            found += len(block)
            if self._report and block.volumes is not None:
                done += float(block.volumes.sum())
                share = self._volume / max(done, 1e-300) if self._bounded else 1.0
                self._report(found, max(found, round(found * share)), "cells")
            yield block
            if (most is not None and found >= most) or (seconds is not None and time.monotonic() - start > seconds):
                blocks.close()
                return
        self.complete = True


def prepare(net: PiecewiseLinearNetwork | nn.Module, domain: Domain) -> tuple[PiecewiseLinearNetwork, Domain]:
    """Check a network and a domain against each other."""
    if not isinstance(net, PiecewiseLinearNetwork):
        raise InputError(f"a traced network is needed, tp.trace(model, example); got {type(net).__name__}")
    polytope = as_domain(domain)
    polytope.check_input(net.input_shape)
    return net, polytope


def as_domain(domain: object) -> Domain:
    """A domain of the engine."""
    if isinstance(domain, Domain):
        return domain
    raise InputError(f"a domain is needed, as tp.Box(-1, 1, d=2); found {type(domain).__name__}")


def _scaled_bounds(problem: Problem, task: Task, bounded: bool) -> tuple[np.ndarray, np.ndarray]:
    low, high = output_bounds(problem.net, task)
    power = problem.output_exponents.astype(np.int32)
    low, high = np.ldexp(low, power), np.ldexp(high, power)
    if bounded:
        return low, high
    slack = task.X.shape[1] * float(task.disp.max()) + 2.0**-48  # on a cone the output is a form over s = 1 − Σ λ
    s = 1.0 - task.X.sum(1)
    least, most = max(float(s.min()) - slack, 0.0), float(s.max()) + slack
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(low < 0, low / least, low / most), np.where(high > 0, high / least, high / most)


def _window(problem: Problem, want: frozenset[str], sizes: Sizes, memory: int, threads: int) -> int:
    """How many blocks may wait, so that their arrays fit into the memory."""
    d, outputs, words = problem.net.d, int(problem.net.size[-1]), problem.net.bias.shape[1] // 64
    cell = 8 + (8 * words * len(problem.net.size) if SIGNS in want else 0) + (8 * outputs * (d + 2) if MAPS in want else 0)
    cell += (8 * (d + 5) * (2 + 3 * 2**d // 2)) if VERTICES in want else 0
    block = sizes.later * cell
    if memory < block:
        raise InputError(f"memory={memory:,} bytes is less than one block of {sizes.later:,} cells takes, {block:,}")
    return int(max(1, min(8 * threads, memory // block)))


def _threads(threads: int | None) -> int:
    if threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise InputError(f"threads must be a whole number, 1 or more, or None; found {threads!r}")
    return threads


def _positive(limit: float | None, name: str) -> float | None:
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | float) or not limit > 0):
        raise InputError(f"{name} must be a positive number or None; found {limit!r}")
    return limit
