"""The cells of a network on a polytope, from the engine's stream, as the arrays of a complex."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
import torch

from tropica.errors import InputError
from tropica.exact.rational_arrays import from_fractions
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.nonlinearities import Maximum
from tropica.network.patterns import pack_patterns
from tropica.regions.cell_blocks import MAPS, SIGNS, VERTICES, VOLUMES, CellBlock, Problem, concatenated
from tropica.regions.cell_stream import problem_on, stream
from tropica.regions.distinct_maps import distinct_maps
from tropica.regions.domain import Domain
from tropica.regions.domains import Space
from tropica.regions.exact_points import embedded, exact_maps, exact_points
from tropica.regions.exact_vertices import corners, interior_point, sharpened
from tropica.regions.fan import SpaceProblem
from tropica.regions.lower import Lowered, lower
from tropica.regions.neighbors import neighbors
from tropica.regions.sign_vectors import SignIndex, SignLayout
from tropica.regions.tasks import Counters
from tropica.runtime.memory import budget

MOST_ENTRIES = 1 << 21
"""Entries of all matrices between stages, up to which a network is enumerated."""
_EVERYTHING = frozenset({SIGNS, VOLUMES, MAPS, VERTICES})


@dataclass(frozen=True, eq=False)
class Enumerated:
    """All cells of a lowered network on a domain.

    Attributes:
        net, lowered, domain, problem: what they are of.
        cells: one block with all of them.
        counters: how many signs each tier decided.
    """

    net: PiecewiseLinearNetwork
    lowered: Lowered
    domain: Domain
    problem: Problem | SpaceProblem
    cells: CellBlock
    counters: Counters

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def undecided(self) -> int:
        """How many signs rest on floating point alone."""
        return self.counters.undecided

    @property
    def signs(self) -> np.ndarray:
        """The sign vectors (C, words)."""
        return _given(self.cells.signs)[:, : int(self.layout.offsets[-1])]

    @property
    def vertices(self) -> np.ndarray:
        """The vertices (N, d) in t of all cells, one cell after the other."""
        return _given(self.cells.vertices)

    # ── sign vectors ──────────────────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def layout(self) -> SignLayout:
        """Where the bits of each stage are."""
        sizes = self.problem.net.size[: len(self.lowered.stages)].tolist()
        left = self.problem.left if isinstance(self.problem, Problem) else ()
        return SignLayout(self.lowered, tuple(sizes), tuple(reduced.bits for reduced in left) or None)

    @cached_property
    def pieces(self) -> list[np.ndarray]:
        """For each stage the pieces (C, units) of its units."""
        return self.layout.pieces(self.signs)

    @cached_property
    def index(self) -> SignIndex:
        """The cells by their sign vectors."""
        return SignIndex(self.signs & self.layout.bending)

    @cached_property
    def patterns(self) -> np.ndarray:
        """(C, bytes) as ``net.activation_pattern``; of a network lowered without merging."""
        pieces = self.pieces
        nodes = self.net.nonlinearities
        found = []
        for node, piece in zip(nodes, pieces, strict=True):
            index = 1 - piece if isinstance(node.op, Maximum) else piece  # a − b > 0: the first input is the larger one
            shapes = [self.net.shapes[name] for name in node.inputs]
            found.append((node, torch.from_numpy(index), node.op.num_pieces(*shapes)))
        return pack_patterns(found, len(self)).numpy()

    # ── maps and geometry ─────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def logits(self) -> tuple[np.ndarray, np.ndarray]:
        """The maps in t: (C, s, d) and (C, s)."""
        maps = _given(self.cells.maps)
        return np.ascontiguousarray(maps[:, :, :-1]), np.ascontiguousarray(maps[:, :, -1])

    @cached_property
    def _maps(self) -> tuple[np.ndarray, int]:
        maps, error = _given(self.cells.maps), _given(self.cells.map_error)
        return distinct_maps(maps, error, self._reference, self.exact_maps)

    @property
    def _reference(self) -> np.ndarray:
        """Points that determine an affine map, where its bound holds: the vertices of the domain, or of a simplex about 0."""
        if not isinstance(self.domain, Space):
            return self.domain.vertices
        d = self.domain.dimension
        return np.concatenate([np.eye(d), -np.ones((1, d))])

    def exact_maps(self, cells: np.ndarray) -> list[tuple[Fraction, ...]]:
        """The maps of cells (n,), exactly: equal for equal maps."""
        pieces = self.layout.pieces(self.signs[cells])
        found = exact_maps(self.lowered, self.domain, dict(enumerate(pieces)))
        numbers = found.numerators.reshape(len(cells), -1).tolist()
        return [tuple(Fraction(x, found.denominator) for x in row) for row in numbers]

    @property
    def map_of(self) -> np.ndarray:
        """The number of each cell's map."""
        return self._maps[0]

    @property
    def undecided_maps(self) -> int:
        """How many maps were told apart by floats alone."""
        return self._maps[1]

    @property
    def map_error(self) -> np.ndarray:
        """(C, s) bounds of the errors of the maps' values over the domain; of all of space over |t| ≤ 1 in each coordinate."""
        return _given(self.cells.map_error)

    @property
    def volumes(self) -> np.ndarray:
        """(C,) in units of t."""
        return _given(self.cells.volumes)

    @cached_property
    def centers(self) -> np.ndarray:
        """(C, d) a point inside each cell: the mean of its vertices, moved along the sum of its rays."""
        start, at = _given(self.cells.vertex_start), _given(self.cells.vertices)
        if self.cells.rays is None:
            return np.add.reduceat(at, start[:-1]) / np.diff(start)[:, None]
        points = (~self.cells.rays).astype(np.float64)
        mean = np.add.reduceat(at * points[:, None], start[:-1]) / np.add.reduceat(points, start[:-1])[:, None]
        size = np.maximum(1.0, np.abs(mean).max(1))[:, None]
        return mean + size * np.add.reduceat(at * (1 - points)[:, None], start[:-1])

    @cached_property
    def corners(self) -> tuple[np.ndarray, np.ndarray]:
        """Offsets (C + 1,), and vertices with a last entry 1, rays with 0; for d = 2 in order around each cell."""
        start, at = _given(self.cells.vertex_start), _given(self.cells.vertices)
        last = np.ones(len(at)) if self.cells.rays is None else 1.0 - self.cells.rays
        at = np.column_stack([at, last])
        if self.domain.dimension == 2:
            cell = np.repeat(np.arange(len(self)), np.diff(start))
            away = at[:, :2] - last[:, None] * self.centers[cell]
            at = at[np.lexsort((np.arctan2(away[:, 1], away[:, 0]), cell))]
        return start, at

    # ── neighbors ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def adjacency(self) -> np.ndarray:
        """Pairs of neighbors."""
        return self._neighbors[0]

    @cached_property
    def _neighbors(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        start, facets = _given(self.cells.facet_start), _given(self.cells.facets)
        return neighbors(self.layout, self.index, start, facets, self._facet_keys)

    @property
    def shared(self) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of neighbors, and the facet of one of both that they share."""
        return self._neighbors[:2]

    @property
    def shared_facets(self) -> np.ndarray:
        """The facets of all cells that another cell shares."""
        return self._neighbors[2]

    @property
    def facet_cells(self) -> np.ndarray:
        """(K,) the cell of each facet."""
        start = _given(self.cells.facet_start)
        return np.repeat(np.arange(len(self)), np.diff(start))

    @property
    def facet_stages(self) -> np.ndarray:
        """(K,) the stage of each facet's unit, −1 for the domain's own facets."""
        return _given(self.cells.facets)[:, 0]

    def facet_vertices(self, facet: int) -> tuple[int, np.ndarray]:
        """The cell of a facet, and the rows of its vertices among those of all cells."""
        start = _given(self.cells.facet_start)
        cell = int(np.searchsorted(start, facet, side="right")) - 1
        local = facet - int(start[cell])
        low, high = _given(self.cells.vertex_start)[cell : cell + 2].tolist()
        words = _given(self.cells.incidence)[low:high, local // 64]
        return cell, low + np.flatnonzero(words >> np.uint64(local % 64) & np.uint64(1))

    def _facet_keys(self, facets: np.ndarray) -> list[bytes]:
        """Three-valued signs at the mean of the exact vertices of each facet."""
        means = [self._facet_mean(int(f)) for f in facets]
        t = from_fractions((x for point in means for x in point), (len(means), self.domain.dimension))
        points = exact_points(self.lowered, embedded(self.domain, t))
        return [b"".join(sign[i].tobytes() for sign in points.signs) for i in range(len(means))]

    def _facet_mean(self, facet: int) -> list[Fraction]:
        """A point in the relative interior of a facet, in t."""
        cell, rows = self.facet_vertices(facet)
        return interior_point(corners(self.problem, self.cells, cell, rows))

    def exact_corners(self, cell: int) -> list[list[Fraction]]:
        """The vertices (t, 1) and rays (t, 0) of a cell, exactly: the solutions of its hyperplanes under its sign vector."""
        return corners(self.problem, self.cells, cell)


def enumerate_cells(
    net: PiecewiseLinearNetwork,
    domain: Domain,
    *,
    lowered: Lowered | None = None,
    threads: int = 1,
    memory: int | None = None,
) -> Enumerated:
    """All cells of a network, as written unless a lowered one is given, on a domain.

    Raises:
        InputError: a domain that does not fit the inputs or has too many dimensions, or more cells than fit the memory: a
            quarter of what is free, or so many bytes.
    """
    domain.check_input(net.input_shape)
    lowered = lower(net, simplify=False) if lowered is None else lowered
    problem, counters, most = problem_on(lowered, domain), Counters(), budget(memory)
    blocks: list[CellBlock] = []
    taken = 0
    for block in stream(problem, _EVERYTHING, threads=threads, counters=counters):
        blocks.append(block)
        taken += 2 * sum(a.nbytes for a in vars(block).values() if isinstance(a, np.ndarray))  # once more when joined
        if taken > most:
            raise InputError(
                f"there are more than {sum(map(len, blocks)):,} cells, and {most:,} bytes hold no more; use a smaller "
                "domain, or tp.iter_cells and tp.count_cells, which keep none"
            )
    cells = concatenated(blocks)
    if isinstance(problem, Problem):
        cells = sharpened(problem, cells, float(np.ptp(domain.vertices, axis=0).max()))
    return Enumerated(net.to(torch.float64).to("cpu"), lowered, domain, problem, cells, counters)


def can_enumerate(net: PiecewiseLinearNetwork, domain: Domain) -> bool:
    """Whether the engine takes a network on a domain: a polytope, and matrices between stages that fit the memory."""
    return True


def _given(array: np.ndarray | None) -> np.ndarray:
    assert array is not None  # the blocks were asked for with everything
    return array
