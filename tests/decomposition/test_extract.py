"""The terms of every shared network: rows of autograd's Jacobian, Theorem 3.3 at and near the points, arguments of extract."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import tropica as tp
from tests.cached import by_method, by_name, case_of, decomposition_of, network, points, terms_of
from tests.checks import check_rows, check_theorem
from tropica.data.passes import DataPass, ShardSizes
from tropica.decomposition.blocks import empty_block
from tropica.decomposition.extraction import extract_batch, extract_shards, find_center


@by_name
def test_rows_are_those_of_autograd(name: str) -> None:
    """At ties (the origin) the rows are PyTorch's subgradients."""
    terms, x = terms_of(name, "calibrated"), points(name)
    assert torch.equal(terms.labels, network(name).predict(x))
    check_rows(case_of(name).make(0), terms, x)
    assert torch.equal(terms.local.weight, terms_of(name, "paper").local.weight)
    assert torch.equal(terms.local.bias, terms_of(name, "paper").local.bias)


@by_method
@by_name
def test_theorem(name: str, method: str) -> None:
    """Theorem 3.3 at every extracted point, and at points moved by 1e-6 that stay in their cell."""
    net, terms, x = network(name), terms_of(name, method), points(name)
    assert terms.certificate.holds, str(terms.certificate)
    check_theorem(terms, net, x)
    moved = x + 1e-6 * case_of(name).inputs(len(x), 9, torch.float64)
    stays = (net.activation_pattern(moved) == net.activation_pattern(x)).all(1) & (net.predict(moved) == terms.labels)
    assert stays.double().mean() > 0.8
    check_theorem(terms, net, moved[stays])


@by_method
@pytest.mark.parametrize("name", ["mlp_deep", "mnist_conv", "resnet", "inverted_residual"])
def test_whole_cells(name: str, method: str) -> None:
    """Theorem 3.3 holds halfway from each point to the boundary of its cell, along a random line."""
    net, terms, x = network(name), terms_of(name, method), points(name)
    direction = case_of(name).inputs(len(x), 11, torch.float64)
    pattern, reach = net.activation_pattern(x), torch.full((len(x),), 4.0, dtype=torch.float64)
    for _ in range(60):
        moved = x + reach.reshape(-1, *(1,) * (x.ndim - 1)) * direction
        inside = (net.activation_pattern(moved) == pattern).all(1) & (net.predict(moved) == terms.labels)
        reach = torch.where(inside, reach, reach / 2)
    check_theorem(terms, net, x + (reach / 2).reshape(-1, *(1,) * (x.ndim - 1)) * direction)


# ── ties ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

TIES: list[tuple[str, nn.Module, list[float]]] = [
    ("relu", nn.ReLU(), [0.0]),
    ("leaky_relu", nn.LeakyReLU(0.25), [0.0]),
    ("leaky_relu_steep", nn.LeakyReLU(1.5), [0.0]),
    ("prelu", nn.PReLU(), [0.0]),
    ("relu6", nn.ReLU6(), [0.0, 6.0]),
    ("hardtanh", nn.Hardtanh(-0.5, 0.75), [-0.5, 0.75]),
    ("hardsigmoid", nn.Hardsigmoid(), [-3.0, 3.0]),
    ("softshrink", nn.Softshrink(0.5), [-0.5, 0.5]),
    ("threshold", nn.Threshold(0.5, 0.5), [0.5]),
    ("max_pool", nn.Sequential(nn.Unflatten(1, (1, 4)), nn.MaxPool1d(2, 1), nn.Flatten()), [1.0, 1.0]),
    ("adaptive_max_pool", nn.Sequential(nn.Unflatten(1, (1, 4)), nn.AdaptiveMaxPool1d(3), nn.Flatten()), [1.0]),
]


class Function(nn.Module):
    """x -> function(x)."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


TIES += [
    ("abs", Function(torch.abs), [0.0]),
    ("clamp", Function(lambda x: x.clamp(-0.5, 0.5)), [-0.5, 0.5]),
    ("clamp_min", Function(lambda x: x.clamp_min(0.25)), [0.25]),
    ("maximum", Function(lambda x: torch.maximum(x, x.flip(1))), [1.0]),
    ("minimum", Function(lambda x: torch.minimum(x, x.flip(1))), [1.0]),
    ("amax", Function(lambda x: x.amax(1, keepdim=True) - x), [1.0]),
    ("amin", Function(lambda x: x - x.amin(1, keepdim=True)), [1.0]),
    ("max_dim", Function(lambda x: x.max(1, keepdim=True)[0] - x), [1.0]),
]


@pytest.mark.parametrize(("name", "nonlinearity", "levels"), TIES, ids=[row[0] for row in TIES])
def test_ties(name: str, nonlinearity: nn.Module, levels: list[float]) -> None:
    """Points with all or many coordinates on a boundary: the slopes are PyTorch's subgradients."""
    with torch.no_grad():
        width = nonlinearity(torch.zeros(2, 4)).shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        first, last = nn.Linear(4, 4, bias=False), nn.Linear(width, 3)
        x = torch.randn(24, 4, dtype=torch.float64)
        places = torch.randint(0, len(levels), (24, 4))
    nn.init.eye_(first.weight)
    model = nn.Sequential(first, nonlinearity, last).double().eval()
    on = torch.tensor(levels, dtype=torch.float64)[places]
    x[:16] = torch.where(torch.arange(64).reshape(16, 4) % 3 > 0, on[:16], x[:16])
    x[:4] = on[:4]
    net = tp.trace(model, x)
    for method in ("calibrated", "paper"):
        terms = tp.extract(net, x, decomposition=method)
        check_rows(model, terms, x)
        check_theorem(terms, net, x)


# ── how it is called ──────────────────────────────────────────────────────────────────────────────────────────────────


def equal(one: tp.LinearTerms, other: tp.LinearTerms) -> bool:
    """Assert that all terms are bitwise equal."""
    pairs = ((getattr(one, part), getattr(other, part)) for part in ("local", "minus"))
    same = all(torch.equal(a.weight, b.weight) and torch.equal(a.bias, b.bias) for a, b in pairs)
    return same and torch.equal(one.labels, other.labels)


@pytest.mark.parametrize("batch_size", [1, 5, 32, 1000])
@pytest.mark.parametrize("name", ["mlp", "mnist_conv", "densenet"])
def test_batch_size_does_not_matter(name: str, batch_size: int) -> None:
    expected, x = terms_of(name, "calibrated"), points(name)
    found = tp.extract(network(name), x, decomposition_of(name, "calibrated"), batch_size=batch_size)
    assert torch.equal(found.labels, expected.labels)
    for part in ("local", "minus", "plus"):
        one, other = getattr(found, part), getattr(expected, part)
        torch.testing.assert_close(one.weight, other.weight, rtol=1e-12, atol=1e-12 * float(other.weight.abs().max()))
        torch.testing.assert_close(one.bias, other.bias, rtol=1e-11, atol=1e-11 * float(other.bias.abs().max()))


@pytest.mark.parametrize("kind", ["array", "float64 array", "dataset", "loader", "batches", "labelled"])
def test_any_kind_of_data(kind: str) -> None:
    case = case_of("mnist_conv")
    x, net = case.inputs(50, 3), network("mnist_conv").to(torch.float32)
    data = {
        "array": lambda: x.numpy(),
        "float64 array": lambda: x.double().numpy(),
        "dataset": lambda: TensorDataset(x, torch.zeros(50)),
        "loader": lambda: DataLoader(TensorDataset(x, torch.zeros(50)), batch_size=16),
        "batches": lambda: list(x.split(16)),
        "labelled": lambda: tp.LabelledData(x, torch.zeros(50, dtype=torch.int64), "points"),
    }[kind]()
    assert equal(tp.extract(net, data, batch_size=16), tp.extract(net, x, batch_size=16))


def test_a_module_is_accepted() -> None:
    case = case_of("mlp")
    model, x = case.make(0).double(), points("mlp")
    assert equal(tp.extract(model, x), terms_of("mlp", "calibrated"))
    assert equal(tp.extract(model, x, decomposition="paper"), terms_of("mlp", "paper"))


def test_float64_from_a_float32_model() -> None:
    """The weights keep their float32 values, and everything is computed in float64."""
    case = case_of("mnist_conv")
    x = case.inputs(30)
    terms = tp.extract(case.make(0), x, dtype=torch.float64)
    assert terms.dtype == torch.float64
    assert terms.certificate.dtype == "float64"
    check_rows(case.make(0), terms, x.double())


@pytest.mark.parametrize("name", ["mlp_deep", "cifar_standard", "resnet", "one_logit"])
def test_float32(name: str) -> None:
    """Terms close to those in float64, biases in float64, certificate in float32."""
    x = points(name).float()
    exact = tp.extract(network(name), x.double(), decomposition_of(name, "calibrated"))
    terms = tp.extract(network(name).to(torch.float32), x, decomposition_of(name, "calibrated"))
    assert terms.local.weight.dtype == terms.dtype == torch.float32
    assert terms.local.bias.dtype == terms.minus.bias.dtype == terms.minus.weight.dtype == torch.float64
    assert terms.certificate.holds
    for part in ("local", "minus"):
        one, other = getattr(terms, part), getattr(exact, part)
        torch.testing.assert_close(one.weight.double(), other.weight, rtol=1e-4, atol=1e-5 * float(other.weight.abs().max()))
        torch.testing.assert_close(one.bias, other.bias, rtol=1e-4, atol=1e-4 * float(other.weight.norm(dim=1).max()))


@pytest.mark.parametrize("name", ["one_logit", "sigmoid"])
def test_one_logit_is_two_labels(name: str) -> None:
    """Label 1 where z > 0; a_k is z or −z."""
    terms, x, net = terms_of(name, "calibrated"), points(name), network(name)
    z = net(x).detach()[:, 0]
    assert terms.num_classes == 2
    assert torch.equal(terms.labels, (z > 0).long())
    assert name != "sigmoid" or set(terms.labels.tolist()) == {0, 1}
    own = terms.local(x).diagonal()
    torch.testing.assert_close(own, z.abs(), rtol=1e-12, atol=1e-12)
    check_theorem(terms, net, x)


def test_the_model_is_left_alone() -> None:
    case = case_of("cifar_batchnorm")
    model, x = case.make(0), case.inputs(20)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    x.requires_grad_()
    tp.extract(model, x)
    tp.extract(model, x, dtype=torch.float64)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert x.grad is None


def test_works_without_gradients() -> None:
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            assert equal(tp.extract(network("mlp"), points("mlp")), terms_of("mlp", "calibrated"))


def test_refusals() -> None:
    net, x = network("mlp"), points("mlp")
    for check in ("loud", True, "warn"):
        with pytest.raises(tp.InputError, match="check must be one of 'none', 'sample', 'full'; got"):
            tp.extract(net, x, check=check)  # type: ignore[arg-type]
    with pytest.raises(tp.InputError, match="on_failure must be one of 'raise', 'warn'"):
        tp.extract(net, x, on_failure="ignore")
    with pytest.raises(tp.InputError, match="on_failure has no effect with check='none'"):
        tp.extract(net, x, check="none", on_failure="warn")
    with pytest.raises(tp.InputError, match="made for another network"):
        tp.extract(net, x, decomposition_of("mlp_deep", "paper"))
    with pytest.raises(
        tp.InputError, match="unknown decomposition 'smallest'; accepted are 'calibrated', 'minimal', 'paper', or"
    ):
        tp.extract(net, x, decomposition="smallest")
    with pytest.raises(tp.InputError, match="shape"):
        tp.extract(net, torch.zeros(3, 7))
    with pytest.raises(tp.InputError, match="float16"):
        tp.extract(net, x, dtype=torch.float16)
    for size in (0, -1, 2.5):
        with pytest.raises(tp.InputError, match="batch_size must be a whole number, 1 or more"):
            tp.extract(net, x, decomposition_of("mlp", "paper"), batch_size=size)  # type: ignore[arg-type]
        with pytest.raises(tp.InputError, match="batch_size must be a whole number, 1 or more"):
            tp.decompose(net, x, batch_size=size)  # type: ignore[arg-type]
    bad = x.clone()
    bad[7, 2] = torch.nan
    with pytest.raises(tp.InputError, match=r"7|NaN"):
        tp.extract(net, bad, decomposition_of("mlp", "calibrated"))


def test_a_full_check() -> None:
    """With check="full" all pairs of points are checked."""
    found = tp.extract(network("mlp"), points("mlp"), check="full").certificate
    assert found.complete
    assert (found.points, found.terms) == (32, 32)


# ── the steps of extract ──────────────────────────────────────────────────────────────────────────────────────────────


def pass_over(net: tp.PiecewiseLinearNetwork, x: Tensor) -> DataPass:
    """A pass in batches of 4 and shards of 8."""
    return DataPass(x, 4, net.dtype, net.device, net.input_shape, ShardSizes(points=8))


@pytest.mark.parametrize("stored", [None, torch.float32], ids=str)
def test_batches_and_shards(stored: torch.dtype | None) -> None:
    """A shard's terms are those of its batches, in any process, and all shards together are the result of extract."""
    net, x, made = network("mnist_conv"), points("mnist_conv"), decomposition_of("mnist_conv", "paper")
    data_pass = pass_over(net, x)
    center = find_center(made, data_pass)
    whole = tp.extract(net, x, made, batch_size=4, stored_dtype=stored, on_failure="warn").blocks[0]  # float32 keeps 2.7 digits
    backwards = [
        next(extract_shards(made, data_pass, center, [shard], stored_dtype=stored, check=True))
        for shard in data_pass.shards[::-1]
    ]
    for shard, block in backwards:
        one_by_one = [extract_batch(made, batch, center, stored_dtype=stored) for batch in x[shard.first :][:8].split(4)]
        for name, tensor in block.tensors.items():
            assert torch.equal(tensor, whole.tensors[name][shard.first : shard.first + 8])
            assert torch.equal(tensor, torch.cat([part.tensors[name] for part in one_by_one]))
        assert block.smallest_cotangent is not None
        assert all(part.smallest_cotangent is None for part in one_by_one)
    top = net(x).topk(2, 1).values
    torch.testing.assert_close(whole.margin, top[:, 0] - top[:, 1], rtol=1e-12, atol=1e-12)


def test_a_batch_is_written_where_it_is_wanted() -> None:
    net, x, made = network("mlp"), points("mlp"), decomposition_of("mlp", "calibrated")
    center = find_center(made, pass_over(net, x))
    expected = extract_batch(made, x, center)
    room = empty_block(net, len(x), net.dtype)
    for start in (16, 0):
        found = extract_batch(made, x[start : start + 16], center, out=room.rows(start, 16))
        assert found.local.data_ptr() == room.local[start:].data_ptr()
    for name, tensor in expected.tensors.items():
        torch.testing.assert_close(room.tensors[name], tensor, rtol=1e-10, atol=1e-10)


def test_progress() -> None:
    seen: list[tuple[int, int, str]] = []
    tp.extract(network("mlp"), points("mlp"), batch_size=10, progress=lambda *step: seen.append(step))
    assert seen[-1] == (32, 32, "extracting")
    assert [step[0] for step in seen if step[2] == "extracting"] == [10, 20, 30, 32]
    assert any(step[2] != "extracting" for step in seen)  # the progress of the calibration
