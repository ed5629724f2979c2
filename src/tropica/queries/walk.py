"""``tp.walk_cells``: cells over neighbors, breadth-first, nearest-first, or along a segment."""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tropica.errors import InputError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.queries.arguments import exact_point, network_at, numpy_of, positive
from tropica.queries.cell import Cell, cell
from tropica.queries.distances import dual_norm
from tropica.queries.expansion import Expansion, cell_key, expander
from tropica.queries.seeds import Seed
from tropica.queries.segment import cells_between
from tropica.regions.domains.domain import Domain
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.html import HtmlRepr
from tropica.runtime.progress import ProgressCallback, progress_callback


@dataclass(frozen=True, eq=False)
class Step:
    """A cell of a walk.

    Attributes:
        cell: the cell.
        number: its number in the walk, from 0.
        parent: the number of the cell that it was entered from; −1 for the cell of a start.
        facet: the number of the parent's facet that it was entered by; −1 for the cell of a start.
        distance: of the nearest start to the closed cell, for a walk that is nearest-first; NaN otherwise.
        start: the number of the start that the walk came from.
    """

    cell: Cell
    number: int
    parent: int
    facet: int
    distance: float
    start: int = 0


class Walk(HtmlRepr):
    """A stream of cells. Iterate over it: each step is a :class:`Step`; what was seen is kept as a graph.

    Attributes:
        cells: those visited so far.
        parents: for each of them the number of the cell that it was entered from, −1 for that of a start.
        edges: (number, number, unit) for each facet between two cells that have been visited, once it was crossed.
        complete: whether every cell was visited that the walk can reach; False while there are more.

    >>> import tropica as tp
    >>> net = tp.from_layers([([[1.0, 0.0], [0.0, 1.0]], None), ([[1.0, 0.0], [0.0, 1.0]], None)])  # (relu(x₁), relu(x₂))
    >>> walk = tp.walk_cells(net, [1.0, 2.0])
    >>> walk.run()
    Walk(4 cells visited, complete)
    >>> len(walk), walk.complete, sorted((a, b) for a, b, _ in walk.edges)
    (4, True, [(1, 0), (2, 0), (3, 1), (3, 2)])
    """

    def __init__(self, steps: Iterator[Step], edges: list[tuple[int, int, str]], state: dict[str, Any]) -> None:
        self._steps, self.edges, self._state = steps, edges, state
        self.cells: list[Cell] = []
        self.parents: list[int] = []

    def __iter__(self) -> Iterator[Step]:
        for step in self._steps:
            self.cells.append(step.cell)
            self.parents.append(step.parent)
            yield step

    @property
    def depths(self) -> list[int]:
        """How many facets the walk crossed from a start to each cell visited."""
        found: list[int] = []
        for parent in self.parents:
            found.append(0 if parent < 0 else found[parent] + 1)
        return found

    @property
    def complete(self) -> bool:
        return bool(self._state["complete"])

    def run(self) -> Walk:
        """Walk to the end, and return the walk."""
        for _ in self:
            pass
        return self

    def __len__(self) -> int:
        return len(self.cells)

    def to_networkx(self) -> Any:
        """The cells visited as a graph: a node for each with ``cell``, an edge for each facet crossed with ``unit``.

        Raises:
            InputError: networkx is not installed.
        """
        try:
            import networkx
        except ImportError:
            raise InputError('graphs need networkx: pip install "tropica[networkx]"') from None

        graph = networkx.Graph()
        graph.add_nodes_from((i, {"cell": c}) for i, c in enumerate(self.cells))
        graph.add_edges_from((a, b, {"unit": unit}) for a, b, unit in self.edges if max(a, b) < len(self.cells))
        return graph

    def to_dataframe(self) -> Any:
        """A row for each cell visited: a point inside, and how many inequalities it has."""
        import pandas as pd

        points = np.array([c.point.ravel() for c in self.cells])
        table = pd.DataFrame(points, columns=[f"x{i}" for i in range(points.shape[1])] if len(points) else None)
        table["inequalities"] = [len(c.borders) for c in self.cells]
        return table

    def __repr__(self) -> str:
        return f"Walk({len(self.cells):,} cells visited, {'complete' if self.complete else 'there may be more'})"


@own_settings()
def walk_cells(
    net: PiecewiseLinearNetwork | torch.nn.Module,
    x: Any,
    *,
    within: Domain | None = None,
    to: Any = None,
    order: str = "breadth",
    norm: str = "l2",
    max_cells: int | None = None,
    max_seconds: float | None = None,
    max_distance: float | None = None,
    simplify: bool = True,
    processes: int = 1,
    progress: bool | ProgressCallback = False,
) -> Walk:
    """Walk from the cells of one or many points over facets to other cells.

    In up to 8 dimensions facets are found exactly and completely, and the walk visits every cell of the domain. Beyond, the
    walk takes the facets that are proven (:meth:`Cell.find_facets`); it is complete only if all of them were.

    Args:
        net: a network or a module.
        x: the start, a point (*input,) that is on no border; or many starts (N, *input), whose walks go on together and visit
            each cell once.
        within: a polytope of full dimension that the walk stays in.
        to: another point: the walk goes through the cells between the two points, from facet to facet.
        order: "breadth" or "nearest" (by the distance of the nearest start to the closed cell).
        norm: of the distance: "l1", "l2" or "linf".
        max_cells, max_seconds, max_distance: limits; a walk with ``max_distance`` is nearest-first.
        simplify: as in :func:`tropica.cell`.
        processes: how many find facets and distances; cells and their order are the same for any number.
        progress: a bar, or a function of (cells, None, message).

    Returns:
        A :class:`Walk`: an iterator of steps; nothing is computed before it is asked for.

    Raises:
        InputError: a start on a border or outside of ``within``, a limit that is not positive, unknown words.

    >>> import torch, tropica as tp
    >>> net = tp.from_layers([([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
    >>> walk = tp.walk_cells(net, [1.0, 2.0])
    >>> [(s.number, s.parent, s.cell.facets.units) for s in walk][1]
    (1, 0, ('relu0[0]', 'relu0[1]'))
    >>> walk
    Walk(4 cells visited, complete)
    """
    dual_norm(norm)
    if order not in ("breadth", "nearest"):
        raise InputError(f'order must be "breadth" or "nearest"; found {order!r}')
    if max_distance is not None and order == "breadth":
        order = "nearest"
    for name, limit in (("max_cells", max_cells), ("max_seconds", max_seconds), ("max_distance", max_distance)):
        positive(limit, name)
    if isinstance(processes, bool) or not isinstance(processes, int) or processes < 1:
        raise InputError(f"processes must be a whole number from 1 on; found {processes!r}")
    net = network_at(net, x)
    points = starts(x, net.input_shape)
    first = cell(net, points[0], domain=within, simplify=simplify)
    state: dict[str, Any] = {"complete": False}
    edges: list[tuple[int, int, str]] = []
    if to is not None:
        if max_distance is not None or order == "nearest":
            raise InputError("a walk to a point follows a segment: order and max_distance do not apply")
        if len(points) > 1 or processes > 1:
            raise InputError("a walk to a point has one start, and one process")
        last = cell(net, exact_point(to, net.input_shape, "to").numbers(), domain=within, simplify=simplify)
        steps = _along(first, last, edges, state)
    else:
        others = [cell(net, point, domain=within, simplify=simplify) for point in points[1:]]
        steps = _search([first, *others], order, norm, max_distance, edges, state, processes)
    return Walk(_limited(steps, max_cells, max_seconds, state, progress), edges, state)


def _limited(
    steps: Iterator[Step], max_cells: int | None, max_seconds: float | None, state: dict[str, Any], progress: Any
) -> Iterator[Step]:
    start = time.monotonic()
    with progress_callback(progress) as report:
        for count, step in enumerate(steps, 1):
            if report is not None:
                report(count, max_cells or count, "cells")
            yield step
            spent = time.monotonic() - start
            if (max_cells is not None and count >= max_cells and not state["complete"]) or (
                max_seconds is not None and spent > max_seconds
            ):
                state["complete"] = False
                return


def starts(x: Any, input_shape: Sequence[int]) -> list[Any]:
    """One point of the input's shape, or each of several in rows."""
    array = numpy_of(x)
    if array.ndim == len(input_shape) + 1 and array.shape[1:] == tuple(input_shape) and len(array) > 1:
        return list(array)
    return [x]


def _search(
    first: list[Cell],
    order: str,
    norm: str,
    reach: float | None,
    edges: list[tuple[int, int, str]],
    state: dict[str, Any],
    processes: int = 1,
) -> Iterator[Step]:
    """All cells that facets lead to, in order; each waits in the queue with its distance."""
    nearest = order == "nearest"
    work = Expansion(first[0].lowered, first[0].walls, np.array([c.inside.floats()[0] for c in first]), norm)
    number: dict[bytes, int] = {}
    known: set[bytes] = set()
    queue: list[tuple[float, int, Seed, int, int, int]] = []
    for start, here in enumerate(first):
        name = cell_key(here.lowered, here.pieces)
        if name not in known:
            known.add(name)
            queue.append((0.0 if nearest else len(queue), len(queue), Seed(here.pieces, here.inside, None), -1, -1, start))
    made, whole = len(queue), True
    with expander(work, processes) as expand:
        while queue:
            ahead = [entry[2] for entry in heapq.nsmallest(expand.ahead, queue)]
            key, _, seed, parent, facet, start = heapq.heappop(queue)
            here, complete, beyond = expand(seed, ahead)
            mine = number.setdefault(cell_key(here.lowered, here.pieces), len(number))
            whole &= complete
            new: list[tuple[int, Seed]] = []
            for f, unit, other in beyond:
                name = cell_key(here.lowered, other.pieces)
                if name in number:
                    edges.append((mine, number[name], unit))
                if name not in known:
                    known.add(name)
                    new.append((f, other))
            lows = expand.distances([other for _, other in new]) if nearest else [math.nan] * len(new)
            for (f, other), low in zip(new, lows, strict=True):
                if reach is not None and low > reach:
                    continue
                heapq.heappush(queue, (max(low, key) if nearest else made, made, other, mine, f, start))
                made += 1
            if not queue:
                state["complete"] = whole
            yield Step(here, mine, parent, facet, key if nearest else math.nan, start)


def visited(first: Cell) -> Iterator[Cell]:
    """All cells that facets lead to from a first one, breadth-first."""
    return (step.cell for step in _search([first], "breadth", "l2", None, [], {}))


def _along(first: Cell, last: Cell, edges: list[tuple[int, int, str]], state: dict[str, Any]) -> Iterator[Step]:
    before = -1
    for number, (here, unit) in enumerate(cells_between(first, last)):
        if before >= 0:
            edges.append((before, number, unit))
        state["complete"] = cell_key(here.lowered, here.pieces) == cell_key(last.lowered, last.pieces)
        yield Step(here, number, before, -1, math.nan)
        before = number
