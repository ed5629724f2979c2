"""``overlay``: the cells and linear regions of a tropical rational map, from the vertices of its polytopes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tropica.exact.rational_arrays import common_denominator
from tropica.polyhedra.dual_complexes import dual_subdivision
from tropica.tropical.monomials import essential_product
from tropica.tropical.polynomial import PolynomialWithQuotients, TropicalPolynomial, TropicalRational
from tropica.tropical.rational_map import TropicalMap, as_map

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, eq=False)
class Overlay:
    """The common refinement of the hypersurfaces of a map's polynomials: its cells are the upper vertices of P(f) + P(g).

    Three different counts: ``len(overlay)`` cells, on which f and g are affine; ``overlay.regions`` linear regions, largest
    connected sets on which f − g is one affine function; ``overlay.maps`` distinct affine functions. A network's activation
    cells (``tp.linear_regions``) are a fourth number.

    Attributes:
        polynomials: f, g, f, g, ... of the s outputs.
        active_terms: (C, 2 s) the active term of each polynomial in each cell.
        product: f ⊙ g ⊙ ..., with the monomials in the order of the cells.

    >>> import tropica as tp
    >>> found = tp.tropical.overlay(tp.parse_tropical("max(x, 0) - max(x, 1)"))
    >>> found
    Overlay(3 cells of 2 polynomials)
    >>> len(found), found.regions, found.maps
    (3, 3, 3)
    """

    polynomials: Sequence[PolynomialWithQuotients]
    active_terms: np.ndarray
    product: PolynomialWithQuotients

    def __len__(self) -> int:
        return len(self.active_terms)

    @cached_property
    def map_of(self) -> np.ndarray:
        """(C,) the index of each cell's affine map."""
        names: dict[tuple[int, ...], int] = {}
        columns = []
        for k in range(0, len(self.polynomials), 2):
            (f, g), _ = common_denominator(self.polynomials[k].table, self.polynomials[k + 1].table)
            columns.append(f.astype(object)[self.active_terms[:, k]] - g.astype(object)[self.active_terms[:, k + 1]])
        rows = np.concatenate(columns, 1).tolist()
        return np.array([names.setdefault(tuple(row), len(names)) for row in rows], dtype=np.int64)

    @cached_property
    def adjacency(self) -> np.ndarray:
        """(A, 2) pairs of cells that share a facet: the edges of the dual subdivision."""
        if len(self) == 1:
            return np.zeros((0, 2), dtype=np.int64)
        edges = dual_subdivision(self.product.exponents, self.product.coefficients).faces(1)
        return np.array(edges, dtype=np.int64).reshape(-1, 2)

    @cached_property
    def region_of(self) -> np.ndarray:
        """(C,) the index of each cell's linear region."""
        a, b = self.adjacency.T
        same = self.map_of[a] == self.map_of[b]
        graph = coo_array((np.ones(int(same.sum())), (a[same], b[same])), shape=(len(self), len(self)))
        return connected_components(graph, directed=False)[1]

    @property
    def regions(self) -> int:
        """The number of linear regions."""
        return int(self.region_of.max()) + 1

    @property
    def maps(self) -> int:
        """The number of distinct affine functions."""
        return int(self.map_of.max()) + 1

    def __repr__(self) -> str:
        return f"Overlay({len(self):,} cells of {len(self.polynomials)} polynomials)"

    def to_dataframe(self) -> DataFrame:
        """A row for each cell: its linear region, its affine map, and the active term of each polynomial."""
        from pandas import DataFrame

        names = [f"{part}{k}" for k in range(len(self.polynomials) // 2) for part in "fg"]
        columns = {"region": self.region_of, "map": self.map_of}
        return DataFrame(columns | dict(zip(names, self.active_terms.T, strict=True)))

    def _repr_html_(self) -> str:
        return self.to_dataframe().to_html(max_rows=20)


def overlay(function: TropicalMap | TropicalRational | PolynomialWithQuotients) -> Overlay:
    """The cells on which all of a map's polynomials are affine, exactly.

    Raises:
        InputError: not a tropical function.

    >>> r = TropicalRational({1: 0, 0: 0}, {1: 0, 0: 1})  # relu(x) − max(x, 1)
    >>> cells = overlay(r)
    >>> len(cells), cells.regions, cells.maps
    (3, 3, 3)
    """
    polynomials = [p.essential() for r in as_map(function) for p in (r.f, r.g)]
    product, active_terms = polynomials[0], np.arange(len(polynomials[0]))[:, None]
    for p in polynomials[1:]:
        table, pairs = essential_product(product.table, p.table)
        active_terms = np.concatenate([active_terms[pairs[:, 0]], pairs[:, 1:]], 1)
        product = TropicalPolynomial(table, pruned=True)
    return Overlay(polynomials, active_terms, product)
