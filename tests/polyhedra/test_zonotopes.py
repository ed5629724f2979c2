"""Zonotopes: all 2^m sums, the count formulas, volumes, dependent and repeated generators."""

import itertools
import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.polyhedra.configurations import array, rational, whole
from tests.sizes import examples
from tropica.errors import InputError
from tropica.polyhedra.dual_complexes import hypersurface
from tropica.polyhedra.nearly_degenerate import NearlyDegenerateWarning
from tropica.polyhedra.polytope import Polytope
from tropica.polyhedra.upper_hull import essential
from tropica.polyhedra.zonotope import Zonotope


def generator_sets():
    numbers = st.sampled_from([whole, st.integers(-1, 1), rational])
    return st.tuples(st.integers(1, 4), numbers).flatmap(
        lambda t: st.lists(st.lists(t[1], min_size=t[0], max_size=t[0]), min_size=1, max_size=6).map(array)
    )


def every_sum(g):
    return np.array(list(itertools.product((0, 1), repeat=len(g))), dtype=object) @ g


@examples(60)
@given(generator_sets())
def test_vertices_signs_and_volume_are_those_of_all_sums(g):
    z = Zonotope(g)
    hull = Polytope(every_sum(g))
    assert z.vertices.tolist() == sorted(hull.vertices.tolist())
    assert sorted(z.points(z.signs).tolist()) == z.vertices.tolist()
    assert z.volume == hull.volume
    assert z.dimension == hull.dimension
    assert Zonotope.from_vertices(z.vertices).polytope() == hull


@examples(60)
@given(generator_sets())
def test_upper_vertices_are_the_essential_monomials(g):
    z = Zonotope(g)
    sums = every_sum(g)
    expected = {tuple(r) for r in sums[essential(sums[:, :-1], sums[:, -1])].tolist()}
    assert {tuple(r) for r in z.points(z.upper_signs).tolist()} == expected
    assert len(z.upper_signs) == len(expected)


@pytest.mark.parametrize(("d", "m", "expected"), [(3, 10, 92), (3, 14, 184), (4, 12, 464), (5, 12, 1124)])
def test_generic_counts(d, m, expected):
    z = Zonotope(np.random.default_rng(0).normal(size=(m, d)))
    assert len(z.vertices) == expected == Zonotope.most_vertices(m, d)
    assert len({tuple(v) for v in z.vertices.tolist()}) == expected
    assert len(z.upper_signs) == Zonotope.most_upper_vertices(m, d)


def test_from_vertices_finds_generators_up_to_sign_and_order():
    g = np.array([[1, 2, 0], [0, 1, -1], [2, 0, 1], [-1, 1, 1]])
    z = Zonotope.from_vertices(Zonotope(g, [5, 0, 1]).vertices)
    positive = sorted(r if r > [0, 0, 0] else [-e for e in r] for r in g.tolist())
    assert z.generators.tolist() == positive
    assert z.polytope() == Zonotope(g, [5, 0, 1]).polytope()


def test_degenerate_zonotopes():
    assert Zonotope(np.zeros((0, 2))).vertices.tolist() == [[0, 0]]
    assert Zonotope(np.zeros((0, 0)), [1, 2]).vertices.tolist() == [[1, 2]]
    assert Zonotope([[0, 0], [1, 1], [-2, -2]], [0.5, 0]).vertices.tolist() == [[-1.5, -2], [1.5, 1]]
    assert Zonotope([[1, 2], [2, 4]]).volume == 0
    assert Zonotope([[7]]).volume == 7


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Zonotope([[1, 2]], [1]), "2 coordinates, as the generators do; found 1"),
        (lambda: Zonotope([[1, np.inf]]), "inf"),
        (lambda: Zonotope([1, 2]), "2 axes"),
        (lambda: Zonotope([[1, 2]]).points([[1, 0]]), "rows of 1 zeros and ones"),
        (lambda: Zonotope([[1, 2]]).points([[0.5]]), "rows of 1 zeros and ones"),
        (lambda: Zonotope.from_vertices([[0, 0], [1, 0], [0, 1]]), "not a zonotope"),
        (lambda: Zonotope.from_vertices([[0, 0], [4, 0], [3, 1], [0, 1]]), "not a zonotope"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_too_many_subsets_are_refused_before_they_are_made():
    with pytest.raises(InputError, match="5,461,512 subsets of generators are too many"):
        _ = Zonotope(np.random.default_rng(0).normal(size=(60, 6)).round(2)).vertices


def icosahedral_normals():
    """The 15 mirrors of the icosahedron: (1, 0, 0), and (1, ±φ, ±1/φ) with its cyclic permutations."""
    golden = (1 + 5**0.5) / 2
    slanted = [np.roll((1, a * golden, b / golden), k) for a in (1, -1) for b in (1, -1) for k in range(3)]
    return np.concatenate([np.eye(3), slanted])


def test_rounding_of_irrational_generators_is_named():
    """120 regions become 168 where rounding splits vertices: a warning, and a tolerance that puts them together."""
    normals = icosahedral_normals()
    with pytest.warns(NearlyDegenerateWarning, match="Fraction or a decimal string.*tolerance="):
        assert len(Zonotope(normals).vertices) > 120
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(Zonotope(normals, tolerance=1e-12).signs) == 120
        assert len(Zonotope(np.random.default_rng(0).normal(size=(6, 3))).vertices) == 32
        assert len(Zonotope([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1], [0, 1, 1]], tolerance=1e-12).signs) == len(
            Zonotope([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1], [0, 1, 1]]).signs
        )
    with pytest.raises(InputError, match="tolerance must be"):
        Zonotope(normals, tolerance=2)


def test_vertices_that_rounding_has_split_are_named():
    """Four planes through one point, up to rounding of 0.1, 0.2 and 0.3."""
    exponents = [[0, 0], [1, 0], [0, 1], [1, 1]]
    with pytest.warns(NearlyDegenerateWarning, match="vertices of the hypersurface"):
        assert len(hypersurface(exponents, [0, 0.1, 0.2, 0.3]).vertices) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(hypersurface(exponents, [0, Fraction(1, 10), Fraction(1, 5), Fraction(3, 10)]).vertices) == 1
