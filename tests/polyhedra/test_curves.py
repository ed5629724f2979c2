"""Numbers of tropical curves: published ones, and identities of Euler and Mikhalkin."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tropica as tp
from tests.sizes import examples
from tests.tropical.strategies import polynomials
from tropica.errors import InputError
from tropica.polyhedra.complexes import PolyhedralComplex

HONEYCOMB = {(i, j): -(i * i + i * j + j * j) for i in range(4) for j in range(4 - i)}


def test_a_smooth_cubic() -> None:
    curve = tp.TropicalPolynomial(HONEYCOMB).hypersurface()
    assert (curve.genus(), curve.genus("set"), curve.is_smooth(), curve.is_balanced()) == (1, 1, True, True)
    assert curve.vertex_multiplicities() == [1] * 9
    assert curve.j_invariant() == 6  # a hexagon with sides of length 1
    assert sorted(map(float, curve.lattice_lengths().values())) == [1.0] * 9 + [math.inf] * 9
    assert all(not v.sum(0).any() and len(v) == 3 for v in curve.weight_vectors())
    minimum = tp.MinPlusPolynomial({e: -c for e, c in HONEYCOMB.items()}).hypersurface()
    assert (minimum.j_invariant(), minimum.is_balanced(), minimum.genus()) == (6, True, 1)


def test_crossings() -> None:
    """Three lines in general position: a triangle as a set, three trees as parametrized curves."""
    lines = [tp.TropicalPolynomial({(1, 0): a, (0, 1): b, (0, 0): 0}) for a, b in ((0, 0), (5, 1), (1, 7))]
    union = tp.tropical_prod(lines).hypersurface()
    assert union.genus() == 0
    assert union.genus("set") == len(union.bounded(2)) == 1
    assert not union.is_smooth()
    assert union.is_balanced()
    assert sorted(union.vertex_multiplicities()) == [1, 1, 1, 2, 2, 2]


def test_the_cycle_of_a_curve_of_degree_7() -> None:
    """Singular's example t (x⁷ + y⁷ + 1) + (x⁴ + y⁴ + x² + y² + x³y + xy³)/t + x²y²/t⁷, against its polygon."""
    table = {**dict.fromkeys([(7, 0), (0, 7), (0, 0)], 1), (2, 2): -7}
    table |= dict.fromkeys([(4, 0), (0, 4), (2, 0), (0, 2), (3, 1), (1, 3)], -1)
    curve = tp.MinPlusPolynomial(table).hypersurface()
    others = np.array([[2 - i, 2 - j, c + 7] for (i, j), c in table.items() if (i, j) != (2, 2)])
    corners = tp.polyhedra.Polytope.from_inequalities(others[:, :2], others[:, 2]).vertices
    total = Fraction(0)
    for a, b, c in others.tolist():  # the sides of the region of x²y²; 1 / weight for the edge's direction (b, −a) / gcd
        ends = [v for v in corners.tolist() if a * v[0] + b * v[1] == c]
        if len(ends) == 2:
            lengths = [Fraction(abs(p - q), abs(w)) for p, q, w in zip(*ends, (b, -a), strict=True) if w]
            total += lengths[0]  # its length in units of (b, −a), weight × the primitive vector: lattice length over weight
    assert curve.j_invariant() == total > 0


@examples(60)
@given(polynomials(2, exponents=st.integers(0, 3), most=8))
def test_identities(f) -> None:
    curve = f.hypersurface()
    assert curve.is_balanced()
    assert curve.genus("set") == len(curve.bounded(2))
    assert curve.genus() <= curve.genus("set")
    total = tp.polyhedra.Polytope(f.exponents).volume * 2
    if curve.subdivision.dimension == 2:
        assert sum(curve.vertex_multiplicities()) == total
        assert not any(v.sum(0).any() for v in curve.weight_vectors())


@examples(20)
@given(polynomials(3, exponents=st.integers(0, 2), most=6))
def test_surfaces_are_balanced(f) -> None:
    surface = f.hypersurface()
    assert surface.is_balanced()
    if len(surface.faces(1)) and surface.subdivision.dimension == 3 and len(surface.vertices):
        moved = PolyhedralComplex(surface.subdivision, surface.vertices, surface.rays + 0, surface.lineality)
        moved.rays[0] = moved.rays[0] + np.array([7, 5, 3], dtype=object)
        assert not moved.is_balanced()


def test_what_is_no_cubic() -> None:
    quartic = tp.TropicalPolynomial({(i, j): -(i * i + i * j + j * j) for i in range(5) for j in range(5 - i)}).hypersurface()
    assert quartic.genus() == 3
    plane = tp.TropicalPolynomial({(0, 0, 0): 0, (1, 0, 0): 0}).hypersurface()
    flat = dict(HONEYCOMB) | {(1, 1): -100}
    assert tp.TropicalPolynomial(flat).hypersurface().j_invariant() == 0
    for call, says in (
        (tp.TropicalPolynomial({(1, 0): 3}).hypersurface().j_invariant, "0 inner lattice points"),
        (quartic.j_invariant, "one bounded region.*this one has 3 bounded regions and 3 inner"),
        (plane.genus, "curves in the plane"),
        (lambda: quartic.genus("both"), "found 'both'"),  # type: ignore[arg-type]
        (tp.TropicalPolynomial({("1/2", 0): 0, (0, 0): 0}).hypersurface().is_smooth, "integer exponents"),
    ):
        with pytest.raises(InputError, match=says):
            call()


def test_parallel_lines_have_both_directions() -> None:
    lines = tp.MinPlusPolynomial({(0, 0): 0, (1, 1): 0, (2, 2): 1, (6, 6): 9}).hypersurface()
    assert sorted(abs(int(v[0, 0])) for v in lines.weight_vectors()) == [1, 1, 4]
    assert all(v.shape == (2, 2) and not v.sum(0).any() for v in lines.weight_vectors())


def test_polytopes_from_inequalities() -> None:
    cube = tp.polyhedra.Polytope.from_inequalities(np.concatenate([np.eye(3), -np.eye(3)]), [2, 2, 2, 0, 0, 0])
    assert (len(cube.vertices), len(cube.lattice_points()), len(cube.lattice_points(interior=True))) == (8, 27, 1)
    thin = tp.polyhedra.Polytope([["1/3", 0], ["2/3", 5]])
    assert len(thin.lattice_points()) == 0
    with pytest.raises(InputError, match="max_points"):
        tp.polyhedra.Polytope([[0, 0], [10**9, 10**9], [0, 1]]).lattice_points()
    with pytest.raises(InputError, match="A with 2 rows and 1 bounds"):
        tp.polyhedra.Polytope.from_inequalities(np.eye(2), [1])
