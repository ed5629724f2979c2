"""Vertices and edges of a polyhedral complex, as growing arrays."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import numpy as np

from tropica.errors import InputError
from tropica.runtime.memory import free_memory, size_text

Words = np.ndarray
"""Keys: (..., 2) uint64, 128 bits added modulo 2^64 a half."""
LARGE = 2**28
"""Bytes from which on it is asked whether they fit the memory."""
INSTEAD = "look at a smaller Box or Plane, or at a Segment, or estimate (tp.estimate_regions)"
"""What to do where memory does not suffice."""
SORTED = 2**10
"""Keys from which on they are ordered by way of sorting."""
SMALLEST = 5e-324
"""Stands for values whose sign is known, but which float64 cannot hold."""


def room(rows: int, better: int, shape: tuple[int, ...] = (), dtype: np.dtype | type = np.float64) -> np.ndarray:
    """An array of so many rows, not yet written, or ``better`` so many, where memory allows it.

    Raises:
        InputError: not even the rows that are needed fit the memory that is free.
    """
    row = math.prod(shape) * np.dtype(dtype).itemsize
    if max(rows, better) * row > LARGE:
        free = free_memory()
        if rows * row > free:
            raise InputError(
                f"the complex has come to {rows:,} vertices or edges; {size_text(row)} for each of them are more than the "
                f"{size_text(free)} of memory that are free: {INSTEAD}"
            )
        better = min(better, free // row)
    return np.empty((max(rows, better), *shape), dtype)


def together(keys: Words) -> tuple[np.ndarray, Words]:
    """An order (n,) of keys (n, 2) by their first half, in which equal ones stand together; and the keys in this order."""
    if len(keys) < SORTED:
        order = np.argsort(keys[:, 0])
        found = keys.take(order, axis=0)
        alike = found[1:, 0] == found[:-1, 0]
    else:  # numbers are sorted faster than they are ordered: the upper bits of the key, with the number of the row below
        bits = np.uint64(len(keys).bit_length())
        packed = keys[:, 0] >> bits
        packed <<= bits
        packed |= np.arange(len(keys), dtype=np.uint64)
        packed.sort()
        order = (packed & ((np.uint64(1) << bits) - np.uint64(1))).view(np.int64)
        found = keys.take(order, axis=0)  # many times as fast as keys[order]
        packed >>= bits
        alike = packed[1:] == packed[:-1]
    if (
        alike & ((found[1:, 0] != found[:-1, 0]) | (found[1:, 1] != found[:-1, 1]))
    ).any():  # two keys agree in what was looked at
        order = np.lexsort((keys[:, 1], keys[:, 0]))
        found = keys[order]
    return order, found


class Full(Exception):
    """A table was to grow beyond its limit, to so many rows: ``size``."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


class Table:
    """Columns of equal length that grow together; each is an array (capacity, ...) of which ``size`` rows are in use.

    Where ``limit`` is set, more rows than that are refused (:class:`Full`).
    """

    def __init__(self, **columns: np.ndarray) -> None:
        self.limit: int | None = None
        self.size = len(next(iter(columns.values())))
        self._columns = columns

    def __getitem__(self, name: str) -> np.ndarray:
        return self._columns[name][: self.size]

    def __setitem__(self, name: str, values: np.ndarray) -> None:
        """Add a column, or replace it; rows beyond ``size`` are room to grow."""
        assert len(values) >= self.size
        self._columns[name] = values

    def grow(self, count: int) -> slice:
        """Room for more rows, not yet written: the slice where they stand."""
        if self.limit is not None and self.size + count > self.limit:
            raise Full(self.size + count)
        first, self.size = self.size, self.size + count
        for name, column in self._columns.items():
            if len(column) < self.size:
                larger = room(max(self.size, 64), 2 * len(column), column.shape[1:], column.dtype)
                larger[:first] = column[:first]
                self._columns[name] = larger
        return slice(first, self.size)

    def __contains__(self, name: str) -> bool:
        return name in self._columns

    def get(self, name: str) -> np.ndarray | None:
        """A column, or None."""
        column = self._columns.get(name)
        return None if column is None else column[: self.size]

    def rows(self, numbers: np.ndarray) -> Table:
        """Some rows, copied."""
        return Table(**{name: column.take(numbers, axis=0) for name, column in self._columns.items()})

    @property
    def nbytes(self) -> int:
        """Bytes of all columns."""
        return sum(column.nbytes for column in self._columns.values())

    def shrink(self) -> None:
        """Give back the room to grow."""
        self._columns = {name: column[: self.size].copy() for name, column in self._columns.items()}

    def clear(self) -> None:
        """Forget all rows."""
        self.size = 0
        self.shrink()

    def drop(self, names: Sequence[str]) -> None:
        """Forget some columns."""
        for name in names:
            self._columns.pop(name, None)


class Names:
    """Random 128-bit numbers for the constraints: ``positive`` where it is positive, ``zero`` where it vanishes, else 0.

    The key of a face is their sum over all constraints, that is, a hash of its sign vector; two different faces have the same
    key with a probability of 2^-128 a pair.
    """

    def __init__(self, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        self.positive: Words = np.zeros((0, 2), np.uint64)
        self.zero: Words = np.zeros((0, 2), np.uint64)
        self.sided = np.zeros(0, bool)

    def add(self, count: int, sided: bool = True) -> slice:
        """Numbers for so many more; ``sided``: there is something on either side of them (not so at the domain's facets)."""
        first = len(self.positive)
        drawn = self._random.integers(0, 2**64, (2, count, 2), dtype=np.uint64)
        self.positive = np.concatenate([self.positive, drawn[0]])
        self.zero = np.concatenate([self.zero, drawn[1]])
        self.sided = np.concatenate([self.sided, np.full(count, sided)])
        return slice(first, first + count)


class Places:
    """Numbers for places, each given out once, to whichever part of a complex asks."""

    def __init__(self) -> None:
        self.count = 0

    def take(self, count: int) -> int:
        """So many numbers: the first of them."""
        first, self.count = self.count, self.count + count
        return first


class State:
    """A simple polyhedral complex of dimension d, or some of its cells with all their faces: every vertex lies on d
    constraints, every edge on d − 1, both sorted.

    Attributes:
        d: its dimension.
        vertices: ``at`` (V, d + 1) homogeneous coordinates; ``on`` (V, d) constraints; ``key`` (V, 2); ``place`` (V,): vertices
            at one place have one number (in degenerate complexes edges of length zero are ordinary edges); ``parents`` (V, 2),
            two vertices on a line with it, on which its last constraint is affine, −1 for those of the domain; ``side``
            (V, planes); ``off`` (V,): how far ``at`` may be from the vertex itself.
        edges: ``ends`` (E, 2); ``on`` (E, d − 1); ``key`` (E, 2); ``steep`` (E, d − 1): for each of its constraints a lower
            bound on the length of the gradient, in every cell at the edge.
            Where the state has but some of the cells, both have ``inside`` (V, 2^d), (E, 2^(d − 1)): which of the cells around
            a face it has. Bit k of a column's number is 0 for the positive side of the face's k-th constraint.
        names: of the constraints.
        places: gives out numbers; ``shared``: has any place more than one vertex?
        planes: how many constraints, the first ones, are coordinate planes that are not the network's: cells on their two sides
            are one. ``side`` says on which side of them a vertex is.
    """

    def __init__(
        self, d: int, names: Names, at: np.ndarray, on: np.ndarray, ends: np.ndarray, edge_on: np.ndarray, planes: int = 0
    ) -> None:
        self.d = d
        self.names, self.places = names, Places()
        self.places.take(len(at))
        self.vertices = Table(
            at=at,
            on=on.astype(np.int32, copy=False),
            key=np.zeros((len(at), 2), np.uint64),
            place=np.arange(len(at), dtype=np.int64),
            parents=np.full((len(at), 2), -1, np.int64),
            side=np.sign(at[:, :planes]).astype(np.int8),
            off=np.zeros(len(at)),
        )
        self.planes = planes
        self.edges = Table(
            ends=ends.astype(np.int64),
            on=edge_on.astype(np.int32),
            key=np.zeros((len(ends), 2), np.uint64),
            steep=np.ones((len(ends), d - 1)),  # of the domain's facets, whose equations hold exactly
        )
        self.shared = False

    @classmethod
    def of_vertices(cls, other: State, at: np.ndarray, on: np.ndarray) -> State:
        """No more than vertices, of the same names and places as another one's."""
        none = np.zeros((0, 2), np.int64), np.zeros((0, other.d - 1), np.int64)
        found = cls(other.d, other.names, at, on, *none)
        found.places, found.planes = other.places, other.planes
        found.vertices.drop(["key", "side", "off"])
        return found

    def some(self, vertices: np.ndarray, inside: np.ndarray, edges: np.ndarray, edge_inside: np.ndarray) -> State:
        """Some of its cells: the numbers of their vertices, sorted, and of their edges, and which cells around them it is."""
        part = copy.copy(self)
        part.vertices = self.vertices.rows(vertices)
        part.vertices["parents"][:] = -1
        part.vertices["inside"] = inside
        part.edges = self.edges.rows(edges)
        number = np.empty(self.vertices.size, np.int64)
        number[vertices] = np.arange(len(vertices))
        part.edges["ends"][:] = number.take(part.edges["ends"])
        part.edges["inside"] = edge_inside
        return part
