"""Parting a complex into groups of cells, each of which can be refined by itself.

A group has its cells with all their faces; which of the cells around a vertex or an edge it has is kept as bits, which faces
that are made later inherit. So faces between groups are in each of them, and are refined there in the same way: numbers and
names of functions are the same everywhere, and signs are proven.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tropica.regions.cells import around, changes, grouped, missing
from tropica.regions.state import State


@dataclass(frozen=True)
class Group:
    """Some cells: the numbers of their vertices (sorted) and edges, and which of the cells around these they are.

    Attributes:
        vertices, inside: (n,) and (n, 2^d).
        edges, edge_inside: (m,) and (m, 2^(d − 1)).
    """

    vertices: np.ndarray
    inside: np.ndarray
    edges: np.ndarray
    edge_inside: np.ndarray


def part(state: State, size: int) -> list[Group]:
    """Part a complex into groups of about so many vertices, of cells that are near each other; one group at least, and two
    where there are two cells."""
    cell_of, centers = _cells(state)
    count = max(2, -(-state.vertices.size // size))
    number = near(centers, min(count, len(centers)))
    if not number.max(initial=0):
        return []
    of_vertices = np.where(cell_of >= 0, number[cell_of], -1)
    columns = _columns(state)
    columns += state.edges["ends"][:, :1] * of_vertices.shape[1]
    of_edges = of_vertices.take(columns)
    pairs = zip(_by_group(of_vertices), _by_group(of_edges), strict=True)
    return [Group(*vertices, *edges) for vertices, edges in pairs]


def near(centers: np.ndarray, count: int) -> np.ndarray:
    """Part points (C, n) into so many sets of nearly equal size (count ≤ C), by planes across the longer sides: numbers."""
    number = np.zeros(len(centers), np.int32)
    todo = [(np.arange(len(centers)), 0, count)]
    while todo:
        points, first, sets = todo.pop()
        if sets == 1:
            number[points] = first
            continue
        some = centers[points]
        axis = int(np.ptp(some, 0).argmax())
        half = sets // 2
        middle = len(points) * half // sets
        order = np.argpartition(some[:, axis], middle)
        todo += [(points[order[:middle]], first, half), (points[order[middle:]], first + half, sets - half)]
    return number


def _cells(state: State) -> tuple[np.ndarray, np.ndarray]:
    """The cells around each vertex (V, 2^d), −1 where there is none, and a point (C, d + 1) for each cell."""
    vertices, planes = state.vertices, state.planes
    keys, valid = around(state, vertices["key"], vertices["on"], vertices["side"], vertices.get("inside"))
    pair = np.flatnonzero(valid)
    cells = grouped(keys.reshape(-1, 2).take(pair, axis=0), pair)
    cell_of = np.full(valid.size, -1, np.int32)
    cell_of[cells.members] = cells.faces
    at = vertices["at"] / np.linalg.norm(vertices["at"], axis=1)[:, None] if planes else vertices["at"]
    owner = cells.members // valid.shape[1]
    columns = [np.add.reduceat(np.ascontiguousarray(column).take(owner), cells.starts[:-1]) for column in at.T]
    centers = np.stack(columns, 1) / cells.counts[:, None]
    cell_of = cell_of.reshape(valid.shape)
    for slot in range(state.d):  # a cell is on both sides of a plane that is not the network's
        sides = cell_of.reshape(len(valid), -1, 2, 1 << slot)
        across = vertices["on"][:, slot] < planes
        sides[across, :, 1] = sides[across, :, 0]
    return cell_of, centers


def _columns(state: State) -> np.ndarray:
    """For each edge and each cell around it, the number of that cell among those around the edge's first end: (E, 2^(d−1))."""
    vertices, edges, names = state.vertices, state.edges, state.names
    first = edges["ends"][:, 0]
    on, line = vertices["on"].take(first, axis=0), edges["on"]
    slot = missing(on, line)
    left = on[np.arange(len(on)), slot]  # the constraint that the edge leaves
    side = edges["key"][:, 0] == vertices["key"][first, 0] - names.zero[left, 0]  # 1: it is negative there
    low = np.arange(1 << (state.d - 1))
    table = np.stack([(low >> k << (k + 1)) | (low & ((1 << k) - 1)) for k in range(state.d)])
    return table.take(slot, axis=0) | (side.astype(np.int64) << slot)[:, None]


def _by_group(of: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """From the groups of the cells around each face (n, k), for each group in turn the faces that it has, sorted, and which of
    the cells around them are its own."""
    flat = of.ravel()
    order = np.argsort(flat.astype(np.int16) if flat.max() < 2**15 else flat, kind="stable")
    starts = np.searchsorted(flat[order], np.arange(flat.max() + 2))
    for low, high in pairwise(starts.tolist()):
        face, column = np.divmod(order[low:high], of.shape[1])
        new = changes(face)
        inside = np.zeros((int(new.sum()), of.shape[1]), bool)
        inside[np.cumsum(new) - 1, column] = True
        yield face[new], inside
