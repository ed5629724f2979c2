"""The cells of a lowered network on a domain, as a stream of blocks in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray
from tropica.regions.domains.domain import Domain, Faces
from tropica.regions.engine.chain import Chain, rescaled_columns
from tropica.regions.engine.compilation import saying_compilation
from tropica.regions.engine.exact_signs import ExactSigns, UnprovenSigns
from tropica.regions.engine.lowered_chain import lowered_chain
from tropica.regions.engine.reduction import Reduced
from tropica.regions.engine.restricted import multiplications, restricted_chain
from tropica.regions.engine.scaling import SMALL, scaled_network
from tropica.regions.engine.scheduler import in_order
from tropica.regions.engine.tasks import Counters, Spare, Task, TaskResult, root_task, run_task
from tropica.regions.kernels.arrays import Capacity, NetworkArrays
from tropica.regions.lower.lowering import Lowered
from tropica.regions.lower.mantissas import mantissas
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.html import HtmlRepr

SIGNS, VOLUMES, MAPS, VERTICES = "signs", "volumes", "maps", "vertices"
MOST_EXACT = 1 << 24
"""Weights, each as often as it is used, up to which a network is read exactly."""
MOST_DIMENSIONS = 12
"""A box of more dimensions has more vertices than a cell's edges can be found among."""


@dataclass(frozen=True)
class Sizes:
    """Numbers of cells: of the first task, of those that it gives back, and of all later tasks."""

    first: int = 256
    second: int = 2048
    later: int = 8192
    capacity: Capacity = field(default_factory=Capacity)


@dataclass(frozen=True, eq=False)
class CellBlock(HtmlRepr):
    """Some cells, as arrays; what was not asked for is None.

    Attributes:
        signs: (n, words) uint64, one bit a unit: 1 for its upper piece. Each stage begins a new word.
        volumes: (n,) in t-units.
        maps: (n, outputs, d + 1) the outputs as affine functions of t, the constant last, by the sign vector.
        map_error: (n, outputs) bound of the maps' errors over the domain.
        vertex_start: (n + 1,) offsets into vertices (N, d) in t, displacement (N,) and incidence (N, w).
        displacement: bounds |vertex − exact vertex| in each coordinate.
        facet_start: (n + 1,) offsets into facets (K, 3): stage and unit of each facet, stage −1 for the domain's own;
            where a window's rows u and v are equal (stage, u, v), elsewhere the last is −1.
        incidence: bit j of a vertex: it lies on facet j of its cell.
        rays: (N,) of unbounded cells: whether a row of ``vertices`` is a direction in which the cell goes on for ever. None on
            polytopes.

    >>> import tropica as tp
    >>> net = tp.from_layers([([[1.0, 0.0], [0.0, 1.0]], None), ([[1.0, 0.0], [0.0, 1.0]], None)])  # (relu(x₁), relu(x₂))
    >>> (block,) = tp.iter_cells(net, tp.Box(-1, 1, d=2), arrays=["volumes"])
    >>> len(block), block.volumes.tolist(), block.vertices
    (4, [1.0, 1.0, 1.0, 1.0], None)
    """

    count: int
    signs: np.ndarray | None = None
    volumes: np.ndarray | None = None
    maps: np.ndarray | None = None
    map_error: np.ndarray | None = None
    vertex_start: np.ndarray | None = None
    vertices: np.ndarray | None = None
    displacement: np.ndarray | None = None
    facet_start: np.ndarray | None = None
    facets: np.ndarray | None = None
    incidence: np.ndarray | None = None
    rays: np.ndarray | None = None

    def __len__(self) -> int:
        return self.count

    def __repr__(self) -> str:
        names = [word for word, (first, *_) in _FIELDS.items() if getattr(self, first) is not None]
        return f"CellBlock({self.count:,} cells: {', '.join(names) or 'the count alone'})"

    def only(self, names: frozenset[str]) -> CellBlock:
        """The block with the arrays of these words alone."""
        dropped = {field for word, fields in _FIELDS.items() if word not in names for field in fields}
        return replace(self, **dict.fromkeys(dropped))

    def output_range(self) -> tuple[np.ndarray, np.ndarray]:
        """The least and the largest value (n, outputs) of each output on each cell, outward by the bounds of the errors."""
        maps, errors, vertices = self.maps, self.map_error, self.vertices
        if maps is None or errors is None or vertices is None or self.vertex_start is None or self.displacement is None:
            raise InputError('the range of outputs needs arrays=["maps", "vertices"]')
        cell = np.repeat(np.arange(self.count), np.diff(self.vertex_start))
        slopes = maps[cell, :, :-1]
        value = np.einsum("nok,nk->no", slopes, vertices) + maps[cell, :, -1]
        slack = errors[cell] + np.abs(slopes).sum(2) * self.displacement[:, None]
        low, high = value - slack, value + slack
        if self.rays is not None:  # along a ray an output stays as it is, or goes on for ever
            rise, endless = value - maps[cell, :, -1], self.rays[:, None]
            low = np.where(endless, np.where(rise - slack < 0, -np.inf, np.inf), low)
            high = np.where(endless, np.where(rise + slack > 0, np.inf, -np.inf), high)
        start = self.vertex_start[:-1]
        return np.minimum.reduceat(low, start), np.maximum.reduceat(high, start)

    def centers(self) -> np.ndarray:
        """(n, d) a point inside each cell: the mean of its vertices, moved along the sum of its rays."""
        start, at = self.vertex_start, self.vertices
        if start is None or at is None:
            raise InputError('points inside of cells need arrays=["vertices"]')
        if self.rays is None:
            return np.add.reduceat(at, start[:-1]) / np.diff(start)[:, None]
        finite = (~self.rays).astype(np.float64)
        mean = np.add.reduceat(at * finite[:, None], start[:-1]) / np.add.reduceat(finite, start[:-1])[:, None]
        size = np.maximum(1.0, np.abs(mean).max(1))[:, None]
        return mean + size * np.add.reduceat(at * (1 - finite)[:, None], start[:-1])

    def select(self, cells: np.ndarray) -> CellBlock:
        """Some cells: those with these numbers, in this order, or those for which a mask (n,) is True."""
        if cells.dtype == bool:
            cells = np.flatnonzero(cells)
        chosen: dict[str, np.ndarray] = {}
        for name in ("signs", "volumes", "maps", "map_error"):
            if (array := getattr(self, name)) is not None:
                chosen[name] = array[cells]
        for offsets, names in (
            ("vertex_start", ("vertices", "displacement", "incidence", "rays")),
            ("facet_start", ("facets",)),
        ):
            if (start := getattr(self, offsets)) is None:
                continue
            counts = np.diff(start)[cells]
            chosen[offsets] = np.concatenate([[0], np.cumsum(counts)])
            rows = np.repeat(start[:-1][cells] - chosen[offsets][:-1], counts) + np.arange(counts.sum())
            for name in names:
                if (array := getattr(self, name)) is not None:
                    chosen[name] = array[rows]
        return CellBlock(len(cells), **chosen)


def concatenated(blocks: Sequence[CellBlock]) -> CellBlock:
    """Several blocks with the same arrays, one at least, as one."""
    if len(blocks) == 1:
        return blocks[0]
    whole: dict[str, np.ndarray] = {}
    for name in ("signs", "volumes", "maps", "map_error", "vertices", "displacement", "facets", "rays"):
        if getattr(blocks[0], name) is not None:
            whole[name] = np.concatenate([getattr(b, name) for b in blocks])
    if blocks[0].vertices is not None:
        words = max(b.incidence.shape[1] for b in blocks if b.incidence is not None)
        padded = [np.pad(b.incidence, ((0, 0), (0, words - b.incidence.shape[1]))) for b in blocks if b.incidence is not None]
        whole["incidence"] = np.concatenate(padded)
        for name in ("vertex_start", "facet_start"):
            counts = np.concatenate([np.diff(getattr(b, name)) for b in blocks])
            whole[name] = np.concatenate([[0], np.cumsum(counts)])
    return CellBlock(sum(map(len, blocks)), **whole)


_FIELDS = {
    SIGNS: ("signs",),
    VOLUMES: ("volumes",),
    MAPS: ("maps", "map_error"),
    VERTICES: ("vertex_start", "vertices", "displacement", "facet_start", "facets", "incidence", "rays"),
}
"""The arrays of each word that can be asked for."""


@dataclass(frozen=True, eq=False)
class Problem:
    """A network on a domain, as the kernels read it.

    Attributes:
        net, exact, root: arrays of the kernels, exact signs, the whole domain as a task.
        exponents: (d,) t = 2^exponents · τ for the kernels' coordinates τ.
        output_exponents: (outputs,) powers of two by which the kernels' outputs are to be multiplied.
        left: the units that each stage keeps on the domain; bits of sign vectors and facets are numbered by them.
        spare: arrays that searches of the problem leave for the next one; None where each has its own.
    """

    net: NetworkArrays
    exact: ExactSigns
    root: Task
    exponents: np.ndarray
    output_exponents: np.ndarray
    left: tuple[Reduced, ...] = ()
    spare: Spare | None = None

    def fresh(self) -> Problem:
        """The same with exact signs that remember nothing."""
        return replace(self, exact=self.exact.fresh())


def make_problem(lowered: Lowered, domain: Domain, small: int = SMALL, most: int = MOST_EXACT) -> Problem:
    """Lay a lowered network on a domain out for the kernels.

    Args:
        lowered, domain: the network and a polytope.
        small: entries up to which a matrix is dense.
        most: weights, each as often as it is used, up to which signs are exact.

    Raises:
        InputError: the dimension is out of reach.
    """
    check_dimension(domain.dimension)
    exponents = np.frexp(np.abs(domain.vertices).max(0))[1].astype(np.int64)
    scaled = np.ldexp(domain.vertices, -exponents.astype(np.int32))
    faces = Faces(domain.exact_vertices, domain.halfspaces, domain.incidence)
    if lowered.stages and multiplications(lowered) > most:
        own = restricted_chain(lowered, domain.origin, np.ldexp(domain.basis, exponents.astype(np.int32)[:, None]), scaled)
        problem = problem_of_chain(own.chain, faces, exponents, small)
        own.lay_errors(problem.net.first)
        return replace(problem, exact=UnprovenSigns(own.chain, *_walls(faces, exponents)), left=own.left)
    chain, left = lowered_chain(lowered, domain.origin, domain.basis, exponents, scaled)
    return replace(problem_of_chain(chain, faces, exponents, small), left=left)


def problem_of_chain(chain: Chain, faces: Faces, exponents: np.ndarray | None = None, small: int = SMALL) -> Problem:
    """Lay a chain out for the kernels on a polytope in t = 2^exponents · τ, where τ are the chain's coordinates."""
    exponents = np.zeros(chain.dimension, np.int64) if exponents is None else exponents
    net, output_exponents = scaled_network(chain, small)
    normals, offsets = _walls(faces, exponents)
    exact = ExactSigns(chain, normals, offsets)
    vertices = np.ascontiguousarray(faces.vertices.floats())
    displacement = np.where(_are_exact(vertices, faces.vertices), 0.0, 2.0**-53)
    scaled = np.ascontiguousarray(np.ldexp(vertices, -exponents.astype(np.int32)))
    root = root_task(net, scaled, displacement, faces.incidence, _planes(normals, offsets))
    return Problem(net, exact, root, exponents, output_exponents)


def _walls(faces: Faces, exponents: np.ndarray) -> tuple[RationalArray, RationalArray]:
    """Half-spaces ⟨a, τ⟩ ≤ b."""
    walls = faces.halfspaces
    normals = rescaled_columns(RationalArray(walls.numerators[:, :-1], walls.denominator), exponents)
    return normals, RationalArray(walls.numerators[:, -1], walls.denominator)


def check_dimension(d: int) -> None:
    """Refuse domains whose dimension is too high for their cells to be listed."""
    if d > MOST_DIMENSIONS:
        raise InputError(
            f"the cells of a domain of {d} dimensions cannot be enumerated: a box has 2^{d} vertices, and {d} units in "
            f"general position cut space into 2^{d} cells. Take a plane or a segment through points of interest "
            f"(tp.Plane, tp.Segment), or tp.estimate_regions, which samples; up to {MOST_DIMENSIONS} dimensions are accepted"
        )


def _planes(normals: RationalArray, offsets: RationalArray) -> np.ndarray:
    """Half-spaces as floats (F, d + 1): rows of value ≥ 0 inside, the largest coefficient about 1."""
    m, e = mantissas(normals)
    bm, be = mantissas(offsets)
    top = np.where(m != 0, e, -(2**40)).max(1)
    rows = np.concatenate(
        [-np.ldexp(m, np.clip(e - top[:, None], -1200, 1000)), np.ldexp(bm, np.clip(be - top, -1200, 1000))[:, None]], 1
    )
    return np.ascontiguousarray(rows)


def _are_exact(floats: np.ndarray, exact: RationalArray) -> np.ndarray:
    """(V,) whether each vertex is its own float."""
    from fractions import Fraction

    numbers = exact.numerators.tolist()
    return np.array(
        [
            all(Fraction(x) * exact.denominator == n for x, n in zip(row, exacts, strict=True))
            for row, exacts in zip(floats.tolist(), numbers, strict=True)
        ],
        bool,
    )


class CellSearch:
    """The search of a problem: runs tasks, and makes blocks of what they find.

    Args:
        problem: the network on a domain.
        want: what is made of each cell.
        sizes: of the tasks.
        skip: tasks for which it holds are left out.
    """

    def __init__(
        self,
        problem: Problem,
        want: frozenset[str],
        sizes: Sizes = Sizes(),
        skip: Callable[[Task], bool] | None = None,
    ) -> None:
        self.problem, self._sizes, self._skip = problem, sizes, skip
        self._asked = (SIGNS in want, VOLUMES in want, MAPS in want, VERTICES in want)
        self._limits, self._spare = (sizes.first, sizes.second, sizes.later), problem.spare or Spare()

    def run(self, task: Task) -> TaskResult:
        """Search a task's subtree, up to its limit."""
        if self._skip is not None and self._skip(task):
            return TaskResult(0, None, [], Counters())
        limit, problem = self._limits[min(task.depth, 2)], self.problem
        with own_settings():  # the error bounds assume that subnormal numbers are kept
            return run_task(problem.net, problem.exact, task, self._asked, limit, self._sizes.capacity, self._spare)

    def blocks(self, found: TaskResult) -> Iterator[CellBlock]:
        """The block of a result, if it has cells."""
        if found.count:
            yield _block(self.problem, found, self._asked)


def search_blocks(
    problem: Problem,
    want: frozenset[str],
    *,
    threads: int = 1,
    window: int = 8,
    sizes: Sizes = Sizes(),
    counters: Counters | None = None,
    skip: Callable[[Task], bool] | None = None,
) -> Generator[CellBlock]:
    """Yield the cells in blocks, in one order; ``counters`` is added to, tasks for which ``skip`` holds are left out."""
    search = CellSearch(problem, want, sizes, skip)
    with saying_compilation():
        for found in in_order(problem.root, search.run, threads, window):
            if counters is not None:
                counters.add(found.counters)
            yield from search.blocks(found)


def _block(problem: Problem, found: TaskResult, asked: tuple[bool, bool, bool, bool]) -> CellBlock:
    """A task's arrays in the user's coordinates."""
    n, output = found.count, found.output
    assert output is not None
    signs, volumes, maps, corners = asked
    given: dict[str, np.ndarray] = {}
    if signs:
        given["signs"] = output.signs[:n]
    if volumes:
        given["volumes"] = np.ldexp(output.volume[:n], int(problem.exponents.sum()))
    if maps:
        d = len(problem.exponents)
        power = np.concatenate([-problem.exponents, [0, 0]])[None, :] + problem.output_exponents[:, None]
        scaled = np.ldexp(output.maps[:n], power[None].astype(np.int32))
        given["maps"], given["map_error"] = (
            np.ascontiguousarray(scaled[:, :, : d + 1]),
            np.ascontiguousarray(scaled[:, :, d + 1]),
        )
    if corners:
        N, K = int(output.vertex_start[n]), int(output.facet_start[n])
        given["vertex_start"], given["facet_start"] = output.vertex_start[: n + 1].copy(), output.facet_start[: n + 1].copy()
        given["vertices"] = np.ldexp(output.vertices[:N], problem.exponents.astype(np.int32))
        given["displacement"] = np.ldexp(output.disp[:N], int(problem.exponents.max()))
        given["incidence"], given["facets"] = output.sets[:N].copy(), output.facets[:K].copy()
    return CellBlock(n, **given)
