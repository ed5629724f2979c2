"""What a walk computes of each cell: its facets and what lies beyond them, here or in processes of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray
from tropica.queries.cell import Cell, cell_of
from tropica.queries.distances import nearest_point
from tropica.queries.fixed_pieces import Pieces
from tropica.queries.seeds import Seed, halfspaces_of
from tropica.queries.walls import Walls
from tropica.regions.lower.lowering import Lowered
from tropica.runtime.arithmetic import own_settings

Beyond = list[tuple[int, str, Seed]]
"""For each facet that is not on the domain's border its number, its unit, and the cell beyond it."""


@dataclass(frozen=True, eq=False)
class Expansion:
    """The network of a walk, its domain, its starts (N, D), and the norm of distances."""

    lowered: Lowered
    walls: Walls | None
    starts: np.ndarray
    norm: str

    def cell(self, seed: Seed) -> Cell:
        """The cell of a seed."""
        return cell_of(self.lowered, seed, self.walls)

    def expand(self, here: Cell) -> tuple[bool, Beyond]:
        """Whether all facets of a cell are there, and what lies beyond them."""
        facets = here.facets
        own = [f for f in facets if not facets.units[f].startswith("domain[")]
        return facets.complete, [(f, facets.units[f], here.seed_beyond(f)) for f in own]

    def distance(self, seed: Seed) -> float:
        """A lower bound of the distance of the nearest start to the closed cell."""
        rows = halfspaces_of(self.lowered, seed.pieces, self.walls)
        return min(nearest_point(rows.A, rows.b, start, self.norm, rows.error)[0] for start in self.starts)


class Expander(Protocol):
    """Expands cells, in this process or in others."""

    ahead: int
    """How many of the next seeds it wants to know."""

    def __call__(self, seed: Seed, ahead: Sequence[Seed]) -> tuple[Cell, bool, Beyond]: ...

    def distances(self, seeds: Sequence[Seed]) -> list[float]: ...


@contextmanager
def expander(work: Expansion, processes: int) -> Iterator[Expander]:
    """An expander in this process, or with a pool of others, which end with it."""
    if processes == 1:
        yield _Here(work)
        return
    if "fork" not in multiprocessing.get_all_start_methods():
        raise InputError("walks in several processes need the start method fork of multiprocessing; take processes=1")
    pool = multiprocessing.get_context("fork").Pool(processes, _enter, (work,))
    try:
        yield _InProcesses(work, pool, 4 * processes)
    finally:
        pool.terminate()
        pool.join()


class _Here:
    ahead = 0

    def __init__(self, work: Expansion) -> None:
        self._work = work

    def __call__(self, seed: Seed, ahead: Sequence[Seed]) -> tuple[Cell, bool, Beyond]:
        here = self._work.cell(seed)
        return here, *self._work.expand(here)

    def distances(self, seeds: Sequence[Seed]) -> list[float]:
        return [self._work.distance(seed) for seed in seeds]


class _InProcesses:
    """Asks for the seeds that come next before they are needed; what is not needed in the end is thrown away."""

    def __init__(self, work: Expansion, pool: multiprocessing.pool.Pool, ahead: int) -> None:  # type: ignore[name-defined]
        self._work, self._pool, self.ahead = work, pool, ahead
        self._asked: dict[int, tuple[Seed, multiprocessing.pool.AsyncResult]] = {}  # type: ignore[name-defined]

    def __call__(self, seed: Seed, ahead: Sequence[Seed]) -> tuple[Cell, bool, Beyond]:
        for one in (seed, *ahead):
            if id(one) not in self._asked:  # the seed is kept with it: no other object has its id
                self._asked[id(one)] = (one, self._pool.apply_async(_expanded, (one,)))
        inside, complete, beyond = self._asked.pop(id(seed))[1].get()
        return Cell(self._work.lowered, seed.pieces, inside, self._work.walls), complete, beyond

    def distances(self, seeds: Sequence[Seed]) -> list[float]:
        return self._pool.map(_distance, seeds, 1)


_work: Expansion | None = None
"""In a process of a pool, the walk it works for: a network has functions that cannot be sent, and is inherited."""


def _enter(work: Expansion) -> None:
    global _work
    _work = work
    torch.set_num_threads(1)


def _expanded(seed: Seed) -> tuple[RationalArray, bool, Beyond]:
    assert _work is not None
    with own_settings():
        here = _work.cell(seed)
        return here.inside, *_work.expand(here)


def _distance(seed: Seed) -> float:
    assert _work is not None
    with own_settings():
        return _work.distance(seed)


def cell_key(lowered: Lowered, pieces: Pieces) -> bytes:
    """The pieces of a cell as bytes."""
    kinds = [stage.kind for stage in lowered.stages]
    return b"".join(
        np.packbits(p > 0).tobytes() if kind == "threshold" else p.astype(np.int32).tobytes()
        for kind, p in zip(kinds, pieces, strict=True)
    )
