"""``tp.linear_regions``: the cells of a network on a domain, their maps, and which of them are neighbors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, overload

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from tropica.errors import InputError
from tropica.exact.rational_arrays import rationals
from tropica.network.network import PiecewiseLinearNetwork
from tropica.regions.archive import save_regions
from tropica.regions.audit import Audit, audit_cells
from tropica.regions.boundary import Boundary, find_boundary
from tropica.regions.domain import Domain
from tropica.regions.enumerated import Enumerated
from tropica.regions.locate import Locator
from tropica.regions.parts import Parts
from tropica.runtime.html import HtmlRepr

if TYPE_CHECKING:
    from networkx import Graph


@dataclass(frozen=True, eq=False)
class Cell:
    """One activation cell.

    Attributes:
        number: its number in the complex.
        pattern: (bytes,) uint8, as ``net.activation_pattern`` gives it inside.
        weight, bias: the logits there are t ↦ weight t + bias: (s, d) and (s,).
        vertices: (V, d) corners, in order around the cell where d = 2; of an unbounded cell those that are points.
        rays: (R, d) directions in which an unbounded cell goes on for ever.
    """

    number: int
    pattern: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    vertices: np.ndarray
    rays: np.ndarray


class RegionComplex(HtmlRepr, Sequence[Cell]):
    """A network on a domain, taken apart into the cells on which it is affine; a sequence of :class:`Cell`.

    Three counts, which differ: ``len(cx.cells)`` activation cells (sets of points with one activation pattern),
    ``len(cx.regions)`` linear regions (maximal connected sets on which the logits are one affine function), ``len(cx.maps)``
    distinct affine functions.

    Coordinates are t with x = origin + t · basis; for a Box or a Space t is x.

    Attributes:
        domain: what was taken apart.
    """

    def __init__(self, parts: Parts, domain: Domain, net: PiecewiseLinearNetwork | None, fingerprint: str = "") -> None:
        self.domain = domain
        self._fingerprint = fingerprint
        self._parts, self._net = parts, net

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
        return self.locator.cells(rationals(points))

    @cached_property
    def locator(self) -> Locator:
        """The cells by their patterns."""
        return Locator(self.net, self.domain, self.patterns)

    # ── counts ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def dimension(self) -> int:
        """d."""
        return self.domain.dimension

    @property
    def certified(self) -> bool:
        """Is the sign of every function at every vertex proven: by an error bound on what floating point found, or where that
        does not decide, in rational arithmetic?"""
        return self.undecided == 0

    @property
    def undecided(self) -> int:
        """How many signs, and patterns of cells, were taken from floating point though its error bound does not decide them (in
        networks too large for rational arithmetic)."""
        return self._parts.undecided

    @property
    def undecided_maps(self) -> int:
        """How many affine maps were told apart by floating point alone (where too many for rational arithmetic are alike)."""
        return self._parts.undecided_maps

    @property
    def cells(self) -> RegionComplex:
        """The activation cells: the complex itself, as a sequence of :class:`Cell`."""
        return self

    @cached_property
    def regions(self) -> list[np.ndarray]:
        """The linear regions: numbers of the cells of each."""
        same = self.adjacency[self.map_of[self.adjacency[:, 0]] == self.map_of[self.adjacency[:, 1]]]
        graph = coo_array((np.ones(len(same)), (same[:, 0], same[:, 1])), shape=(len(self), len(self)))
        return _members(connected_components(graph, directed=False)[1])

    @cached_property
    def maps(self) -> list[np.ndarray]:
        """The distinct affine maps: numbers of the cells that have each."""
        return _members(self.map_of)

    @property
    def map_of(self) -> np.ndarray:
        """The number of each cell's map (C,)."""
        return self._parts.map_of

    # ── what each cell is ──────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def patterns(self) -> np.ndarray:
        """The activation patterns (C, bytes) uint8, one row a cell."""
        return self._parts.patterns

    @property
    def centers(self) -> np.ndarray:
        """A point inside each cell (C, d)."""
        return self._parts.centers

    @property
    def logits(self) -> tuple[np.ndarray, np.ndarray]:
        """The affine maps t ↦ weight t + bias of all cells: (C, s, d) and (C, s)."""
        return self._parts.logits

    @property
    def corners(self) -> tuple[np.ndarray, np.ndarray]:
        """``starts`` (C + 1,) and ``at`` (M, d + 1): rows starts[c] … starts[c + 1] are the corners of cell c, (t, 1) for a
        point, (direction, 0) where the cell goes on for ever; for d = 2 in order around a bounded cell."""
        return self._parts.corners

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
        return Cell(number, self.patterns[number], weight[number], bias[number], *self.polygon(number))

    def __len__(self) -> int:
        return len(self._parts)

    @property
    def volumes(self) -> np.ndarray:
        """Length, area, volume of each cell (C,), in units of t; ∞ where a cell is unbounded."""
        return self._parts.volumes

    @property
    def volume(self) -> float:
        """That of all cells together."""
        return float(self.volumes.sum())

    # ── neighbors ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def adjacency(self) -> np.ndarray:
        """Pairs (A, 2) of cells that share a facet, the lower number first, sorted."""
        return self._parts.adjacency

    def to_networkx(self) -> Graph:
        """The graph of neighbors: a node a cell, with its ``center``, ``volume`` and ``map``; an edge a shared facet.

        Raises:
            InputError: networkx is not installed.
        """
        try:
            import networkx
        except ImportError:
            raise InputError("to_networkx needs the package networkx: pip install 'tropica[networkx]'") from None
        graph = networkx.Graph()
        numbers = zip(self.centers.tolist(), self.volumes.tolist(), self.map_of.tolist(), strict=True)
        graph.add_nodes_from((i, {"center": tuple(c), "volume": v, "map": m}) for i, (c, v, m) in enumerate(numbers))
        graph.add_edges_from(self.adjacency.tolist())
        return graph

    def boundary(self) -> Boundary:
        """The decision boundary in the domain: where the label changes, exactly.

        >>> import torch, tropica as tp
        >>> model = torch.nn.Linear(2, 2).double().eval()
        >>> with torch.no_grad():
        ...     _ = model.weight.copy_(torch.eye(2)), model.bias.zero_()
        >>> cx = tp.linear_regions(tp.trace(model, torch.zeros(2, 2).double()), tp.Box(0, 1, d=2))
        >>> found = cx.boundary()  # the diagonal
        >>> found.labels.tolist(), round(found.measure, 6)
        ([[0, 1]], 1.414214)
        """
        return self._boundary

    @cached_property
    def _boundary(self) -> Boundary:
        return find_boundary(self)

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
        if not isinstance(self._parts, Enumerated):
            raise InputError("only cells that tp.linear_regions enumerated can be audited, not those of a file")
        return audit_cells(self._parts, self.map_of)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all of it to a file (safetensors), which :func:`tropica.load_regions` reads.

        Raises:
            StoreError: the file cannot be written.
        """
        save_regions(self, path)

    def __repr__(self) -> str:
        sure = "" if self.certified else f", {self.undecided} signs undecided"
        return f"RegionComplex({len(self):,} cells of dimension {self.dimension}{sure})"


def _members(label: np.ndarray) -> list[np.ndarray]:
    """The numbers that carry each label."""
    order = np.argsort(label, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(label[order])) + 1)
