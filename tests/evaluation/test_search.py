"""The exact search against brute force on every point: labels, winners, ties; its bounds against float64 scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

import tropica as tp
from tests.evaluation.test_function import UNCHECKED, brute_force, grid, made_up
from tests.extracted import case_of, network, points
from tropica.data.passes import ShardSizes
from tropica.errors import CertificateError
from tropica.evaluation.joined import Joined
from tropica.evaluation.search import cascade, search
from tropica.evaluation.search.clusters import alike
from tropica.evaluation.search.features import Stage
from tropica.terms.linear_terms import TermBlock

NAMES = ("mlp", "mlp_leaky", "mnist_conv", "resnet", "inverted_residual", "sigmoid", "constant", "duplicated", "linear_only")
KINDS = (torch.float32, torch.bfloat16)
fixtures = settings(
    max_examples=80,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """However few the terms, and however little is ruled out."""
    for name, value in {"LEAST_TERMS": 1, "LEAST_POINTS": 1, "LEAST_WORK": 1, "ENOUGH": 1, "MOST_LEFT": 1.0}.items():
        monkeypatch.setattr(search, name, value)
    return monkeypatch


def groups_of(patch: pytest.MonkeyPatch, size: int) -> None:
    for module in (cascade, search):
        patch.setattr(module, "GROUP", size)
    patch.setattr(search, "TERMS", 2 * size)


def kind_of(patch: pytest.MonkeyPatch, dtype: torch.dtype) -> None:
    """As on a processor with fast bfloat16, or without."""
    patch.setattr(cascade, "fast_bfloat16", lambda: dtype == torch.bfloat16)


def same(terms: tp.LinearTerms, x: Tensor, used: str | None = "exact") -> tp.ExtractedFunction:
    """Labels and winners are those of the full product, and of the oracle where its sums are exact."""
    full, found = tp.ExtractedFunction(terms, search="full"), tp.ExtractedFunction(terms, search="exact")
    for one, other in zip(found.decide(x), full.decide(x), strict=True):
        assert torch.equal(one, other)
    if used is not None:
        assert found.searched.used == used, found.searched.why
    return found


def low_rank(count: int, d: int, rank: int, seed: int, dtype: torch.dtype = torch.float32) -> tuple[tp.LinearTerms, Tensor]:
    """Terms and points that a few directions hold most of."""
    generator = torch.Generator().manual_seed(seed)

    def rows(n: int) -> Tensor:
        wide = torch.randn(n, rank, generator=generator, dtype=torch.float64) @ base
        return wide + 0.02 * torch.randn(n, d, generator=generator, dtype=torch.float64)

    base = torch.randn(rank, d, generator=generator, dtype=torch.float64)
    bias = torch.randn(count, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 5, (count,), generator=generator)
    block = TermBlock(labels, rows(count).to(dtype), bias, 0.1 * rows(count).to(dtype), 2 * bias)
    return tp.LinearTerms([block], torch.zeros(d).double(), (d,), 5, "made up", UNCHECKED), rows(300).to(dtype)


# ── against brute force ───────────────────────────────────────────────────────────────────────────────────────────────


@fixtures
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=4),
    st.integers(1, 40),
    st.integers(1, 12),
    st.integers(1, 4),
    st.sampled_from((torch.float32, torch.float64)),
    st.sampled_from(KINDS),
    st.integers(1, 9),
    st.integers(1, 10),
    st.booleans(),
    st.integers(0, 10**6),
)
def test_any_sizes(always, sizes, count, d, classes, dtype, kind, group, bits, room, seed) -> None:
    """Few bits (ties by the dozen) and many; groups of any size; coefficients kept or not; points cut into parts."""
    groups_of(always, group)
    kind_of(always, kind)
    always.setattr(search, "POINTS", 7)
    always.setattr(search, "TABLE", 30)
    always.setattr(search, "NUMBERS", 16)
    if not room:
        always.setattr(search, "PER_TERM", 0)
        always.setattr(search, "PER_INPUT", 0)
    generator = torch.Generator().manual_seed(seed)
    terms = made_up(generator, sizes, d, classes, dtype, bits)
    x = grid(generator, count, d, bits=bits).to(dtype)
    found = tp.ExtractedFunction(terms, search="exact", memory=None if room else 1)
    labels, winner = found.decide(x)
    expected = brute_force(terms, x)
    np.testing.assert_array_equal(winner.numpy(), expected.winner)
    np.testing.assert_array_equal(labels.numpy(), expected.labels)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_search_is_used_and_rules_out(always, dtype: torch.dtype, kind: torch.dtype) -> None:
    kind_of(always, kind)
    terms, x = low_rank(3000, 400, 12, 0, dtype)
    found = same(terms, x)
    assert 0 < found.searched.left[0] < 0.3
    assert {"index", "points", "bounds", "last product", "float64"} <= found.searched.seconds.keys()
    expected = brute_force(terms, x)
    np.testing.assert_array_equal(found.active_term(x).numpy(), expected.winner)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_networks(always, name: str, kind: torch.dtype) -> None:
    """Terms of networks, that tie where points share a cell: on the data, near it, and far from it."""
    groups_of(always, 4)
    kind_of(always, kind)
    for dtype in (torch.float32, torch.float64):
        x = points(name).to(dtype)
        terms = tp.extract(network(name).to(dtype), x, check="warn", batch_size=10)
        fresh = case_of(name).inputs(60, 21, dtype)
        same(terms, torch.cat([x, x[1:] + 1e-3 * fresh[: len(x) - 1], fresh, 100 * fresh, x[:3], x[:3]]), None)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_degenerate(always, kind: torch.dtype) -> None:
    """All terms equal, zero coefficients, duplicated points, one term, one direction: nothing to rule out, same answers."""
    groups_of(always, 4)
    kind_of(always, kind)
    terms, x = low_rank(50, 20, 3, 1)
    (block,) = terms.blocks
    zero = torch.zeros_like(block.local)
    made = {
        "equal": TermBlock(
            block.labels,
            block.local[:1].expand(50, -1),
            zero[:, 0].double(),
            block.minus[:1].expand(50, -1),
            zero[:, 0].double(),
        ),
        "zero": TermBlock(block.labels, zero, block.local_bias, zero, block.minus_bias),
        "nothing": TermBlock(block.labels, zero, zero[:, 0].double(), zero, zero[:, 0].double()),
        "one direction": TermBlock(block.labels, zero + torch.eye(50, 20)[:, :1], block.local_bias, zero, block.minus_bias),
        "twice": TermBlock(
            *(torch.cat([t, t]) for t in (block.labels, block.local, block.local_bias, block.minus, block.minus_bias))
        ),
    }
    for part in made.values():
        these = tp.LinearTerms([part], terms.center, terms.input_shape, 5, "made up", UNCHECKED)
        for at in (x, x[:1].expand(30, -1), torch.zeros(5, 20)):
            same(these, at, None)
    for count in (1, 2, 5):
        same(terms.select(list(range(count))), x, None)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("of_terms", [1e-30, 1e-12, 1.0, 1e12, 1e30])
@pytest.mark.parametrize("of_points", [1e-30, 1e-4, 1e4, 1e30])
def test_scales(always, of_terms: float, of_points: float, kind: torch.dtype) -> None:
    kind_of(always, kind)
    groups_of(always, 8)
    terms, x = low_rank(400, 60, 6, 2)
    (b,) = terms.blocks
    scale = of_terms * of_points
    block = TermBlock(b.labels, b.local * of_terms, b.local_bias * scale, b.minus * of_terms, b.minus_bias * scale)
    scaled = tp.LinearTerms([block], terms.center, terms.input_shape, 5, "made up", UNCHECKED)
    same(scaled, x * of_points, None)
    mixed = torch.cat([x * of_points, x[:50], x[:50] * 1e-20])
    same(scaled, mixed, None)


def test_a_bias_that_outweighs_all(always) -> None:
    """F⁻ of 1e8 leaves float32 no digit of the logits."""
    for kind in KINDS:
        kind_of(always, kind)
        terms, x = low_rank(500, 60, 6, 3)
        (b,) = terms.blocks
        block = TermBlock(b.labels, b.local, b.local_bias + 1e8, b.minus, b.minus_bias)
        same(tp.LinearTerms([block], terms.center, terms.input_shape, 5, "made up", UNCHECKED), x, None)


# ── stores, processes ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16, torch.float64], ids=str)
def test_stores(always, tmp_path: Path, stored: torch.dtype) -> None:
    """Memory-mapped, in shards; where coefficients are rounded, with the network and without."""
    groups_of(always, 4)
    computed = torch.float64 if stored == torch.float64 else torch.float32
    net, x = network("mnist_conv").to(computed), points("mnist_conv").to(computed)
    tp.extract(
        net, x, batch_size=4, out=tmp_path / "terms", shard_sizes=ShardSizes(points=8), stored_dtype=stored, check="warn"
    )
    terms = tp.load_terms(tmp_path / "terms")
    at = torch.cat([x, case_of("mnist_conv").inputs(100, 5).to(computed)])
    for more in ({}, {"net": net, "data": x}) if terms.lossy else ({},):
        full, found = (tp.ExtractedFunction(terms, search=kind, **more) for kind in ("full", "exact"))
        for one, other in zip(found.decide(at), full.decide(at), strict=True):
            assert torch.equal(one, other)
        assert torch.equal(found.certain(at), full.certain(at))
        assert found.searched.used == "exact", found.searched.why


# ── bounds, groups ────────────────────────────────────────────────────────────────────────────────────────────────────


@fixtures
@given(
    st.integers(2, 60),
    st.integers(2, 60),
    st.integers(2, 20),
    st.sampled_from(KINDS),
    st.integers(0, 10**6),
    st.integers(-9, 9),
)
def test_bounds_hold(count: int, number: int, d: int, kind: torch.dtype, seed: int, power: int) -> None:
    """Every product of rows is above its score, at every rank; the subspace was fitted to other points."""
    generator = torch.Generator().manual_seed(seed)
    terms = made_up(generator, [count], d, 3, torch.float32)
    (b,) = terms.blocks
    block = TermBlock(b.labels, b.local * 10.0**power, b.local_bias, b.minus, b.minus_bias * 10.0**power)
    fitted, x = torch.randn(number, d, generator=generator), 3 * torch.randn(40, d, generator=generator) + 1
    for rank in (1, d // 2, d):
        made = cascade.build([(0, block)], fitted, torch.float32, 0, (Stage(rank, kind),))
        if isinstance(made, str):
            continue
        prepared = made.points(x)
        assert prepared is not None
        shift, (rows,) = prepared
        bounds = made.stages[0].raised(made.rows[0] @ rows.mT).double() / made.scale + shift
        plus = block.local.double() + block.minus.double()
        scores = plus @ x.double().mT + (block.local_bias + block.minus_bias).unsqueeze(1)
        scores = scores[made.members.flatten()]
        slack = 1e-13 * (scores.abs() + shift.abs())
        assert bool((bounds + slack >= scores).all())


def test_groups_are_runs_of_neighbors() -> None:
    rows = torch.randn(203, 5)
    order = alike(rows, 8)
    assert sorted(order.tolist()) == list(range(203))
    centers = torch.arange(20).repeat_interleave(8).float().unsqueeze(1) * torch.ones(1, 3)
    shuffled = torch.randperm(160, generator=torch.Generator().manual_seed(0))
    found = centers[shuffled][alike(centers[shuffled], 8)].view(20, 8, 3)
    assert float((found - found[:, :1]).abs().max()) == 0


def test_joined_rows() -> None:
    terms = made_up(torch.Generator().manual_seed(0), [3, 1, 4], 5, 3, torch.float32)
    first = [(10, terms.blocks[0]), (20, terms.blocks[1]), (30, terms.blocks[2])]
    functions = Joined.of(first)
    index = torch.tensor([7, 0, 3, 2, 4])
    plus = torch.cat([block.local.double() + block.minus.double() for block in terms.blocks])
    assert torch.equal(functions.rows(index, torch.float64), plus[index])
    assert functions.numbers(index).tolist() == [33, 10, 20, 12, 30]
    assert len(functions) == 8


def test_inexact_products_are_found(always) -> None:
    """Bounds that turn out too low are an error, not a wrong label."""
    terms, x = low_rank(3000, 100, 6, 4)
    always.setattr(Stage, "raised", lambda self, products: products.float() * 0.5)
    with pytest.raises(CertificateError, match="a bound turned out below a score"):
        tp.ExtractedFunction(terms).decide(x)


# ── when it is used ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_falls_back_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    terms, x = low_rank(400, 60, 6, 5)
    assert "400 terms" in same(terms, x, "full").searched.why
    monkeypatch.setattr(search, "LEAST_TERMS", 1)
    assert "make up for an index" in same(terms, x, "full").searched.why
    monkeypatch.setattr(search, "LEAST_WORK", 1)
    assert "make up for an index" in same(terms, x, "full").searched.why
    monkeypatch.setattr(search, "ENOUGH", 1)
    assert "10 points" in same(terms, x[:10], "full").searched.why
    small = tp.ExtractedFunction(terms, memory=1000)
    small.predict(x)
    assert "memory" in small.searched.why
    with monkeypatch.context() as set_so:
        set_so.setattr(search, "exact_float32", lambda: False)
        assert "less exact" in same(terms, x, "full").searched.why
    noise = made_up(torch.Generator().manual_seed(1), [2000], 1200, 5, torch.float32)
    why = same(noise, grid(torch.Generator().manual_seed(2), 1500, 1200).float(), "full").searched.why
    assert "left after the first product" in why


def test_the_index_is_made_once_enough_points_have_come(always: pytest.MonkeyPatch) -> None:
    terms, x = low_rank(400, 60, 6, 5)
    always.setattr(search, "ENOUGH", 2 * len(x))
    f = tp.ExtractedFunction(terms)
    used = []
    for _ in range(3):
        f.predict(x)
        used.append(f.searched.used)
    assert used == ["full", "exact", "exact"]


def test_values_and_streaming_need_no_search() -> None:
    terms, x = low_rank(300, 20, 3, 6)
    assert tp.ExtractedFunction(terms, search="full").searched.why == "as asked"
    f = tp.ExtractedFunction.streaming(network("mlp"), points("mlp"))
    assert (f.searched.used, f.searched.why) == ("full", "terms are not kept")
    assert torch.equal(tp.ExtractedFunction(terms)(x), tp.ExtractedFunction(terms, search="full")(x))


@pytest.mark.parametrize("bad", ["fast", "", None, 3, True])
def test_another_kind_is_refused(bad: object) -> None:
    terms, _ = low_rank(10, 4, 2, 7)
    with pytest.raises(tp.InputError, match=r"search must be one of 'exact', 'full'; got"):
        tp.ExtractedFunction(terms, search=bad)  # type: ignore[arg-type]


def test_points_that_are_not_finite_are_refused(always) -> None:
    terms, x = low_rank(300, 20, 3, 8)
    x[4, 2] = torch.nan
    with pytest.raises(tp.InputError):
        tp.ExtractedFunction(terms).predict(x)
