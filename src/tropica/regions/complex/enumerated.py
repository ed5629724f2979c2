"""The cells of a network on a polytope, from the engine's stream, as the arrays of a complex."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
import torch

from tropica.errors import InputError
from tropica.exact.rational_arrays import from_fractions
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.patterns import pack_patterns
from tropica.regions.complex.cell_arrays import CellArrays, given
from tropica.regions.complex.distinct_maps import distinct_maps
from tropica.regions.complex.locate import Locator
from tropica.regions.complex.neighbors import neighbors
from tropica.regions.complex.sign_vectors import SignIndex, SignLayout
from tropica.regions.domains.constructors import Space
from tropica.regions.domains.domain import Domain
from tropica.regions.engine.cell_blocks import MAPS, SIGNS, VERTICES, VOLUMES, CellBlock, Problem, concatenated
from tropica.regions.engine.exact_vertices import along_line, corners, interior_point
from tropica.regions.engine.fan import SpaceProblem
from tropica.regions.engine.limited_stream import MODEST, LimitedStream
from tropica.regions.engine.settings import EnumerationSettings
from tropica.regions.engine.shared import all_blocks
from tropica.regions.engine.tasks import Counters
from tropica.regions.lower.exact_points import embedded, exact_maps, exact_points
from tropica.regions.lower.lowering import ZERO, Lowered, lower
from tropica.runtime.memory import size_text
from tropica.runtime.processes import Processes
from tropica.runtime.progress import progress_callback

EARLY = 5.0
"""Seconds after which an enumeration is given up whose cells are expected to take many times the memory."""
HOPELESS = 20
SHARPENING = 1 << 23
"""Products of integers that may be spent on the vertices and maps of all cells."""
AS_WRITTEN = EnumerationSettings(simplify=False)
_EVERYTHING = frozenset({SIGNS, VOLUMES, MAPS, VERTICES})


@dataclass(frozen=True, eq=False)
class Enumerated(CellArrays):
    """All cells of a lowered network on a domain.

    Attributes:
        net, lowered, domain, problem: what they are of.
        cells: one block with all of them.
        counters: how many signs each tier decided.
        stopped: what ended the enumeration before its end: "Ctrl-C", "max_cells=…", "max_seconds=…"; None if it is complete.
        simplify, upto: as they were given.
    """

    net: PiecewiseLinearNetwork
    lowered: Lowered
    domain: Domain
    problem: Problem | SpaceProblem
    cells: CellBlock
    counters: Counters
    stopped: str | None = None
    simplify: bool = False
    upto: str | None = None

    @property
    def undecided(self) -> int:
        """How many signs rest on floating point alone."""
        return self.counters.undecided

    @property
    def layout_digest(self) -> str:
        """A hash of the layout of sign vectors: which bit each unit has on the domain."""
        digest = hashlib.sha256(repr(self.layout.sizes).encode())
        for bits in self.layout.kept or ():
            digest.update(np.ascontiguousarray(bits, np.int64).tobytes())
        return digest.hexdigest()

    @property
    def proven(self) -> bool:
        """Whether every sign is proven or decided exactly, and exact arithmetic is in reach for what relates the cells."""
        return self.undecided == 0 and self.problem.exact.proves

    @property
    def signs(self) -> np.ndarray:
        """The sign vectors (C, words)."""
        return given(self.cells.signs)[:, : int(self.layout.offsets[-1])]

    @cached_property
    def locator(self) -> Locator:
        """The cell of a point."""
        return Locator(self.domain, self.lowered, self.layout, self.index)

    @property
    def cells_signs(self) -> np.ndarray:
        """The sign vectors with the words of linear units."""
        return given(self.cells.signs)

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
    def as_written(self) -> bool:
        """Whether each stage is one nonlinearity of the network, in order, with the bits of its activation pattern."""
        stages = self.lowered.stages
        names = [[name for name, _ in stage.written] for stage in stages]
        return names == [[node.name] for node in self.net.nonlinearities] and all((s.inputs != ZERO).all() for s in stages)

    @cached_property
    def patterns(self) -> np.ndarray:
        """(C, bytes) as ``net.activation_pattern``.

        Raises:
            InputError: nonlinearities were merged, and a cell may have several patterns.
        """
        pieces = self.pieces
        nodes = self.net.nonlinearities
        if not self.as_written:
            raise InputError(
                "a relu and its max-pool were merged, and a cell may have several activation patterns: "
                "tp.linear_regions(..., simplify=False) has one cell for each"
            )
        found = []
        for node, piece in zip(nodes, pieces, strict=True):
            shapes = [self.net.shapes[name] for name in node.inputs]
            found.append((node, torch.from_numpy(piece), node.op.num_pieces(*shapes)))
        return pack_patterns(found, len(self)).numpy()

    # ── maps and geometry ─────────────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def _maps(self) -> tuple[np.ndarray, int]:
        maps, error = given(self.cells.maps), given(self.cells.map_error)
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

    # ── neighbors ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def adjacency(self) -> np.ndarray:
        """Pairs of neighbors."""
        return self._neighbors[0]

    @cached_property
    def _neighbors(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        start, facets = given(self.cells.facet_start), given(self.cells.facets)
        return neighbors(self.layout.offsets, self.index, start, facets, self._facet_keys)

    @property
    def shared(self) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of neighbors, and the facet of one of both that they share."""
        return self._neighbors[:2]

    @property
    def shared_facets(self) -> np.ndarray:
        """The facets of all cells that another cell shares."""
        return self._neighbors[2]

    def _facet_keys(self, facets: np.ndarray) -> list[bytes]:
        """Three-valued signs at the mean of the exact vertices of each facet, which is the facet where d = 1; names of its own
        where these are out of reach."""
        if not self.problem.exact.proves:
            return [b"%d" % f for f in facets.tolist()]
        means = [self._facet_mean(int(f)) for f in facets]
        if self.domain.dimension == 1:
            return [str(t).encode() for (t,) in means]
        t = from_fractions((x for point in means for x in point), (len(means), self.domain.dimension))
        points = exact_points(self.lowered, embedded(self.domain, t))
        return [b"".join(sign[i].tobytes() for sign in points.signs) for i in range(len(means))]

    def _facet_mean(self, facet: int) -> list[Fraction]:
        """A point in the relative interior of a facet, in t."""
        cell, rows = self.facet_vertices(facet)
        return interior_point(corners(self.problem, self.cells, cell, rows))

    def exact_corner(self, row: int) -> list[Fraction]:
        """A vertex by its row among those of all cells, exactly."""
        cell = int(np.searchsorted(given(self.cells.vertex_start), row, side="right")) - 1
        return corners(self.problem, self.cells, cell, np.array([row]))[0]

    def exact_corners(self, cell: int) -> list[list[Fraction]]:
        """The vertices (t, 1) and rays (t, 0) of a cell, exactly: the solutions of its hyperplanes under its sign vector."""
        return corners(self.problem, self.cells, cell)


def enumerate_cells(
    net: PiecewiseLinearNetwork, domain: Domain, settings: EnumerationSettings = AS_WRITTEN, *, sharpen: bool = True
) -> Enumerated:
    """All cells of a network on a domain; Ctrl-C ends it with what there is. ``net`` is cut where ``settings.upto`` says.

    ``sharpen`` asks for exact vertices and maps where those of floating point have large errors, which no limit of time ends.

    Raises:
        InputError: a domain that does not fit the inputs or has too many dimensions, or more cells than fit the memory: a
            quarter of what is free, or this number of bytes. It is raised early where an estimate says so.
    """
    domain.check_input(net.input_shape)
    lowered = lower(net, simplify=settings.simplify)
    counters = Counters()
    with progress_callback(settings.progress) as report:
        stream = LimitedStream(lowered, domain, _EVERYTHING, settings, counters, report)
        if settings.distributed:
            shared = stream.problem, _EVERYTHING, Processes.join(), settings.number_of_threads, counters
            blocks, stream.stopped = all_blocks(*shared), None
        else:
            blocks = _within_limits(stream, settings)
    cells = concatenated(blocks)
    if sharpen:
        cells = stream.sharpened(cells, SHARPENING)
    if domain.dimension == 1:
        cells = along_line(stream.problem, cells)
    own, options = net.to(torch.float64).to("cpu"), (stream.stopped, settings.simplify, settings.upto)
    return Enumerated(own, lowered, domain, stream.problem, cells, counters, *options)


def _within_limits(stream: LimitedStream, settings: EnumerationSettings) -> list[CellBlock]:
    """The blocks of a stream, until a limit or Ctrl-C ends it."""
    blocks: list[CellBlock] = []
    taken, start, most = 0, time.monotonic(), None
    try:
        for block in stream:
            blocks.append(block)
            taken += 2 * sum(a.nbytes for a in vars(block).values() if isinstance(a, np.ndarray))  # once more when joined
            if taken <= MODEST and settings.memory is None:
                continue
            most = settings.bytes if most is None else most
            hopeless = time.monotonic() - start > EARLY and taken / stream.found * stream.expected > HOPELESS * most
            if taken > most or (hopeless and settings.max_cells is None and settings.max_seconds is None):
                raise _too_many(stream, taken, most)
    except KeyboardInterrupt:
        if not blocks:
            raise
        stream.stopped = "Ctrl-C"
    return blocks


def _too_many(stream: LimitedStream, taken: int, most: int) -> InputError:
    """What to say where the cells do not fit the memory."""
    about = "" if stream.expected <= stream.found else f", about {stream.expected:,} by the share of the volume done"
    needed = size_text(round(taken / stream.found * stream.expected))
    return InputError(
        f"there are more than {stream.found:,} cells{about}; they would take some {needed}, and memory={most:,} bytes hold no "
        "more; use a smaller domain, max_cells= or max_seconds=, or tp.iter_cells and tp.count_cells, which keep none"
    )
