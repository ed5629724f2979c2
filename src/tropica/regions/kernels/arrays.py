"""The arrays that the kernels read and write."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tropica.regions.kernels.maps import MAX_SPARSE_TERMS, MAX_TERMS


class SparseColumns(NamedTuple):
    """Columns of matrices with few nonzero entries: a patch of a convolution.

    Attributes:
        flag: (L + 1,) whether the matrix into a stage is given here.
        first: (L + 1,) where its columns begin in ``start``; column j has the entries start[first + j] to start[first + j + 1].
        start, row, value: the entries of all.
        terms: (L + 1,) the most entries in a row.
    """

    flag: np.ndarray
    first: np.ndarray
    start: np.ndarray
    row: np.ndarray
    value: np.ndarray
    terms: np.ndarray


class Copies(NamedTuple):
    """Which rows are copies of a unit before, for L stages and the output.

    Attributes:
        column: (L + 1, width) the output of the stage before that a row is; NO_COPY, or ALWAYS_ZERO for a row that is 0.
        first: (L, width) the first unit of each output.
        ends, low, step: as in :class:`NetworkArrays`.
    """

    column: np.ndarray
    first: np.ndarray
    ends: np.ndarray
    low: np.ndarray
    step: np.ndarray


class NetworkArrays(NamedTuple):
    """A chain of L stages as the kernels read it, every row divided by a power of two so that its bound is about 1.

    Attributes:
        dims: d zeros where the loops over dimensions are to be unrolled, empty for any d.
        d, outputs: dimension, number of outputs; L stages, row stride ``width``.
        size: (L + 1,) rows of each stage, and of the output.
        first: (d + 2, width) the map of stage 0.
        weight, offset: stage s ≥ 1 as n[s − 1] rows of n[s] numbers from ``offset[s]``.
        bias, low, step: (L + 1, width); a unit's slope is low where it is not positive, low + step where it is.
        tested: (L, words) bits of the units that bend.
        ends: (L, width) one past the last unit of each window at its first, else 0; windowed: (L,) which stages have windows.
        central: (L,) whether the stage's constants are 0 for every sign vector.
        row_sum: (L + 1,) the largest absolute row sum of a stage; column: (L, width): of stage s + 1 times column j of s.
        place: (L, width) the output, a column of the next stage, that each unit is a summand of.
        sparse: columns of sparse matrices; None where all are dense and there are no windows.
        copies: None where ``sparse`` is.
    """

    dims: tuple
    d: int
    size: np.ndarray
    first: np.ndarray
    weight: np.ndarray
    offset: np.ndarray
    bias: np.ndarray
    low: np.ndarray
    step: np.ndarray
    tested: np.ndarray
    row_sum: np.ndarray
    column: np.ndarray
    cached: np.ndarray
    ends: np.ndarray
    windowed: np.ndarray
    central: np.ndarray
    place: np.ndarray
    sparse: SparseColumns | None
    copies: Copies | None


class Cells(NamedTuple):
    """Vertices, cells and hyperplanes on the path of the search: stacks that grow and shrink with it."""

    X: np.ndarray  # (A, d)
    disp: np.ndarray  # (A,)
    definition: np.ndarray  # (A + 1,) starts in ``through``
    through: np.ndarray  # hyperplanes through each vertex
    list: np.ndarray  # vertices of the cells on the stack
    sets: np.ndarray  # (P, words) their sets of slots
    slots: np.ndarray  # hyperplane of each slot, cell by cell
    planes: np.ndarray  # (H, d + 1)
    plane_error: np.ndarray  # (H,)
    plane_unit: np.ndarray  # (H, 3): stage and unit; the unit whose row is subtracted, or −1
    stack: np.ndarray  # (E, 10)
    mixed: np.ndarray  # (E,)
    chosen: np.ndarray  # (E,)


class Levels(NamedTuple):
    """What belongs to a stage of the path, or to a group of 64 units of it."""

    S: np.ndarray  # (levels, A)
    N: np.ndarray
    mask: np.ndarray  # (levels, words)
    forms: np.ndarray  # (levels, d + 1, 64)
    tolerance: np.ndarray  # (levels, 64)
    length: np.ndarray  # (levels, 64)
    unit: np.ndarray  # (levels, 64)
    partner: np.ndarray  # (levels, 64)
    none: np.ndarray  # (64,) −1
    rest: np.ndarray  # (levels, width)
    rest_range: np.ndarray  # (levels, 2)
    latest: np.ndarray  # (levels,)
    undecided: np.ndarray  # (width,)
    found: np.ndarray  # (width + 64,) candidates of a window
    kept: np.ndarray
    least: np.ndarray  # (width,) bounds on the box around a cell
    most: np.ndarray


class Maps(NamedTuple):
    """The map of each stage with the mask that it belongs to, and the rank-one terms by which it changed."""

    rows: np.ndarray  # (L + 1, d + 2, width)
    mask: np.ndarray  # (L, words)
    fresh: np.ndarray  # (L + 1,): computed as a whole
    age: np.ndarray  # (L + 1,): terms since
    terms: np.ndarray  # (L + 1,)
    vector: np.ndarray  # (L + 1, MAX_TERMS, width)
    vector_unit: np.ndarray  # (L + 1, MAX_TERMS)
    coefficient: np.ndarray  # (L + 1, MAX_TERMS, d + 2)
    vector_size: np.ndarray  # (L + 1, MAX_TERMS, 2): largest entry, error
    cache: np.ndarray
    cache_mask: np.ndarray  # (L, width, words)
    cache_columns: np.ndarray  # (L, width): −1 where empty
    columns: np.ndarray  # (width + 64,)
    factor: np.ndarray  # (width + 64, d + 2)
    single: np.ndarray  # (width + 64,)
    support: np.ndarray  # (L + 1, terms, width) rows where a vector is not 0
    support_size: np.ndarray  # (L + 1, terms): how many, −1 for all
    mark: np.ndarray  # (width + 1,): rows met by the sum at hand, whose number is the last entry


class Output(NamedTuple):
    """Cells as they are found."""

    want: np.ndarray  # (4,) signs, volumes, maps, vertices
    signs: np.ndarray  # (n, words)
    volume: np.ndarray  # (n,)
    maps: np.ndarray  # (n, outputs, d + 2)
    vertex_start: np.ndarray  # (n + 1,)
    vertices: np.ndarray  # (N, d)
    disp: np.ndarray  # (N,)
    sets: np.ndarray  # (N, words): bits are positions in the cell's list of facets
    facet_start: np.ndarray
    facets: np.ndarray  # (K, 3)


class SignQueries(NamedTuple):
    """Counters, and the doubtful signs that the kernel asks about."""

    head: np.ndarray  # (3,) level, stage, count
    doubts: np.ndarray  # (Q, 4) vertex, bit, unit, partner
    counters: np.ndarray  # (8,)
    table: np.ndarray  # (d, 2 d)
    scratch: np.ndarray  # (4, d)
    apexes: np.ndarray
    faces: np.ndarray  # (d + 2, A) of a volume
    middle: np.ndarray  # (d,)
    radius: np.ndarray
    children: np.ndarray  # (10,) of a cut
    sizes: np.ndarray  # (A + 1,) hyperplanes through each vertex of a cell


class Capacity(NamedTuple):
    """Sizes of the stacks; a kernel that finds one too small says so and is run again with larger ones."""

    vertices: int = 4096
    listed: int = 1 << 15
    planes: int = 2048
    stack: int = 2048
    words: int = 1
    levels: int = 96
    cells: int = 1 << 13
    corners: int = 1 << 12


def _zeros(*shape: int, dtype: type = np.float64) -> np.ndarray:
    return np.zeros(shape, dtype)


def make_state(
    net: NetworkArrays, capacity: Capacity, want: tuple[bool, bool, bool, bool]
) -> tuple[Cells, Levels, Maps, Output, SignQueries]:
    """Fresh arrays for one task."""
    d, stages, width = net.d, len(net.size) - 1, net.bias.shape[1]
    words, A = width // 64, capacity.vertices
    levels = capacity.levels
    if not net.windowed.any():
        levels = min(levels, int(sum(-(-n // 64) + 1 for n in net.size[:-1].tolist())) + 2)
    terms = MAX_TERMS if net.sparse is None else MAX_SPARSE_TERMS
    cached = max((int(net.size[s - 1]) for s in range(1, stages) if net.cached[s + 1] > net.cached[s]), default=1)
    cells = Cells(
        _zeros(A, d),
        _zeros(A),
        _zeros(A + 2, dtype=np.int64),
        _zeros(A * (d + 2), dtype=np.int64),
        _zeros(capacity.listed, dtype=np.int64),
        _zeros(capacity.listed, capacity.words, dtype=np.uint64),
        _zeros(capacity.stack * 8, dtype=np.int64),
        _zeros(capacity.planes, d + 1),
        _zeros(capacity.planes),
        _zeros(capacity.planes, 3, dtype=np.int64),
        _zeros(capacity.stack, 10, dtype=np.int64),
        _zeros(capacity.stack, dtype=np.uint64),
        _zeros(capacity.stack, dtype=np.uint64),
    )
    level = Levels(
        np.empty((levels, A), np.uint64),
        np.empty((levels, A), np.uint64),
        _zeros(levels, words, dtype=np.uint64),
        _zeros(levels, d + 1, 64),
        _zeros(levels, 64),
        _zeros(levels, 64),
        _zeros(levels, 64, dtype=np.int64),
        _zeros(levels, 64, dtype=np.int64),
        np.full(64, -1, np.int64),
        _zeros(levels, width, dtype=np.int64),
        _zeros(levels, 2, dtype=np.int64),
        _zeros(levels, dtype=np.uint64),
        _zeros(width, dtype=np.int64),
        _zeros(width + 64, dtype=np.int64),
        _zeros(width + 64, dtype=np.int64),
        _zeros(width),
        _zeros(width),
    )
    maps = Maps(
        _zeros(stages + 1, d + 2, width),
        _zeros(stages + 1, words, dtype=np.uint64),
        np.ones(stages + 1, np.int64),
        _zeros(stages + 1, dtype=np.int64),
        _zeros(stages + 1, dtype=np.int64),
        _zeros(stages + 1, terms, width),
        _zeros(stages + 1, terms, dtype=np.int64),
        _zeros(stages + 1, terms, d + 2),
        _zeros(stages + 1, terms, 2),
        np.empty(int(net.cached[-1])),
        _zeros(stages + 1, cached, words, dtype=np.uint64),
        np.full((stages + 1, cached), -1, np.int64),
        _zeros(width + 64, dtype=np.int64),
        _zeros(width + 64, d + 2),
        _zeros(width + 64),
        _zeros(stages + 1, terms, 1 if net.sparse is None else width, dtype=np.int32),
        _zeros(stages + 1, terms, dtype=np.int64),
        _zeros(width + 1, dtype=np.int64),
    )
    return cells, level, maps, make_output(net, capacity, want), _query(net, capacity)


def make_output(net: NetworkArrays, capacity: Capacity, want: tuple[bool, bool, bool, bool]) -> Output:
    """Fresh arrays for the cells of one task."""
    d, n = net.d, capacity.cells
    signs, volumes, affine, corners = want
    N = max(capacity.corners, capacity.cells * (2 + 3 * 2 ** min(d, 6) // 2)) if corners else 0
    return Output(
        np.array(want, np.int64),
        _zeros(n if signs else 0, int(_sign_words(net)[-1]), dtype=np.uint64),
        _zeros(n if volumes else 0),
        _zeros(n if affine else 0, int(net.size[-1]), d + 2),
        _zeros(n + 1 if corners else 0, dtype=np.int64),
        _zeros(N, d),
        _zeros(N),
        _zeros(N, capacity.words, dtype=np.uint64),
        _zeros(n + 1 if corners else 0, dtype=np.int64),
        _zeros(N, 3, dtype=np.int64),
    )


def _query(net: NetworkArrays, capacity: Capacity) -> SignQueries:
    d, A = net.d, capacity.vertices
    return SignQueries(
        _zeros(4, dtype=np.int64),
        _zeros(1 << 16, 4, dtype=np.int64),
        _zeros(8, dtype=np.int64),
        _zeros(d, 2 * d),
        _zeros(4, max(d, 2)),
        _zeros(d + 1, dtype=np.int64),
        _zeros(d + 2, A + 1, dtype=np.int64),
        _zeros(d),
        _zeros(d),
        _zeros(10, dtype=np.int64),
        _zeros(A + 1, dtype=np.int64),
    )


def _sign_words(net: NetworkArrays) -> np.ndarray:
    """Where the words of each stage begin in a cell's packed signs, and how many there are."""
    return np.concatenate([[0], np.cumsum((net.size[:-1] + 63) // 64)])
