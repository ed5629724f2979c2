"""``tp.walk_cells``: cells over neighbors, breadth-first, nearest-first, or along a segment."""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tropica.errors import InputError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.queries.arguments import exact_point, network_at, positive
from tropica.queries.cell import Cell, cell
from tropica.queries.distances import dual_norm, nearest_point
from tropica.queries.fixed_pieces import Pieces
from tropica.queries.segment import cells_between
from tropica.regions.domains.domain import Domain
from tropica.regions.lower.lowering import Lowered
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.html import HtmlRepr
from tropica.runtime.progress import ProgressCallback, progress_callback


@dataclass(frozen=True, eq=False)
class Step:
    """A cell of a walk.

    Attributes:
        cell: the cell.
        number: its number in the walk, from 0.
        parent: the number of the cell that it was entered from; −1 for the first.
        facet: the number of the parent's facet that it was entered by; −1 for the first.
        distance: of the start to the closed cell, for a walk that is nearest-first; NaN otherwise.
    """

    cell: Cell
    number: int
    parent: int
    facet: int
    distance: float


class Walk(HtmlRepr):
    """A stream of cells. Iterate over it: each step is a :class:`Step`; what was seen is kept as a graph.

    Attributes:
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

    def __iter__(self) -> Iterator[Step]:
        for step in self._steps:
            self.cells.append(step.cell)
            yield step

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
        """The cells visited as a graph: a node for each with ``cell``, an edge for each facet crossed with ``unit``."""
        import networkx

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
    progress: bool | ProgressCallback = False,
) -> Walk:
    """Walk from the cell of a point over facets to other cells.

    In up to 8 dimensions facets are found exactly and completely, and the walk visits every cell of the domain. Beyond, the
    walk takes the facets that are proven (:meth:`Cell.find_facets`); it is complete only if all of them were.

    Args:
        net: a network or a module.
        x: the start, a point (*input,) that is on no border.
        within: a polytope of full dimension that the walk stays in.
        to: another point: the walk goes through the cells between the two points, from facet to facet.
        order: "breadth" or "nearest" (by the distance of the start to the closed cell).
        norm: of the distance: "l1", "l2" or "linf".
        max_cells, max_seconds, max_distance: limits; a walk with ``max_distance`` is nearest-first.
        simplify: as in :func:`tropica.cell`.
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
    net = network_at(net, x)
    first = cell(net, x, domain=within, simplify=simplify)
    state: dict[str, Any] = {"complete": False}
    edges: list[tuple[int, int, str]] = []
    if to is not None:
        if max_distance is not None or order == "nearest":
            raise InputError("a walk to a point follows a segment: order and max_distance do not apply")
        last = cell(net, exact_point(to, net.input_shape, "to").numbers(), domain=within, simplify=simplify)
        steps = _along(first, last, edges, state)
    else:
        steps = _search(first, order, norm, max_distance, edges, state)
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


def _search(
    first: Cell, order: str, norm: str, reach: float | None, edges: list[tuple[int, int, str]], state: dict[str, Any]
) -> Iterator[Step]:
    """All cells that facets lead to, in order; each waits in the queue with its distance."""
    start = first.inside.floats()[0]
    nearest = order == "nearest"
    number: dict[bytes, int] = {}
    known = {cell_key(first.lowered, first.pieces)}
    queue: list[tuple[float, int, Cell, int, int, str]] = [(0.0 if nearest else 0, 0, first, -1, -1, "")]
    made, whole = 1, True
    while queue:
        key, _, here, parent, facet, _unit = heapq.heappop(queue)
        mine = number.setdefault(cell_key(here.lowered, here.pieces), len(number))
        facets = here.facets
        whole &= facets.complete
        for f in facets:
            if facets.units[f].startswith("domain["):
                continue
            name = cell_key(here.lowered, here.pieces_beyond(f))
            if name in number:
                edges.append((mine, number[name], facets.units[f]))
            if name in known:
                continue
            known.add(name)
            beyond = here.neighbor(f)
            distance = math.nan
            if nearest:
                rows = beyond.halfspaces
                low, _ = nearest_point(rows.A, rows.b, start, norm, rows.error)
                distance = max(low, key)
                if reach is not None and low > reach:
                    continue
            heapq.heappush(queue, (distance if nearest else made, made, beyond, mine, f, facets.units[f]))
            made += 1
        if not queue:
            state["complete"] = whole
        yield Step(here, mine, parent, facet, key if nearest else math.nan)


def visited(first: Cell) -> Iterator[Cell]:
    """All cells that facets lead to from a first one, breadth-first."""
    return (step.cell for step in _search(first, "breadth", "l2", None, [], {}))


def _along(first: Cell, last: Cell, edges: list[tuple[int, int, str]], state: dict[str, Any]) -> Iterator[Step]:
    before = -1
    for number, (here, unit) in enumerate(cells_between(first, last)):
        if before >= 0:
            edges.append((before, number, unit))
        state["complete"] = cell_key(here.lowered, here.pieces) == cell_key(last.lowered, last.pieces)
        yield Step(here, number, before, -1, math.nan)
        before = number


def cell_key(lowered: Lowered, pieces: Pieces) -> bytes:
    """The pieces of a cell as bytes."""
    kinds = [stage.kind for stage in lowered.stages]
    return b"".join(
        np.packbits(p > 0).tobytes() if kind == "threshold" else p.astype(np.int32).tobytes()
        for kind, p in zip(kinds, pieces, strict=True)
    )
