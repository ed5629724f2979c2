"""The oracles and the shared networks, checked against automatic differentiation, by hand and against one another."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from numpy.testing import assert_allclose, assert_array_equal
from torch import Tensor, nn
from torch.export import Dim, export

from tests.network_modules import Shape
from tests.networks import CASES, REPRESENTATIVE, Case, logits_of, tagged
from tests.oracles import algorithm31, extracted_function
from tests.oracles.algorithm31 import Terms
from tests.oracles.dense import exact_at, local_affine_map, local_values
from tests.oracles.windows import Windows
from tests.random_networks import Network, random_networks, random_sequential31
from tests.sizes import examples

POINTS = 24
TOGETHER = 8
by_name = pytest.mark.parametrize("case", REPRESENTATIVE, ids=lambda case: case.name)
sequential31 = pytest.mark.parametrize("case", tagged("sequential31"), ids=lambda case: case.name)
rational = pytest.mark.parametrize("case", tagged("rational"), ids=lambda case: case.name)
few = examples(30, database=None)


# ── Algorithm 3.1 ─────────────────────────────────────────────────────────────────────────────────────────────────────


def sequential(case: Case) -> nn.Sequential:
    model = case.make(0)
    assert isinstance(model, nn.Sequential)
    return model


def linear(weight: list[list[float]], bias: list[float]) -> nn.Linear:
    layer, double = nn.Linear(len(weight[0]), len(weight)).double(), torch.float64
    layer.load_state_dict({"weight": torch.tensor(weight, dtype=double), "bias": torch.tensor(bias, dtype=double)})
    return layer


def points(shape: Shape, n: int = POINTS) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, *shape, generator=generator, dtype=torch.float64)


def check_terms(model: nn.Sequential, x: Tensor) -> None:
    """Assert the paper's statements on the terms, at the points of the terms."""
    acts = algorithm31.forward(model, x)
    terms = algorithm31.merge(model, acts)
    check_difference(model, x, acts, terms)
    check_theorem(x, acts, terms)


def check_difference(model: nn.Sequential, x: Tensor, acts: algorithm31.Activations, terms: Terms) -> None:
    """a+ - a- is the network's own affine map: its gradient and its value."""
    local, own = local_affine_map(model, x), (torch.arange(len(x)), torch.from_numpy(acts.labels))
    scale = max(1.0, float(np.abs(terms.plus_weight).max()), float(np.abs(terms.plus_bias).max()))
    gradient, bias = local.weight[own].flatten(1).numpy(), local.bias[own].numpy()
    assert_allclose(acts.logits, local_values(local, x).numpy(), rtol=1e-9, atol=1e-12)
    assert_array_equal(terms.labels, acts.logits.argmax(1))
    assert_allclose(terms.plus_weight - terms.minus_weight, gradient, rtol=1e-9, atol=1e-14 * scale)
    assert_allclose(terms.plus_bias - terms.minus_bias, bias, rtol=1e-9, atol=1e-13 * scale)


def check_theorem(x: Tensor, acts: algorithm31.Activations, terms: Terms) -> None:
    """Lemma 3.2: no negative coefficient. Theorem 3.3: a term is maximal at its own point; values and labels are those of N."""
    flat = x.flatten(1).numpy()
    plus = flat @ terms.plus_weight.T + terms.plus_bias
    minus = flat @ terms.minus_weight.T + terms.minus_bias
    tolerance = 1e-12 * max(1.0, np.abs(plus).max(), np.abs(minus).max())
    assert min(terms.plus_weight.min(), terms.minus_weight.min()) >= -tolerance
    assert (plus <= np.diag(plus)[:, None] + tolerance).all()
    assert (minus <= np.diag(minus)[:, None] + tolerance).all()
    extracted = extracted_function.evaluate(*terms, acts.logits.shape[1], flat)
    assert_array_equal(extracted.labels, acts.labels)
    assert_allclose(extracted.values.max(1), acts.logits.max(1), rtol=1e-9, atol=2 * tolerance)


@sequential31
def test_terms_on_the_cases(case: Case) -> None:
    check_terms(sequential(case), case.inputs(POINTS, dtype=torch.float64))


@few
@given(random_sequential31())
def test_terms_on_random_networks(network: tuple[nn.Sequential, Shape]) -> None:
    model, shape = network
    check_terms(model, points(shape))


def test_algorithm31_by_hand() -> None:
    """C- = (3, 1), c- = 2, C+ = (4, 0; 0, 3), c+ = (3, 0), A_max = (4, 3); then K = 6 for the one input."""
    first, last = linear([[1.0], [-2.0]], [0.0, 1.0]), linear([[1.0, -1.0], [-3.0, 2.0]], [1.0, -2.0])
    model = nn.Sequential(first, nn.ReLU(), last, nn.Softmax(1)).eval()
    terms = algorithm31.merge(model, algorithm31.forward(model, [[1.0], [-1.0]]))
    assert_array_equal(terms.labels, [0, 1])
    assert_array_equal(terms.plus_weight, [[10.0], [0.0]])
    assert_array_equal(terms.plus_bias, [3.0, 3.0])
    assert_array_equal(terms.minus_weight, [[9.0], [4.0]])
    assert_array_equal(terms.minus_bias, [2.0, 3.0])


def test_overlapping_pooling_by_hand() -> None:
    """A_max = (4, 3) repeated over windows {0, 1} and {1, 2} is (4, 7, 3), which is K behind a convolution by -1."""
    conv = nn.Conv2d(1, 1, 1)
    conv.load_state_dict({"weight": torch.tensor([[[[-1.0]]]]), "bias": torch.tensor([0.0])})
    last = linear([[1.0, -1.0], [-3.0, 2.0]], [1.0, -2.0])
    model = nn.Sequential(conv, nn.MaxPool2d((1, 2), stride=1), nn.Flatten(), last).eval()
    terms = algorithm31.merge(model, algorithm31.forward(model, [[[[0.0, 1.0, 2.0]]]]))
    assert_array_equal(terms.plus_weight, [[0.0, 7.0, 3.0]])
    assert_array_equal(terms.minus_weight, [[1.0, 6.0, 3.0]])
    assert_array_equal([terms.plus_bias, terms.minus_bias], [[3.0], [2.0]])


def densified(model: nn.Sequential, shape: Shape) -> nn.Sequential:
    """The same function of flat inputs (B, d), with every convolution and batch norm written out as a Linear layer."""
    layers: list[nn.Module] = []
    for layer in model.double():
        if isinstance(layer, nn.Conv2d | nn.BatchNorm2d):
            zero = torch.zeros(1, *shape, dtype=torch.float64)
            bias = layer(zero)
            weight = layer(torch.eye(zero.numel(), dtype=torch.float64).view(-1, *shape)) - bias
            layers.append(linear(weight.flatten(1).T.tolist(), bias.flatten().tolist()))
            shape = tuple(bias.shape[1:])
        elif not isinstance(layer, nn.Flatten):
            layers.append(layer)
    return nn.Sequential(*layers).eval()


@pytest.mark.parametrize("name", ["conv2d_same", "conv2d_uneven", "conv2d_groups", "conv2d_depthwise", "conv_bn_conv"])
def test_convolutions_merge_like_the_matrices_they_are(name: str) -> None:
    """Table 1's Conv and BNorm rows against its Dense row."""
    case = next(case for case in CASES if case.name == name)
    model, x = sequential(case), case.inputs(5, dtype=torch.float64)
    dense = densified(model, case.input_shape)
    found = algorithm31.merge(model, algorithm31.forward(model, x))
    expected = algorithm31.merge(dense, algorithm31.forward(dense, x.flatten(1)))
    for one, other in zip(found, expected, strict=True):
        assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    case = tagged("paper", "sequential31")[-1]
    model, x = sequential(case), case.inputs(7, dtype=torch.float64)
    whole = algorithm31.merge(model, algorithm31.forward(model, x))
    monkeypatch.setattr(algorithm31, "BLOCK_BYTES", 1)
    blocked = algorithm31.merge(model, algorithm31.forward(model, x))
    for one, other in zip(whole, blocked, strict=True):
        assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("layer", [nn.GELU(), nn.LeakyReLU(1.5), nn.Conv2d(1, 1, 1, padding_mode="circular")])
def test_algorithm31_refuses_other_layers(layer: nn.Module) -> None:
    with pytest.raises(NotImplementedError, match="no row"):
        algorithm31.forward(nn.Sequential(layer, nn.Flatten(), nn.Linear(4, 2)), torch.zeros(1, 1, 2, 2))


# ── sliding windows ───────────────────────────────────────────────────────────────────────────────────────────────────

WINDOWS = [
    Windows((2, 3), (1, 2), (1, 1), (0, 1), (0, 1)),
    Windows((3, 2), (2, 2), (2, 1), (1, 0), (1, 0), ceil_mode=True),
    Windows((2, 2), (3, 3), (1, 2), (0, 0), (0, 0), ceil_mode=True),
]


@pytest.mark.parametrize("windows", WINDOWS)
def test_fold_is_the_transpose_of_unfold(windows: Windows) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 6, 7))
    columns = windows.unfold(x, fill=0.0)
    cotangent = rng.standard_normal(columns.shape)
    folded = windows.fold((cotangent[:, j] for j in range(windows.count)), (6, 7))
    assert_allclose((columns * cotangent).sum(), (x * folded).sum())


@pytest.mark.parametrize("windows", WINDOWS)
def test_ties_choose_as_max_pool2d_does(windows: Windows) -> None:
    pool = nn.MaxPool2d(windows.kernel, windows.stride, windows.before, windows.dilation, True, windows.ceil_mode)
    x = torch.randint(0, 2, (5, 1, 6, 7), generator=torch.Generator().manual_seed(0)).double()
    _, index = pool(x)
    position = np.arange(42.0).reshape(1, 1, 6, 7)
    chosen = windows.unfold(x.numpy(), fill=-np.inf).argmax(2, keepdims=True)
    found = np.take_along_axis(np.repeat(windows.unfold(position, fill=-1.0), 5, axis=0), chosen, axis=2)
    assert_array_equal(found[:, :, 0], index.numpy())


# ── the extracted function ────────────────────────────────────────────────────────────────────────────────────────────


def test_extracted_function_by_hand() -> None:
    plus, minus = ([[1.0], [2.0], [2.0], [0.0]], [0.0, -1.0, -1.0, 1.0]), ([[0.0], [1.0], [1.0], [-1.0]], [0.0] * 4)
    found = extracted_function.evaluate(*plus, *minus, [0, 2, 2, 0], 3, [[2.0], [1.0], [0.0]])
    assert_array_equal(found.values, [[0.0, -np.inf, 1.0], [0.0, -np.inf, 0.0], [1.0, -np.inf, -1.0]])
    assert_array_equal(found.labels, [2, 0, 0])
    assert_array_equal(found.active_term, [1, 0, 3])


# ── local maps and exact fractions ────────────────────────────────────────────────────────────────────────────────────


@rational
def test_fractions_agree_with_float64(case: Case) -> None:
    model, x = case.make(1), case.inputs(3, seed=1, dtype=torch.float64)
    local, value = local_affine_map(model, x), case.make(1).double()(x).detach()
    for k, point in enumerate(x):
        exact = exact_at(model, point)
        assert_allclose(np.array(exact.value, dtype=float), value[k], rtol=1e-12, atol=1e-12)
        assert_allclose(np.array(exact.weight, dtype=float), local.weight[k], rtol=1e-12, atol=1e-12)
        assert_allclose(np.array(exact.bias, dtype=float), local.bias[k], rtol=1e-11, atol=1e-11)


@rational
def test_fractions_are_exactly_affine(case: Case) -> None:
    point = [Fraction(k + 1, 3) for k in range(case.input_shape[0])]
    exact = exact_at(case.make(2), point)
    for value, row, bias in zip(exact.value, exact.weight, exact.bias, strict=True):
        assert value == sum((w * p for w, p in zip(row, point, strict=True)), bias)


def test_exact_pattern_by_hand() -> None:
    first, last = linear([[1.0], [-1.0]], [-0.25, 0.25]), linear([[1.0, -1.0]], [-1.0])
    model = nn.Sequential(first, nn.ReLU(), last, nn.LeakyReLU(0.5)).eval()
    exact = exact_at(model, [Fraction(1, 3)])
    assert exact == ([Fraction(-11, 24)], [[Fraction(1, 2)]], [Fraction(-5, 8)], ((True, False), (False,)))
    assert exact_at(model, [Fraction(1, 4)]).pattern == ((False, False), (False,))


def check_local_map(model: nn.Module, x: Tensor) -> None:
    """The map has the value of the network at its point, and still has it a short step away."""
    local = local_affine_map(model, x)
    nearby = x + 1e-9 * points(tuple(x.shape[1:]), len(x))
    double = model.double()
    assert_allclose(local_values(local, x), double(x).detach(), rtol=1e-9, atol=1e-9)
    assert_allclose(local_values(local, nearby), double(nearby).detach(), rtol=1e-9, atol=1e-11)


@few
@given(random_networks())
def test_random_networks_are_piecewise_linear(network: Network) -> None:
    model, shape = network
    check_local_map(model, points(shape, 3))


# ── the shared networks ───────────────────────────────────────────────────────────────────────────────────────────────


def test_names_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


@by_name
def test_case_runs(case: Case) -> None:
    state = torch.get_rng_state()
    model, again, x = case.make(3), case.make(3), case.inputs(4)
    assert torch.equal(state, torch.get_rng_state())
    y = model(x)
    assert not any(module.training for module in model.modules())
    assert torch.equal(y, again(x))
    assert y.shape == (4, y.shape[-1])
    assert torch.isfinite(y).all()
    assert_allclose(model(x[1:2]).detach(), y[1:2].detach(), rtol=1e-4, atol=1e-5)  # points do not mix


@by_name
def test_case_is_piecewise_linear(case: Case) -> None:
    check_local_map(logits_of(case.make(0)), case.inputs(3, dtype=torch.float64))


class Together(nn.Module):
    """Several cases in one module, to share the fixed cost of run_decompositions."""

    def __init__(self, cases: list[Case]) -> None:
        super().__init__()
        self.cases, self.models = cases, nn.ModuleList(case.make(0) for case in cases)

    def forward(self, inputs: list[Tensor]) -> list[Tensor]:
        return [self.run(*arguments) for arguments in zip(self.cases, self.models, inputs, strict=True)]

    def run(self, case: Case, model: nn.Module, x: Tensor) -> Tensor:
        try:
            return model(x)
        except Exception as error:
            error.add_note(f"in case {case.name}")
            raise


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("start", range(0, len(CASES), TOGETHER), ids=lambda start: f"from_{CASES[start].name}")
def test_cases_export(start: int) -> None:
    """Traced on a batch of 2 with a free batch axis, decomposed with the empty table, and run on a batch of 5."""
    model = Together(CASES[start : start + TOGETHER]).eval()
    shapes = ([{0: Dim.DYNAMIC} for _ in model.cases],)
    program = export(model, ([case.inputs(2) for case in model.cases],), dynamic_shapes=shapes, strict=False)
    traced = program.run_decompositions({}).module()
    inputs = [case.inputs(5) for case in model.cases]
    for case, found, expected in zip(model.cases, traced(inputs), model(inputs), strict=True):
        assert_allclose(found.detach(), expected.detach(), rtol=1e-4, atol=1e-5, err_msg=case.name)
