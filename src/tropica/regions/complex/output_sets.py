"""Images and preimages: sets of outputs and of inputs, as polytopes with their cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray, compact, rationals
from tropica.regions.complex.cell_arrays import given
from tropica.regions.complex.enumerated import Enumerated
from tropica.regions.complex.output_cells import Functions
from tropica.regions.complex.sizes import polytope_sizes
from tropica.regions.complex.unjoined import clipped
from tropica.regions.complex.vertex_values import vertex_values
from tropica.regions.domains.domain import Numbers, points_in_rows, vector
from tropica.runtime.html import HtmlRepr


@dataclass(frozen=True, eq=False)
class Parts(HtmlRepr):
    """Polytopes in the domain, each a part of a cell.

    Attributes:
        cells: (P,) the cell of each.
        vertices: P arrays (V, d) of corners in the coordinates t, without rays.
        volumes: (P,) in the units of x; ∞ where a part is unbounded.
    """

    cells: np.ndarray
    vertices: list[np.ndarray]
    volumes: np.ndarray

    @property
    def volume(self) -> float:
        """That of all parts together."""
        return float(self.volumes.sum())

    def __len__(self) -> int:
        return len(self.cells)

    def __repr__(self) -> str:
        return f"Parts({len(self):,} polytopes, volume {self.volume:.6g})"


@dataclass(frozen=True, eq=False)
class Image(HtmlRepr):
    """The set of outputs of a network on a domain: the union of the polytopes that its maps make of the cells.

    Attributes:
        cells: (P,) the cell of each.
        vertices: P arrays (V, outputs): the images of the corners of the cell; the polytope is their convex hull, and some of
            them may lie inside of it.
        lower, upper: (outputs,) the least and the largest value of each output.
    """

    cells: np.ndarray
    vertices: list[np.ndarray]
    lower: np.ndarray
    upper: np.ndarray

    def __len__(self) -> int:
        return len(self.cells)

    def __repr__(self) -> str:
        low, high = (np.array2string(a, precision=6, threshold=8) for a in (self.lower, self.upper))
        return f"Image({len(self):,} polytopes, outputs from {low} to {high})"


def image(found: Enumerated) -> Image:
    """As :meth:`RegionComplex.image`."""
    start, values = given(found.cells.vertex_start), vertex_values(found)
    return Image(np.arange(len(found)), np.split(values, start[1:-1]), values.min(0), values.max(0))


def preimage(found: Enumerated, normals: Numbers, offsets: Numbers) -> Parts:
    """As :meth:`RegionComplex.preimage`."""
    a, b = points_in_rows(normals, "normals", 1), vector(offsets, "offsets")
    outputs = found.maps[0].shape[1]
    if a.shape != (len(b), outputs):
        raise InputError(f"normals must be (k, {outputs}) for {outputs} outputs and k offsets; found {a.shape} and {len(b)}")
    weight = rationals(a)
    functions = Functions(RationalArray(compact(-weight.numerators), weight.denominator), rationals(b), "above")
    clip = clipped(found, functions)
    parts = clip.parts
    bounded = parts.parts.at[:, -1] > 0
    endless = np.zeros(len(parts), bool)
    np.logical_or.at(endless, parts.parts.owner, ~bounded)
    sizes = np.full(len(parts), np.inf)
    sizes[~endless] = polytope_sizes(parts.parts.select(np.flatnonzero(~endless))) * found.domain.volume_scale
    if clip.whole:
        counts = np.bincount(parts.parts.owner[bounded], minlength=len(parts))
        corners = np.split(parts.parts.at[bounded, :-1], np.cumsum(counts)[:-1]) if len(parts) else []
        return Parts(parts.parent, corners, sizes)
    cells, own = np.unique(clip.cell, return_inverse=True)
    members = [np.flatnonzero(own.ravel() == i) for i in range(len(cells))]
    corners = [clip.corners(m, [np.arange(*parts.parts.start[p : p + 2]) for p in m.tolist()]) for m in members]
    return Parts(cells, corners, np.bincount(own.ravel(), sizes, minlength=len(cells)))
