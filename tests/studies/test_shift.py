"""The study of shifts: the operator, and shifted terms against explicit copies."""

from __future__ import annotations

import itertools

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

import tropica as tp
from tests.studies.conftest import rows
from tropica.studies.experiments.shift import (
    directions,
    labels_with_copies,
    max_shift,
    shift_in_turn,
    shifted,
)
from tropica.studies.study import METHODS

SHIFTS = st.tuples(st.integers(-5, 5), st.integers(-5, 5))


@given(SHIFTS, st.integers(0, 2**31))
def test_shifts_move_pixel_by_pixel(by, seed):
    x = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(seed))
    found = shifted(x, by)
    for i, j in itertools.product(range(4), range(5)):
        source = i - by[0], j - by[1]
        inside = 0 <= source[0] < 4 and 0 <= source[1] < 5
        assert torch.equal(found[:, :, i, j], x[:, :, source[0], source[1]] if inside else torch.zeros(2, 3))


@given(SHIFTS, st.integers(0, 2**31))
def test_the_adjoint_shifts_back(by, seed):
    """⟨T_s w, x⟩ = ⟨w, T_{−s} x⟩: shifted terms are evaluated without copies."""
    w, x = torch.randint(-9, 9, (2, 1, 1, 4, 5), generator=torch.Generator().manual_seed(seed)).unbind()
    assert int((shifted(w, by) * x).sum()) == int((w * shifted(x, [-s for s in by])).sum())


def test_directions_and_sizes():
    assert len(set(directions((3, 32, 32)))) == 8
    assert (0, 0) not in directions((3, 32, 32))
    assert directions((7,)) == directions((1, 40)) == [(-1,), (1,)]
    assert [max_shift(shape) for shape in ((1, 28, 28), (1, 8, 8), (1, 40), (2,), (1, 4, 9))] == [5, 3, 5, 1, 1]


def test_points_are_moved_in_all_directions_in_turn():
    x = torch.arange(1.0, 19.0).reshape(18, 1, 1, 1) * torch.nn.functional.one_hot(torch.tensor(24), 49).reshape(1, 1, 7, 7)
    found = shift_in_turn(x, 2).flatten(1)
    assert torch.equal(found.amax(1), x.flatten(1).amax(1)), "no point has lost its only pixel"
    assert len(set(found.argmax(1).tolist())) == 8
    assert torch.equal(found.argmax(1)[:2], found.argmax(1)[8:10])
    assert torch.equal(shift_in_turn(x, 0), x)


def explicit(terms, x, radius):
    """Labels by maximum and by sum from explicit copies of all terms in float64."""
    plus = terms.plus
    images = plus.image()
    shifts = [(0, 0), *((i, j) for i in range(-radius, radius + 1) for j in range(-radius, radius + 1) if (i, j) != (0, 0))]
    eight = [s for s in shifts if s[0] == 0 or s[1] == 0 or abs(s[0]) == abs(s[1])]
    values = torch.stack([x.double().flatten(1) @ shifted(images, s).flatten(1).T + plus.bias for s in eight])  # (S, N, D)
    labels = terms.labels
    by_label = torch.full((len(eight), len(x), terms.num_classes), -torch.inf, dtype=torch.float64)
    for label in labels.unique().tolist():
        by_label[:, :, label] = values[:, :, labels == label].amax(2)
    return by_label.amax(0), by_label.sum(0)


@pytest.mark.parametrize("method", METHODS)
def test_copies_are_those_that_are_made(cases, method):
    for case in cases.values():
        terms = case.terms(method)
        for copies in labels_with_copies(case.function(method), case.test.inputs, 2):
            for found, values in zip(
                (copies.maximum, copies.sum), explicit(terms, case.test.inputs, copies.radius), strict=True
            ):
                best = values.gather(1, found.unsqueeze(1)).squeeze(1)
                torch.testing.assert_close(best, values.amax(1), rtol=1e-10, atol=1e-8)
                clear = values.topk(2).values.diff().flatten().abs() > 1e-6
                assert clear.double().mean() > 0.9
                assert torch.equal(found[clear], values.argmax(1)[clear])


def test_f_plus_is_the_maximum_by_label(cases):
    case = cases["conv-small", 1]
    terms = case.terms("calibrated")
    values = terms.plus(case.test.inputs.double())
    found = case.function("calibrated").f_plus(case.test)
    streamed = tp.ExtractedFunction.streaming(case.net, case.points, case.decomposition("calibrated")).f_plus(case.test)
    torch.testing.assert_close(streamed, found)
    for label in range(10):
        mask = terms.labels == label
        wanted = values[:, mask].amax(1) if bool(mask.any()) else torch.full((60,), -torch.inf, dtype=torch.float64)
        torch.testing.assert_close(found[:, label], wanted)


@pytest.mark.slow
def test_the_study(study):
    result, _ = study("shift")
    whole, _ = study("table2")
    for row in (row for row in rows(whole) if row["decomposition"] in METHODS):
        those = {"model": row["model"], "seed": row["seed"], "pixels": 0}
        (network,) = rows(result, **those, decomposition="network")
        assert network["accuracy"] == row["network_true"]
        (plain,) = rows(result, **those, decomposition=row["decomposition"], radius=0)
        assert plain["accuracy"] == pytest.approx(row["extracted_true"], abs=1e-12)
        assert plain["agreement"] == pytest.approx(row["network_extracted"], abs=1e-12)
    assert result.to_dataframe()["pixels"].unique().tolist() == [0, 1, 2, 3]
    assert result.to_dataframe()["rule"].dropna().unique().tolist() == ["maximum", "sum"]
