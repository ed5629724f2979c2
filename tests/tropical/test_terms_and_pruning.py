"""TropEx's terms among the monomials of F⁺ and F⁻; N^(X) as a tropical map and as a network; simplification."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import tropica as tp
from tests.sizes import examples
from tests.tropical.networks import c2, graph, linear, mlp
from tropica.errors import InputError
from tropica.tropical import simplify
from tropica.tropical.dc_polynomials import dc_network, decomposition_polynomials, largest_excess, membership
from tropica.tropical.from_terms import from_terms
from tropica.tropical.generator_pruning import drop_generators
from tropica.tropical.overlay import overlay
from tropica.tropical.random_functions import random_polynomial, random_rational

SIZES = [(2, 4, 2), (2, 5, 4, 3), (2, 4, 1), (3, 4, 3), (1, 5, 2)]


def points(d: int, seed: int = 0) -> torch.Tensor:
    """Generic points, and integer points, where networks with integer weights tie."""
    random = np.random.default_rng(seed)
    return torch.from_numpy(np.concatenate([random.standard_normal((50, d)), random.integers(-2, 3, (20, d))]))


@pytest.mark.parametrize("whole", [True, False], ids=["integer", "float"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_terms_are_monomials(sizes: tuple[int, ...], whole: bool) -> None:
    """Every a⁻_k is a monomial of F⁻ and every a⁺_k one of F⁺_i, or tied at x_k (the paper's decomposition)."""
    net, x = graph(mlp(*sizes, seed=3, whole=whole), sizes[0]), points(sizes[0])
    decomposition = tp.decompose(net, method="paper")
    found = decomposition_polynomials(decomposition)
    assert found.excess < 1e-12
    if whole:
        assert found.excess == 0
    terms = tp.extract(net, x, decomposition)
    assert membership(terms.minus, found.minus, x).holds
    for i, plus in enumerate(found.plus):
        mine = terms.labels == i
        if mine.any():
            where = membership(terms.plus[mine], plus, x[mine])
            assert where.holds
            generic = torch.arange(len(x))[mine] < 50
            assert (where.monomial[generic] >= 0).all()
    # F⁺ and F⁻ are functions: values against the decomposition itself.
    values = net.scores(x) + decomposition.f_minus(x)[:, None]
    assert np.allclose(found.minus(x), decomposition.f_minus(x), rtol=1e-12, atol=1e-12)
    assert np.allclose(np.stack([p(x) for p in found.plus], 1), values, rtol=1e-12, atol=1e-12)


def test_terms_of_a_wrong_function_are_not_monomials() -> None:
    net, x = graph(mlp(2, 5, 2, seed=1), 2), points(2)
    decomposition = tp.decompose(net, method="paper")
    terms, found = tp.extract(net, x, decomposition), decomposition_polynomials(decomposition)
    assert not membership(terms.local, found.minus, x).holds


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_calibrated_terms_lie_below(sizes: tuple[int, ...]) -> None:
    """The calibrated decomposition promises a_k(x) ≤ F(x) for all x, with equality at x_k."""
    net, x = graph(mlp(*sizes, seed=4), sizes[0]), points(sizes[0])
    decomposition = tp.decompose(net, x)
    terms = tp.extract(net, x, decomposition)
    assert largest_excess(terms, decomposition, tp.Box(-6, 6, d=sizes[0])) < 1e-12
    parts = dc_network(decomposition)(x)
    at = torch.arange(len(x))
    assert torch.allclose(terms.minus(x)[at, at], parts[:, -1], rtol=1e-10, atol=1e-10)
    assert torch.allclose(terms.plus(x)[at, at], parts[at, terms.labels], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("sizes", [(2, 6, 3), (3, 5, 4, 2)], ids=str)
def test_extracted_function_as_a_map_and_as_a_network(sizes: tuple[int, ...]) -> None:
    net = graph(mlp(*sizes, seed=6), sizes[0])
    x = torch.from_numpy(np.random.default_rng(1).standard_normal((80, sizes[0])))
    terms = tp.extract(net, x)
    extracted = tp.ExtractedFunction(terms)
    tropical = from_terms(terms)
    assert tropical.labels == tuple(sorted(set(terms.labels.tolist())))
    wider = torch.randn(200, sizes[0], dtype=torch.float64)
    assert torch.allclose(tropical(wider), extracted(wider)[:, list(tropical.labels)], atol=1e-10)
    for sparse in (False, True):
        rebuilt = tp.to_network(tropical, sparse=sparse)
        assert torch.equal(torch.tensor(tropical.labels)[rebuilt(x).argmax(1)], net.predict(x))  # N's labels on the data
        assert torch.allclose(rebuilt(wider), tropical(wider), atol=1e-9)
    # In exact arithmetic nothing is lost: the label's own term is the largest at its point.
    for k in range(5):
        values = tropical.exact(x[k].tolist())
        assert max(values) == values[tropical.labels.index(int(terms.labels[k]))]


def test_extracted_function_of_many_inputs() -> None:
    """In many variables nothing is pruned, and the network has one operand per term."""
    model = mlp(30, 20, 4, seed=2)
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((100, 30)))
    rebuilt = tp.to_network(from_terms(tp.extract(graph(model, 30), x)), sparse=True)
    assert torch.equal(rebuilt(x).argmax(1), model(x).argmax(1))


# ── simplification ─────────────────────────────────────────────────────────────────────────────────────────────────────


@examples(30)
@given(st.integers(0, 99), st.floats(0, 3))
def test_simplify_keeps_values_within_the_tolerance(seed: int, tolerance: float) -> None:
    random = np.random.default_rng(seed)
    f, r = random_polynomial(2, 40, degree=8, seed=seed), random_rational(2, 30, degree=8, seed=seed)
    x = random.standard_normal((60, 2)) * 6
    smaller = simplify(f, x, tolerance=tolerance)
    assert smaller.kept + smaller.dropped == 40
    drop = f(x) - smaller.function(x)
    assert (drop >= -1e-12).all()
    assert drop.max() <= tolerance + 1e-12
    assert smaller.error == pytest.approx(np.abs(drop).max())
    rational = simplify(r, x, tolerance=tolerance)
    assert np.abs(r(x) - rational.function(x)).max() <= tolerance + 1e-11
    assert simplify(tp.TropicalMap([r, r]), x, tolerance=tolerance).kept == 2 * rational.kept


def test_simplify_drops_monomials_that_are_never_maximal() -> None:
    f = tp.TropicalPolynomial({2: 0, 1: -1, 0: 0, -1: -50})
    smaller = simplify(f, [[-2.0], [0.5], [2.0]])
    assert smaller.function.to_dict() == {(2,): 0, (0,): 0}
    assert smaller.error == 0


@examples(30)
@given(st.integers(0, 99), st.integers(0, 8))
def test_drop_generators(seed: int, keep: int) -> None:
    model = mlp(2, 8, 2, seed=seed)
    smaller = drop_generators(model, tp.Box(-1, 2, d=2), keep=keep)
    x = torch.rand(400, 2, dtype=torch.float64) * 3 - 1
    with torch.no_grad():
        error = (smaller.module(x) - model(x)).abs().amax(0).numpy()
    assert (error <= smaller.bound + 1e-12).all()
    assert smaller.error(model, x) == error.max()
    assert len(smaller.kept) <= keep
    if keep == 8:
        assert smaller.bound.max() == 0
    hidden = smaller.module.hidden
    assert (0 if hidden is None else hidden.out_features) == len(smaller.kept)


def test_a_smaller_network_is_traced() -> None:
    smaller = drop_generators(mlp(2, 8, 2, seed=1), tp.Box(-1, 1, d=2), keep=5)
    assert tp.trace(smaller.module, torch.zeros(2, 2).double()).nonlinearities[0].units == 5


def test_the_bound_of_a_dropped_generator_is_attained() -> None:
    """relu(x) on [−1, 1] by x / 2 + 1 / 4: off by 1 / 4 at −1, 0 and 1."""
    model = nn.Sequential(linear([[1.0]], [0]), nn.ReLU(), linear([[1.0]], [0])).eval()
    smaller = drop_generators(model, tp.Box(-1, 1, d=1), keep=0)
    assert smaller.bound.tolist() == [0.25]
    assert smaller.error(model, torch.tensor([[-1.0], [0.0], [1.0]]).double()) == 0.25


def test_parallel_generators_are_joined() -> None:
    model = nn.Sequential(
        linear([[1, 2], [2, 4], [-1, -2], [0, 0]], [1, 2, -1, 3]), nn.ReLU(), linear([[1, 1, 5, 2]], [0])
    ).eval()
    smaller = drop_generators(model, tp.Box(-5, 5, d=2), keep=2)
    assert smaller.kept.tolist() == [0, 2]
    assert smaller.bound.max() == 0
    x = torch.randn(100, 2).double()
    assert smaller.error(model, x) < 1e-12


def test_hoffman_constant_of_a_region() -> None:
    """Points outside of a region of C.2: their distance from it against how much they violate its inequalities."""
    f = tp.to_tropical(c2())[0].f
    rows, right = tp.polyhedra.region_system(f.exponents, f.coefficients, 0)
    constant = tp.polyhedra.hoffman_constant(rows)
    assert constant.exact
    a, b = rows.astype(float), right.astype(float)
    from scipy.optimize import minimize

    worst = 0.0
    for x in np.random.default_rng(0).standard_normal((30, 2)) * 5:
        violation = (a @ x - b).max()
        if violation > 1e-6:
            limits = {"type": "ineq", "fun": lambda y: b - a @ y}
            nearest = minimize(lambda y, x=x: ((y - x) ** 2).sum(), np.zeros(2), constraints=[limits]).fun
            worst = max(worst, np.sqrt(nearest) / violation)
    assert 0 < worst <= constant.upper * (1 + 1e-6)


def test_number_of_regions_without_linear_programs() -> None:
    r = random_rational(3, 30, degree=6, seed=2)
    found = overlay(r)
    assert len(found) == len((r.f.essential() * r.g.essential()).essential())
    inside = {tuple(w) for w in found.active_terms.tolist()}
    f, g = r.f.essential(), r.g.essential()
    for x in np.random.default_rng(0).integers(-20, 20, (40, 3)) + 0.37:
        pair = [p.exact_terms(x.tolist()) for p in (f, g)]
        assert tuple(values.index(max(values)) for values in pair) in inside
    assert isinstance(r.f.exact([0, 0, 0]), Fraction)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: simplify(3, [[0.0]]), "found a int"),
        (lambda: simplify(tp.TropicalPolynomial({0: 0}), [[0.0, 1.0]]), r"shape \(B, 1\)"),
        (lambda: simplify(tp.TropicalPolynomial({0: 0}), [[0.0]], tolerance=-1), "tolerance"),
        (lambda: simplify(tp.TropicalPolynomial({0: 0}), [[0.0]], tolerance="a"), "tolerance"),  # type: ignore[arg-type]
        (lambda: simplify(tp.TropicalPolynomial({0: 0}), [[0.0], [np.nan]]), "finite; found nan"),
        (lambda: simplify(tp.TropicalPolynomial({0: 0}), "ab"), "must be numbers"),
        (lambda: from_terms(3), "found a int"),  # type: ignore[arg-type]
        (lambda: decomposition_polynomials(3), "found a int"),  # type: ignore[arg-type]
        (lambda: drop_generators(mlp(2, 3, 3, 1), tp.Box(-1, 1, d=2), keep=1), "Linear, ReLU, Linear"),
        (lambda: drop_generators(mlp(2, 3, 1), tp.Box(-1, 1, d=3), keep=1), "dimension 3"),
        (lambda: drop_generators(mlp(2, 3, 1), tp.Box(-1, 1, d=2), keep=-1), "keep"),
    ],
)
def test_bad_input(call, says: str) -> None:
    with pytest.raises(InputError, match=says):
        call()
