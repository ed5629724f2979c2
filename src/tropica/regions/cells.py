"""From vertices and edges to cells: which vertices each cell has, and which cells are neighbors, all by keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tropica.regions.state import State, together


@dataclass(frozen=True)
class Incidence:
    """Pairs (face, member) sorted by face: face f has ``members[starts[f] : starts[f + 1]]``."""

    starts: np.ndarray
    members: np.ndarray
    keys: np.ndarray

    def __len__(self) -> int:
        return len(self.starts) - 1

    def some(self, chosen: np.ndarray) -> Incidence:
        """Some of the faces: a bit for each."""
        counts = self.counts
        starts = np.append(0, np.cumsum(counts[chosen]))
        return Incidence(starts, self.members[np.repeat(chosen, counts)], self.keys[chosen])

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return self.starts.nbytes + self.members.nbytes + self.keys.nbytes

    @property
    def counts(self) -> np.ndarray:
        """How many members each face has."""
        return np.diff(self.starts)

    @property
    def faces(self) -> np.ndarray:
        """The face of each pair."""
        return np.repeat(np.arange(len(self)), self.counts)


def changes(*columns: np.ndarray) -> np.ndarray:
    """Which rows of sorted columns differ from the row before them (M,); the first does."""
    new = np.zeros(len(columns[0]), bool)
    new[:1] = True
    for column in columns:
        differs = column[1:] != column[:-1]
        new[1:] |= differs if differs.ndim == 1 else differs.any(1)
    return new


def cells_of_vertices(state: State) -> Incidence:
    """The d-dimensional cells and their vertices."""
    vertices = state.vertices
    keys, there = around(state, vertices["key"], vertices["on"], vertices["side"], vertices.get("inside"))
    return members(keys, there)


def members(keys: np.ndarray, there: np.ndarray) -> Incidence:
    """Cells and the faces around which they are, from their keys (n, 2^k, 2) there, and which of them there are (n, 2^k)."""
    pair = np.flatnonzero(there)
    return grouped(keys.reshape(-1, 2).take(pair, axis=0), pair // there.shape[1])


def cells_of_edges(state: State, edges: np.ndarray, cells: Incidence) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (cell, edge) for some edges."""
    table = state.edges
    side = np.where(
        (first := state.vertices["side"][table["ends"][edges, 0]]) != 0,
        first,
        state.vertices["side"][table["ends"][edges, 1]],
    )
    inside = table.get("inside")
    inside = None if inside is None else inside[edges]
    keys, there = around(state, table["key"][edges], table["on"][edges], side, inside)
    order = np.argsort(cells.keys[:, 0])
    found = order[np.searchsorted(cells.keys[order, 0], keys[there][:, 0])]
    return found, edges[np.nonzero(there)[0]]


def around(
    state: State, keys: np.ndarray, on: np.ndarray, side: np.ndarray, inside: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """The keys (n, 2^k, 2) of all cells around n faces on k constraints: each constraint released to either side; bit j of a
    column's number is 0 for the positive side of the j-th. And which of them there are (n, 2^k), those ``inside``.

    Coordinate planes that are not the network's are left out of the keys; a cell on both sides of one counts once.
    """
    names, planes = state.names, state.planes
    there = whole(state, on) if inside is None else inside & whole(state, on)
    if planes:
        keys = keys - ((side > 0)[:, :, None] * names.positive[:planes]).sum(1, dtype=np.uint64)
    found = [keys]
    for slot in range(on.shape[1]):
        c = on[:, slot]
        zero, positive = names.zero.take(c, axis=0), names.positive.take(c, axis=0)
        if planes:
            positive[c < planes] = 0
        negative = [key - zero for key in found]
        found = [*(key + positive for key in negative), *negative]
    return np.stack(found, 1), there


def missing(on: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Which of the constraints (n, k) of faces are not among those (n, k − 1) of larger faces; both are sorted: slots (n,)."""
    slot = np.zeros(len(on), np.int64)
    for k in range(line.shape[1]):
        slot += (on[:, k] == line[:, k]) & (slot == k)
    return slot


def whole(state: State, on: np.ndarray) -> np.ndarray:
    """Which cells there are around n faces on k constraints, in all of the complex (n, 2^k), each once."""
    there = np.ones((len(on), 1 << on.shape[1]), bool)
    for slot in range(on.shape[1]):
        c, half = on[:, slot], 1 << slot
        sided = state.names.sided.take(c) & (c >= state.planes)
        np.logical_and(there[:, :half], sided[:, None], out=there[:, half : 2 * half])
    return there


def grouped(keys: np.ndarray, owner: np.ndarray) -> Incidence:
    """Pairs by equal key, in the order of keys."""
    order, keys = together(keys)
    owner = owner.take(order)
    starts = np.append(np.flatnonzero(changes(keys[:, 0], keys[:, 1])), len(keys))
    return Incidence(starts, owner, keys.take(starts[:-1], axis=0))


@dataclass(frozen=True)
class Facets:
    """Facets of cells, those that have an extent: pairs (facet, vertex) as an :class:`Incidence`, and the cell of each."""

    incidence: Incidence
    cell: np.ndarray

    def pairs(self) -> np.ndarray:
        """Numbers (P, 2) of facets that are one and the same, seen from either side."""
        keys = self.incidence.keys
        order = np.lexsort((keys[:, 1], keys[:, 0]))
        equal = np.flatnonzero((keys[order[1:]] == keys[order[:-1]]).all(1))
        return np.stack([order[equal], order[equal + 1]], 1)


def facets(state: State, cells: Incidence, names: np.ndarray | None = None) -> Facets:
    """The facets of cells. Their keys are hashes of the places of their vertices, so that a facet has one key from both
    sides, also where cells without interior lie between the two; ``names`` (places, 2): random numbers for the places."""
    d, place = state.d, state.vertices["place"]
    cell, vertex = np.repeat(cells.faces, d), np.repeat(cells.members, d)
    constraint = state.vertices["on"][cells.members].ravel().astype(np.int64)
    true = constraint >= state.planes
    cell, vertex, constraint = cell[true], vertex[true], constraint[true]
    order = np.lexsort((place[vertex], constraint, cell))
    cell, vertex, constraint = cell[order], vertex[order], constraint[order]
    new = changes(cell, constraint, place[vertex])  # each place of a facet once
    cell, vertex, constraint = cell[new], vertex[new], constraint[new]
    starts = np.append(np.flatnonzero(changes(cell, constraint)), len(cell))
    large = np.diff(starts) >= d
    inside = np.repeat(large, np.diff(starts))
    cell_of = cell[starts[:-1][large]]
    vertex = vertex[inside]
    starts = np.append(0, np.cumsum(np.diff(starts)[large]))
    names = _names(state) if names is None else names
    keys = np.add.reduceat(names[place[vertex]], starts[:-1], axis=0) if len(cell_of) else np.zeros((0, 2), np.uint64)
    return Facets(Incidence(starts, vertex, keys), cell_of)


def neighbors(state: State, cells: Incidence) -> np.ndarray:
    """Pairs (P, 2) of cells that have a facet in common."""
    names = _names(state)
    keys, cell = [np.zeros((0, 2), np.uint64)], [np.zeros(0, np.int64)]
    for first, block in blocks(cells):
        found = facets(state, block, names)
        keys.append(found.incidence.keys)
        cell.append(found.cell + first)
    none = np.zeros(0, np.int64)
    whole = Facets(Incidence(none, none, np.concatenate(keys)), np.concatenate(cell))
    return whole.cell[whole.pairs()]


def _names(state: State) -> np.ndarray:
    """Random numbers for places."""
    return np.random.default_rng(1).integers(0, 2**64, (state.places.count, 2), dtype=np.uint64)


BLOCK = 2**20
"""Pairs (cell, vertex) that are looked at together."""


def blocks(cells: Incidence) -> Iterator[tuple[int, Incidence]]:
    """Cells some at a time: the number of the first, and they."""
    low = 0
    while low < len(cells):
        high = max(low + 1, int(np.searchsorted(cells.starts, cells.starts[low] + BLOCK)) - 1)
        high = min(high, len(cells))
        first, last = cells.starts[low], cells.starts[high]
        yield low, Incidence(cells.starts[low : high + 1] - first, cells.members[first:last], cells.keys[low:high])
        low = high
