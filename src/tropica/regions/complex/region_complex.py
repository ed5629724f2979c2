"""``tp.linear_regions``: the cells of a network on a domain, their maps, and which of them are neighbors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Literal, overload

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from tropica.errors import InputError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.polyhedra.thumbnails import MOST_LINES, svg_polygons
from tropica.regions.complex.archive import save_cells
from tropica.regions.complex.audit import Audit, audit_cells
from tropica.regions.complex.connected import components, touching_pairs
from tropica.regions.complex.enumerated import Enumerated
from tropica.regions.complex.export import export_cells
from tropica.regions.complex.facets import Facets, shared_facets
from tropica.regions.complex.line import LineMethods
from tropica.regions.complex.locate import Locator
from tropica.regions.complex.output_methods import OutputMethods
from tropica.regions.complex.parts import Cells
from tropica.regions.complex.tables import cells_dataframe, neighbor_matrix, networkx_graph
from tropica.regions.domains.domain import Domain
from tropica.runtime.arithmetic import under_own_settings
from tropica.runtime.html import HtmlRepr, html_table

if TYPE_CHECKING:
    import pandas
    from networkx import Graph

Connected = Literal["facet", "point"]


@dataclass(frozen=True, eq=False)
class Cell:
    """One cell.

    Attributes:
        number: its number in the complex.
        pattern: (bytes,) uint8, as ``net.activation_pattern`` gives it inside; None where nonlinearities were merged.
        weight, bias: the logits there are t ↦ weight t + bias: (s, d) and (s,).
        vertices: (V, d) corners, in order around the cell where d = 2; of an unbounded cell those that are points.
        rays: (R, d) directions in which an unbounded cell goes on for ever.
    """

    number: int
    pattern: np.ndarray | None
    weight: np.ndarray
    bias: np.ndarray
    vertices: np.ndarray
    rays: np.ndarray


@under_own_settings
class RegionComplex(OutputMethods, LineMethods, HtmlRepr, Sequence[Cell]):
    """A network on a domain, taken apart into the cells on which it is affine; a sequence of :class:`Cell`.

    Three counts, which differ: ``len(cx.cells)`` cells (sets of points with one sign vector of the lowered network; with
    ``simplify=False`` with one activation pattern), ``len(cx.regions)`` linear regions (maximal connected sets on which the
    logits are one affine function), ``len(cx.maps)`` distinct affine functions.

    Coordinates are t with x = origin + t · basis; for a Box or a Space t is x. Volumes are in the units of x. What is made
    of the cells is made when it is first asked for.

    Attributes:
        domain: what was taken apart.
        connected: whether linear regions are connected through a common "facet" or a common "point" of cells.

    >>> import tropica as tp
    >>> net = tp.from_layers([([[1.0, 0.0], [0.0, 1.0]], None), ([[1.0, 0.0], [0.0, 1.0]], None)])  # (relu(x₁), relu(x₂))
    >>> cx = tp.linear_regions(net, tp.Box(-1, 1, d=2))
    >>> len(cx.cells), len(cx.regions), len(cx.maps), cx.certified
    (4, 4, 4, True)
    >>> cx.volumes.tolist(), cx[3].weight.tolist()
    ([1.0, 1.0, 1.0, 1.0], [[1.0, 0.0], [0.0, 0.0]])
    """

    def __init__(
        self,
        parts: Cells,
        domain: Domain,
        net: PiecewiseLinearNetwork | None,
        fingerprint: str = "",
        connected: Connected = "facet",
    ) -> None:
        self.domain, self.connected = domain, connected
        self._fingerprint = fingerprint
        self._found, self._net = parts, net

    @property
    def net(self) -> PiecewiseLinearNetwork:
        """The network, in float64; an InputError where the complex was loaded without it."""
        if self._net is None:
            raise InputError("this needs the network, and the complex was loaded without it: tp.load_regions(path, net)")
        return self._net

    @property
    def fingerprint(self) -> str:
        """Of the network, as ``net.fingerprint``."""
        return self._fingerprint or self.net.fingerprint

    # ── points ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def embed(self, t: np.ndarray) -> Tensor:
        """The inputs x (N, *input) at coordinates t (N, d), in float64."""
        origin, basis = self.domain.embedding(self.net.input_shape)
        return torch.from_numpy(t @ basis + origin).reshape(-1, *self.net.input_shape)

    def locate(self, t: np.ndarray | Tensor | Sequence[Sequence[float]]) -> np.ndarray:
        """The cell of each point t (N, d): its number, exactly; −1 for points outside of the domain.

        A point on a border belongs to the lowest-numbered closed cell that holds it.
        """
        points = np.atleast_2d(np.asarray(t.detach().cpu() if isinstance(t, Tensor) else t, dtype=np.float64))
        if points.ndim != 2 or points.shape[1] != self.dimension:
            raise InputError(f"points must have {self.dimension} coordinates each; found an array {points.shape}")
        if not np.isfinite(points).all():
            raise InputError("points must be finite; found a NaN or an infinity")
        return self.locator.cells(points)

    @cached_property
    def locator(self) -> Locator:
        """The cells by their sign vectors."""
        if isinstance(self._found, Enumerated):
            return self._found.locator
        return Locator.of_patterns(self.net, self.domain, self.patterns)

    # ── counts ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def dimension(self) -> int:
        """d."""
        return self.domain.dimension

    @property
    def complete(self) -> bool:
        """Whether these are all cells: no limit and no Ctrl-C ended the enumeration."""
        return self.stopped is None

    @property
    def stopped(self) -> str | None:
        """What ended the enumeration before its end: "Ctrl-C", "max_cells=…", "max_seconds=…"; None for a complete one."""
        return self._found.stopped

    @property
    def certified(self) -> bool:
        """Whether the result is proven: every cell is there once, no sign rests on floating point alone, and neither does the
        difference of two maps. False for an enumeration that was ended."""
        return self.complete and self._found.proven and self.undecided_maps == 0

    @property
    def undecided(self) -> int:
        """How many signs, and patterns of cells, were taken from floating point though its error bound does not decide them (in
        networks too large for rational arithmetic)."""
        return self._found.undecided

    @property
    def undecided_maps(self) -> int:
        """How many affine maps were told apart by floating point alone (where too many for rational arithmetic are alike)."""
        return self._found.undecided_maps

    @property
    def cells(self) -> RegionComplex:
        """The cells: the complex itself, as a sequence of :class:`Cell`."""
        return self

    @cached_property
    def regions(self) -> list[np.ndarray]:
        """The linear regions: numbers of the cells of each.

        A linear region is a set of cells with one affine map, connected through facets; with ``connected="point"`` cells that
        have a point in common are connected.
        """
        return _members(self.region_of)

    @cached_property
    def region_of(self) -> np.ndarray:
        """The number of each cell's linear region (C,)."""
        pairs = self.adjacency[self.map_of[self.adjacency[:, 0]] == self.map_of[self.adjacency[:, 1]]]
        found = components(len(self), pairs)
        if self.connected == "facet":
            return found
        return components(len(self), np.concatenate([pairs, touching_pairs(self._enumerated("regions"), self.map_of, found)]))

    @cached_property
    def maps(self) -> list[np.ndarray]:
        """The distinct affine maps: numbers of the cells that have each."""
        return _members(self.map_of)

    @cached_property
    def map_of(self) -> np.ndarray:
        """The number of each cell's map (C,)."""
        return self._found.map_of

    # ── what each cell is ──────────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def patterns(self) -> np.ndarray:
        """The activation patterns (C, bytes) uint8, one row a cell.

        Raises:
            InputError: nonlinearities were merged (``simplify=True``), and a cell may have several patterns.
        """
        return self._found.patterns

    @cached_property
    def signs(self) -> np.ndarray:
        """The sign vectors (C, words) uint64 of the lowered network: a bit a unit, 1 for its upper piece; a window has a bit
        for each of its inputs, 1 for the one that it takes. Each stage begins a new word."""
        return self._enumerated("sign vectors").signs

    @cached_property
    def centers(self) -> np.ndarray:
        """A point inside each cell (C, d)."""
        return self._found.centers

    @cached_property
    def logits(self) -> tuple[np.ndarray, np.ndarray]:
        """The affine maps t ↦ weight t + bias of all cells: (C, s, d) and (C, s)."""
        return self._found.logits

    @cached_property
    def corners(self) -> tuple[np.ndarray, np.ndarray]:
        """``starts`` (C + 1,) and ``at`` (M, d + 1): rows starts[c] … starts[c + 1] are the corners of cell c, (t, 1) for a
        point, (direction, 0) where the cell goes on for ever; for d = 2 in order around a bounded cell."""
        return self._found.corners

    def polygon(self, cell: int) -> tuple[np.ndarray, np.ndarray]:
        """Corners (V, d) of a cell, and the directions (R, d) in which it is unbounded."""
        starts, corners = self.corners
        at = corners[starts[cell] : starts[cell + 1]]
        finite = at[:, -1] > 0
        return at[finite, :-1] / at[finite, -1:], at[~finite, :-1]

    @overload
    def __getitem__(self, index: int) -> Cell: ...
    @overload
    def __getitem__(self, index: slice) -> list[Cell]: ...
    def __getitem__(self, index: int | slice) -> Cell | list[Cell]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        weight, bias = self.logits
        pattern = self.patterns[number] if self._found.as_written else None
        return Cell(number, pattern, weight[number], bias[number], *self.polygon(number))

    def __len__(self) -> int:
        return len(self._found)

    @cached_property
    def volumes(self) -> np.ndarray:
        """Length, area, volume of each cell (C,), in the units of x; ∞ where a cell is unbounded.

        Those of thin cells are right to about 1e-10 of the domain's size to the power d, not to ten digits of their own.
        """
        return self._found.volumes * self.domain.volume_scale

    @property
    def volume(self) -> float:
        """That of all cells together."""
        return float(self.volumes.sum())

    # ── neighbors ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def adjacency(self) -> np.ndarray:
        """Pairs (A, 2) of cells that share a facet, the lower number first, sorted."""
        return self._found.adjacency

    @cached_property
    def facets(self) -> Facets:
        """The facets that two cells share, in the order of ``adjacency``; each knows its unit.

        Raises:
            InputError: a complex from a file without its network.
        """
        return shared_facets(self._enumerated("facets"))

    @property
    def _numbers(self) -> dict[str, np.ndarray]:
        return {"region": self.region_of, "map": self.map_of, "volume": self.volumes}

    def dual_graph(self) -> csr_array:
        """The graph of neighbors as a sparse matrix (C, C), symmetric: 1 where two cells share a facet.

        It goes into ``scipy.sparse.csgraph``; :meth:`to_networkx` gives the same graph with attributes.

        >>> import torch, tropica as tp
        >>> model = torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1)).eval()
        >>> graph = tp.linear_regions(tp.trace(model, torch.zeros(2, 1)), tp.Box(-9, 9, d=1)).dual_graph()
        >>> graph.shape, graph.nnz
        ((3, 3), 4)
        """
        return neighbor_matrix(self.adjacency, len(self))

    def to_networkx(self) -> Graph:
        """The graph of neighbors: a node a cell, with ``center``, ``volume``, ``map`` and ``region``; an edge a shared facet.

        Raises:
            InputError: networkx is not installed.
        """
        return networkx_graph(self.adjacency, {"center": self.centers, **self._numbers})

    def to_dataframe(self) -> pandas.DataFrame:
        """A row a cell: region, map, volume, center (t0, t1, …), and the outputs there as weight0_0, … and bias0, …"""
        return cells_dataframe(self._numbers, self.centers, *self.logits)

    def _enumerated(self, wanted: str) -> Enumerated:
        if not isinstance(self._found, Enumerated):
            self.net  # noqa: B018  (says that the network is needed)
            raise InputError(f"{wanted} need cells of the compiled engine: a polytope as domain, a smaller network")
        return self._found

    def export(self, path: str | os.PathLike[str]) -> None:
        """Write the cells for other programs.

        Args:
            path: ``.vtu`` for VTK (ParaView, PyVista), in 1 to 3 dimensions; ``.json`` for polymake and OSCAR: a
                ``fan::PolyhedralComplex`` with exact vertices in t.

        Raises:
            InputError: another suffix, an unbounded domain, more dimensions than VTK has, a file that cannot be written.
        """
        if self.domain.limits() is None:
            raise InputError("bounded cells are exported, those of a Box or another polytope; found cells of all of space")
        export_cells(self._enumerated("exports"), self._numbers, path)

    def audit(self) -> Audit:
        """Recompute all cells independently, in rational numbers.

        Every sign vector is compared with the network at the cell's exact vertices, every map at a point of its interior; equal
        and different maps are compared in integers; and every facet inside of the domain must be shared by two cells. This
        takes milliseconds a cell.

        Raises:
            InputError: a complex from a file: its cells are not kept.

        >>> import torch, tropica as tp
        >>> model = torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1)).eval()
        >>> cx = tp.linear_regions(tp.trace(model, torch.zeros(2, 1)), tp.Box(-9, 9, d=1))
        >>> cx.audit().passed
        True
        """
        if not isinstance(self._found, Enumerated):
            raise InputError("only cells that tp.linear_regions enumerated can be audited, not those of a file")
        return audit_cells(self._found, self.map_of)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all of it to a file (safetensors), which :func:`tropica.load_regions` reads.

        Raises:
            StoreError: the file cannot be written.
        """
        save_cells(self._found, self.map_of, self.adjacency, {"network": self.fingerprint, "connected": self.connected}, path)

    def __repr__(self) -> str:
        sure = f", {self.undecided} signs undecided" if self.undecided else ""
        sure += "" if self.complete else f", not all: {self.stopped}"
        return f"RegionComplex({len(self):,} cells of dimension {self.dimension}{sure})"

    def _repr_html_(self) -> str:
        """The counts as a table, with a small picture: of the cells of a plane, of the outputs along a line."""
        facts: dict[str, object] = {"cells": f"{len(self):,}", "dimension": self.dimension}
        if len(self) > MOST_LINES:
            return html_table(escape(repr(self)), facts)
        facts |= {"linear regions": f"{len(self.regions):,}", "affine maps": f"{len(self.maps):,}"}
        facts |= {"volume": f"{self.volume:.6g}", "certified": "yes" if self.certified else "no"}
        limits = self.domain.limits()
        if self.dimension > 2 or limits is None:
            return html_table(escape(repr(self)), facts)
        if self.dimension == 1:
            return html_table(escape(repr(self)), facts) + self._outputs_svg()
        starts, at = self.corners
        return html_table(escape(repr(self)), facts) + svg_polygons(np.split(at[:, :2], starts[1:-1]), limits)


def _members(label: np.ndarray) -> list[np.ndarray]:
    """The numbers that carry each label."""
    order = np.argsort(label, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(label[order])) + 1)
