"""Intersections of tropical hypersurfaces: as sets (prevarieties), and stable ones with multiplicities.

All hypersurfaces are read off one complex, that of f_1 ⊙ … ⊙ f_k: it is the common refinement of all of them. On the relative
interior of each of its faces the set σ_i of active terms of every f_i is constant; the dual face is σ_1 + … + σ_k.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from tropica.errors import InputError
from tropica.exact.lattices import saturated_basis
from tropica.exact.linear_algebra import rank, solve
from tropica.exact.rational_arrays import as_objects, exact_numbers, ratio, rationals
from tropica.polyhedra.conventions import Convention, shown, sign_of
from tropica.polyhedra.dual_complexes import Face, PolyhedralComplex
from tropica.polyhedra.overlay import MixedCell
from tropica.polyhedra.overlay import mixed_cells as polyhedra_mixed_cells
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.html import HtmlRepr, TableRepr
from tropica.tropical.mixed_volume import mixed_volume
from tropica.tropical.polynomial import PolynomialWithQuotients
from tropica.tropical.semiring_polynomial import checked_operand

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, eq=False)
class IntersectionCell(HtmlRepr):
    """A cell of an intersection of hypersurfaces: the convex hull of vertices plus the cone of rays plus the lineality.

    Attributes:
        dimension: of the cell.
        vertices, rays: (V, d) and (R, d), ints and Fractions.
        active: the active terms of each polynomial on the relative interior.
        multiplicity: in the stable intersection: the mixed volume of the convex hulls of the active terms, in the lattice of
            their span; None in a prevariety.

    >>> import tropica as tp
    >>> found = tp.prevariety(tp.parse_tropical("max(x, y, 0)"), tp.parse_tropical("max(x, y, 1)"))
    >>> found.cells[0]
    IntersectionCell(dimension 1, vertices 1, 1)
    >>> found.cells[0].rays.tolist(), found.cells[0].active
    ([[1, 1]], ((0, 1), (0, 1)))
    """

    dimension: int
    vertices: np.ndarray
    rays: np.ndarray
    active: tuple[tuple[int, ...], ...]
    multiplicity: int | Fraction | None = None

    def __repr__(self) -> str:
        more = "" if self.multiplicity is None else f", multiplicity {self.multiplicity}"
        vertices = "; ".join(", ".join(map(str, row)) for row in self.vertices.tolist()[:4])
        return f"IntersectionCell(dimension {self.dimension}, vertices {vertices}{more})"


@dataclass(frozen=True, eq=False)
class Intersection(TableRepr):
    """The intersection of tropical hypersurfaces in ℝ^d.

    Attributes:
        polynomials: of the hypersurfaces.
        cells: the maximal cells of a prevariety; all cells of dimension d − k of a stable intersection.
        lineality: (l, d) integers that span the directions in which all cells extend.
        stable: whether it is the stable intersection.

    >>> import tropica as tp
    >>> p, q = tp.parse_tropical("max(x, y, 0)"), tp.parse_tropical("max(x, y + 1, 2)")
    >>> found = tp.stable_intersection(p, q)
    >>> found, found.points.tolist(), found.multiplicities
    (Intersection(stable intersection of 2 hypersurfaces in ℝ^2: 1 cells, multiplicities 1 in all, max-plus), [[1, 1]], [1])
    """

    polynomials: tuple[PolynomialWithQuotients, ...]
    cells: list[IntersectionCell]
    lineality: np.ndarray
    stable: bool

    @property
    def convention(self) -> Convention:
        """What ⊕ is: "max" or "min"."""
        return self.polynomials[0].convention

    @property
    def dimension(self) -> int:
        """The largest dimension of a cell; −1 where the intersection is empty."""
        return max((c.dimension for c in self.cells), default=-1)

    @property
    def points(self) -> np.ndarray:
        """(n, d) the cells of dimension 0, ints and Fractions."""
        rows = [c.vertices[0] for c in self.cells if c.dimension == 0]
        return np.array(rows, dtype=object).reshape(len(rows), self.polynomials[0].variables)

    @property
    def multiplicities(self) -> list[int | Fraction]:
        """The multiplicity of each cell of a stable intersection.

        Raises:
            InputError: not a stable intersection.
        """
        if not self.stable:
            raise InputError("a prevariety is a set without multiplicities; use tp.stable_intersection")
        return [c.multiplicity for c in self.cells if c.multiplicity is not None]

    def to_dataframe(self) -> DataFrame:
        """A row for each cell."""
        from pandas import DataFrame

        rows = [(c.dimension, c.vertices.tolist(), c.rays.tolist(), c.active, c.multiplicity) for c in self.cells]
        return DataFrame(rows, columns=["dimension", "vertices", "rays", "active terms", "multiplicity"])

    def __len__(self) -> int:
        return len(self.cells)

    def __repr__(self) -> str:
        kind = "stable intersection" if self.stable else "prevariety"
        more = f", multiplicities {sum(self.multiplicities)} in all" if self.stable else ""
        count, d = len(self.polynomials), self.polynomials[0].variables
        return f"Intersection({kind} of {count} hypersurfaces in ℝ^{d}: {len(self)} cells{more}, {shown(self.convention)})"


@own_settings()
def prevariety(*polynomials: PolynomialWithQuotients) -> Intersection:
    """Compute the tropical prevariety T(f_1) ∩ … ∩ T(f_k): the set on which all f_i attain their value at least twice.

    Args:
        polynomials: one or more, of one convention, in the same variables.

    Returns:
        An :class:`Intersection` with the maximal cells, in any dimension, each a cell of the common refinement.

    Raises:
        InputError: not polynomials, or different conventions or variables.

    >>> import tropica as tp
    >>> line = tp.TropicalPolynomial({(1, 0): 0, (0, 1): 0, (0, 0): 0})
    >>> both = prevariety(line, line * tp.TropicalPolynomial({(1, 0): 0, (0, 0): 0}))
    >>> both.dimension, len(both)
    (1, 3)
    """
    given, complex_ = _product_complex(polynomials)
    faces = [(face, active) for face, active in _active_faces(given, complex_) if min(map(len, active)) > 1]
    duals = [set(face.dual) for face, _ in faces]
    maximal = [not any(other < dual for other in duals) for dual in duals]  # a larger face has a smaller dual
    cells = [_cell(complex_, face, active) for (face, active), keep in zip(faces, maximal, strict=True) if keep]
    return Intersection(given, cells, complex_.lineality, stable=False)


@own_settings()
def stable_intersection(*polynomials: PolynomialWithQuotients) -> Intersection:
    """Compute the stable intersection of k hypersurfaces in ℝ^d, k ≤ d, with multiplicities, exactly.

    It is the limit of T(f_1) ∩ (T(f_2) + ε v_2) ∩ … for ε → 0 and generic v_i: a balanced complex of dimension d − k. For k = d
    its multiplicities sum to the mixed volume of the Newton polytopes (Bernstein).

    Args:
        polynomials: k of them, of one convention, in the same d variables.

    Raises:
        InputError: as :func:`prevariety`; more polynomials than variables.

    >>> import tropica as tp
    >>> line = tp.TropicalPolynomial({(1, 0): 0, (0, 1): 0, (0, 0): 0})
    >>> conic = tp.TropicalPolynomial({(2, 0): -1, (1, 1): 0, (0, 2): -1, (1, 0): 1, (0, 1): 0, (0, 0): -1})
    >>> both = stable_intersection(line, conic)
    >>> sum(both.multiplicities), stable_intersection(line, line).points.tolist()
    (2, [[0, 0]])
    """
    given, complex_ = _product_complex(polynomials)
    k, d = len(given), given[0].variables
    if k > d:
        raise InputError(f"a stable intersection takes at most as many hypersurfaces as there are variables; found {k} and {d}")
    cells = []
    for face, active in _active_faces(given, complex_, d - k):
        multiplicity = _multiplicity(given, active) if min(map(len, active)) > 1 else 0
        if multiplicity:
            cells.append(_cell(complex_, face, active, multiplicity))
    return Intersection(given, cells, complex_.lineality, stable=True)


def mixed_cells(f: PolynomialWithQuotients, g: PolynomialWithQuotients) -> list[MixedCell]:
    """The vertices of the common refinement of two hypersurfaces, see :class:`tropica.polyhedra.MixedCell`.

    Raises:
        InputError: as :func:`prevariety`.

    >>> import tropica as tp
    >>> f, g = tp.TropicalPolynomial({(1, 0): 0, (0, 0): 0}), tp.TropicalPolynomial({(0, 1): 0, (0, 0): 5})
    >>> [(c.point.tolist(), c.multiplicity) for c in mixed_cells(f, g)]
    [([0, 5], 1)]
    """
    f, g = _checked((f, g))
    sign = sign_of(f.convention)
    found = polyhedra_mixed_cells(f.exponents, sign * f.coefficients, g.exponents, sign * g.coefficients)
    return [replace(cell, point=sign * cell.point) for cell in found]


def _checked(polynomials: tuple[Any, ...]) -> tuple[PolynomialWithQuotients, ...]:
    wrong = next((p for p in polynomials if not isinstance(p, PolynomialWithQuotients)), None)
    if not polynomials or wrong is not None:
        found = "none" if wrong is None else f"a {type(wrong).__name__}"
        raise InputError(f"TropicalPolynomials or MinPlusPolynomials are needed, one or more; found {found}")
    for p in polynomials:
        checked_operand(polynomials[0], p)
    return polynomials


def _product_complex(
    polynomials: tuple[Any, ...],
) -> tuple[tuple[PolynomialWithQuotients, ...], PolyhedralComplex]:
    polynomials = _checked(polynomials)
    product = reduce(lambda f, g: f.times_essential(g), polynomials[1:], polynomials[0].essential())
    return polynomials, product.hypersurface()


def _active_faces(
    polynomials: tuple[PolynomialWithQuotients, ...], complex_: PolyhedralComplex, dimension: int | None = None
) -> Iterator[tuple[Face, tuple[tuple[int, ...], ...]]]:
    """The faces of the hypersurface of the product, and the active terms of each polynomial on each face."""
    d = complex_.ambient_dimension
    for size in range(len(complex_.lineality), d) if dimension is None else [dimension]:
        for face in complex_.faces(size):
            point = complex_.interior_point(face)
            active = []
            for p in polynomials:
                values = p.exact_terms(point)
                best = max(values) if p.convention == "max" else min(values)
                active.append(tuple(i for i, v in enumerate(values) if v == best))
            yield face, tuple(active)


def _cell(
    complex_: PolyhedralComplex,
    face: Face,
    active: tuple[tuple[int, ...], ...],
    multiplicity: int | Fraction | None = None,
) -> IntersectionCell:
    vertices, rays = complex_.vertices[list(face.vertices)], complex_.rays[list(face.rays)]
    return IntersectionCell(face.dimension, vertices, rays, active, multiplicity)


def _multiplicity(polynomials: tuple[PolynomialWithQuotients, ...], active: tuple[tuple[int, ...], ...]) -> int | Fraction:
    """The mixed volume of the hulls of the active terms in the lattice of their span, which has dimension k."""
    sides = [p.exponents[list(rows)].astype(object) - p.exponents[rows[0]] for p, rows in zip(polynomials, active, strict=True)]
    return lattice_mixed_volume(sides)


def lattice_mixed_volume(sides: list[np.ndarray]) -> int | Fraction:
    """The mixed volume of k supports (m_i, d) that hold 0 and span k dimensions, in units of the lattice of their span.

    >>> lattice_mixed_volume([np.array([[0, 0], [2, 4]], dtype=object)])
    2
    """
    whole = rationals(exact_numbers(np.concatenate(sides)))
    rows, k = whole.numerators, len(sides)
    if rank(rows) != k:
        return 0
    basis = saturated_basis(rows)
    coordinates = solve(basis.T, rows.T)
    assert coordinates is not None  # the rows are in the span
    columns = as_objects(int(v) for v in coordinates.T.ravel().tolist()).reshape(len(rows), k)
    ends = np.cumsum([len(s) for s in sides])
    return ratio(mixed_volume(*np.split(columns, ends[:-1])), math.prod([whole.denominator] * k))
