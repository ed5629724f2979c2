"""Polynomials, rational functions and matrices: the laws, against evaluation at points and brute force."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tropica as tp
from tests.oracles.polyhedra import essential
from tests.sizes import examples
from tests.tropical.strategies import FLOAT, RATIONAL, WHOLE, points, polynomials, rationals
from tropica.errors import InputError
from tropica.polyhedra.polytope import Polytope, hull_of_union, minkowski_sum
from tropica.tropical.composition import compose

P2 = polynomials(2)
INF = math.inf


def values(f: tp.TropicalPolynomial, x: list[Fraction]) -> Fraction:
    """max_k c_k + ⟨α_k, x⟩, in Fractions."""
    return max(Fraction(c) + sum(Fraction(a) * v for a, v in zip(e, x, strict=True)) for e, c in f.to_dict().items())


# ── the semiring ───────────────────────────────────────────────────────────────────────────────────────────────────────


@given(P2, P2, P2, points(2))
def test_semiring(f, g, h, x) -> None:
    assert f + g == g + f
    assert f * g == g * f
    assert (f + g) + h == f + (g + h)
    assert (f * g) * h == f * (g * h)
    assert f * (g + h) == f * g + f * h
    assert f + f == f
    assert f * 0 == f
    assert f + -INF == f
    assert f.exact(x) == values(f, x)
    assert (f + g).exact(x) == max(values(f, x), values(g, x))
    assert (f * g).exact(x) == values(f, x) + values(g, x)


@given(polynomials(2, most=3), st.integers(0, 4), st.builds(Fraction, st.integers(0, 9), st.integers(1, 5)), points(2))
def test_powers(f, n, a, x) -> None:
    """Scaling and expansion are equal as functions, and only expansion stores the intermediate monomials."""
    assert (f**a).exact(x) == a * f.exact(x)
    assert f**n == f.expand(n)
    assert len(f**n) == (len(f) if n else 1)
    assert len(f.expand(n)) >= len(f**n)
    product = tp.TropicalPolynomial.constant(0, 2)
    for _ in range(n):
        product = product * f
    assert f.expand(n).to_dict() == product.to_dict()


def test_the_power_trap() -> None:
    f = tp.TropicalPolynomial({1: 0, 0: 0})
    assert (len(f**3), len(f.expand(3))) == (2, 4)
    assert f**3 == f.expand(3)
    assert tp.TropicalPolynomial({1: 2}) ** -2 == tp.TropicalPolynomial({-2: -4})
    with pytest.raises(InputError, match="not a polynomial"):
        f**-1
    with pytest.raises(InputError, match="multiplied out"):
        f.expand(-1)
    with pytest.raises(InputError, match="multiplied out"):
        f.expand(Fraction(1, 2))  # type: ignore[arg-type]


@given(P2, st.lists(st.tuples(FLOAT, FLOAT), min_size=1, max_size=5))
def test_float_and_exact_values(f, x) -> None:
    exact = np.array([float(f.exact(p)) for p in x])
    assert np.allclose(f(np.array(x)), exact, rtol=1e-13, atol=1e-12)
    assert torch.equal(f(torch.tensor(x, dtype=torch.float64)), torch.from_numpy(f(np.array(x))))
    assert f(x[0]) == pytest.approx(f(np.array(x))[0], rel=1e-13, abs=1e-12)
    won = [f.exact_terms(p)[k] for p, k in zip(x, f.active_term(np.array(x)).tolist(), strict=True)]
    assert np.allclose(np.array(won, dtype=float), exact, rtol=1e-13, atol=1e-12)


@given(polynomials(2, exponents=RATIONAL, coefficients=FLOAT, most=7))
def test_essential(f) -> None:
    rows = list(f.to_dict().items())
    keep = essential([list(map(Fraction, e)) for e, _ in rows], [Fraction(c) for _, c in rows])
    assert list(f.essential().to_dict().items()) == [rows[i] for i in keep]
    assert f.essential() == f
    assert hash(f.essential()) == hash(f)
    assert f.essential().essential() is f.essential()


@given(P2, P2)
def test_equality_is_that_of_functions(f, g) -> None:
    same = f.essential().to_dict() == g.essential().to_dict()
    assert (f == g) is same
    assert f == f + (f.essential() * -1)
    # A monomial far below, between two of them, or the same twice changes nothing; one above does.
    top = tp.TropicalPolynomial({next(iter(f.to_dict())): 1000})
    assert f != f + top or f.exact([0, 0]) == 1000


@given(P2, polynomials(1, most=3), polynomials(1, most=3), points(1))
def test_composition(f, a, b, x) -> None:
    inner = [a.exact(x), b.exact(x)]
    assert compose(f, a, b).exact(x) == f.exact(inner)


@examples(40)
@given(
    polynomials(2, exponents=st.builds(Fraction, st.integers(-4, 4), st.integers(1, 2)), most=3),
    rationals(1),
    rationals(1),
    points(1),
)
def test_composition_with_rationals(f, r, s, x) -> None:
    inner = [r.exact(x), s.exact(x)]
    assert compose(f, r, s).exact(x) == f.exact(inner)
    outer = f / tp.TropicalPolynomial({(1, 0): 0, (0, 1): 1})
    assert compose(outer, r, s).exact(x) == outer.exact(inner)


# ── polytopes ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def rows(p: Polytope) -> list[list]:
    return sorted(p.vertices.tolist())


def on_top(p: Polytope) -> tp.TropicalPolynomial:
    """The polynomial of a polytope's upper faces."""
    return tp.TropicalPolynomial({tuple(v[:-1]): v[-1] for v in sorted(p.vertices.tolist())})


@given(P2, P2)
@examples(50)
def test_polytopes_of_sums_and_products(f, g) -> None:
    # Of equal exponents the larger coefficient is stored, so lower faces differ; upper ones do not.
    assert f * g == on_top(minkowski_sum(f.polytope(), g.polytope()))
    assert f + g == on_top(hull_of_union(f.polytope(), g.polytope()))
    assert rows((f * g).newton_polytope()) == rows(minkowski_sum(f.newton_polytope(), g.newton_polytope()))
    assert rows((f + g).newton_polytope()) == rows(hull_of_union(f.newton_polytope(), g.newton_polytope()))


@given(P2, st.integers(1, 4))
@examples(30)
def test_polytope_of_a_power(f, n) -> None:
    assert rows((f**n).polytope()) == sorted([[n * v for v in row] for row in f.polytope().vertices.tolist()])


@given(polynomials(2, most=7))
@examples(50)
def test_cells_vertices_and_balancing(f) -> None:
    """Vertices of δ(f) ↔ cells; faces and their duals are orthogonal and of complementary dimensions; curves balance."""
    surface, delta = f.hypersurface(), f.dual_subdivision()
    assert len(surface.faces(2)) == len(f.essential())
    for dimension in range(delta.dimension + 1):
        for face in delta.faces(dimension):
            assert surface.face_of(face).dimension == 2 - dimension
    exponents = f.exponents
    for vertex, point in enumerate(surface.vertices.tolist()):
        terms = f.exact_terms(point)
        tied = {i for i, value in enumerate(terms) if value == max(terms)}
        assert set(delta.cells[vertex]) <= tied
        if delta.dimension < 2:
            continue
        total = np.zeros(2, dtype=object)
        for edge in surface.faces(1):
            if vertex in edge.vertices:
                side = exponents[edge.dual[1]] - exponents[edge.dual[0]]
                normal = np.array([-side[1], side[0]], dtype=object) // math.gcd(*map(int, side))
                assert edge.weight == math.gcd(*map(int, side))
                others = [v for v in edge.vertices if v != vertex]
                way = surface.vertices[others[0]] - surface.vertices[vertex] if others else surface.rays[edge.rays[0]]
                sign = 1 if way @ normal > 0 else -1
                total += edge.weight * sign * normal
        assert total.tolist() == [0, 0]


def test_figure_1() -> None:
    f = tp.TropicalPolynomial({(2, 0): 1, (0, 2): 1, (1, 1): 2, (1, 0): 2, (0, 1): 2, (0, 0): 2})
    assert len(f.essential()) == 6
    assert repr(f) == "max-plus: 1⊙x₁² ⊕ 1⊙x₂² ⊕ 2⊙x₁x₂ ⊕ 2⊙x₁ ⊕ 2⊙x₂ ⊕ 2"
    assert f.latex().startswith(r"1 \odot x_{1}^{2} \oplus 1 \odot x_{2}^{2} \oplus 2 \odot x_{1} x_{2}")


# ── rational functions and maps ────────────────────────────────────────────────────────────────────────────────────────


@given(rationals(2), rationals(2), RATIONAL, points(2))
def test_semifield(r, s, a, x) -> None:
    assert (r + s).exact(x) == max(r.exact(x), s.exact(x))
    assert (r * s).exact(x) == r.exact(x) + s.exact(x)
    assert (r / s).exact(x) == r.exact(x) - s.exact(x)
    assert (r**a).exact(x) == a * r.exact(x)
    assert r / s * s == r
    assert r == r * r.f / r.f
    assert hash(r) == hash(r * r.f / r.f)
    assert (1 / r).exact(x) == 1 - r.exact(x)
    assert tp.TropicalRational(**r.to_dict()) == r


@given(rationals(1), rationals(1))
def test_rational_equality(r, s) -> None:
    """By cross multiplication, against values on a grid that resolves all breakpoints of these functions."""
    grid = [Fraction(i, 3) for i in range(-300, 301)]
    if r == s:
        assert all(r.exact([x]) == s.exact([x]) for x in grid)
    else:
        difference = (r.f * s.g, s.f * r.g)
        assert difference[0].essential().to_dict() != difference[1].essential().to_dict()


def test_maps() -> None:
    x, y = (tp.TropicalPolynomial.variable(i, 2) for i in range(2))
    m = tp.TropicalMap([x / y, y / x, x + y])
    at = np.array([[1.0, 4.0], [3.0, 1.0]])
    assert m(at).tolist() == [[-3.0, 3.0, 4.0], [2.0, -2.0, 3.0]]
    assert m.predict(at).tolist() == [2, 2]
    assert m.predict(torch.from_numpy(at)).tolist() == [2, 2]
    assert tp.TropicalMap([x / y]).predict(at).tolist() == [0, 1]  # one logit
    assert tp.TropicalMap([x / y], [7]).predict(at).tolist() == [7, 7]  # the only label of the data
    assert compose(m, y, x) == tp.TropicalMap([y / x, x / y, x + y])
    assert [r.variables for r in m] == [2, 2, 2]
    assert repr(m) == "TropicalMap(2 → 3, monomials 1 ⊘ 1, 1 ⊘ 1, 2 ⊘ 1, max-plus)"


@given(P2, P2, points(2))
def test_min_plus_is_a_view(f, g, x) -> None:
    p, q = tp.MinPlusPolynomial(f), tp.MinPlusPolynomial(g)
    assert (
        p.exact(x)
        == -f.exact([-v for v in x])
        == min(sum(Fraction(a) * v for a, v in zip(e, x, strict=True)) - c for e, c in f.to_dict().items())
    )
    assert (p + q).exact(x) == min(p.exact(x), q.exact(x))
    assert (p * q).exact(x) == p.exact(x) + q.exact(x)
    assert (p**2).exact(x) == 2 * p.exact(x)
    assert p.essential() == p
    terms = dict(zip(map(tuple, p.exponents.tolist()), p.coefficients.tolist(), strict=True))
    assert tp.MinPlusPolynomial(terms) == p
    assert p.max_plus == f
    assert p.to_max_plus().exact(x) == p.exact(x)
    assert (p / q).to_max_plus().exact(x) == (p / q).exact(x) == p.exact(x) - q.exact(x)


# ── round trips ────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(polynomials(3, exponents=st.one_of(WHOLE, RATIONAL), coefficients=st.one_of(RATIONAL, FLOAT)))
def test_dicts_and_arrays(f) -> None:
    assert tp.TropicalPolynomial(f.to_dict()).to_dict() == f.to_dict()
    again = tp.TropicalPolynomial.from_arrays(f.exponents, f.coefficients)
    assert list(again.to_dict().items()) == list(f.to_dict().items())
    monomials = [tp.TropicalPolynomial({e: c}) for e, c in f.to_dict().items()]
    assert sum(monomials, start=monomials[0]) == f


def test_repeated_exponents_and_tropical_zero() -> None:
    f = tp.TropicalPolynomial.from_arrays([[1], [1], [2]], [0.5, 3, -INF])
    assert f.to_dict() == {(1,): 3}
    assert tp.TropicalPolynomial({(1, 0): -INF, (0, 0): "1/3"}).to_dict() == {(0, 0): Fraction(1, 3)}
    assert tp.TropicalPolynomial({0.5: np.float64(0.25)}).to_dict() == {(Fraction(1, 2),): Fraction(1, 4)}
    assert tp.TropicalPolynomial.from_arrays(torch.eye(2), torch.zeros(2)).exponents.dtype == np.int64


def test_no_variables_and_neutral_elements() -> None:
    """A polynomial in no variables is a number; −∞ is neutral for ⊕, of rational functions too, as ∞ is for min-plus."""
    f = tp.TropicalPolynomial({(): 3}) + 4
    assert (f([]), len(f.essential()), len(f.hypersurface().faces(0))) == (4.0, 1, 1)
    x, y = (tp.TropicalPolynomial.variable(i, 2) for i in range(2))
    assert x / y + -INF == x / y
    p = tp.MinPlusPolynomial({(1, 0): 0})
    assert p + INF == p
    with pytest.raises(InputError, match="a min-plus and a max-plus function cannot be combined"):
        p + x  # type: ignore[operator]


def test_numbers_of_any_size() -> None:
    f = tp.TropicalPolynomial({2**80: Fraction(1, 3**50), 1: 10**20, 0: 0})
    assert (f * f).exact([2]) == 2 * f.exact([2]) == 2 * (2**81 + Fraction(1, 3**50))
    assert len((f * f).essential()) == len(f.essential()) == len((f ** Fraction(1, 7)).essential()) == 3
    g = tp.TropicalPolynomial({1: 2**52, 0: -(2**52)})
    assert (g * g * g * g).exact([0]) == 2**54


# ── bad input ──────────────────────────────────────────────────────────────────────────────────────────────────────────

F = tp.TropicalPolynomial({(1, 0): 0, (0, 0): 1})


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: tp.TropicalPolynomial({}), "at least one monomial"),
        (lambda: tp.TropicalPolynomial({(1, 2): -INF}), "above −∞"),
        (lambda: tp.TropicalPolynomial({(1, 2): 0, (1,): 0}), "equal lengths; found 2, and 1"),
        (lambda: tp.TropicalPolynomial({(1, 2): math.nan}), "coefficient of .1, 2.* found nan"),
        (lambda: tp.TropicalPolynomial({(1, 2): INF}), "found inf"),
        (lambda: tp.TropicalPolynomial({(1, math.nan): 0}), "exponent"),
        (lambda: tp.TropicalPolynomial({(1, "x"): 0}), "exponent"),
        (lambda: tp.TropicalPolynomial("ab"), "found str"),  # type: ignore[arg-type]
        (lambda: tp.TropicalPolynomial([[1, 2]]), "found list"),
        (lambda: tp.TropicalPolynomial([None]), "above −∞"),
        (lambda: sum([F, F]), "tp.tropical_sum"),
        (lambda: math.prod([F, F]), "tp.tropical_prod"),
        (lambda: tp.tropical_sum([]), "at least one"),
        (lambda: F.exact(3), "2 coordinates.* single value 3"),
        (lambda: F.exact("12"), "single value '12'"),
        (lambda: F([1.0, INF]), "finite; found inf"),
        (lambda: tp.TropicalPolynomial({1e308: 0})(10), "beyond float64"),
        (lambda: tp.TropicalPolynomial({(1, 0): 0}, names=["x", "x"]), "must differ"),
        (lambda: F.named("x", "y") + F.named("u", "v"), r"of \(x, y\) and of \(u, v\)"),
        (lambda: tp.TropicalRational(tp.MinPlusPolynomial({0: 0}), tp.TropicalPolynomial({0: 0})), "cannot be combined"),
        (lambda: tp.TropicalMap([F, tp.MinPlusPolynomial(F)]), "one convention"),
        (lambda: compose(F, F, tp.MinPlusPolynomial(F)), "cannot be composed"),
        (lambda: tp.TropicalPolynomial.from_arrays([[1, 2]], [1, 2]), "found 1 and 2"),
        (lambda: tp.TropicalPolynomial.from_arrays([[1, 2], [1]], [1, 2]), "different lengths"),
        (lambda: tp.TropicalPolynomial.from_arrays([1, 2], [1, 2]), "2 axes"),
        (lambda: tp.TropicalPolynomial.from_arrays([[1.0, math.inf]], [1]), "finite"),
        (lambda: tp.TropicalPolynomial.from_arrays([[1]], [-INF]), "above −∞"),
        (lambda: tp.TropicalPolynomial.from_arrays([[1]], 3), "coefficients must be an array of 1 dimension; found 3"),
        (lambda: tp.TropicalPolynomial.variable(2, 2), "must be from 0 to 1; found 2"),
        (lambda: tp.TropicalPolynomial.constant(3, -1), "number of variables"),
        (lambda: tp.MinPlusPolynomial(3), "found int"),  # type: ignore[arg-type]
        (lambda: tp.MinPlusPolynomial({1: -INF}), "found inf"),
        (lambda: F + tp.TropicalPolynomial({0: 0}), "2 and in 1 variables"),
        (lambda: F * tp.TropicalPolynomial({0: 0}), "2 and in 1 variables"),
        (lambda: F / tp.TropicalPolynomial({0: 0}), "2 and in 1 variables"),
        (lambda: tp.TropicalRational(F, {0: 0}), "same number of variables"),
        (lambda: tp.TropicalMap([]), "found none"),
        (lambda: tp.TropicalMap([F, 3]), "found a int"),  # type: ignore[list-item]
        (lambda: tp.TropicalMap([F, tp.TropicalPolynomial({0: 0})]), "same number of variables"),
        (lambda: F([1.0]), r"shape \(B, 2\)"),
        (lambda: F("ab"), "must be numbers"),
        (lambda: F.exact([1, 2, 3]), "2 coordinates"),
        (lambda: F.exact([1, math.nan]), "coordinate"),
        (lambda: compose(F, F), "2 functions"),
        (lambda: compose(F, F, tp.TropicalPolynomial({0: 0})), "same number of variables"),
        (lambda: compose(F, F, 3), "found a int"),  # type: ignore[arg-type]
        (lambda: F * math.nan, "found nan"),
        (lambda: tp.tropical.random_polynomial(2, 10, degree=2), "10"),
    ],
)
def test_bad_input(call, says: str) -> None:
    with pytest.raises(InputError, match=says):
        call()


def test_products_too_large_are_refused() -> None:
    f = tp.TropicalPolynomial.from_arrays(np.arange(3000)[:, None], np.zeros(3000, dtype=int))
    with pytest.raises(InputError, match="9,000,000"):
        f * f
