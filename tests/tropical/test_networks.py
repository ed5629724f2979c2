"""Networks as tropical maps and back: against the theorem multiplied out, brute force, the region engine, exact arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import tropica as tp
from tests.oracles.clipping import relu_cells
from tests.oracles.dense import exact_at
from tests.oracles.tropical import as_poly, regions, relu_network
from tests.regions.chains import as_network, integer_chains
from tests.sizes import examples, some_slow
from tests.tropical.networks import c2, graph, linear, mlp, numbers
from tropica.errors import InputError
from tropica.tropical.completeness import complete
from tropica.tropical.exact_network import exact_network
from tropica.tropical.limits import MAX_MONOMIALS, LargeAnswerWarning, TooManyMonomials, most_monomials
from tropica.tropical.overlay import overlay
from tropica.tropical.piece_collection import PieceCollection
from tropica.tropical.to_network import LinearSum, limbs

FAR = 2**70
"""Half the side of the square on which brute force looks: every vertex of these small networks is well inside."""

SHAPES = [(2, 3, 1), (2, 4, 2), (2, 2, 2, 1), (2, 3, 2, 1), (2, 5, 1)]


def brute_force(model: nn.Sequential) -> tuple[int, int, int]:
    """Activation cells, linear regions and distinct maps, by cutting polygons."""
    layers = [([list(map(Fraction, row)) for row in w], list(map(Fraction, b))) for w, b in numbers(model)]
    cells = relu_cells(layers, -FAR, FAR)
    return (len(cells), *regions(cells))


@pytest.mark.parametrize("whole", [True, False], ids=["integer", "float"])
@pytest.mark.parametrize("seed", some_slow(range(200), quick=12))
def test_round_trip_and_counts(seed: int, whole: bool) -> None:
    sizes = SHAPES[seed % len(SHAPES)]
    model = mlp(*sizes, seed=seed, whole=whole)
    net = graph(model, 2)
    tropical = tp.to_tropical(net)
    # F and G are those of the theorem, monomial by monomial.
    for r, (f, g) in zip(tropical, relu_network(numbers(model), 2), strict=True):
        assert as_poly(r.f.to_dict()) == f
        assert as_poly(r.g.to_dict()) == g
    # Linear regions and maps: from the polytopes, from the engine, by brute force.
    cells, found = tp.linear_regions(net, tp.Space(2)), overlay(tropical)
    counts = brute_force(model)
    assert (len(cells.cells), len(cells.regions), len(cells.maps)) == counts
    assert (found.regions, found.maps) == counts[1:]
    # And back, equal as functions in exact arithmetic.
    back = tp.to_network(tropical)
    assert tp.to_tropical(graph(back, 2), check=False) == tropical
    if whole:
        x = torch.from_numpy(np.random.default_rng(seed).integers(-100, 100, (200, 2)).astype(float))
        assert torch.equal(back(x), model(x))
        assert all(r.f.table.denominator == r.g.table.denominator == 1 for r in tropical)


@pytest.mark.parametrize("sizes", [(1, 4, 3, 1), (3, 3, 2), (3, 2, 2, 1), (4, 3, 1)], ids=str)
@pytest.mark.parametrize("whole", [True, False], ids=["integer", "float"])
@pytest.mark.parametrize("seed", some_slow(range(5), quick=1))
def test_other_dimensions(sizes: tuple[int, ...], whole: bool, seed: int) -> None:
    model = mlp(*sizes, seed=seed, whole=whole)
    net = graph(model, sizes[0])
    tropical = tp.to_tropical(net)
    for r, (f, g) in zip(tropical, relu_network(numbers(model), sizes[0]), strict=True):
        assert (as_poly(r.f.to_dict()), as_poly(r.g.to_dict())) == (f, g)
    cx, found = tp.linear_regions(net, tp.Space(sizes[0])), overlay(tropical)
    assert (found.regions, found.maps) == (len(cx.regions), len(cx.maps))


@examples(40)
@given(integer_chains(), st.integers(0, 2**32 - 1))
def test_all_nonlinearities(chain: tuple, seed: int) -> None:
    """Leaky ReLUs, absolute values, maxima of two and three: the cells against the network multiplied out, and exact values."""
    layers, inputs = chain
    net = as_network(layers, inputs)
    tropical = tp.to_tropical(net)
    try:
        multiplied = tp.to_tropical(net, method="algebra", limit=3000)
    except TooManyMonomials:
        multiplied = None
    for i, r in enumerate(tropical):
        assert r.f.essential() is r.f
        assert len(tp.TropicalPolynomial(r.f.table).essential()) == len(r.f)
        assert len(tp.TropicalPolynomial(r.g.table).essential()) == len(r.g)
        if multiplied is not None:
            assert as_poly(r.f.to_dict()) == as_poly(multiplied[i].f.to_dict())
            assert as_poly(r.g.to_dict()) == as_poly(multiplied[i].g.to_dict())
    x = torch.from_numpy(np.random.default_rng(seed).integers(-64, 64, (20, inputs)) / 8)
    values = net(x)  # eighths, quarters and small integers: float64 is exact
    for point, value in zip(x.tolist(), values.tolist(), strict=True):
        assert tropical.exact(point) == tuple(map(Fraction, value))


class Odd(nn.Module):
    """A residual connection, clamps, pools, batch norm, in one network."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.norm = nn.Linear(3, 4), nn.Linear(4, 4), nn.BatchNorm1d(4)
        self.last = nn.Linear(2, 2)
        self.norm.running_mean.copy_(torch.randn(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.relu(self.first(x))
        h = h + self.norm(self.second(h)).clamp(-0.5, 1.5)
        h = torch.nn.functional.max_pool1d(h.unsqueeze(1), 2).squeeze(1)
        return torch.maximum(self.last(h), x[:, :2])


def test_any_traced_network() -> None:
    model = Odd().double().eval()
    x = torch.randn(200, 3, dtype=torch.float64)
    net = tp.trace(model, x)
    tropical = tp.to_tropical(net)
    assert torch.allclose(tropical(x), model(x), atol=1e-12)
    multiplied = tp.to_tropical(net, method="algebra")
    assert [as_poly(r.f.to_dict()) for r in tropical] == [as_poly(r.f.to_dict()) for r in multiplied]
    assert [as_poly(r.g.to_dict()) for r in tropical] == [as_poly(r.g.to_dict()) for r in multiplied]


class Convolutional(nn.Module):
    """Convolution, ReLU, the maximum over all places, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        random = np.random.default_rng(0)
        self.filters, self.last = nn.Conv2d(1, 2, 2).double(), linear(random.integers(-2, 3, (2, 2)), [1, 0])
        self.filters.weight = nn.Parameter(torch.tensor(random.integers(-2, 3, (2, 1, 2, 2)).astype(float)))
        self.filters.bias = nn.Parameter(torch.tensor([1.0, -1.0], dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.relu(self.filters(x)).amax((2, 3)))


@pytest.mark.parametrize("size", [(2, 2), (2, 3), (3, 3)], ids=str)
def test_convolutional_networks(size: tuple[int, int]) -> None:
    """In 4 dimensions from the cells, in 6 and 9 from random points and the proof: as multiplied out."""
    model = Convolutional().eval()
    x = torch.from_numpy(np.random.default_rng(1).integers(-20, 21, (200, 1, *size)) / 4)
    net = tp.trace(model, x)
    tropical, multiplied = tp.to_tropical(net), tp.to_tropical(net, method="algebra")
    assert [as_poly(r.f.to_dict()) for r in tropical] == [as_poly(r.f.to_dict()) for r in multiplied]
    assert [as_poly(r.g.to_dict()) for r in tropical] == [as_poly(r.g.to_dict()) for r in multiplied]
    assert torch.equal(tropical(x.flatten(1)), model(x))


def test_values_are_exact() -> None:
    """Values that float64 would round are exact: weights are taken as rationals."""
    model = mlp(2, 4, 3, 2, seed=5)
    tropical = tp.to_tropical(graph(model, 2))
    random = np.random.default_rng(0)
    for point in random.standard_normal((20, 2)).tolist():
        assert list(tropical.exact(point)) == exact_at(model, point).value


@pytest.mark.parametrize("sizes", [(2, 6, 4, 1), (3, 5, 2)], ids=str)
def test_completion_from_one_point(sizes: tuple[int, ...]) -> None:
    """The completeness proof finds all missing monomials, starting from the pieces at the origin."""
    net = graph(mlp(*sizes, seed=2), sizes[0])
    found = PieceCollection(exact_network(net))
    found.add(np.zeros((1, sizes[0])))
    assert sum(len(m.rows) for m in found.functions) == 2 * sizes[-1]
    complete(found, MAX_MONOMIALS)
    wanted = tp.to_tropical(net, check=False)
    polynomials = found.polynomials()
    for i, r in enumerate(wanted):
        assert as_poly(polynomials[i].to_dict()) == as_poly(r.f.to_dict())
        assert as_poly(polynomials[len(wanted) + i].to_dict()) == as_poly(r.g.to_dict())


def test_affine_and_constant_networks() -> None:
    model = nn.Sequential(linear([[2, -3], [0, 0]], [1, 5])).eval()
    tropical = tp.to_tropical(model)
    assert tropical[0] == tp.TropicalRational({(2, 0): 1}, {(0, 3): 0})
    assert tropical[1] == tp.TropicalRational({(0, 0): 5})
    back = tp.to_network(tropical)
    assert len(back) == 1
    assert torch.equal(back(torch.tensor([[1.0, 2.0]]).double()), torch.tensor([[-3.0, 5.0]]).double())


# ── the worked example ─────────────────────────────────────────────────────────────────────────────────────────────────

F_C2 = {(1, 7): 0, (5, 9): 3, (6, 1): -1, (7, 0): -2, (7, 3): 1, (8, 2): 0, (10, 13): -6, (14, 12): -6}
G_CORNERS = {(1, 7), (5, 6), (14, 12), (10, 13)}
H_CORNERS = {(7, 0), (8, 2), (6, 8), (5, 9), (4, 7), (6, 1)}
F_CORNERS = {(7, 0), (14, 12), (10, 13), (1, 7), (6, 1)}
# The facts give these with the opposite sign. There is no tie at (−1, 0): −1 for (1, 7), less for all others; at (1, 0) four
# monomials are 8. So the facts' points are those of −x, and these are those of the curve.
F_VERTICES = {("-5", "17/2"), ("3/7", "12/7"), ("-1/2", "-1/2"), ("-5/8", "-11/16"), ("16", "-9"), ("1", "0"), ("0", "-1")}


def corners(f: tp.TropicalPolynomial) -> set[tuple[int, ...]]:
    return set(map(tuple, f.newton_polytope().vertices.tolist()))


def shape(f: tp.TropicalPolynomial) -> tuple[int, int, int]:
    """Vertices, bounded edges and rays of a curve."""
    curve = f.hypersurface()
    return len(curve.vertices), len(curve.bounded(1)), len(curve.unbounded(1))


def test_worked_example_c2() -> None:
    h, g = (lambda r: (r.f, r.g))(tp.to_tropical(c2())[0])
    f = tp.to_tropical(c2(last=True))[0].f
    assert f.to_dict().items() == F_C2.items()
    assert all(type(v) is int for e, c in f.to_dict().items() for v in (*e, c))
    assert (len(g), len(h), len(f)) == (4, 7, 8)
    assert (corners(g), corners(h), corners(f)) == (G_CORNERS, H_CORNERS, F_CORNERS)
    assert (shape(g), shape(h), shape(f)) == ((1, 0, 4), (3, 3, 6), (7, 9, 5))
    assert {tuple(map(str, v)) for v in f.hypersurface().vertices.tolist()} == F_VERTICES
    assert f == h + g


def test_worked_example_counts_are_kept_apart() -> None:
    for last, counts in ((False, (16, 16, 16)), (True, (23, 15, 17))):
        model = c2(last)
        cx = tp.linear_regions(graph(model, 2), tp.Space(2))
        found = overlay(tp.to_tropical(model))
        assert (len(cx.cells), len(cx.regions), len(found)) == counts
        assert (found.regions, found.maps) == (len(cx.regions), len(cx.maps))
    assert tp.bounds.zhang2018((2, 5)) == 16  # attained


# ── back ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def depth(model: nn.Sequential) -> int:
    """Affine layers."""
    return 1 + sum(isinstance(layer, nn.ReLU) for layer in model)


@given(st.integers(1, 40), st.integers(1, 40))
@examples(30)
def test_depth_of_the_theorem(r_f: int, r_g: int) -> None:
    """Theorem 5.4 in both countings: affine layers, and hidden ones, max{⌈log₂ r_f⌉, ⌈log₂ r_g⌉} of them."""
    f = tp.TropicalPolynomial({i: -i * i for i in range(r_f)})
    g = tp.TropicalPolynomial({i: -2 * i * i for i in range(r_g)})
    model = tp.to_network(f / g)
    rounds = max((r - 1).bit_length() for r in (r_f, r_g))
    assert depth(model) == rounds + 1 <= rounds + 2
    x = torch.arange(-100, 100, dtype=torch.float64)[:, None]
    assert torch.equal(model(x)[:, 0], f(x) - g(x))


@given(st.lists(st.integers(1, 9), min_size=2, max_size=6).filter(lambda n: len(n) % 2 == 0), st.integers(0, 99))
@examples(30)
def test_sparse_is_dense(counts: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)

    def polynomial(n: int) -> tp.TropicalPolynomial:
        return tp.TropicalPolynomial.from_arrays(random.integers(-9, 9, (n, 3)), random.integers(-9, 9, n))

    f = tp.TropicalMap(polynomial(a) / polynomial(b) for a, b in zip(counts[::2], counts[1::2], strict=True))
    x = torch.from_numpy(random.integers(-50, 50, (50, 3)).astype(float))
    for essential in (True, False):
        dense, sparse = (tp.to_network(f, sparse=way, essential=essential) for way in (False, True))
        assert torch.equal(dense(x), f(x))
        assert torch.equal(sparse(x), f(x))
        assert depth(dense) == depth(sparse)


def test_sparse_is_traced_and_smaller() -> None:
    f = tp.tropical.random_polynomial(2, 200)
    dense, sparse = tp.to_network(f, essential=False), tp.to_network(f, sparse=True, essential=False)
    size = [sum(t.numel() for t in model.state_dict().values()) for model in (dense, sparse)]
    assert size[1] < size[0] / 10
    small = tp.to_network(tp.TropicalPolynomial({0: 0, 1: 0, 2: -1}) / tp.TropicalPolynomial({0: 0, 3: -1}), sparse=True)
    assert tp.to_tropical(tp.trace(small, torch.zeros(2, 1).double())) == tp.TropicalMap(
        [tp.TropicalPolynomial({0: 0, 1: 0, 2: -1}) / tp.TropicalPolynomial({0: 0, 3: -1})]
    )


def test_numbers_that_no_float_holds() -> None:
    tiny = Fraction(1, 2**100)
    f = tp.TropicalPolynomial({(1 + tiny,): 1 - tiny * tiny, (0,): 0})
    model = tp.to_network(f)
    assert any(isinstance(layer, LinearSum) for layer in model)
    assert tp.to_tropical(tp.trace(model, torch.zeros(2, 1).double()))[0] == tp.TropicalRational(f)
    found = limbs(np.array([[2**200 + 1, -(2**60) - 1]], dtype=object), 8)
    total = [sum(Fraction(float(limb[0, j])) for limb in found) for j in range(2)]
    assert total == [Fraction(2**200 + 1, 8), Fraction(-(2**60) - 1, 8)]
    with pytest.raises(InputError, match="denominator 3"):
        tp.to_network(tp.TropicalPolynomial({1: "1/3"}))
    with pytest.raises(InputError, match="too large or too small"):
        tp.to_network(tp.TropicalPolynomial({1: 10**400}))


def test_dense_too_large_says_sparse() -> None:
    f = tp.tropical.random_polynomial(2, 8000, degree=200)
    with pytest.raises(InputError, match="sparse=True"):
        tp.to_network(f, essential=False)


# ── refusals ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", ["regions", "algebra"])
def test_size_guard(method: str) -> None:
    net = graph(mlp(2, 8, 8, 1, seed=1), 2)
    with pytest.raises(TooManyMonomials, match="limit is 20") as caught:
        tp.to_tropical(net, method=method, limit=20)  # type: ignore[arg-type]
    assert caught.value.reached > 20
    assert "linear_regions" in str(caught.value)


def test_size_guard_stops_early() -> None:
    net = graph(mlp(4, 60, 60, 1, seed=1), 4)
    with pytest.raises(TooManyMonomials, match=r"at least [\d,]+ cells, .* raise limit=") as caught:
        tp.to_tropical(net, limit=100)
    assert 100 < caught.value.reached < 1000


@pytest.mark.slow
def test_a_proof_that_is_too_long_is_refused() -> None:
    net = graph(mlp(6, 14, 1, seed=0), 6)
    with pytest.raises(TooManyMonomials, match=r"in 6 variables the proof .* check=False") as caught:
        tp.to_tropical(net)
    assert caught.value.reached > 64


def test_too_many_inputs() -> None:
    with pytest.raises(TooManyMonomials, match="784 inputs"):
        tp.to_tropical(graph(mlp(784, 3, 1), 784))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: tp.to_tropical(3), "network, .* is needed, got int"),  # type: ignore[arg-type]
        (lambda: tp.to_tropical(nn.ReLU()), "trace it first"),
        (lambda: tp.to_tropical(c2(), method="fast"), "'regions' or 'algebra'"),  # type: ignore[arg-type]
        (lambda: tp.to_tropical(c2(), limit=0), "limit must be"),
        (lambda: tp.to_network("f"), "found a str"),  # type: ignore[arg-type]
    ],
)
def test_bad_input(call, says: str) -> None:
    with pytest.raises(InputError, match=says):
        call()


def test_how_large_an_answer_may_become() -> None:
    """A bound before the start, a warning beyond the limit, and what is known where it stops."""
    net = graph(mlp(2, 6, 6, 1, seed=1), 2)
    seen: list[tuple[int, int, str]] = []
    tropical = tp.to_tropical(net, progress=lambda *report: seen.append(report))
    assert seen[0][2].startswith("at most 484 monomials")
    assert most_monomials(net) == 484 >= max(len(tropical[0].f), len(tropical[0].g))
    cells = most_monomials(graph(mlp(6, 40, 1, seed=1), 6))
    assert cells == sum(math.comb(40, j) for j in range(7))
    with (
        pytest.warns(LargeAnswerWarning, match="up to 4,598,479 monomials.*limit=100,000"),
        pytest.raises(TooManyMonomials) as stop,
    ):
        tp.to_tropical(graph(mlp(6, 40, 1, seed=1), 6))
    known = stop.value.known
    assert stop.value.reached > 64
    assert len(known[0].f) > 64


def test_zonotopes_stop_at_a_limit() -> None:
    model = mlp(3, 30, 1, seed=0, last=True)
    with pytest.raises(TooManyMonomials, match="up to 8,180 vertices each") as stop:
        tp.zonotopes(model, limit=1000)
    ((g, h),) = stop.value.known
    assert len(g.generators) == len(h.generators) == 30
    (large,) = tp.zonotopes(mlp(4, 40, 1, seed=0))
    assert repr(large) == f"LayerPolytopes(40 generators, at most {large.most_vertices:,} vertices each)"
