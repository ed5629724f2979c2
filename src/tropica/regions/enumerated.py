"""The cells of a network on a polytope, from the engine's stream, as the arrays of a complex."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
import torch

from tropica.exact.rational_arrays import RationalArray, from_fractions
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.nonlinearities import Maximum
from tropica.network.patterns import pack_patterns
from tropica.regions.cell_blocks import MAPS, SIGNS, VERTICES, VOLUMES, CellBlock, Problem, make_problem, search_blocks
from tropica.regions.distinct_maps import distinct_maps
from tropica.regions.domain import Domain
from tropica.regions.exact_points import ExactPoints, embedded, exact_maps, exact_points
from tropica.regions.lower import Lowered, lower
from tropica.regions.neighbors import neighbors
from tropica.regions.sign_vectors import SignIndex, SignLayout
from tropica.regions.tasks import Counters

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
    problem: Problem
    cells: CellBlock
    counters: Counters

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def undecided(self) -> int:
        """How many signs rest on floating point alone."""
        return self.counters.undecided

    # ── sign vectors ──────────────────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def layout(self) -> SignLayout:
        """Where the bits of each stage are."""
        return SignLayout(self.lowered, tuple(stage.size for stage in self.problem.exact.chain.stages))

    @cached_property
    def index(self) -> SignIndex:
        """The cells by their sign vectors."""
        return SignIndex(_given(self.cells.signs) & self.layout.bending)

    @cached_property
    def patterns(self) -> np.ndarray:
        """(C, bytes) as ``net.activation_pattern``; of a network lowered without merging."""
        pieces = self.layout.pieces(_given(self.cells.signs))
        nodes = self.net.nonlinearities
        found = []
        for node, piece in zip(nodes, pieces, strict=True):
            index = 1 - piece if isinstance(node.op, Maximum) else piece  # a − b > 0: the first input is the larger one
            shapes = [self.net.shapes[name] for name in node.inputs]
            found.append((node, torch.from_numpy(index), node.op.num_pieces(*shapes)))
        return pack_patterns(found, len(self)).numpy()

    def locate(self, t: RationalArray) -> np.ndarray:
        """The lowest number (N,) of the cells whose closures hold each point (N, d), exactly; −1 outside of the domain."""
        points = exact_points(self.lowered, embedded(self.domain, t))
        vectors = self.layout.vectors(points.pieces(self.lowered))
        number = self.index.find(vectors)
        decided = self._decided(points)
        for i in np.flatnonzero((decided != self.layout.bending).any(1)).tolist():
            found = self.index.closed(vectors[i], decided[i])
            number[i] = found[0] if len(found) else -1
        number[~self.domain.contains(t.numbers())] = -1
        return number

    def _decided(self, points: ExactPoints) -> np.ndarray:
        """The bits (N, words) that a point's signs fix: all but those of units that are 0, and of tied inputs of a window."""
        free = []
        for stage, sign in zip(self.lowered.stages, points.signs, strict=True):
            free.append(sign == 0 if stage.kind == "threshold" else sign & (sign.sum(2, keepdims=True) > 1))
        return self.layout.bending & ~self.layout.free_words(free)

    # ── maps and geometry ─────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def logits(self) -> tuple[np.ndarray, np.ndarray]:
        """The maps in t: (C, s, d) and (C, s)."""
        maps = _given(self.cells.maps)
        return np.ascontiguousarray(maps[:, :, :-1]), np.ascontiguousarray(maps[:, :, -1])

    @cached_property
    def _maps(self) -> tuple[np.ndarray, int]:
        maps, error = _given(self.cells.maps), _given(self.cells.map_error)
        return distinct_maps(maps, error, self.domain.vertices, self._exact_maps)

    def _exact_maps(self, cells: np.ndarray) -> list[tuple[Fraction, ...]]:
        pieces = self.layout.pieces(_given(self.cells.signs)[cells])
        found = exact_maps(self.lowered, self.domain, dict(enumerate(pieces)))
        return [(*row, found.denominator) for row in found.numerators.reshape(len(cells), -1).tolist()]

    @property
    def map_of(self) -> np.ndarray:
        """The number of each cell's map."""
        return self._maps[0]

    @property
    def undecided_maps(self) -> int:
        """How many maps were told apart by floats alone."""
        return self._maps[1]

    @property
    def volumes(self) -> np.ndarray:
        """(C,) in units of t."""
        return _given(self.cells.volumes)

    @cached_property
    def centers(self) -> np.ndarray:
        """(C, d) the mean of each cell's vertices."""
        start, at = _given(self.cells.vertex_start), _given(self.cells.vertices)
        return np.add.reduceat(at, start[:-1]) / np.diff(start)[:, None]

    @cached_property
    def corners(self) -> tuple[np.ndarray, np.ndarray]:
        """Offsets (C + 1,) and vertices with a last entry 1; for d = 2 in order around each cell."""
        start, at = _given(self.cells.vertex_start), _given(self.cells.vertices)
        if self.domain.dimension == 2:
            cell = np.repeat(np.arange(len(self)), np.diff(start))
            away = at - self.centers[cell]
            at = at[np.lexsort((np.arctan2(away[:, 1], away[:, 0]), cell))]
        return start, np.concatenate([at, np.ones((len(at), 1))], 1)

    # ── neighbors ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def adjacency(self) -> np.ndarray:
        """Pairs of neighbors."""
        start, facets = _given(self.cells.facet_start), _given(self.cells.facets)
        return neighbors(self.layout, self.index, start, facets, self._facet_keys)

    def _facet_keys(self, facets: np.ndarray) -> list[bytes]:
        """Three-valued signs at the mean of the exact vertices of each facet."""
        means = [self._facet_mean(int(f)) for f in facets]
        t = from_fractions((x for point in means for x in point), (len(means), self.domain.dimension))
        points = exact_points(self.lowered, embedded(self.domain, t))
        return [b"".join(sign[i].tobytes() for sign in points.signs) for i in range(len(means))]

    def _facet_mean(self, facet: int) -> list[Fraction]:
        """The mean of a facet's vertices, in t."""
        start = _given(self.cells.facet_start)
        cell = int(np.searchsorted(start, facet, side="right")) - 1
        local = facet - int(start[cell])
        low, high = _given(self.cells.vertex_start)[cell : cell + 2].tolist()
        on = _given(self.cells.incidence)[low:high]
        through = on[(on[:, local // 64] >> np.uint64(local % 64) & np.uint64(1)).astype(bool)]
        return self.mean_of(cell, through)

    def mean_of(self, cell: int, incidence: np.ndarray) -> list[Fraction]:
        """The mean, in t, of vertices of a cell with these incidences (n, w), exactly."""
        start, facets = _given(self.cells.facet_start), _given(self.cells.facets)
        planes = facets[start[cell] : start[cell + 1]].tolist()
        masks = self._masks(cell)
        points = []
        for row in incidence:
            bits = np.unpackbits(row.astype("<u8").view(np.uint8), bitorder="little")
            through = [tuple(planes[j]) for j in np.flatnonzero(bits).tolist()]
            *top, bottom = self.problem.exact.vertex(through, masks)
            points.append([Fraction(x, bottom) for x in top])
        scale = [Fraction(2) ** int(e) for e in self.problem.exponents]
        return [f * sum(p[k] for p in points) / len(points) for k, f in enumerate(scale)]

    def _masks(self, cell: int) -> np.ndarray:
        """The sign vector of a cell, a row a stage."""
        offsets, signs = self.layout.offsets, _given(self.cells.signs)[cell]
        rows = np.zeros((len(offsets) - 1, max([1, *np.diff(offsets).tolist()])), np.uint64)
        for s, (first, end) in enumerate(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)):
            rows[s, : end - first] = signs[first:end]
        return rows


def enumerate_cells(
    net: PiecewiseLinearNetwork, domain: Domain, *, lowered: Lowered | None = None, threads: int = 1
) -> Enumerated:
    """All cells of a network, as written unless a lowered one is given, on a domain.

    Raises:
        InputError: a domain that does not fit the inputs or has too many dimensions.
    """
    domain.check_input(net.input_shape)
    lowered = lower(net, simplify=False) if lowered is None else lowered
    problem, counters = make_problem(lowered, domain), Counters()
    blocks = list(search_blocks(problem, _EVERYTHING, threads=threads, counters=counters))
    return Enumerated(net.to(torch.float64).to("cpu"), lowered, domain, problem, _joined(blocks), counters)


def _joined(blocks: list[CellBlock]) -> CellBlock:
    """Several blocks as one."""
    whole = {
        name: np.concatenate([_given(getattr(b, name)) for b in blocks])
        for name in ("signs", "volumes", "maps", "map_error", "vertices", "displacement", "facets")
    }
    words = max(_given(b.incidence).shape[1] for b in blocks)
    sets = [np.pad(_given(b.incidence), ((0, 0), (0, words - _given(b.incidence).shape[1]))) for b in blocks]
    starts = {
        name: np.concatenate(
            [[0], *(_given(getattr(b, name))[1:] + shift for b, shift in zip(blocks, _shifts(blocks, name), strict=True))]
        )
        for name in ("vertex_start", "facet_start")
    }
    return CellBlock(sum(map(len, blocks)), incidence=np.concatenate(sets), **whole, **starts)


def _shifts(blocks: list[CellBlock], name: str) -> list[int]:
    lengths = [int(_given(getattr(b, name))[-1]) for b in blocks]
    return [0, *np.cumsum(lengths)[:-1].tolist()]


def _given(array: np.ndarray | None) -> np.ndarray:
    assert array is not None  # the blocks were asked for with everything
    return array
