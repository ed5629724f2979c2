"""The cells of a network on a domain: walks through it, whole or in parts as memory allows, and what they found as one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tropica.errors import InputError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.regions.cells import Incidence, grouped
from tropica.regions.domain import Domain
from tropica.regions.exact import Exact
from tropica.regions.flat import Part, solid_part
from tropica.regions.functions import Folded
from tropica.regions.groups import Group, part
from tropica.regions.state import INSTEAD, LARGE, State, together
from tropica.regions.step import TooClose
from tropica.regions.walk import Walk
from tropica.runtime.memory import free_memory, size_text

MEMORY = 2**27
"""Bytes that the values and the state of what is refined at once may take, about."""
CHUNK = 2**18
"""Cells whose members are moved at once."""
NONE = np.zeros(0, np.int64)
SHARE = 4
"""A group begins with vertices for that share of the memory: it is to grow."""
LAST = 3
"""The same in front of the last layer, where new vertices have no values."""


@dataclass(frozen=True)
class Solid:
    """The cells that have an interior.

    Attributes:
        folded, exact: the network, and its exact values at the vertices.
        state: vertices alone: ``at``, ``on``, ``place``, ``parents``.
        unbounded: is the domain all of space?
        cells: with their vertices, in the order of their keys.
        centers: (C, d) the middle of the vertices of each cell, a point inside.
        undecided: signs, places and ranks that were left to floating point.
    """

    folded: Folded
    exact: Exact
    state: State
    unbounded: bool
    cells: Incidence
    centers: np.ndarray
    undecided: int


@dataclass(frozen=True)
class Tree:
    """A complex that was refined in parts: whole numbers of vertices, before and after.

    Attributes:
        old: the first so many vertices are those of the complex that this is a part of, which calls them ``origin``.
        parents: (V, 2) of all.
        undecided: signs, places and ranks that were left to floating point.
        leaf: which Part it is, −1 if it was parted itself, and then ``branches`` are its parts.
    """

    old: int
    origin: np.ndarray
    parents: np.ndarray
    undecided: int
    leaf: int
    branches: list[Tree]

    @property
    def total(self) -> int:
        """What was left to floating point, in all parts."""
        return self.undecided + sum(branch.total for branch in self.branches)


def solid_cells(net: PiecewiseLinearNetwork, domain: Domain, labels: bool = False, memory: int | None = None) -> Solid:
    """Find the cells of a network on a domain.

    Args:
        labels: also cut where the label changes.
        memory: bytes that what is refined at once may take, about; the result does not depend on it.
    """
    slack = 1.0
    while True:
        walk = Walk.start(net, domain, labels)
        walk.slack, walk.memory = slack, memory or MEMORY
        parts: list[Part] = []
        try:
            tree = _explore(walk, NONE, parts)
        except TooClose:
            slack *= 2**10
        else:
            return merged(walk, tree, parts)


def whole(walk: Walk) -> Solid:
    """The cells of a walk that has been through its network in one."""
    found = solid_part(walk)
    return merged(walk, Tree(0, NONE, found.state.vertices["parents"], found.undecided, 0, []), [found])


def _explore(walk: Walk, origin: np.ndarray, parts: list[Part]) -> Tree:
    """Take a walk to its end, in parts where that is needed; they are added to ``parts``."""
    while not walk.run():
        rows = walk.rows(walk.width(walk.folded.bends[walk.bend]))
        assert rows is not None
        last = walk.bend + 1 == len(walk.folded.bends)
        groups = part(walk.state, max(1, rows // (LAST if last else SHARE)))
        if not groups:
            walk.single = True
            continue
        branches = [_branch(walk, group, parts) for group in groups]
        return Tree(len(origin), origin, walk.state.vertices["parents"].copy(), walk.undecided, -1, branches)
    parts.append(found := solid_part(walk))
    _fits(parts)
    return Tree(len(origin), origin, found.state.vertices["parents"], found.undecided, len(parts) - 1, [])


def _fits(parts: list[Part]) -> None:
    """Raise InputError unless there is as much memory left as the parts take, which putting them together needs."""
    size = sum(found.nbytes for found in parts)
    if size > LARGE and size > (free := free_memory()):
        raise InputError(
            f"the complex has come to {sum(len(found.cells) for found in parts):,} cells; to put them together takes "
            f"{size_text(size)}, more than the {size_text(free)} of memory that are free: {INSTEAD}"
        )


def _branch(walk: Walk, group: Group, parts: list[Part]) -> Tree:
    """Take a group to the end; once more with wider limits if need be."""
    slack, done = walk.slack, len(parts)
    while True:
        branch = walk.part(group)
        branch.slack = slack
        try:
            return _explore(branch, group.vertices, parts)
        except TooClose:
            slack *= 2**10
            del parts[done:]


def merged(walk: Walk, tree: Tree, parts: list[Part]) -> Solid:
    """All parts as one complex: vertices that several of them have, once; cells in the order of their keys. Uses the parts up.

    Vertices of one key are one, and so are their places. Vertices at one place are joined by edges without length, each of
    which some part has; so all parts together know which vertices are at one place.
    """
    offsets = np.append(0, np.cumsum([found.state.vertices.size for found in parts]))
    number, table = _numbers(parts, offsets)
    state = _vertices(walk, parts, offsets, number, table)
    _parents(tree, offsets, number, state.vertices["parents"])
    cells, centers = _cells(parts, offsets, number)
    exact = Exact(walk.folded, state, walk.exact.functions)
    return Solid(walk.folded, exact, state, walk.unbounded, cells, centers, tree.total)


def _numbers(parts: list[Part], offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The new number of each vertex, and of each place."""
    state = parts[0].state
    table = np.arange(state.places.count)
    rows = np.concatenate([found.where + offset for found, offset in zip(parts, offsets, strict=False)])
    first = np.arange(offsets[-1], dtype=np.int32 if offsets[-1] < 2**31 else np.int64)
    if len(rows):
        equal = grouped(np.concatenate([found.shared for found in parts]), rows)
        first[equal.members] = np.repeat(np.minimum.reduceat(equal.members, equal.starts[:-1]), equal.counts)
        place = np.concatenate([found.state.vertices["place"][found.where] for found in parts])
        owner = np.empty(len(rows), np.int64)
        owner[np.argsort(rows)] = equal.faces[np.argsort(equal.members)]
        places, at = np.unique(place, return_inverse=True)
        links = coo_array((np.ones(len(at), np.int8), (at, len(places) + owner)), shape=(len(places) + len(equal),) * 2)
        label = connected_components(links, directed=False)[1][: len(places)]
        least = np.full(label.max() + 1, state.places.count)
        np.minimum.at(least, label, places)
        table[places] = least[label]
    kept = first == np.arange(len(first))
    return (np.cumsum(kept, dtype=first.dtype) - 1)[first], table


def _vertices(walk: Walk, parts: list[Part], offsets: np.ndarray, number: np.ndarray, table: np.ndarray) -> State:
    """The vertices of all parts, each once."""
    old, d = walk.state, walk.state.d
    size = int(number.max()) + 1
    state = State.of_vertices(old, np.empty((size, d + 1)), np.empty((size, d), np.int32))
    vertices = state.vertices
    for found, low in zip(parts, offsets, strict=False):
        rows, some = number[low : low + found.state.vertices.size], found.state.vertices
        for name in ("at", "on"):
            vertices[name][rows] = some[name]
        vertices["place"][rows] = table[some["place"]]
        state.shared |= found.state.shared
        some.clear()
    return state


def _parents(tree: Tree, offsets: np.ndarray, number: np.ndarray, parents: np.ndarray) -> np.ndarray:
    """Write the parents of all vertices that a tree has made, by new numbers; the new numbers of its vertices."""
    if tree.leaf >= 0:
        numbers = number[offsets[tree.leaf] : offsets[tree.leaf + 1]]
    else:
        numbers = np.full(len(tree.parents), -1, number.dtype)
        for branch in tree.branches:
            numbers[branch.origin] = _parents(branch, offsets, number, parents)[: branch.old]
    made = tree.parents[tree.old :]
    parents[numbers[tree.old :]] = np.where(made < 0, -1, numbers[made])
    return numbers


def _cells(parts: list[Part], offsets: np.ndarray, number: np.ndarray) -> tuple[Incidence, np.ndarray]:
    """The cells of all parts, and their middles, in the order of the cells' keys."""
    if len(parts) == 1:
        return parts[0].cells, parts[0].centers
    keys = np.concatenate([found.cells.keys for found in parts])
    counts = np.concatenate([found.cells.counts for found in parts])
    order, keys = together(keys)
    every = np.concatenate([number[low:].take(found.cells.members) for found, low in zip(parts, offsets, strict=False)])
    first = (np.cumsum(counts) - counts).take(order)
    counts = counts.take(order)
    starts = np.append(0, np.cumsum(counts))
    members = np.empty_like(every)
    for low in range(0, len(order), CHUNK):
        high = min(low + CHUNK, len(order))
        some = np.repeat(first[low:high] - starts[low:high], counts[low:high]) + np.arange(starts[low], starts[high])
        members[starts[low] : starts[high]] = every.take(some)
    centers = np.concatenate([found.centers for found in parts]).take(order, axis=0)
    return Incidence(starts, members, keys), centers
