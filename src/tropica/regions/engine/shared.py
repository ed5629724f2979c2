"""The cells of a network on a domain, shared out among processes.

All processes search the first cells alike, until there are enough tasks to share, which the network and the domain fix.
Process r takes every ``world_size``-th task. Blocks are put together in the order of their tasks, so that all processes get the
cells of a single one, in its order.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np

from tropica.regions.engine.cell_blocks import SIGNS, VERTICES, VOLUMES, CellBlock, CellSearch, Problem, concatenated
from tropica.regions.engine.compilation import saying_compilation
from tropica.regions.engine.cone_cells import in_space, touches_wall
from tropica.regions.engine.fan import SpaceProblem
from tropica.regions.engine.joined_cells import joined_cells
from tropica.regions.engine.scheduler import in_order
from tropica.regions.engine.tasks import Counters, Task, TaskResult
from tropica.runtime.processes import Processes

TASKS = 16
"""Tasks for each process that are made before they are shared out."""

Placed = tuple[int, CellBlock]
"""A block and the place of its task."""


def count_shared(problem: Problem | SpaceProblem, processes: Processes, threads: int, counters: Counters) -> int:
    """The number of cells; ``counters`` gets the sums over all processes."""
    own = Counters()
    if isinstance(problem, Problem):
        mine, joined = sum(len(block) for _, block in _own(problem, frozenset(), processes, threads, own)), 0
    else:
        mine, parts = 0, list[Placed]()
        for i, cone in enumerate(problem.sections or problem.cones):
            for _, found in _own(cone, frozenset((SIGNS, VERTICES)), processes, threads, own):
                cut = touches_wall(found, problem.dimension)
                mine += int((~cut).sum())
                if cut.any():
                    parts.append((i, in_space(problem, i, found.select(cut), frozenset())))
        every = _gathered(parts, processes)
        joined = len(joined_cells(problem, every)) if every else 0
    totals = processes.run_on_all(lambda: [mine, *(getattr(own, f.name) for f in fields(own))])
    for k, f in enumerate(fields(own), 1):
        setattr(counters, f.name, getattr(counters, f.name) + sum(t[k] for t in totals))
    return sum(t[0] for t in totals) + joined


def all_blocks(
    problem: Problem | SpaceProblem, want: frozenset[str], processes: Processes, threads: int, counters: Counters
) -> list[CellBlock]:
    """All cells, in every process, in the order of a single one."""
    own = Counters()
    if isinstance(problem, Problem):
        blocks = [b for _, b in _gathered(list(_own(problem, want, processes, threads, own)), processes)]
    else:
        blocks, parts = [], list[Placed]()
        for i, cone in enumerate(problem.cones):
            inside, cut = list[Placed](), list[Placed]()
            for place, found in _own(cone, (want | {SIGNS, VERTICES}) - {VOLUMES}, processes, threads, own):
                wall, block = touches_wall(found, problem.dimension), in_space(problem, i, found, want)
                inside.append((place, block.select(~wall).only(want)))
                cut.append((place, block.select(wall)))
            blocks += [b for _, b in _gathered(inside, processes) if len(b)]
            parts += [(i, b) for _, b in _gathered(cut, processes) if len(b)]
        if parts:
            blocks.append(joined_cells(problem, parts).only(want))
    for f in fields(own):
        total = sum(processes.all_gather(getattr(own, f.name)))
        setattr(counters, f.name, getattr(counters, f.name) + total)
    return blocks


def _own(problem: Problem, want: frozenset[str], processes: Processes, threads: int, counters: Counters) -> Iterator[Placed]:
    """The blocks of this process's share of the first results and of the tasks, with the places of these."""
    search = CellSearch(problem, want)
    with saying_compilation():
        for place, item in enumerate(_first(search, TASKS * processes.world_size)):
            if place % processes.world_size != processes.rank:
                continue
            for found in [item] if isinstance(item, TaskResult) else in_order(item, search.run, threads, 8 * threads):
                counters.add(found.counters)
                yield from ((place, block) for block in search.blocks(found))


def _first(search: CellSearch, least: int) -> list[TaskResult | Task]:
    """The first results, and in order the tasks that they leave: at least ``least``, unless the search ends before."""
    items: list[TaskResult | Task] = [search.problem.root]
    while tasks := [(item.depth, i, item) for i, item in enumerate(items) if isinstance(item, Task)]:
        if len(tasks) >= least:
            break
        _, at, task = min(tasks, key=lambda t: t[:2])
        found = search.run(task)
        items[at : at + 1] = [found, *found.tasks]
    return items


# ── messages ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _gathered(own: list[Placed], processes: Processes) -> list[Placed]:
    """The blocks of all processes in the order of their places; those of one place are of one process, in its order."""
    if processes.world_size == 1:
        return own
    every = processes.run_on_all(lambda: _message(own))
    placed = [(place, block) for parts in every for place, block in map(_placed, parts)]
    return sorted(placed, key=lambda item: item[0])


def _message(own: list[Placed]) -> list[Any]:
    """Blocks as JSON, one for each place."""
    places = dict[int, list[CellBlock]]()
    for place, block in own:
        places.setdefault(place, []).append(block)
    found = []
    for place, blocks in places.items():
        block = concatenated(blocks)
        arrays = {f.name: getattr(block, f.name) for f in fields(block) if isinstance(getattr(block, f.name), np.ndarray)}
        packed = {k: [a.dtype.str, a.shape, base64.b64encode(a.tobytes()).decode()] for k, a in arrays.items()}
        found.append([place, len(block), packed])
    return found


def _placed(message: list[Any]) -> Placed:
    place, count, packed = message
    arrays = {k: np.frombuffer(base64.b64decode(b), np.dtype(t)).reshape(shape).copy() for k, (t, shape, b) in packed.items()}
    return place, CellBlock(count, **arrays)
