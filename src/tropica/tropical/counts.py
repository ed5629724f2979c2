"""The linear regions of a tropical rational map, counted by the vertices of its polytopes: no linear programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray, common_denominator
from tropica.polyhedra.complexes import dual_subdivision
from tropica.tropical.monomials import essential_product
from tropica.tropical.polynomial import TropicalPolynomial
from tropica.tropical.rational import TropicalMap, TropicalRational


@dataclass(frozen=True, eq=False)
class Overlay:
    """The common refinement of the hypersurfaces of a map's polynomials: its cells are the upper vertices of P(f) + P(g).

    Three counts, which differ: ``len(overlay)`` cells, on which f and g are affine; ``overlay.regions`` linear regions, largest
    connected sets on which f − g is one affine function; ``overlay.maps`` distinct affine functions. A network's activation
    cells (``tp.linear_regions``) are a fourth number.

    Attributes:
        polynomials: f, g, f, g, ... of the outputs.
        winners: (C, 2 s) which monomial of each polynomial wins in a cell.
        product: f ⊙ g ⊙ ..., its monomials in the order of the cells.
    """

    polynomials: Sequence[TropicalPolynomial]
    winners: np.ndarray
    product: TropicalPolynomial

    def __len__(self) -> int:
        return len(self.winners)

    @cached_property
    def map_of(self) -> np.ndarray:
        """(C,) the number of each cell's affine map."""
        names: dict[tuple[int, ...], int] = {}
        columns = []
        for k in range(0, len(self.polynomials), 2):
            (f, g), _ = common_denominator(self.polynomials[k].table, self.polynomials[k + 1].table)
            columns.append(f.astype(object)[self.winners[:, k]] - g.astype(object)[self.winners[:, k + 1]])
        rows = np.concatenate(columns, 1).tolist()
        return np.array([names.setdefault(tuple(row), len(names)) for row in rows], dtype=np.int64)

    @cached_property
    def adjacency(self) -> np.ndarray:
        """(A, 2) pairs of cells that share a piece of dimension d − 1: the edges of the dual subdivision."""
        if len(self) == 1:
            return np.zeros((0, 2), dtype=np.int64)
        edges = dual_subdivision(self.product.exponents, self.product.coefficients).faces(1)
        return np.array(edges, dtype=np.int64).reshape(-1, 2)

    @cached_property
    def region_of(self) -> np.ndarray:
        """(C,) the number of each cell's linear region."""
        a, b = self.adjacency.T
        same = self.map_of[a] == self.map_of[b]
        graph = coo_array((np.ones(int(same.sum())), (a[same], b[same])), shape=(len(self), len(self)))
        return connected_components(graph, directed=False)[1]

    @property
    def regions(self) -> int:
        """Linear regions."""
        return int(self.region_of.max()) + 1

    @property
    def maps(self) -> int:
        """Distinct affine functions."""
        return int(self.map_of.max()) + 1

    def __repr__(self) -> str:
        return f"Overlay({len(self):,} cells of {len(self.polynomials)} polynomials)"


def overlay(function: TropicalMap | TropicalRational | TropicalPolynomial) -> Overlay:
    """The cells on which all of a map's polynomials are affine, exactly.

    Raises:
        InputError: not a tropical function.

    >>> r = TropicalRational({1: 0, 0: 0}, {1: 0, 0: 1})  # relu(x) − max(x, 1)
    >>> cells = overlay(r)
    >>> len(cells), cells.regions, cells.maps
    (3, 3, 3)
    """
    if isinstance(function, TropicalPolynomial):
        function = TropicalRational(function)
    if isinstance(function, TropicalRational):
        function = TropicalMap([function])
    if not isinstance(function, TropicalMap):
        raise InputError(f"a TropicalMap, TropicalRational or TropicalPolynomial is needed; found a {type(function).__name__}")
    polynomials = [p.essential() for r in function for p in (r.f, r.g)]
    product, winners = polynomials[0], np.arange(len(polynomials[0]))[:, None]
    for p in polynomials[1:]:
        table, pairs = essential_product(product.table, p.table)
        winners = np.concatenate([winners[pairs[:, 0]], pairs[:, 1:]], 1)
        product = TropicalPolynomial.from_table(table)
    return Overlay(polynomials, winners, product)


def random_polynomial(variables: int, monomials: int, *, degree: int = 20, seed: int = 0) -> TropicalPolynomial:
    """A polynomial with random exponents in {0, ..., degree}^d, each once, and random coefficients.

    Coefficients are those of a random concave function, −‖α‖² with noise (in units of 2⁻²⁰), so that many monomials are
    essential, as in polynomials of networks.

    Raises:
        InputError: fewer exponents than monomials, or none.
    """
    if monomials < 1 or variables < 1 or degree < 0 or (degree + 1) ** variables < monomials:
        raise InputError(
            f"there are {max(degree + 1, 0)}^{variables} exponents up to degree {degree}, and 1 monomial or more is needed; "
            f"found {monomials}"
        )
    random = np.random.default_rng(seed)
    exponents = np.zeros((0, variables), dtype=np.int64)
    while len(exponents) < monomials:
        drawn = random.integers(0, degree + 1, (2 * monomials, variables))
        joined = np.concatenate([exponents, drawn])
        exponents = joined[np.sort(np.unique(joined, axis=0, return_index=True)[1])]
    exponents = exponents[:monomials]
    centerd = exponents - degree / 2
    heights = np.round((-(centerd**2).sum(1) + random.standard_normal(monomials)) * 2**20).astype(np.int64)
    (a, b), bottom = common_denominator(RationalArray(exponents), RationalArray(heights, 2**20))
    return TropicalPolynomial.from_table(RationalArray(np.concatenate([a, b[:, None]], 1), bottom))


def random_rational(variables: int, monomials: int, *, degree: int = 20, seed: int = 0) -> TropicalRational:
    """f ⊘ g of two random polynomials, see :func:`random_polynomial`.

    >>> r = random_rational(2, 30, seed=1)
    >>> len(r.f), len(overlay(r)) >= max(len(r.f.essential()), len(r.g.essential()))
    (30, True)
    """
    return TropicalRational(
        random_polynomial(variables, monomials, degree=degree, seed=2 * seed),
        random_polynomial(variables, monomials, degree=degree, seed=2 * seed + 1),
    )
