"""The study of regions in practice: samples, counts and bounds, against slow versions."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import tropica as tp
from tests.studies.conftest import SIZES, rows
from tropica.bounds.architecture import NotCovered
from tropica.bounds.logs import log10
from tropica.bounds.upper import serra2018
from tropica.studies.experiments import estimate
from tropica.studies.experiments.estimate import PLACES, SAMPLE_SIZES, draw_pairs, proven, xiong_first
from tropica.studies.networks import build


def chosen(case, place):
    """The pairs of points in the study: first within one class, then between two, from one generator."""
    generator = torch.Generator().manual_seed(case.run.seed)
    for one in PLACES:
        found = draw_pairs(case.true_labels, case.test.inputs, one == PLACES[0], SIZES.max_segments, generator)
        if one == place:
            return found
    raise AssertionError(place)


@pytest.mark.parametrize("place", PLACES)
def test_pairs_are_of_their_kind(cases, place):
    case = cases["fcn-small", 0]
    found = chosen(case, place)
    assert len(found) == SIZES.max_segments
    assert len(set(found)) > SIZES.max_segments / 2
    for i, j in found:
        assert (case.true_labels[i] == case.true_labels[j]) == (place == "same class")
        assert not torch.equal(case.test.inputs[i], case.test.inputs[j])


def test_points_that_are_alike_make_no_segments():
    x = torch.ones(4, 3)
    assert draw_pairs(torch.tensor([0, 0, 1, 1]), x, True, 7, torch.Generator()) == []
    x[3] = 0
    assert set(draw_pairs(torch.tensor([0, 0, 1, 1]), x, True, 7, torch.Generator())) == {(2, 3), (3, 2)}


def test_large_networks_have_fewer_segments():
    one, other = (build(name, (1, 28, 28), seed=0) for name in ("fcn-small", "conv"))
    numbers = [SAMPLE_SIZES.num_segments(tp.trace(model, torch.zeros(2, 1, 28, 28))) for model in (one, other)]
    assert numbers == [SAMPLE_SIZES.max_segments, SAMPLE_SIZES.min_segments]


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_segments_are_counted(study, cases, place):
    """The study's means are those of patterns on a fine grid: never fewer, and few more."""
    result, _ = study("estimate")
    for (model, seed), case in cases.items():
        if seed:
            continue
        counts = []
        for i, j in chosen(case, place):
            t = torch.linspace(0, 1, 4001, dtype=torch.float64).reshape(-1, 1, 1, 1)
            a, b = case.test.inputs[i].double(), case.test.inputs[j].double()
            patterns = case.net.activation_pattern((1 - t) * a + t * b)
            counts.append(1 + int((patterns[1:] != patterns[:-1]).any(1).sum()))
        (row,) = rows(result, model=model, seed=seed, quantity="cells a segment", place=place)
        mean = sum(counts) / SIZES.max_segments
        assert mean <= row["value"] <= 1.05 * mean + 1
        sd = math.sqrt(sum((count - mean) ** 2 for count in counts) / (SIZES.max_segments - 1))
        assert row["standard_error"] == pytest.approx(sd / math.sqrt(SIZES.max_segments), rel=0.25)
        (regions,) = rows(result, model=model, seed=seed, quantity="regions a segment", place=place)
        assert 1 < regions["value"] <= row["value"]


@pytest.mark.slow
def test_numbers_in_the_cube(study, cases):
    result, _ = study("estimate")
    for (model, seed), case in cases.items():
        cube = tp.Box(0, 1, d=64)
        wanted = tp.estimate_regions(case.net, cube, segments=SIZES.max_segments, seed=seed)
        (row,) = rows(result, model=model, seed=seed, quantity="cells, by integral geometry")
        assert row["log10"] == pytest.approx(math.log10(wanted.value), rel=1e-6)
        assert row["log10_error"] == pytest.approx(wanted.standard_error / wanted.value / math.log(10), rel=1e-6)
        (met,) = rows(result, model=model, seed=seed, quantity="cells, Chao1", place="training points")
        assert met["met"] == len(case.net.activation_pattern(case.points.inputs.double()).unique(dim=0))
        assert met["value"] >= met["met"]


def test_bounds(cases):
    found = {(name, kind): value for name, kind, value in proven(cases["fcn-small", 0])}
    assert found["Serra 2018, Theorem 1", "upper"] == pytest.approx(log10(serra2018((64, 64, 32))))
    assert found["layer by layer (Montúfar 2022)", "upper"] == pytest.approx(96 * math.log10(2))
    assert found["Montúfar 2014", "lower"] is None, "it needs 64 units a layer"
    found = {name: value for name, _, value in proven(cases["conv-small", 0])}
    sums = [sum(math.comb(units, j) * (rank - 1) ** j for j in range(min(64, units) + 1))
            for units, rank in ((512, 2), (128, 4), (256, 2), (64, 4), (32, 2))]  # fmt: skip
    assert found["layer by layer (Montúfar 2022)"] == pytest.approx(math.log10(math.prod(sums)))
    assert found["first layer of Xiong 2020"] is None, "its windows overlap along two axes"


@pytest.mark.parametrize("padding", [0, 1])
def test_bounds_of_a_network_are_not_below_its_regions(padding):
    """A convolution with padding and a pool, on signals of three values: every cell of the whole space."""
    torch.manual_seed(padding)
    layers = (nn.Conv1d(1, 2, 2, padding=padding), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(2 * (1 + padding), 2))
    model = nn.Sequential(*layers).eval()
    net = tp.trace(model, torch.zeros(2, 1, 3)).to(torch.float64)
    cells = len(tp.linear_regions(net, tp.Box(-20, 20, d=3), simplify=False).cells)
    xiong = 10 ** xiong_first(model, net)
    assert 10 < cells <= xiong + 1e-6
    assert cells <= math.prod(estimate._layers(net))
    with pytest.raises(NotCovered):
        xiong_first(nn.Sequential(nn.Linear(3, 2)), net)
