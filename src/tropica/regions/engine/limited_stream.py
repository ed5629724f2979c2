"""The cells of one enumeration as a stream that ends at its limits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cached_property

import numpy as np

from tropica.errors import InputError
from tropica.regions.domains.constructors import Box, Space
from tropica.regions.domains.domain import Domain
from tropica.regions.engine.cell_blocks import MAPS, SIGNS, VERTICES, CellBlock, Problem, Sizes
from tropica.regions.engine.cell_stream import problem_on, stream
from tropica.regions.engine.exact_outputs import sharpened_maps
from tropica.regions.engine.exact_vertices import sharpened
from tropica.regions.engine.fan import SpaceProblem
from tropica.regions.engine.output_bounds import output_bounds
from tropica.regions.engine.settings import EnumerationSettings, Prune
from tropica.regions.engine.tasks import Counters, Task
from tropica.regions.engine.volume import hull_volume
from tropica.regions.lower.lowering import Lowered
from tropica.runtime.progress import ProgressCallback

MODEST = 1 << 26
"""Bytes that are there without asking how many are free, which takes longer than the cells of a small network."""
MOST_HULL = 6
"""Dimensions up to which the volume of a polytope is computed to tell how much of it is done."""


class LimitedStream:
    """The blocks of one enumeration within its limits.

    Attributes:
        domain, problem: the domain, and the network on it.
        found, done: cells so far, and their volume where volumes are made.
        stopped: what ended the stream before its end, if anything.
    """

    def __init__(
        self,
        lowered: Lowered,
        polytope: Domain,
        want: frozenset[str],
        settings: EnumerationSettings,
        counters: Counters,
        report: ProgressCallback | None = None,
        prune: Prune | None = None,
    ) -> None:
        self.settings = settings
        self.problem = problem_on(lowered, polytope)
        self.domain = polytope
        self._want, self._report, self._counters, self._prune = want, report, counters, prune
        self._bounded = not isinstance(polytope, Space)
        self._reach = np.abs(polytope.vertices).max(0) if self._bounded else np.ones(polytope.dimension)
        self._extent = float(np.ptp(polytope.vertices, axis=0).max()) if self._bounded else np.inf
        self.stopped: str | None = "the caller"
        self.found, self.done = 0, 0.0

    @property
    def complete(self) -> bool:
        """Whether all cells were given."""
        return self.stopped is None

    def sharpened(self, block: CellBlock, work: int) -> CellBlock:
        """The block with exact vertices and maps where those of floating point have large errors; both need signs, and vertices
        volumes. ``work`` products of integers may be spent on each."""
        if block.vertices is not None and block.volumes is not None and isinstance(self.problem, Problem):
            block = sharpened(self.problem, block, self._extent, work)
        return block if block.maps is None else sharpened_maps(self.problem, block, self._reach, work)

    def __iter__(self) -> Iterator[CellBlock]:
        start, most, seconds = time.monotonic(), self.settings.max_cells, self.settings.max_seconds
        problem, prune = self.problem, self._prune
        sizes = Sizes() if prune is None else Sizes(32, 64, 128)
        threads = self.settings.number_of_threads
        window = _window(problem, self._want, sizes, self.settings, threads)
        skip = None if prune is None else lambda part, task: prune(*_scaled_bounds(part, task, self._bounded))
        blocks = stream(
            problem,
            self._want,
            threads=min(threads, window),
            window=window,
            sizes=sizes,
            counters=self._counters,
            skip=skip,
        )
        for block in blocks:
            self.found += len(block)
            if block.volumes is not None and self._bounded:
                self.done += float(block.volumes.sum())
            if self._report:
                self._report(self.found, self.expected, "cells")
            yield block
            if most is not None and self.found >= most:
                self.stopped = f"max_cells={most:,}"
            elif seconds is not None and time.monotonic() - start > seconds:
                self.stopped = f"max_seconds={seconds:g}"
            else:
                continue
            blocks.close()
            return
        self.stopped = None

    @cached_property
    def _volume(self) -> float:
        """Of the domain in t; 0 where it takes long to tell."""
        if not self._bounded:
            return 0.0
        vertices = self.domain.vertices
        if isinstance(self.domain, Box):
            return float(np.ptp(vertices, axis=0).prod())
        return hull_volume(vertices, self.domain.dimension) if self.domain.dimension <= MOST_HULL else 0.0

    @property
    def expected(self) -> int:
        """An estimate of all cells, from the share of the volume that is done."""
        return max(self.found, round(self.found * self._volume / self.done) if self.done > 0 else 0)


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


def _window(
    problem: Problem | SpaceProblem, want: frozenset[str], sizes: Sizes, settings: EnumerationSettings, threads: int
) -> int:
    """How many blocks may wait, so that their arrays fit into the memory."""
    d, outputs, words = len(problem.exponents), int(problem.net.size[-1]), problem.net.bias.shape[1] // 64
    cell = 8 + (8 * words * len(problem.net.size) if SIGNS in want else 0) + (8 * outputs * (d + 2) if MAPS in want else 0)
    cell += (8 * (d + 5) * (2 + 3 * 2**d // 2)) if VERTICES in want else 0
    block = sizes.later * cell
    if settings.memory is None and 8 * threads * block <= MODEST:
        return 8 * threads
    memory = settings.bytes
    if memory < block:
        raise InputError(f"memory={memory:,} bytes is less than one block of {sizes.later:,} cells takes, {block:,}")
    return int(max(1, min(8 * threads, memory // block)))
