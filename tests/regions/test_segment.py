"""Segments: against exact fractions on dense chains, against dense sampling on everything else."""

from __future__ import annotations

import csv
import io
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import tropica as tp
from tests.oracles.segments import Interval, Layer, Leaky, Maxout, intervals
from tests.random_networks import Network, random_networks
from tests.regions.chains import as_network, dense, integer_chains
from tests.sizes import examples
from tests.traced import by_name, case_of, traced
from tropica.regions.domains.constructors import Segment
from tropica.regions.segments import followed as segment_followed
from tropica.regions.segments import walk as segment_walk
from tropica.regions.segments.complex import SegmentRegions, segment_regions
from tropica.regions.segments.plan import AffineStep, plan_of

RELU = Leaky(Fraction(0))


def ends(name: str, seed: int = 3) -> tuple[Tensor, Tensor]:
    """Two N(0, 1) points of a case."""
    x = case_of(name).inputs(2, seed, torch.float64)
    return x[0], x[1]


def between(net: tp.PiecewiseLinearNetwork, a: Tensor, b: Tensor, **options: float) -> SegmentRegions:
    return segment_regions(net, Segment(a, b), **options)


# ── what must hold of every result ────────────────────────────────────────────────────────────────────────────────────


def check(found: SegmentRegions, samples: int = 1500) -> None:
    """The form of a result, its maps at quarter points, its patterns, and no pattern missing among samples."""
    net, t = found.net, found.t
    assert (t[0], t[-1]) == (0, 1)
    assert bool((t[1:] > t[:-1]).all())
    scale = float(net(found.points(torch.linspace(0, 1, 50, dtype=torch.float64))).abs().max()) + 1e-300
    for share in (0.25, 0.5, 0.75):
        at = (1 - share) * t[:-1] + share * t[1:]
        expected = net(found.points(at)).detach()
        assert float((found.slopes * at[:, None] + found.values - expected).abs().max()) <= 1e-12 * scale
    assert bool((found.patterns[1:] != found.patterns[:-1]).any(1).all())
    middle = (t[:-1] + t[1:]) / 2
    wide = torch.diff(t) > 1e-9
    torch.testing.assert_close(net.activation_pattern(found.points(middle))[wide], found.patterns[wide])
    at = torch.linspace(0, 1, samples + 2, dtype=torch.float64)[1:-1]
    near = (at[:, None] - t).abs().amin(1) > 1e-9
    patterns = found.patterns[found.locate(at)]
    torch.testing.assert_close(net.activation_pattern(found.points(at))[near], patterns[near])
    assert sum(cell.volume for cell in found.cells) == pytest.approx(found.volume)


def check_exact(layers: list[Layer], inputs: int, a: list[int], b: list[int]) -> SegmentRegions:
    """Against the oracle: as many intervals, the same breakpoints, choices, maps, regions; certified."""
    found = between(as_network(layers, inputs), torch.tensor(a).double(), torch.tensor(b).double())
    expected = intervals(layers, [Fraction(v) for v in a], [Fraction(v) for v in b])
    assert found.certified
    assert len(found.cells) == len(expected)
    for start, e in zip(found.t.tolist(), expected, strict=False):
        assert start == pytest.approx(float(e.start), rel=1e-14, abs=1e-16)
    outputs = torch.tensor([[[float(v) for v in line] for line in e.outputs] for e in expected], dtype=torch.float64)
    torch.testing.assert_close(found.slopes, outputs[:, :, 0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.values, outputs[:, :, 1], rtol=1e-12, atol=1e-12)
    assert len(found.maps) == len({e.outputs for e in expected})
    assert len(found.regions) == 1 + sum(e.outputs != f.outputs for e, f in pairwise(expected))
    torch.testing.assert_close(found.patterns, packed(layers, expected))
    return found


def packed(layers: list[Layer], expected: list[Interval]) -> Tensor:
    """The oracle's choices as packed bits."""
    rows: list[list[int]] = []
    for e in expected:
        bits: list[int] = []
        at = 0
        for before, layer in pairwise(layers):
            if isinstance(layer, (Leaky, Maxout)):
                pieces = layer.pieces if isinstance(layer, Maxout) else 2
                units = len(before.bias) // (pieces if isinstance(layer, Maxout) else 1)  # type: ignore[union-attr]
                width = (pieces - 1).bit_length()
                for choice in e.pattern[at : at + units]:
                    bits += [choice >> k & 1 for k in reversed(range(width))]
                at += units
        rows.append(bits)
    return torch.from_numpy(np.packbits(np.array(rows, dtype=np.uint8), axis=1))


# ── all networks ──────────────────────────────────────────────────────────────────────────────────────────────────────


@by_name
def test_cases(name: str) -> None:
    found = between(traced(name), *ends(name))
    check(found)
    assert found.certified


@pytest.mark.parametrize("name", ["mnist_conv", "resnet", "inception", "maxout", "max_pool2d_overlap", "zero_biases_conv"])
def test_chunks_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = between(traced(name), *ends(name))
    monkeypatch.setattr(segment_walk, "CHUNK", 1)
    monkeypatch.setattr(segment_walk, "LEAST", 2)
    parts = between(traced(name), *ends(name))
    assert len(whole.cells) > 4
    torch.testing.assert_close(parts.t, whole.t, rtol=1e-13, atol=1e-15)
    torch.testing.assert_close(parts.patterns, whole.patterns)
    torch.testing.assert_close(parts.slopes, whole.slopes, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", ["mlp", "relu6", "one_logit", "mnist_conv"])
def test_blocks_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = between(traced(name), *ends(name))
    monkeypatch.setattr(segment_followed, "BLOCK", 2)
    monkeypatch.setattr(segment_followed, "ROWS", 3)
    monkeypatch.setattr(segment_followed, "NARROW", 1)
    parts = between(traced(name), *ends(name))
    assert len(whole.cells) > 4
    torch.testing.assert_close(parts.t, whole.t, rtol=1e-13, atol=1e-15)
    torch.testing.assert_close(parts.patterns, whole.patterns)
    check(parts)


@examples(30)
@given(random_networks(), st.integers(0, 1000))
def test_random_networks(network: Network, seed: int) -> None:
    model, shape = network
    x = torch.randn(2, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    check(between(tp.trace(model.double(), x), x[0], x[1]), samples=400)


def test_float32_networks_are_taken_in_float64() -> None:
    net = tp.trace(case_of("mlp").make(0), case_of("mlp").inputs(2))
    found = between(net, *ends("mlp"))
    assert found.net.dtype == torch.float64
    torch.testing.assert_close(found.t, between(traced("mlp"), *ends("mlp")).t)


# ── exactly ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@examples(150)
@given(integer_chains(), st.data())
def test_integer_weights(chain: tuple[list[Layer], int], data: st.DataObject) -> None:
    layers, inputs = chain
    point = st.lists(st.integers(-4, 4), min_size=inputs, max_size=inputs)
    a = data.draw(point)
    b = data.draw(point.filter(lambda p: p != a))
    check_exact(layers, inputs, a, b)


@examples(10)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.25, -1.0]))
def test_float_weights(seed: int, slope: float) -> None:
    """Dense layers that are followed over several blocks, against fractions; and their bounds against the real errors."""
    generator = torch.Generator().manual_seed(seed)
    layers: list[Layer] = []
    for inputs, outputs in pairwise([2, 12, 12, 12, 2]):
        weight = torch.randn(outputs, inputs, generator=generator, dtype=torch.float64) / inputs**0.5
        bias = torch.randn(outputs, generator=generator, dtype=torch.float64) / 3
        layers += [dense(weight.tolist(), bias.tolist()), Leaky(Fraction(slope))]
    layers.pop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segment_followed, "BLOCK", 4)
        patch.setattr(segment_followed, "ROWS", 5)
        found = between(as_network(layers, 2), torch.tensor([-4.0, -3.0]), torch.tensor([5.0, 2.0]))
    expected = intervals(layers, [Fraction(-4), Fraction(-3)], [Fraction(5), Fraction(2)])
    assert found.certified
    torch.testing.assert_close(found.patterns, packed(layers, expected))
    for start, e in zip(found.t.tolist(), expected, strict=False):
        assert abs(start - e.start) <= 1e-13
    lines = found._lines
    for which, values, bound in zip((0, 1), (lines.slope, lines.start), lines.errors, strict=True):
        assert float(bound.max()) <= 1e-10
        for row, e in zip(values.tolist(), expected, strict=True):
            for value, output, limit in zip(row, e.outputs, bound.tolist(), strict=True):
                assert abs(Fraction(value) - output[which]) <= limit


@examples(20)
@given(st.integers(0, 10**6), st.integers(1, 60))
def test_sharp_products(seed: int, inputs: int) -> None:
    """A few units in the last place of the result, against fractions, also where large terms cancel."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(5, inputs, generator=generator, dtype=torch.float64).exp()
    x = torch.randn(2, inputs, generator=generator, dtype=torch.float64)
    plan = plan_of(as_network([dense(weight.tolist(), [0] * 5)], inputs))
    (step,) = plan.steps.values()
    assert isinstance(step, AffineStep)
    assert step.short
    found, bound = step.sharply(x)
    for row in range(2):
        for unit in range(5):
            true = sum(Fraction(w) * Fraction(v) for w, v in zip(weight[unit].tolist(), x[row].tolist(), strict=True))
            assert abs(Fraction(found[row, unit].item()) - true) <= Fraction(bound[row, unit].item())
    assert float(bound.max()) <= 1e-14 * float((weight.abs() @ x.abs().T).max())


def test_through_the_origin_without_biases() -> None:
    """All units change at once."""
    layers = [
        dense([[1, 2], [-1, 1], [3, -2]], [0, 0, 0]),
        RELU,
        dense([[1, -1, 1], [2, 1, -1]], [0, 0]),
        RELU,
        dense([[1, 1]], [0]),
    ]
    found = check_exact(layers, 2, [-1, -3], [2, 6])
    assert found.t.tolist() == [0, 1 / 3, 1]


def test_from_the_origin_without_biases() -> None:
    layers = [dense([[1, 2], [-1, 1]], [0, 0]), RELU, dense([[1, -1], [2, 1]], [0, 0]), RELU, dense([[1, 1]], [0])]
    assert len(check_exact(layers, 2, [0, 0], [2, 6]).cells) == 1
    assert len(check_exact(layers, 2, [2, 6], [0, 0]).cells) == 1


def test_duplicated_neurons() -> None:
    row = [[0.1, 0.7]]
    layers = [
        dense(row * 4, [0.3] * 4),
        RELU,
        dense([[0.1, 0.2, -0.1, -0.2], [1, 2, 3, 4]], [0, -1]),
        RELU,
        dense([[1, 1]], [0]),
    ]
    found = check_exact(layers, 2, [-4, -4], [5, 5])
    assert len(found.cells) == 3  # the first unit of the second layer is exactly 0, whatever rounding makes of it


def test_dead_layer() -> None:
    layers = [dense([[0, 0], [0, 0]], [-1, 0]), RELU, dense([[1, 2], [3, 4]], [0, 0]), RELU, dense([[1, 1]], [2])]
    found = check_exact(layers, 2, [0, 1], [2, 6])
    assert (len(found.cells), len(found.maps), found.slopes.tolist()) == (1, 1, [[0.0]])


def test_inside_a_hyperplane() -> None:
    """x₁ = x₂ along the whole segment: the unit x₁ − x₂ is zero and no breakpoint; 0.1 x₁ + 0.2 x₂ − 0.3 x₁ too."""
    layers = [dense([[1, -1], [1, 1], [0.5, -0.5]], [0, -3, 0]), RELU, dense([[1, 1, 1]], [0])]
    assert len(check_exact(layers, 2, [0, 0], [7, 7]).cells) == 2


def test_units_that_meet_in_a_vertex() -> None:
    """The second layer's unit is zero just where the first layer's units break, which no rounding shows: t = 1/3."""
    layers = [dense([[3], [-3]], [-1, 1]), RELU, dense([[1, 1], [1, -1]], [0, 0]), RELU, dense([[1, 1]], [0])]
    found = check_exact(layers, 1, [0], [1])
    assert found.t.tolist() == [0, 1 / 3, 1]


def test_closer_than_float64_can_say() -> None:
    """Two breakpoints that are not the same: an ulp apart they are two, closer they are one, and there is no certificate."""
    layers = [dense([[3.0], [3.0 + 2.0**-51]], [-1, -1]), RELU, dense([[1, 1]], [0])]
    assert len(check_exact(layers, 1, [0], [1]).cells) == 3
    layers = [dense([[3.0]], [-1.0]), RELU, dense([[1]], [-(2.0**-80)]), RELU, dense([[1]], [0])]
    found = between(as_network(layers, 1), torch.zeros(1), torch.ones(1))
    assert not found.certified
    assert found.undecided == 1
    assert found.t.tolist() == [0, 1 / 3, 1]


def test_max_pool_with_equal_windows() -> None:
    """Constant images and zero filters: all values of a window are equal, and stay equal."""
    model = nn.Sequential(nn.Conv2d(1, 2, 2), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2)).double()
    with torch.no_grad():
        model[0].weight[0] = 0
    net = tp.trace(model.eval(), torch.zeros(2, 1, 5, 5, dtype=torch.float64))
    a, b = torch.full((1, 5, 5), -3.0), torch.full((1, 5, 5), 2.0)
    found = between(net, a, b)
    assert len(found.cells) <= 2
    assert not found.patterns[0, 0] & 0b11110000  # the first of the window, as in PyTorch


def test_background_of_zeros() -> None:
    """Where both images are 0 all values of a window are equal along the segment, without any error."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)]
    net = tp.trace(nn.Sequential(*layers).eval(), torch.zeros(2, 1, 18, 18))
    a, b = nn.functional.pad(torch.randn(2, 1, 6, 6), (6, 6, 6, 6))
    found = between(net, a, b, work=0)  # decided in floating point alone
    assert found.certified
    check(found)


def test_work_runs_out() -> None:
    """Without a budget doubtful places stay undecided, and the result says so."""
    row = [[0.1, 0.7]]
    layers = [dense(row * 3, [0.3] * 3), RELU, dense([[1, 2, -2]], [-1]), RELU, dense([[1]], [0])]
    net = as_network(layers, 2)
    a, b = torch.tensor([-4.0, -4.0]), torch.tensor([5.0, 5.0])
    unsure, sure = between(net, a, b, work=0), between(net, a, b)
    assert (unsure.certified, sure.certified) == (False, True)
    assert unsure.undecided > 0
    assert "undecided" in repr(unsure)
    assert "certified" in repr(sure)


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["mlp", "mnist_conv", "one_logit", "resnet", "maxout"])
def test_boundary(name: str) -> None:
    """Labels change where it says, and nowhere else."""
    for seed in range(4):
        found = between(traced(name), *ends(name, seed))
        changes = found.boundary()
        assert changes.certified
        labels = found.net.predict(found.points(at := torch.linspace(0, 1, 4001, dtype=torch.float64)))
        between_samples = torch.nonzero(labels[1:] != labels[:-1]).flatten()
        for i in between_samples.tolist():
            assert bool(((changes.t >= at[i]) & (changes.t <= at[i + 1])).any())
        scores = found.net.scores(changes.x).detach()
        gap = scores.amax(1, keepdim=True) - scores.gather(1, changes.labels)
        assert float(gap.max() if len(changes) else 0) <= 1e-12 * float(scores.abs().max() if len(changes) else 1)
        assert bool((changes.labels[1:, 0] == changes.labels[:-1, 1]).all())
        assert bool((changes.labels[:, 0] != changes.labels[:, 1]).all())


def test_boundary_inside_a_cell() -> None:
    net = as_network([dense([[1], [-1], [0]], [0, 1, 0.75])], 1)
    changes = between(net, torch.zeros(1), torch.ones(1)).boundary()
    torch.testing.assert_close(changes.t, torch.tensor([0.25, 0.75], dtype=torch.float64))
    assert changes.labels.tolist() == [[1, 2], [2, 0]]
    assert changes.x.shape == (2, 1)
    assert len(changes) == 2


def test_cells_and_regions() -> None:
    found = between(traced("mlp"), *ends("mlp"))
    assert [c.number for c in found.cells] == list(range(len(found.t) - 1))
    first, last = found.cells[0], found.cells[-1]
    torch.testing.assert_close(first.vertices[0], ends("mlp")[0])
    torch.testing.assert_close(last.vertices[1], ends("mlp")[1])
    assert len(found.cells[1:3]) == 2
    with pytest.raises(IndexError):
        found.cells[len(found.cells)]
    middle = sum(first.t) / 2
    x = found.points(torch.tensor([middle], dtype=torch.float64))
    torch.testing.assert_close(first.map(middle), found.net(x)[0].detach())
    assert first.map(torch.tensor([0.0, middle])).shape == (2, 3)
    torch.testing.assert_close(found.net.activation_pattern(x)[0], first.pattern)
    assert [n for r in found.regions for n in r.cells] == list(range(len(found.cells)))
    assert sum(r.volume for r in found.regions) == pytest.approx(found.volume)
    assert len(found.regions) <= len(found.cells)


def test_regions_join_cells_of_one_map() -> None:
    """A unit that nothing reads cuts cells, not regions; |x| + relu(−x) − … comes back to an earlier map."""
    layers = [dense([[1], [1], [1]], [0, -1, -2]), RELU, dense([[0, 1, -1]], [0])]
    found = check_exact(layers, 1, [-1], [4])
    assert (len(found.cells), len(found.regions), len(found.maps)) == (4, 3, 3)
    layers = [dense([[1], [1], [1], [1]], [0, -1, -2, -3]), RELU, dense([[1, -1, -1, 1]], [0])]
    found = check_exact(layers, 1, [-1], [4])
    assert (len(found.cells), len(found.regions), len(found.maps)) == (5, 5, 4)  # flat, up, flat, down, flat: 0, t, 1, ., 0


def test_locate() -> None:
    found = between(traced("mnist_conv"), *ends("mnist_conv"))
    middle = (found.t[:-1] + found.t[1:]) / 2
    every = torch.arange(len(middle))
    assert torch.equal(found.locate(middle), every)
    assert torch.equal(found.locate(found.points(middle)), every)
    assert torch.equal(found.locate(found.t), torch.cat([every, every[-1:]]))
    assert int(found.locate(0.0)) == 0
    for bad in (-0.1, 1.5, torch.tensor([0.5, float("nan")])):
        with pytest.raises(tp.InputError, match="between 0 and 1"):
            found.locate(bad)
    with pytest.raises(tp.InputError, match="shape"):
        found.locate(torch.zeros(3, 7))
    with pytest.raises(tp.InputError, match="not on the segment"):
        found.locate(found.points(middle) + 1)


def test_table() -> None:
    found = between(traced("mlp"), *ends("mlp"))
    rows = found.table()
    assert [row["t0"] for row in rows] == found.t[:-1].tolist()
    assert [row["slope_1"] for row in rows] == found.slopes[:, 1].tolist()
    met = " ".join(str(row["labels"]) for row in rows).split()
    runs = [label for i, label in enumerate(met) if i == 0 or met[i - 1] != label]
    assert len(runs) == len(found.boundary()) + 1
    file = io.StringIO()
    writer = csv.DictWriter(file, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    assert len(file.getvalue().splitlines()) == len(rows) + 1


def test_refusals() -> None:
    net = traced("mlp")
    with pytest.raises(tp.InputError, match="3 coordinates"):
        segment_regions(net, Segment([0, 0, 0], [1, 1, 1]))
    with pytest.raises(tp.InputError, match="traced network"):
        segment_regions(case_of("mlp").make(0), Segment([0] * 4, [1] * 4))  # type: ignore[arg-type]
    with pytest.raises(tp.InputError, match="Segment"):
        segment_regions(net, (0, 1))  # type: ignore[arg-type]


def test_maps_that_rounding_leaves_nothing_of() -> None:
    """Four slopes of 2⁹⁹⁶ that cancel, but not in floating point, beside 2 − x."""
    s = 2.0**996
    weight = [[0.76 * s], [0.62 * s], [0.51 * s], [0.05 * s], [-1.0]]
    net = tp.from_layers([(weight, [0.0, 0.0, 0.0, 0.0, 2.0]), ([[0.51, 0.05, -0.76, -0.62, 1.0]], [-2.0])])
    found = tp.linear_regions(net, tp.Segment([-1.0], [1.0]))
    assert (found.certified, len(found.cells), len(found.maps)) == (True, 2, 1)
    assert (found.slopes.tolist(), found.values.tolist()) == ([[-2.0], [-2.0]], [[1.0], [1.0]])
