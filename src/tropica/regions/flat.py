"""Which cells are only there because zero counts as positive: those without interior, told apart exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tropica.regions.cells import Incidence, around, cells_of_edges, members, whole
from tropica.regions.exact import Exact, Rationals, TooLarge
from tropica.regions.state import State
from tropica.regions.walk import Walk


@dataclass(frozen=True)
class Part:
    """What a walk has come to: its cells with an interior, and its vertices.

    Attributes:
        state: vertices alone, without the columns that cells do not need.
        old: how many of them the walk has begun with, if it was on some cells of another complex.
        shared: (n, 2) the keys of those that other parts have, too, and ``where`` (n,) their numbers.
        cells: with their vertices.
        centers: (C, d) the middle of the vertices of each, a point inside.
        undecided: signs, places and ranks that were left to floating point.
    """

    state: State
    old: int
    shared: np.ndarray
    where: np.ndarray
    cells: Incidence
    centers: np.ndarray
    undecided: int

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return self.state.vertices.nbytes + self.cells.nbytes + self.centers.nbytes + self.shared.nbytes


def solid_part(walk: Walk) -> Part:
    """Find the cells of a complex, and leave out those without interior; the complex is used up."""
    state = walk.state
    undecided = walk.undecided + unite_places(state, walk.exact)
    vertices = state.vertices
    keys, there = around(state, vertices["key"], vertices["on"], vertices["side"], vertices.get("inside"))
    every = members(keys, there)
    flat, unsure = flat_cells(state, every, walk.exact)
    cells = every.some(~flat) if flat.any() else every
    # The sum of homogeneous coordinates is the middle but for a factor, which goes with the last of them.
    columns = (np.ascontiguousarray(column).take(cells.members) for column in vertices["at"].T)
    middle = np.stack([np.add.reduceat(column, cells.starts[:-1]) for column in columns], 1)
    where = np.zeros(0, np.int64)
    if "inside" in vertices:
        where = np.flatnonzero((whole(state, vertices["on"]) & ~there).any(1))
    shared = vertices["key"][where]
    old = 0 if walk.exact.base is None else len(walk.exact.base[1])
    vertices.drop(["key", "side", "off", "inside"])
    vertices.shrink()
    state.edges.clear()
    return Part(state, old, shared, where, cells, middle[:, :-1] / middle[:, -1:], undecided + unsure)


def unite_places(state: State, exact: Exact) -> int:
    """Give vertices at one place, found on different edges, one number; how many could not be decided."""
    vertices, ends = state.vertices, state.edges["ends"]
    at, off, place = vertices["at"], vertices["off"], vertices["place"]
    one, other = ends.T
    x = np.ascontiguousarray(at[:, 0])
    close = np.flatnonzero(np.abs(x[one] - x[other]) <= off[one] + off[other])  # few
    one, other = ends[close].T
    length = np.abs(at[one] - at[other]).max(1, initial=0)
    close = close[(length <= off[one] + off[other]) & (place[one] != place[other])]
    number: dict[int, int] = {}

    def find(p: int) -> int:
        while number.get(p, p) != p:
            p = number[p]
        return p

    undecided = 0
    for a, b in ends[close].tolist():
        first, last = find(int(place[a])), find(int(place[b]))
        if first == last:
            continue
        try:
            if same(exact.point(a), exact.point(b)):
                number[max(first, last)] = min(first, last)
        except TooLarge:
            undecided += 1
    if number:
        place[:] = [find(int(p)) for p in place]
    return undecided


def same(a: Rationals, b: Rationals) -> bool:
    """Are two points equal?"""
    return bool((a.top * b.bottom == b.top * a.bottom).all())


def flat_cells(state: State, cells: Incidence, exact: Exact) -> tuple[np.ndarray, int]:
    """Which cells have no interior (C,), and how many could not be decided.

    Edge directions at a vertex do not depend on the infinitesimal amounts, and are independent; so a cell with a vertex all of
    whose edges have some length has an interior. Where no vertex is so, the rank of the vertices decides, in exact arithmetic.
    """
    place, ends = state.vertices["place"], state.edges["ends"]
    none = np.flatnonzero(place[ends[:, 0]] == place[ends[:, 1]])
    flat = np.zeros(len(cells), bool)
    if not len(none):
        return flat, 0
    cell, edge = cells_of_edges(state, none, cells)
    vertices = state.vertices.size
    touched = np.unique(np.concatenate([cell * vertices + ends[edge, end] for end in (0, 1)])) // vertices
    candidates = np.flatnonzero(np.bincount(touched, minlength=len(cells)) == cells.counts)
    undecided = 0
    for c in candidates.tolist():
        members = cells.members[cells.starts[c] : cells.starts[c + 1]]
        _, first = np.unique(place[members], return_index=True)
        if len(first) <= state.d:
            flat[c] = True
            continue
        try:
            flat[c] = rank([exact.point(int(v)) for v in members[first]]) <= state.d
        except TooLarge:
            undecided += 1
            flat[c] = np.linalg.matrix_rank(state.vertices["at"][members[first]]) <= state.d
    return flat, undecided


def rank(rows: list[Rationals]) -> int:
    """The rank of integer vectors (denominators do not matter), by elimination without fractions."""
    left = [list(map(int, row.top)) for row in rows]
    found = 0
    for column in range(len(left[0])):
        pivot = next((row for row in left if row[column]), None)
        if pivot is None:
            continue
        found += 1
        left.remove(pivot)
        left = [_reduced([a * pivot[column] - b * row[column] for a, b in zip(row, pivot, strict=True)]) for row in left]
    return found


def _reduced(row: list[int]) -> list[int]:
    divisor = math.gcd(*row) or 1
    return [n // divisor for n in row]
