"""The exact search against brute force on every point: labels, active terms, ties; its bounds against float64 scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import tropica as tp
from tests.cached import case_of, network, points
from tests.evaluation.test_function import UNCHECKED, brute_force, grid, made_up
from tests.sizes import examples
from tropica.data.passes import ShardSizes
from tropica.errors import CertificateError
from tropica.evaluation.search import search
from tropica.evaluation.search.concatenated import ConcatenatedTerms
from tropica.evaluation.search.grouping import neighbor_order
from tropica.evaluation.search.index import SearchIndex, build_index
from tropica.evaluation.search.score_bound import ScoreBound
from tropica.evaluation.search.settings import FIRST, REFINED, IndexSettings, SearchSettings
from tropica.evaluation.settings import EvaluationSettings
from tropica.terms.term_block import TermBlock

NAMES = ("mlp", "mnist_conv", "resnet", "constant", "duplicated", "linear_only")
KINDS = (torch.float32, torch.bfloat16)
few = examples(50, database=None)
by_kind = pytest.mark.parametrize("kind", KINDS, ids=str)

ALWAYS = SearchSettings(least_terms=1, least_points=1, least_work=1, least_asked=1, most_left=1.0, most_work=float("inf"))
"""Settings that use the search for any number of terms, however few of them it rules out."""


def always(first_dtype: torch.dtype | None = None, group: int = 64, **more: int) -> SearchSettings:
    """``ALWAYS`` with groups of a given size, with bfloat16 products or without."""
    return replace(ALWAYS, first_dtype=first_dtype, group=group, terms=2 * group, **more)


def same(terms: tp.LinearTerms, x: Tensor, search: SearchSettings, used: str | None = "exact") -> tp.ExtractedFunction:
    """Assert that labels and active terms are those of the full product."""
    full = tp.ExtractedFunction(terms, search="full")
    found = tp.ExtractedFunction(terms, settings=EvaluationSettings(search=search))
    for one, other in zip(found.labels_and_terms(x), full.labels_and_terms(x), strict=True):
        assert torch.equal(one, other)
    if used is not None:
        assert found.search_report.used == used, found.search_report.why
    return found


def low_rank(
    count: int, d: int, rank: int, seed: int, dtype: torch.dtype = torch.float32, points: int = 300
) -> tuple[tp.LinearTerms, Tensor]:
    """Terms and points that lie near a subspace of few dimensions."""
    generator = torch.Generator().manual_seed(seed)

    def rows(n: int) -> Tensor:
        wide = torch.randn(n, rank, generator=generator, dtype=torch.float64) @ base
        return wide + 0.02 * torch.randn(n, d, generator=generator, dtype=torch.float64)

    base = torch.randn(rank, d, generator=generator, dtype=torch.float64)
    bias = torch.randn(count, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 5, (count,), generator=generator)
    block = TermBlock(labels, rows(count).to(dtype), bias, 0.1 * rows(count).to(dtype), 2 * bias)
    return tp.LinearTerms([block], torch.zeros(d).double(), (d,), 5, "made up", UNCHECKED), rows(points).to(dtype)


# ── against brute force ───────────────────────────────────────────────────────────────────────────────────────────────


@few
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
def test_any_sizes(sizes, count, d, classes, dtype, kind, group, bits, room, seed) -> None:
    """Few bits (many ties) and many bits; groups of any size; coefficients kept or not; points in several blocks."""
    small = {"points": 7, "table": 30, "row_numbers": 16}
    if not room:
        small |= {"bytes_per_term": 0, "bytes_per_coordinate": 0}
    generator = torch.Generator().manual_seed(seed)
    terms = made_up(generator, sizes, d, classes, dtype, bits)
    x = grid(generator, count, d, bits=bits).to(dtype)
    wanted = EvaluationSettings(search=always(kind, group, **small))
    found = tp.ExtractedFunction(terms, memory=None if room else 1, settings=wanted)
    labels, index = found.labels_and_terms(x)
    expected = brute_force(terms, x)
    np.testing.assert_array_equal(index.numpy(), expected.active_term)
    np.testing.assert_array_equal(labels.numpy(), expected.labels)


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [(torch.float32, torch.float32), (torch.float32, torch.bfloat16), (torch.float64, torch.bfloat16)],
    ids=str,
)
def test_the_search_is_used_and_rules_out(dtype: torch.dtype, kind: torch.dtype) -> None:
    terms, x = low_rank(3000, 200, 12, 0, dtype, 150)
    found = same(terms, x, always(kind))
    report = found.search_report
    assert 0 < report.left[0] < 0.3
    assert {"index", "points", "bounds", "last product", "float64"} <= report.seconds.keys()
    expected = brute_force(terms, x)
    np.testing.assert_array_equal(found.active_term(x).numpy(), expected.active_term)


@by_kind
@pytest.mark.parametrize("name", NAMES)
def test_networks(name: str, kind: torch.dtype) -> None:
    """Terms of networks, which tie for points in one cell: on the data, near it, and far from it."""
    for dtype in (torch.float32, torch.float64):
        x = points(name).to(dtype)
        terms = tp.extract(network(name).to(dtype), x, on_failure="warn", batch_size=10)
        fresh = case_of(name).inputs(60, 21, dtype)
        where = torch.cat([x, x[1:] + 1e-3 * fresh[: len(x) - 1], fresh, 100 * fresh, x[:3], x[:3]])
        same(terms, where, always(kind, 4), None)


@by_kind
def test_degenerate(kind: torch.dtype) -> None:
    """All terms equal, zero coefficients, duplicated points, one term, one direction: the answers are the same."""
    terms, x = low_rank(50, 20, 3, 1)
    (block,) = terms.blocks
    zero = torch.zeros_like(block.local)
    none = zero[:, 0].double()
    equal = block.local[:1].expand(50, -1), block.minus[:1].expand(50, -1)
    direction = zero + torch.eye(50, 20)[:, :1]
    tensors = block.labels, block.local, block.local_bias, block.minus, block.minus_bias
    made = {
        "equal": TermBlock(block.labels, equal[0], none, equal[1], none),
        "zero": TermBlock(block.labels, zero, block.local_bias, zero, block.minus_bias),
        "nothing": TermBlock(block.labels, zero, none, zero, none),
        "one direction": TermBlock(block.labels, direction, block.local_bias, zero, block.minus_bias),
        "twice": TermBlock(*(torch.cat([t, t]) for t in tensors)),  # type: ignore[arg-type]
    }
    for part in made.values():
        these = tp.LinearTerms([part], terms.center, terms.input_shape, 5, "made up", UNCHECKED)
        for at in (x, x[:1].expand(30, -1), torch.zeros(5, 20)):
            same(these, at, always(kind, 4), None)
    for count in (1, 2, 5):
        same(terms.select(list(range(count))), x, always(kind, 4), None)


CORNERS = [(1e-30, 1e-30), (1e-30, 1e30), (1e30, 1e-30), (1e30, 1e30), (1e12, 1e30), (1e-12, 1e-4), (1e12, 1e4)]


@by_kind
@pytest.mark.parametrize(("of_terms", "of_points"), CORNERS)
def test_scales(of_terms: float, of_points: float, kind: torch.dtype) -> None:
    """Scores and norms in and beyond the range of float32, and points of several scales together."""
    terms, x = low_rank(200, 60, 6, 2, points=100)
    (b,) = terms.blocks
    scale = of_terms * of_points
    block = TermBlock(b.labels, b.local * of_terms, b.local_bias * scale, b.minus * of_terms, b.minus_bias * scale)
    scaled = tp.LinearTerms([block], terms.center, terms.input_shape, 5, "made up", UNCHECKED)
    same(scaled, x * of_points, always(kind, 8), None)
    mixed = torch.cat([x * of_points, x[:50], x[:50] * 1e-20])
    same(scaled, mixed, always(kind, 8), None)


@by_kind
def test_a_bias_that_outweighs_all(kind: torch.dtype) -> None:
    """With F⁻ of 1e8 float32 holds no digit of the logits."""
    terms, x = low_rank(500, 60, 6, 3)
    (b,) = terms.blocks
    block = TermBlock(b.labels, b.local, b.local_bias + 1e8, b.minus, b.minus_bias)
    same(tp.LinearTerms([block], terms.center, terms.input_shape, 5, "made up", UNCHECKED), x, always(kind), None)


# ── stores, processes ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16, torch.float64], ids=str)
def test_stores(tmp_path: Path, stored: torch.dtype) -> None:
    """Memory-mapped shards, with exact or rounded coefficients, with the network and without."""
    computed = torch.float64 if stored == torch.float64 else torch.float32
    net, x = network("mnist_conv").to(computed), points("mnist_conv").to(computed)
    tp.extract(
        net, x, batch_size=4, out=tmp_path / "terms", shard_sizes=ShardSizes(points=8), stored_dtype=stored, on_failure="warn"
    )
    terms = tp.load_terms(tmp_path / "terms")
    at = torch.cat([x, case_of("mnist_conv").inputs(100, 5).to(computed)])
    for more in ({}, {"net": net, "data": x}) if terms.lossy else ({},):
        full = tp.ExtractedFunction(terms, search="full", **more)
        found = tp.ExtractedFunction(terms, settings=EvaluationSettings(search=always(group=4)), **more)
        for one, other in zip(found.labels_and_terms(at), full.labels_and_terms(at), strict=True):
            assert torch.equal(one, other)
        assert torch.equal(found.label_is_certified(at), full.label_is_certified(at))
        assert found.search_report.used == "exact", found.search_report.why


# ── bounds, groups ────────────────────────────────────────────────────────────────────────────────────────────────────


@few
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
        made = build_index([(0, block)], fitted, torch.float32, 0, bounds=(ScoreBound(rank, kind),))
        if isinstance(made, str):
            continue
        prepared = made.point_rows(x)
        assert prepared is not None
        shift, (rows,) = prepared
        bounds = made.bounds[0].raised(made.rows[0] @ rows.mT).double() / made.scale + shift
        plus = block.local.double() + block.minus.double()
        scores = plus @ x.double().mT + (block.local_bias + block.minus_bias).unsqueeze(1)
        scores = scores[made.members.flatten()]
        slack = 1e-13 * (scores.abs() + shift.abs())
        assert bool((bounds + slack >= scores).all())


def test_groups_are_runs_of_neighbors() -> None:
    rows = torch.randn(203, 5)
    order = neighbor_order(rows, 8)
    assert sorted(order.tolist()) == list(range(203))
    centers = torch.arange(20).repeat_interleave(8).float().unsqueeze(1) * torch.ones(1, 3)
    shuffled = torch.randperm(160, generator=torch.Generator().manual_seed(0))
    found = centers[shuffled][neighbor_order(centers[shuffled], 8)].view(20, 8, 3)
    assert float((found - found[:, :1]).abs().max()) == 0


def test_concatenated_terms() -> None:
    terms = made_up(torch.Generator().manual_seed(0), [3, 1, 4], 5, 3, torch.float32)
    first = [(10, terms.blocks[0]), (20, terms.blocks[1]), (30, terms.blocks[2])]
    functions = ConcatenatedTerms.of(first)
    index = torch.tensor([7, 0, 3, 2, 4])
    plus = torch.cat([block.local.double() + block.minus.double() for block in terms.blocks])
    assert torch.equal(functions.rows(index, torch.float64), plus[index])
    assert functions.global_index(index).tolist() == [33, 10, 20, 12, 30]
    assert len(functions) == 8


def test_inexact_products_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that are too low raise an error instead of giving a wrong label."""
    terms, x = low_rank(3000, 100, 6, 4)
    monkeypatch.setattr(ScoreBound, "raised", lambda self, products: products.float() * 0.5)
    with pytest.raises(CertificateError, match="a bound turned out below a score"):
        tp.ExtractedFunction(terms, settings=EvaluationSettings(search=ALWAYS)).predict(x)


# ── when it is used ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_falls_back_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    terms, x = low_rank(400, 60, 6, 5)
    default = SearchSettings()
    assert "400 terms" in same(terms, x, default, "full").search_report.why
    for wanted in ({"least_work": 2**38, "least_asked": 1}, {"least_work": 1, "least_asked": 2**13}):
        some = replace(default, least_terms=1, **wanted)
        assert "make up for an index" in same(terms, x, some, "full").search_report.why
    some = replace(default, least_terms=1, least_work=1, least_asked=1)
    assert "10 points" in same(terms, x[:10], some, "full").search_report.why
    small = tp.ExtractedFunction(terms, memory=1000, settings=EvaluationSettings(search=some))
    small.predict(x)
    assert "memory" in small.search_report.why
    with monkeypatch.context() as patch:
        patch.setattr(search, "float32_is_exact", lambda: False)
        assert "less exact" in same(terms, x, some, "full").search_report.why
    noise = made_up(torch.Generator().manual_seed(1), [600], 1200, 5, torch.float32)
    x = grid(torch.Generator().manual_seed(2), 400, 1200).float()
    assert "of a sample" in same(noise, x, some, "full").search_report.why
    built = replace(some, most_work=float("inf"))
    assert "left after the first product" in same(noise, x, built, "full").search_report.why


def test_the_index_is_made_once_enough_points_have_come() -> None:
    terms, x = low_rank(400, 60, 6, 5)
    f = tp.ExtractedFunction(terms, settings=EvaluationSettings(search=replace(ALWAYS, least_asked=2 * len(x))))
    used = []
    for _ in range(3):
        f.predict(x)
        used.append(f.search_report.used)
    assert used == ["full", "exact", "exact"]


def test_a_refined_index_replaces_the_first_one(monkeypatch: pytest.MonkeyPatch) -> None:
    terms, x = low_rank(400, 60, 6, 5)
    efforts: list[IndexSettings] = []

    def recorded(*arguments: Any, effort: IndexSettings, **more: Any) -> SearchIndex | str:
        efforts.append(effort)
        return build_index(*arguments, effort=effort, **more)

    monkeypatch.setattr(search, "build_index", recorded)
    f = tp.ExtractedFunction(terms, settings=EvaluationSettings(search=replace(ALWAYS, refined=3 * len(x))))
    expected = tp.ExtractedFunction(terms, search="full").active_term(x)
    for _ in range(5):
        assert torch.equal(f.active_term(x), expected)
    assert efforts == [FIRST, REFINED]


def test_values_and_streaming_need_no_search() -> None:
    terms, x = low_rank(300, 20, 3, 6)
    assert tp.ExtractedFunction(terms, search="full").search_report.why == "as asked"
    f = tp.ExtractedFunction.streaming(network("mlp"), points("mlp"))
    assert (f.search_report.used, f.search_report.why) == ("full", "terms are not kept")
    assert torch.equal(tp.ExtractedFunction(terms)(x), tp.ExtractedFunction(terms, search="full")(x))


@pytest.mark.parametrize("bad", ["fast", "", None, 3, True])
def test_another_kind_is_refused(bad: object) -> None:
    terms, _ = low_rank(10, 4, 2, 7)
    with pytest.raises(tp.InputError, match=r"search must be one of 'exact', 'full'; got"):
        tp.ExtractedFunction(terms, search=bad)  # type: ignore[arg-type]


def test_points_that_are_not_finite_are_refused() -> None:
    terms, x = low_rank(300, 20, 3, 8)
    x[4, 2] = torch.nan
    with pytest.raises(tp.InputError):
        tp.ExtractedFunction(terms).predict(x)
