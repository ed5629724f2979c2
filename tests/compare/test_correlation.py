"""tp.correlation against Pearson's formula in exact fractions, and its degenerate cases."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tropica as tp
from tests.compare.test_similarity import random_pair, terms
from tests.extracted import case_of, network
from tropica.compare import similarity

NUMBERS = st.floats(-1e3, 1e3, width=32)


def pearson(a: list[float], b: list[float]) -> float:
    """r of two columns; all sums exact, one rounding at the end."""
    x, y = ([Fraction(v) for v in column] for column in (a, b))
    x, y = ([v - sum(column) / len(column) for v in column] for column in (x, y))
    covariance = sum(u * v for u, v in zip(x, y, strict=True))
    square = covariance**2 / (sum(u * u for u in x) * sum(v * v for v in y))
    return math.copysign(math.sqrt(square), covariance)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=12))
def test_it_is_pearsons_formula(pairs):
    a, b = map(list, zip(*pairs, strict=True))
    found = float(tp.correlation(terms([[v] for v in a]), terms([[v] for v in b])))
    if len(set(a)) == 1 or len(set(b)) == 1:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(pearson(a, b), abs=1e-12)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=8), st.floats(0.25, 8), st.floats(-100, 100))
def test_symmetric_bounded_and_blind_to_scale(pairs, factor, shift):
    a, b = (torch.tensor(side, dtype=torch.float64)[:, None] for side in zip(*pairs, strict=True))
    r = tp.correlation(terms(a), terms(b))
    torch.testing.assert_close(tp.correlation(terms(b), terms(a)), r, rtol=0, atol=1e-12, equal_nan=True)
    assert bool((r.isnan() | (r.abs() <= 1)).all())
    torch.testing.assert_close(tp.correlation(terms(a), terms(-b)), -r, rtol=0, atol=1e-12, equal_nan=True)
    moved = factor * b + shift
    if len(moved.unique()) == len(b.unique()) and float(b.max() - b.min()) > 1e-3:
        torch.testing.assert_close(tp.correlation(terms(a), terms(moved)), r, rtol=0, atol=1e-6, equal_nan=True)


def test_many_dimensions_are_those_of_numpy():
    a, b = random_pair(500, 9)
    wanted = [np.corrcoef(a[:, j].numpy(), b[:, j].numpy())[0, 1] for j in range(9)]
    torch.testing.assert_close(tp.correlation(terms(a), terms(b)), torch.tensor(wanted))


def test_a_dimension_that_never_varies_has_none():
    a, b = random_pair()
    a[:, 2], b[:, 4] = 0.1, 0.0
    found = tp.correlation(terms(a), terms(b))
    assert found.isnan().tolist() == [False, False, True, False, True, False, False]


def test_rows_of_zeros_count_like_others():
    a, b = random_pair(6, 1)
    a[2], b[4] = 0, 0
    assert float(tp.correlation(terms(a), terms(b))) == pytest.approx(pearson(a[:, 0].tolist(), b[:, 0].tolist()), abs=1e-14)


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_rows(rows):
    assert tp.correlation(terms(torch.ones(rows, 3)), terms(torch.ones(rows, 3))).isnan().tolist() == [True] * 3


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1.7e308])
def test_extreme_sizes_neither_overflow_nor_vanish(scale):
    a, b = [-1.0, 0.5, 1.0, 0.25], [-1.0, 1.0, 0.75, -0.5]
    found = tp.correlation(terms([[scale * v] for v in a]), terms([[v] for v in b]))
    assert float(found) == pytest.approx(pearson(a, b), rel=1e-12)


def test_a_small_spread_far_from_zero():
    a, b = [1e8, 1e8 + 1e-6, 1e8 + 3e-6, 1e8 - 2e-6], [1e8 + 1e-6, 1e8, 1e8 + 1e-6, 1e8 + 5e-6]
    assert float(tp.correlation(terms([[v] for v in a]), terms([[v] for v in b]))) == pytest.approx(pearson(a, b), rel=1e-9)


def test_blocks_change_nothing(monkeypatch):
    pair = [terms(x) for x in random_pair()]
    whole = tp.correlation(*pair)
    monkeypatch.setattr(similarity, "BLOCK", 20)
    torch.testing.assert_close(tp.correlation(*pair), whole, rtol=0, atol=1e-14)


def test_pairs_that_do_not_fit_are_refused():
    a, b = random_pair()
    with pytest.raises(tp.InputError, match="49 of 7"):
        tp.correlation(terms(a), terms(b[:49]))


# ── pattern_agreement ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["mlp", "mnist_conv", "resnet"])
def test_patterns_by_brute_force(name):
    net = network(name)
    x, y = (case_of(name).inputs(9, seed, torch.float64) for seed in (1, 2))
    found = tp.pattern_agreement(net, x, y, per_point=True)
    assert found.shape == (9, len(net.nonlinearities))
    for k in range(9):
        for j, ((_, one, _), (_, other, _)) in enumerate(
            zip(net.active_pieces(x[k : k + 1]), net.active_pieces(y[k : k + 1]), strict=True)
        ):
            units = list(zip(one.flatten().tolist(), other.flatten().tolist(), strict=True))
            assert float(found[k, j]) == pytest.approx(sum(u == v for u, v in units) / len(units), abs=1e-15)
    torch.testing.assert_close(tp.pattern_agreement(net, x, y), found.mean(0))
    assert torch.equal(tp.pattern_agreement(net, x, x), torch.ones(len(net.nonlinearities), dtype=torch.float64))


def test_patterns_of_loaders_with_other_batches():
    net = network("mlp")
    x, y = (case_of("mlp").inputs(50, seed, torch.float64) for seed in (1, 2))
    wanted = tp.pattern_agreement(net, x, y, per_point=True)
    seen = []
    loader = list(y.split(7))
    found = tp.pattern_agreement(net, x, loader, per_point=True, progress=lambda *said: seen.append(said))
    assert torch.equal(found, wanted)
    assert seen[-1][:2] == (50, 50)


def test_a_network_without_nonlinearities_has_no_columns():
    model = torch.nn.Linear(3, 2).eval()
    assert tp.pattern_agreement(model, torch.zeros(4, 3), torch.ones(4, 3)).shape == (0,)


def test_points_that_do_not_pair():
    net = network("mlp")
    x = case_of("mlp").inputs(5, 1, torch.float64)
    with pytest.raises(tp.InputError, match="5 points in x do not pair with 4"):
        tp.pattern_agreement(net, x, x[:4])
