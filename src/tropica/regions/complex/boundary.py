"""The decision boundary: where two labels tie for the largest logit, as polytopes with their two labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray, rationals
from tropica.regions.complex.enumerated import Enumerated
from tropica.regions.complex.label_cells import differing_facets, facet_geometry
from tropica.regions.complex.output_cells import Functions, OutputCells, label_functions
from tropica.regions.complex.unjoined import Clipped, clipped
from tropica.regions.mesh import Mesh, make_mesh
from tropica.regions.topology.homology import betti_numbers
from tropica.regions.topology.parts import boundary_complex, check_topology
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.html import HtmlRepr


@dataclass(frozen=True, eq=False)
class Boundary(HtmlRepr):
    """The pieces of a decision boundary or of a level set, one for each cell and pair of labels that meet in it.

    Attributes:
        labels: (P, 2) the labels on either side, the lower first; of a level set 0 below (or at) the level and 1 above.
        cells: (P,) numbers of the cells that the pieces lie in.
        pieces: P arrays (V, d) of corners in the coordinates t, for d = 2 the two ends of a segment.
        sizes: (P,) length (d = 2) or area (d = 3, …) of each in the input space, 1 for a point (d = 1).
        undecided: as of a RegionComplex.
    """

    labels: np.ndarray
    cells: np.ndarray
    pieces: list[np.ndarray]
    sizes: np.ndarray
    undecided: int
    _source: tuple[OutputCells, np.ndarray, np.ndarray] = field(repr=False)

    def mesh(self) -> Mesh:
        """The boundary in three dimensions as an oriented polygon mesh whose polygons share their vertices, exactly.

        Raises:
            InputError: another dimension, or all of space as domain.

        >>> import torch, tropica as tp
        >>> net = tp.from_layers([([[1.0, 0.25, 0.5]], [0.0])])
        >>> cx = tp.linear_regions(net, tp.Box(-9, 9, d=3))
        >>> cx.boundary().mesh()
        Mesh(1 polygons, 4 vertices, open)
        """
        with own_settings():
            return make_mesh(*self._source)

    def betti_numbers(self) -> tuple[int, ...]:
        """The Betti numbers b_0 … b_{d−1} over GF(2) of all pieces together: components, loops, closed surfaces …, exactly.

        Pieces that touch in a point are connected there. A sphere has (1, 0, 1), a torus (1, 2, 1).

        Raises:
            InputError: all of space as domain, more than 4 dimensions, cells that are not all there.

        >>> import torch, tropica as tp
        >>> net = tp.from_layers([([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]], [0.0] * 4), ([[1.0] * 4], [0.0])])
        >>> tp.linear_regions(net, tp.Box(-1, 1, d=2)).boundary(level=0.5).betti_numbers()  # a diamond
        (1, 1)
        """
        parts, _, facets = self._source
        check_topology(parts.found)
        with own_settings():
            return betti_numbers(boundary_complex(parts, facets))

    @property
    def measure(self) -> float:
        """All sizes together: how many points, what length, what area."""
        return float(self.sizes.sum())

    @cached_property
    def pairs(self) -> dict[tuple[int, int], float]:
        """The size of the boundary between any two labels that meet."""
        found: dict[tuple[int, int], float] = {}
        for (low, high), size in zip(self.labels.tolist(), self.sizes.tolist(), strict=True):
            found[low, high] = found.get((low, high), 0.0) + size
        return found

    def __len__(self) -> int:
        return len(self.pieces)

    def __repr__(self) -> str:
        sure = f", {self.undecided} signs undecided" if self.undecided else ""
        return f"Boundary({len(self):,} pieces between {len(self.pairs)} pairs of labels, measure {self.measure:.6g}{sure})"


def find_boundary(found: Enumerated) -> Boundary:
    """The facets between parts of cells of different label."""
    return _boundary(clipped(found, label_functions(found.maps[0].shape[1])))


def find_level(found: Enumerated, level: float | None, output: int | None) -> Boundary:
    """The set where an output has a value."""
    outputs = found.maps[0].shape[1]
    if level is None or isinstance(level, bool) or not isinstance(level, int | float) or not np.isfinite(level):
        raise InputError(f"a level set needs level=, a finite number; found {level!r}")
    if output is None and outputs > 1:
        raise InputError(f"output= must say which of the {outputs} outputs has the level")
    number = 0 if output is None else output
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < outputs:
        raise InputError(f"output must be a number from 0 to {outputs - 1}; found {output!r}")
    row = RationalArray((np.arange(outputs) == number).astype(np.int64)[None])
    functions = Functions(row, rationals(np.array([-float(level)])), "signs")
    return _boundary(clipped(found, functions))


def _boundary(clipped: Clipped) -> Boundary:
    parts = clipped.parts
    pairs, facets = differing_facets(parts)
    undecided = parts.found.undecided + parts.undecided
    labels = np.sort(parts.piece[pairs], axis=1)
    if clipped.whole:
        corners, sizes = facet_geometry(parts, facets)
        return Boundary(labels, parts.parent[pairs[:, 0]], corners, sizes, undecided, (parts, pairs, facets))
    _, sizes = facet_geometry(parts, facets)
    key = np.concatenate([np.sort(clipped.cell[pairs], axis=1), labels], axis=1)
    key, group = np.unique(key.reshape(-1, 4), axis=0, return_inverse=True)
    corners = [clipped.corners(pairs[own, 0], [parts.vertices_of(f) for f in facets[own]]) for own in _members(group, len(key))]
    total = np.bincount(group.ravel(), sizes, minlength=len(key))
    return Boundary(key[:, 2:], key[:, 0], corners, total, undecided, (parts, pairs, facets))


def _members(group: np.ndarray, count: int) -> list[np.ndarray]:
    """The places of each number."""
    order = np.argsort(group.ravel(), kind="stable")
    return np.split(order, np.searchsorted(group.ravel()[order], np.arange(1, count)))
