"""From vertices and edges to cells: which vertices each cell has, and which cells are neighbours, all by keys."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tropica.regions.state import State


@dataclass(frozen=True)
class Incidence:
    """Pairs (face, member) sorted by face: face f has ``members[starts[f] : starts[f + 1]]``."""

    starts: np.ndarray
    members: np.ndarray
    keys: np.ndarray

    def __len__(self) -> int:
        return len(self.starts) - 1

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
    keys, owner = _around(state, state.vertices["key"], state.vertices["on"], state.vertices["side"])
    return _grouped(keys, owner)


def cells_of_edges(state: State, edges: np.ndarray, cells: Incidence) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (cell, edge) for some edges."""
    side = np.where(
        (first := state.vertices["side"][state.edges["ends"][edges, 0]]) != 0,
        first,
        state.vertices["side"][state.edges["ends"][edges, 1]],
    )
    keys, owner = _around(state, state.edges["key"][edges], state.edges["on"][edges], side)
    order = np.argsort(cells.keys[:, 0])
    found = order[np.searchsorted(cells.keys[order, 0], keys[:, 0])]
    return found, edges[owner]


def _around(state: State, keys: np.ndarray, on: np.ndarray, side: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The keys of all cells around some faces: each constraint released to either side; and the face that each is of.

    Coordinate planes that are not the network's are left out of the keys.
    """
    names, planes = state.names, state.planes
    if planes:
        keys = keys - ((side > 0)[:, :, None] * names.positive[:planes]).sum(1, dtype=np.uint64)
    keys = keys[:, None, :]
    valid = np.ones((len(on), 1), bool)
    for slot in range(on.shape[1]):
        c = on[:, slot]
        without = keys - names.zero[c][:, None]
        artificial = c < planes
        plus = without + np.where(artificial[:, None], np.uint64(0), names.positive[c])[:, None]
        other = valid & (names.sided[c] & ~artificial)[:, None]
        if not other.any():
            keys = plus
            continue
        keys, valid = np.concatenate([plus, without], 1), np.concatenate([valid, other], 1)
    owner = np.broadcast_to(np.arange(len(on))[:, None], valid.shape)
    return keys[valid], owner[valid]


def _grouped(keys: np.ndarray, owner: np.ndarray) -> Incidence:
    """Pairs by equal key."""
    order = np.argsort(keys[:, 0])
    sorted_keys = keys[order]
    if ((sorted_keys[1:, 0] == sorted_keys[:-1, 0]) & (sorted_keys[1:, 1] != sorted_keys[:-1, 1])).any():
        order = np.lexsort((keys[:, 1], keys[:, 0]))  # two faces agree in 64 of the 128 bits
        sorted_keys = keys[order]
    keys, owner = sorted_keys, owner[order]
    starts = np.append(np.flatnonzero(changes(keys)), len(keys))
    return Incidence(starts, owner, keys[starts[:-1]])


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


def facets(state: State, cells: Incidence, chosen: np.ndarray) -> Facets:
    """The facets of some cells. Their keys are hashes of the places of their vertices, so that a facet has one key from both
    sides, also where cells without interior lie between the two."""
    d, place = state.d, state.vertices["place"]
    number = np.full(len(cells), -1)
    number[chosen] = np.arange(len(chosen))
    cell, vertex = number[cells.faces], cells.members
    keep = cell >= 0
    cell, vertex = np.repeat(cell[keep], d), np.repeat(vertex[keep], d)
    constraint = state.vertices["on"][cells.members[keep]].ravel().astype(np.int64)
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
    names = np.random.default_rng(1).integers(0, 2**64, (state.places, 2), dtype=np.uint64)
    keys = np.add.reduceat(names[place[vertex]], starts[:-1], axis=0) if len(cell_of) else np.zeros((0, 2), np.uint64)
    return Facets(Incidence(starts, vertex, keys), cell_of)
