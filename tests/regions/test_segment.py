"""Segments: against exact fractions on dense chains, against dense sampling on everything else."""

from __future__ import annotations

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

RELU = Leaky(Fraction(0))


def ends(name: str, seed: int = 3) -> tuple[Tensor, Tensor]:
    """Two N(0, 1) points of a case."""
    x = case_of(name).inputs(2, seed, torch.float64)
    return x[0], x[1]


def between(net: tp.PiecewiseLinearNetwork, a: Tensor, b: Tensor) -> tp.RegionComplex:
    """The cells of the network as written, which have activation patterns."""
    return tp.linear_regions(net, Segment(a, b), simplify=False)


# ── what must hold of every result ────────────────────────────────────────────────────────────────────────────────────


def check(found: tp.RegionComplex, samples: int = 300) -> None:
    """The form of a result, its maps at quarter points, its patterns, and no pattern missing among samples."""
    net, t = found.net, found.breakpoints
    (slopes, constants), patterns = found.logits, torch.from_numpy(found.patterns)
    assert (t[0], t[-1]) == (0, 1)
    assert (np.diff(t) >= 0).all()
    scale = float(net(found.embed(np.linspace(0, 1, 50)[:, None])).abs().max()) + 1e-300
    for share in (0.25, 0.5, 0.75):
        at = (1 - share) * t[:-1] + share * t[1:]
        expected = net(found.embed(at[:, None])).detach().numpy()
        assert np.abs(slopes[:, :, 0] * at[:, None] + constants - expected).max() <= 1e-12 * scale
    assert bool((patterns[1:] != patterns[:-1]).any(1).all())
    middle, wide = (t[:-1] + t[1:]) / 2, np.diff(t) > 1e-9
    torch.testing.assert_close(net.activation_pattern(found.embed(middle[:, None]))[wide], patterns[wide])
    at = np.linspace(0, 1, samples + 2)[1:-1]
    near = np.abs(at[:, None] - t).min(1) > 1e-9
    met = patterns[found.locate(at[:, None])]
    torch.testing.assert_close(net.activation_pattern(found.embed(at[:, None]))[near], met[near])
    assert found.volume == pytest.approx(found.domain.volume_scale)
    assert found.adjacency.tolist() == [[i, i + 1] for i in range(len(found) - 1)]


def check_exact(layers: list[Layer], inputs: int, a: list[int], b: list[int]) -> tp.RegionComplex:
    """Against the oracle: as many intervals, the same breakpoints, choices, maps, regions; certified."""
    found = between(as_network(layers, inputs), torch.tensor(a).double(), torch.tensor(b).double())
    expected = intervals(layers, [Fraction(v) for v in a], [Fraction(v) for v in b])
    assert found.certified
    assert len(found.cells) == len(expected)
    for start, e in zip(found.breakpoints.tolist(), expected, strict=False):
        assert start == pytest.approx(float(e.start), rel=1e-14, abs=1e-16)
    outputs = np.array([[[float(v) for v in line] for line in e.outputs] for e in expected])
    np.testing.assert_allclose(found.logits[0][:, :, 0], outputs[:, :, 0], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.logits[1], outputs[:, :, 1], rtol=1e-12, atol=1e-12)
    assert len(found.maps) == len({e.outputs for e in expected})
    assert len(found.regions) == 1 + sum(e.outputs != f.outputs for e, f in pairwise(expected))
    torch.testing.assert_close(torch.from_numpy(found.patterns), packed(layers, expected))
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
    assert found.breakpoints.tolist() == between(traced("mlp"), *ends("mlp")).breakpoints.tolist()


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
    """Against fractions; and the bounds of the maps against the real errors."""
    generator = torch.Generator().manual_seed(seed)
    layers: list[Layer] = []
    for inputs, outputs in pairwise([2, 12, 12, 12, 2]):
        weight = torch.randn(outputs, inputs, generator=generator, dtype=torch.float64) / inputs**0.5
        bias = torch.randn(outputs, generator=generator, dtype=torch.float64) / 3
        layers += [dense(weight.tolist(), bias.tolist()), Leaky(Fraction(slope))]
    layers.pop()
    found = between(as_network(layers, 2), torch.tensor([-4.0, -3.0]), torch.tensor([5.0, 2.0]))
    expected = intervals(layers, [Fraction(-4), Fraction(-3)], [Fraction(5), Fraction(2)])
    assert found.certified
    torch.testing.assert_close(torch.from_numpy(found.patterns), packed(layers, expected))
    for start, e in zip(found.breakpoints.tolist(), expected, strict=False):
        assert abs(start - e.start) <= 1e-13
    slopes, constants = found.logits
    for slope_row, constant_row, e in zip(slopes[:, :, 0].tolist(), constants.tolist(), expected, strict=True):
        for s, c, (true_slope, true_constant) in zip(slope_row, constant_row, e.outputs, strict=True):
            assert abs(s - true_slope) <= 1e-10
            assert abs(c - true_constant) <= 1e-10


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
    assert found.breakpoints.tolist() == [0, 1 / 3, 1]


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
    assert (len(found.cells), len(found.maps), found.logits[0].tolist()) == (1, 1, [[[0.0]]])


def test_inside_a_hyperplane() -> None:
    """x₁ = x₂ along the whole segment: the unit x₁ − x₂ is zero and no breakpoint; 0.1 x₁ + 0.2 x₂ − 0.3 x₁ too."""
    layers = [dense([[1, -1], [1, 1], [0.5, -0.5]], [0, -3, 0]), RELU, dense([[1, 1, 1]], [0])]
    assert len(check_exact(layers, 2, [0, 0], [7, 7]).cells) == 2


def test_units_that_meet_in_a_vertex() -> None:
    """The second layer's unit is zero just where the first layer's units break, which no rounding shows: t = 1/3."""
    layers = [dense([[3], [-3]], [-1, 1]), RELU, dense([[1, 1], [1, -1]], [0, 0]), RELU, dense([[1, 1]], [0])]
    found = check_exact(layers, 1, [0], [1])
    assert found.breakpoints.tolist() == [0, 1 / 3, 1]


def test_closer_than_float64_can_say() -> None:
    """Two breakpoints an ulp apart, and two whose ends are one number in float64: each cell is there."""
    layers = [dense([[3.0], [3.0 + 2.0**-51]], [-1, -1]), RELU, dense([[1, 1]], [0])]
    assert len(check_exact(layers, 1, [0], [1]).cells) == 3
    layers = [dense([[3.0]], [-1.0]), RELU, dense([[1]], [-(2.0**-80)]), RELU, dense([[1]], [0])]
    assert check_exact(layers, 1, [0], [1]).breakpoints.tolist() == pytest.approx([0, 1 / 3, 1 / 3, 1], rel=1e-15)


def test_thin_cells_are_in_order() -> None:
    """A hundred breakpoints within 2⁻⁷⁰ of 1/3, all of them one number in float64, from both sides."""
    offsets = [(-1) ** k * k * 2.0**-80 for k in range(100)]
    first, shift = dense([[3.0], [-3.0]], [-1.0, 1.0]), [[1.0, -1.0]] * 100
    layers = [first, RELU, dense(shift, offsets), RELU, dense([[float(k) for k in range(100)]], [0])]
    assert len(check_exact(layers, 1, [0], [1]).cells) == 101


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
    found = between(net, a, b)
    assert found.certified
    check(found)


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["mlp", "mnist_conv", "one_logit", "resnet", "maxout"])
def test_label_changes(name: str) -> None:
    """Labels change where it says, and nowhere else; the points are those of the boundary."""
    for seed in range(4):
        found = tp.linear_regions(traced(name), Segment(*ends(name, seed)))
        changes = found.label_changes()
        assert changes.certified
        assert sorted(float(p[0, 0]) for p in found.boundary().pieces) == pytest.approx(changes.t.tolist())
        labels = found.net.predict(found.embed((at := np.linspace(0, 1, 4001))[:, None]))
        for i in torch.nonzero(labels[1:] != labels[:-1]).flatten().tolist():
            assert ((changes.t >= at[i]) & (changes.t <= at[i + 1])).any()
        scores = found.net.scores(changes.x).detach()
        gap = scores.amax(1, keepdim=True) - scores.gather(1, torch.from_numpy(changes.labels))
        assert float(gap.max() if len(changes) else 0) <= 1e-12 * float(scores.abs().max() if len(changes) else 1)
        assert (changes.labels[1:, 0] == changes.labels[:-1, 1]).all()
        assert (changes.labels[:, 0] != changes.labels[:, 1]).all()


def test_label_changes_inside_a_cell() -> None:
    net = as_network([dense([[1], [-1], [0]], [0, 1, 0.75])], 1)
    changes = between(net, torch.zeros(1), torch.ones(1)).label_changes()
    assert changes.t.tolist() == [0.25, 0.75]
    assert changes.labels.tolist() == [[1, 2], [2, 0]]
    assert changes.x.shape == (2, 1)
    assert len(changes) == 2
    assert "0.25" in repr(changes)


def test_labels_of_thin_parts_are_in_order() -> None:
    """Three labels tie within 2⁻⁶⁰ of 1/3 on one cell."""
    net = as_network([dense([[3], [0], [-3]], [-1, 2.0**-60, 1])], 1)
    changes = between(net, torch.zeros(1), torch.ones(1)).label_changes()
    assert changes.labels.tolist() == [[2, 1], [1, 0]]
    assert changes.certified


class StackedMaximum(nn.Module):
    """The maximum of two convolutions, stacked before the batch axis."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.last = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1), nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.stack([self.one(x), self.two(x)]).amax(0).flatten(1))


@pytest.mark.parametrize("simplify", [True, False])
def test_a_maximum_over_a_stack(simplify: bool) -> None:
    """The stack's axis comes before that of the batch."""
    torch.manual_seed(0)
    x = torch.randn(2, 1, 2, 2, dtype=torch.float64)
    found = tp.linear_regions(tp.trace(StackedMaximum().double().eval(), x), Segment(x[0], x[1]), simplify=simplify)
    slopes, constants = found.logits
    own = slopes[:, :, 0] * found.centers + constants
    np.testing.assert_allclose(own, found.net(found.embed(found.centers)).detach().numpy(), atol=1e-12)


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
    t = found.breakpoints
    every = np.arange(len(found))
    assert found.locate((t[:-1, None] + t[1:, None]) / 2).tolist() == every.tolist()
    assert found.locate([[-0.1], [1.5]]).tolist() == [-1, -1]


def test_refusals() -> None:
    with pytest.raises(tp.InputError, match="3 coordinates"):
        tp.linear_regions(traced("mlp"), Segment([0, 0, 0], [1, 1, 1]))
    plane = tp.linear_regions(tp.from_layers([([[1.0, 1.0]], None)]), tp.Box(0, 1, d=2))
    for ask in (plane.label_changes, lambda: plane.breakpoints):
        with pytest.raises(tp.InputError, match="of one dimension"):
            ask()
    some = tp.linear_regions(traced("mlp"), Segment(*ends("mlp")), max_cells=1)
    if not some.complete:
        with pytest.raises(tp.InputError, match="max_cells=1 ended the enumeration"):
            some.label_changes()


def test_maps_that_rounding_leaves_nothing_of() -> None:
    """Four slopes of 2⁹⁹⁶ that cancel, but not in floating point, beside 2 − x."""
    s = 2.0**996
    weight = [[0.76 * s], [0.62 * s], [0.51 * s], [0.05 * s], [-1.0]]
    net = tp.from_layers([(weight, [0.0, 0.0, 0.0, 0.0, 2.0]), ([[0.51, 0.05, -0.76, -0.62, 1.0]], [-2.0])])
    found = tp.linear_regions(net, tp.Segment([-1.0], [1.0]))
    assert (found.certified, len(found.cells), len(found.maps)) == (True, 2, 1)
    assert (found.logits[0].tolist(), found.logits[1].tolist()) == ([[[-2.0]], [[-2.0]]], [[1.0], [1.0]])
