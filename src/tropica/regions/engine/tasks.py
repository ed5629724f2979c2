"""One task of the enumeration: a cell with its undecided units, its subtree searched, and the subtrees that it gives back."""

from __future__ import annotations

import ctypes
import threading
from dataclasses import dataclass, field

import numpy as np

from tropica.errors import InputError
from tropica.regions.engine.exact_signs import ExactSigns, unpack
from tropica.regions.kernels.arrays import (
    Capacity,
    Cells,
    Levels,
    Maps,
    NetworkArrays,
    Output,
    SignQueries,
    make_output,
    make_state,
)
from tropica.regions.kernels.bits import Callback
from tropica.regions.kernels.cut import LEVEL, NV, SLOT0, SLOTS, STAGE, V0
from tropica.regions.kernels.maps import full_map
from tropica.regions.kernels.search import GIVEN_BACK, TOO_MANY_FACETS, TOO_SMALL, UNDECIDED, search
from tropica.regions.kernels.windows import SMALLER

_MOST_VERTICES = 1 << 24


@dataclass(frozen=True, eq=False)
class Task:
    """A cell of the search, with all that its subtree depends on.

    Attributes:
        stage: of the units that are to be decided.
        masks: (stages, words) sign vector of the stages before, and the known bits of this one.
        units: undecided units of the stage.
        X, disp: vertices and bounds of their displacement.
        sets: (V, words) slots of the hyperplanes through each vertex.
        slots: (n,) hyperplane of each slot, −1 where it is free.
        definition, through: hyperplanes that each vertex is the solution of: ``through[definition[i] : definition[i + 1]]``.
        planes, plane_error, plane_unit: the hyperplanes.
        depth: how often it was given back.
    """

    stage: int
    masks: np.ndarray
    units: np.ndarray
    X: np.ndarray
    disp: np.ndarray
    sets: np.ndarray
    slots: np.ndarray
    definition: np.ndarray
    through: np.ndarray
    planes: np.ndarray
    plane_error: np.ndarray
    plane_unit: np.ndarray
    depth: int = 0


@dataclass
class Counters:
    """How many signs each tier decided."""

    by_filter: int = 0
    at_vertices: int = 0
    cuts: int = 0
    renewed: int = 0
    exactly: int = 0
    undecided: int = 0

    def add(self, other: Counters) -> None:
        """Add another task's counters."""
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True, eq=False)
class TaskResult:
    """What a task found: the number of its cells, their arrays, the tasks that it gave back, in order."""

    count: int
    output: Output | None
    tasks: list[Task]
    counters: Counters = field(default_factory=Counters)


class Spare(threading.local):
    """The arrays of a thread's last task, for its next one: allocating them takes as long as hundreds of cells."""

    made_for: tuple[Capacity, tuple[bool, ...]] | None = None
    state: tuple[Cells, Levels, Maps, Output, SignQueries] | None = None


class _Decider:
    """Answers a kernel's doubtful signs, in batches; remembers an exception for the caller."""

    def __init__(self, exact: ExactSigns, cells: Cells, levels: Levels, maps: Maps, query: SignQueries) -> None:
        self._exact, self._cells, self._levels, self._maps, self._query = exact, cells, levels, maps, query
        self.error: BaseException | None = None
        self.decided = self.undecided = 0
        self._callback = Callback(self._answer)
        self.address = ctypes.cast(self._callback, ctypes.c_void_p).value or 0

    def _answer(self, count: int) -> int:
        try:
            self._decide(count)
        except BaseException as error:  # an exception cannot pass through compiled code
            self.error = error
            return 1
        return 0

    def _decide(self, count: int) -> None:
        cells, levels = self._cells, self._levels
        level, stage = int(self._query.head[0]), int(self._query.head[1])
        masks = self._maps.mask
        doubts = self._query.doubts[:count].tolist()
        if not self._exact.proves:
            self._by_floats(doubts, level)
            return
        self._exact.prepare(stage, (u for doubt in doubts for u in doubt[2:]), masks)
        vanishing = {pair for pair in {(u, v) for _, _, u, v in doubts} if self._exact.vanishes((stage, *pair), masks)}
        for a, bit, unit, partner in doubts:
            if (unit, partner) in vanishing:  # 0 at every vertex
                continue
            through = cells.through[cells.definition[a] : cells.definition[a + 1]]
            hyperplanes = [tuple(p) for p in cells.plane_unit[through].tolist()]
            sign, point = self._exact.sign((stage, unit, partner), hyperplanes, masks)
            word = np.uint64(1 << bit)
            if sign > 0:
                levels.S[level, a] |= word
            elif sign < 0:
                levels.N[level, a] |= word
            if cells.disp[a] > 2.0**-53:
                cells.X[a] = [c / point[-1] for c in point[:-1]]
                cells.disp[a] = 2.0**-53 if any(point[:-1]) else 0.0
        self.decided += count

    def _by_floats(self, doubts: list[list[int]], level: int) -> None:
        """Take the signs of the floats, and count them."""
        forms = self._levels.forms[level]
        for a, bit, _, _ in doubts:
            value = float(forms[:-1, bit] @ self._cells.X[a] + forms[-1, bit])
            (self._levels.S if value > 0 else self._levels.N)[level, a] |= np.uint64(1 << bit)
        self.undecided += len(doubts)


def run_task(
    net: NetworkArrays,
    exact: ExactSigns,
    task: Task,
    want: tuple[bool, bool, bool, bool],
    limit: int,
    capacity: Capacity,
    spare: Spare,
) -> TaskResult:
    """Search the subtree of a task, up to about ``limit`` cells; with larger arrays where they turn out too small."""
    while True:
        cells, levels, maps, output, query = _arrays(
            net, capacity._replace(cells=max(limit, 1) if any(want) else 1), want, spare
        )
        status, found, left, decider = _search(net, exact, task, cells, levels, maps, output, query, limit)
        if decider.error is not None:
            raise decider.error
        if status == GIVEN_BACK and not found:  # not even one cell's vertices had a place
            capacity = capacity._replace(corners=4 * capacity.corners)
        elif status == TOO_SMALL:
            if capacity.vertices >= _MOST_VERTICES:
                raise InputError(f"a cell and those beside it have more than {capacity.vertices:,} vertices")
            capacity = capacity._replace(
                vertices=2 * capacity.vertices,
                listed=4 * capacity.listed,
                planes=2 * capacity.planes,
                stack=2 * capacity.stack,
                levels=2 * capacity.levels,
            )
        elif status == TOO_MANY_FACETS:
            capacity = capacity._replace(words=2 * capacity.words)
        elif status == UNDECIDED:
            raise InputError("the signs of a cell could not be decided")
        else:
            break
    counters = Counters(*(int(c) for c in query.counters[:4]), exactly=decider.decided, undecided=decider.undecided)
    tasks = [_subtask(net, task, e, cells, levels, maps) for e in range(left - 1, -1, -1)]
    return TaskResult(found, output, tasks, counters)


def _arrays(
    net: NetworkArrays, capacity: Capacity, want: tuple[bool, bool, bool, bool], spare: Spare
) -> tuple[Cells, Levels, Maps, Output, SignQueries]:
    """Arrays for one task, as good as fresh: what a kernel reads before it writes it is reset. Outputs are given away."""
    if spare.state is None or spare.made_for != (capacity, want):
        spare.state, spare.made_for = make_state(net, capacity, want), (capacity, want)
        return spare.state
    cells, levels, maps, output, query = spare.state
    for array in (maps.mask, maps.age, maps.terms, levels.latest, levels.rest_range, query.counters):
        array[:] = 0
    maps.fresh[:] = 1
    maps.cache_columns[:] = -1
    return cells, levels, maps, make_output(net, capacity, want) if any(want) else output, query


def _search(net, exact, task, cells, levels, maps, output, query, limit):
    """Lay the task into fresh arrays and run the kernel."""
    nv, ns = len(task.X), len(task.slots)
    cells.X[:nv], cells.disp[:nv] = task.X, task.disp
    cells.list[:nv] = np.arange(nv)
    cells.sets[:nv, : task.sets.shape[1]] = task.sets
    cells.slots[:ns] = task.slots
    cells.definition[: nv + 1], cells.through[: len(task.through)] = task.definition, task.through
    planes = len(task.planes)
    cells.planes[:planes], cells.plane_error[:planes], cells.plane_unit[:planes] = (
        task.planes,
        task.plane_error,
        task.plane_unit,
    )
    maps.mask[: task.stage] = task.masks[: task.stage]
    levels.mask[0] = task.masks[task.stage]
    maps.rows[0] = net.first
    for s in range(task.stage):
        full_map(
            net.dims,
            net.d,
            s,
            maps.rows[s],
            maps.mask[s],
            net.size[s],
            net.place[s],
            net.low[s],
            net.step[s],
            maps.rows[s + 1],
            net.size[s + 1],
            net.weight,
            net.offset[s + 1],
            net.sparse,
            net.bias[s + 1],
            maps.columns,
            maps.factor,
        )
    decider = _Decider(exact, cells, levels, maps, query)
    start = np.array([task.stage, nv, planes, ns, len(task.units)], np.int64)
    status, found, left = search(
        net,
        net.ends if net.sparse is not None else None,
        net.sparse,
        net.copies,
        start,
        task.units,
        cells,
        levels,
        maps,
        output,
        query,
        decider.address,
        limit,
    )
    return status, found, left, decider


def _subtask(net: NetworkArrays, task: Task, e: int, cells: Cells, levels: Levels, maps: Maps) -> Task:
    """The e-th entry of the stack as a task of its own."""
    row = cells.stack[e]
    stage = int(row[STAGE])
    listed = slice(int(row[V0]), int(row[V0] + row[NV]))
    vertices = cells.list[listed]
    slots = cells.slots[row[SLOT0] : row[SLOT0] + row[SLOTS]]
    spans = [cells.through[cells.definition[a] : cells.definition[a + 1]] for a in vertices.tolist()]
    through = np.concatenate(spans)
    used, renamed = np.unique(np.concatenate([through, slots[slots >= 0]]), return_inverse=True)
    named = np.full(len(slots), -1, np.int64)
    named[slots >= 0] = renamed[len(through) :]
    masks = maps.mask[: len(net.size) - 1].copy()
    masks[stage], units = (_open_windows if net.windowed[stage] else _open_units)(net, e, cells, levels)
    return Task(
        stage,
        masks,
        units,
        cells.X[vertices].copy(),
        cells.disp[vertices].copy(),
        cells.sets[listed].copy(),
        named,
        np.concatenate([[0], np.cumsum([len(s) for s in spans])]).astype(np.int64),
        renamed[: len(through)].astype(np.int64),
        cells.planes[used].copy(),
        cells.plane_error[used].copy(),
        cells.plane_unit[used].copy(),
        task.depth + 1,
    )


def _open_windows(net: NetworkArrays, e: int, cells: Cells, levels: Levels) -> tuple[np.ndarray, np.ndarray]:
    """The known bits of an entry's stage, and its undecided windows."""
    level, stage = cells.stack[e, [LEVEL, STAGE]].tolist()
    mask, count = levels.mask[level].copy(), int(levels.rest_range[level, 1])
    p, chosen = int(cells.mixed[e] & ~SMALLER), int(cells.chosen[e]) - 1
    for first in levels.rest[level, max(p - 1, 0) : count].tolist():
        for u in range(first, int(net.ends[stage, first])):
            mask[u >> 6] &= ~np.uint64(1 << (u & 63))
    if chosen >= 0:
        mask[chosen >> 6] |= np.uint64(1 << (chosen & 63))
    return mask, levels.rest[level, p:count].copy()


def _open_units(net: NetworkArrays, e: int, cells: Cells, levels: Levels) -> tuple[np.ndarray, np.ndarray]:
    """The known bits of an entry's stage, and its undecided units."""
    level = int(cells.stack[e, LEVEL])
    mask = levels.mask[level].copy()
    first, count = levels.rest_range[level].tolist()
    group = levels.unit[level]
    mixed, chosen = int(cells.mixed[e]), int(cells.chosen[e])
    latest = int(levels.latest[level])
    open_units = []
    for i in range(64):
        if (mixed | chosen | latest) >> i & 1:
            word, bit = int(group[i]) >> 6, np.uint64(1 << (int(group[i]) & 63))
            mask[word] &= ~bit
            if chosen >> i & 1:
                mask[word] |= bit
            elif mixed >> i & 1:
                open_units.append(int(group[i]))
    return mask, np.concatenate([np.array(open_units, np.int64), levels.rest[level, first : first + count]])


def root_task(
    net: NetworkArrays, vertices: np.ndarray, displacement: np.ndarray, incidence: np.ndarray, planes: np.ndarray
) -> Task:
    """The whole domain: vertices (V, d), incidence (V, F), half-spaces (F, d + 1) as rows of value ≥ 0 inside, each rounded."""
    facets = incidence.shape[1]
    words = -(-facets // 64)
    sets = np.zeros((len(vertices), words), np.uint64)
    for i, f in np.argwhere(incidence).tolist():
        sets[i, f >> 6] |= np.uint64(1 << (f & 63))
    through = np.nonzero(incidence)[1].astype(np.int64)
    definition = np.concatenate([[0], np.cumsum(incidence.sum(1))]).astype(np.int64)
    stages, width = len(net.size) - 1, net.bias.shape[1]
    units = np.flatnonzero(net.ends[0]) if net.windowed[0] else np.flatnonzero(unpack(net.tested[0], int(net.size[0])))
    error = 8 * 2.0**-53 * np.abs(planes).sum(1)
    unit = np.stack([np.full(facets, -1), np.arange(facets), np.full(facets, -1)], axis=1)
    return Task(
        0,
        np.zeros((stages, width // 64), np.uint64),
        units.astype(np.int64),
        vertices,
        displacement,
        sets,
        np.arange(facets),
        definition,
        through,
        planes,
        error,
        unit.astype(np.int64),
    )
