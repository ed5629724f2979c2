"""The networks by name, their training, and the errors tropica raises."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch import nn

from tropica.errors import (
    CertificateError,
    InputError,
    NonFiniteWeights,
    StoreError,
    TropicaError,
    UnsupportedOperation,
)
from tropica.studies.datasets.load import load_data
from tropica.studies.networks import MODELS, build
from tropica.studies.training.loop import train


def count(name: str, shape: tuple[int, ...]) -> int:
    return sum(parameter.numel() for parameter in build(name, shape).parameters())


def kernels(model: nn.Module) -> list[int]:
    """The widths of all layers with weights, in order."""
    return [m.weight.shape[0] for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv1d, nn.Conv2d))]


# ── build ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 12, 12), (1, 40)])
@pytest.mark.parametrize("name", [name for name in MODELS if name not in {"fcn6", "fcn8", "wide"}])
def test_models_take_images_and_signals(name, shape):
    model = build(name, shape, 7, seed=0)
    assert not any(module.training for module in model.modules())
    assert model(torch.rand(2, *shape)).shape == (2, 7)


@pytest.mark.parametrize(
    ("name", "shape", "widths"),
    [
        ("fcn2", (3, 32, 32), [3072, 10]),
        ("fcn4", (1, 28, 28), [784, 200, 80, 10]),
        ("fcn4", (3, 32, 32), [3072, 400, 120, 10]),
        ("fcn6", (1, 28, 28), [2500, 2000, 1500, 1000, 500, 10]),
        ("conv", (1, 28, 28), [32, 64, 64, 64, 10]),
        ("conv", (3, 32, 32), [32, 32, 64, 64, 128, 128, 128, 10]),
        ("narrow", (3, 32, 32), [4, 4, 16, 16, 64, 64, 128, 10]),
        ("narrow-strides", (3, 32, 32), [4, 4, 16, 16, 64, 64, 128, 10]),
        ("conv-batchnorm", (3, 32, 32), [32, 32, 64, 64, 128, 128, 128, 10]),
        ("allcnn", (3, 32, 32), [96, 96, 96, 192, 192, 192, 192, 192, 10]),
    ],
)
def test_layers_are_those_of_the_paper(name, shape, widths):
    assert kernels(build(name, shape)) == widths


def test_fcn8_and_wide():
    # A 1 × 1 input keeps the first layer small; the other layers have their usual size.
    assert kernels(build("fcn8", (1, 1, 1))) == [4096, 3072, 2048, 1024, 512, 256, 128, 10]
    assert kernels(build("wide", (1, 1, 1))) == [4096] * 8 + [128, 10]


def test_narrow_has_the_nodes_of_wide():
    """The paper's condition: the same number of nodes after each parameter layer but the last two."""
    model, nodes = build("narrow", (3, 32, 32)), []
    x = torch.zeros(1, 3, 32, 32)
    for layer in model:
        x = layer(x)
        if isinstance(layer, nn.Conv2d):
            nodes.append(x.numel())
    assert nodes == [4096] * 6


def test_known_sizes():
    assert count("resnet-v1", (3, 32, 32)) == 273_066  # ResNet-20 as in the Keras example, without counting statistics
    assert count("conv", (1, 28, 28)) == 257_162
    assert len(kernels(build("resnet-v1", (3, 32, 32)))) == 20 + 2  # 6n + 2, and two 1×1 shortcuts
    assert len(kernels(build("resnet-v2", (3, 32, 32)))) == 29 + 3  # 9n + 2, and three 1×1 shortcuts


def test_variants_differ_in_the_pool():
    pools = (nn.MaxPool2d, nn.AvgPool2d)

    def found(name: str) -> list[type[nn.Module]]:
        return [type(module) for module in build(name, (3, 12, 12)).modules() if isinstance(module, pools)]

    assert found("conv") == found("narrow") == [nn.MaxPool2d] * 3
    assert found("conv-avgpool") == [nn.AvgPool2d] * 3
    assert found("conv-nopool") == found("narrow-strides") == found("allcnn") == []


@pytest.mark.parametrize("name", ["fcn4", "conv", "conv-batchnorm", "resnet-v2"])
def test_weights_are_he_uniform_and_biases_zero(name):
    model = build(name, (3, 16, 16), seed=1)
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            bound = (6 / module.weight[0].numel()) ** 0.5
            assert 0.9 * bound < module.weight.abs().max() <= bound
            assert module.bias is not None
            assert not module.bias.any()
        if isinstance(module, nn.BatchNorm2d):
            assert module.weight.eq(1).all()
            assert not module.bias.any()
            assert module.running_var is not None
            assert module.running_var.eq(1).all()


def test_seed_fixes_the_weights_and_spares_the_global_generator():
    state = torch.get_rng_state()
    first, second, other = (build("conv-small", (1, 8, 8), seed=seed) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.get_parameter("dense1.weight"), other.get_parameter("dense1.weight"))
    torch.manual_seed(0)
    drawn = build("conv-small", (1, 8, 8)).get_parameter("dense1.weight")
    torch.manual_seed(0)
    assert torch.equal(build("conv-small", (1, 8, 8)).get_parameter("dense1.weight"), drawn)


def test_leaky_activation():
    model = build("resnet-v1", (3, 8, 8), activation="leaky")
    leaky = [module for module in model.modules() if isinstance(module, nn.LeakyReLU)]
    assert leaky
    assert all(module.negative_slope == 0.3 for module in leaky)
    assert not any(isinstance(module, nn.ReLU) for module in model.modules())


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        (("fcn3", (1, 8, 8)), {}, "there is no model 'fcn3'; there are fcn2, fcn4, .*conv-small"),
        (("fcn4", (1, 8, 8)), {"activation": "gelu"}, "activation must be one of relu, leaky; found 'gelu'"),
        (("fcn4", ()), {}, r"whole numbers, 1 or more; found \(\) and 10"),
        (("fcn4", (1, 0)), {}, r"found \(1, 0\) and 10"),
        (("fcn4", (1, 8.0)), {}, r"found \(1, 8.0\) and 10"),
        (("fcn4", (1, 8), 0), {}, "and 0"),
        (("conv", (784,)), {}, r"takes \(channels, height, width\) or \(channels, length\); found \(784,\)"),
        (("narrow", (1, 6, 6)), {}, r"an input of shape \(1, 6, 6\) is too small for the model 'narrow'"),
    ],
)
def test_build_errors(args, options, message):
    with pytest.raises(InputError, match=message):
        build(*args, **options)


def test_models_is_read_only():
    with pytest.raises(TypeError):
        MODELS["mine"] = "x"  # type: ignore[index]


# ── train ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(autouse=True)
def one_thread():
    """Use one thread: small training steps are much slower on several threads of a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def digits():
    data = load_data("digits", limit=600)
    return data.inputs, data.labels


@pytest.mark.parametrize(("optimizer", "lr"), [("adam", 3e-3), ("sgd", 0.05)])
@pytest.mark.parametrize("name", ["fcn-small", "conv-small"])
def test_training_learns_the_digits(digits, name, optimizer, lr):
    inputs, labels = digits
    model = build(name, (1, 8, 8), seed=0)
    history = train(model, inputs, labels, epochs=20, batch_size=32, lr=lr, optimizer=optimizer)
    assert [row["epoch"] for row in history] == list(range(1, 21))
    assert history[-1]["loss"] < history[0]["loss"] / 4
    test = load_data("digits", split="test")
    assert (model(test.inputs).argmax(1) == test.labels).float().mean() > 0.88
    assert not model.training


def test_training_is_deterministic_and_spares_the_global_generator(digits):
    def run(seed: int) -> tuple[list, torch.Tensor]:
        model = build("conv-batchnorm", (1, 8, 8), seed=0)
        model.append(nn.Dropout(0.2))
        return train(model, digits[0][:64], digits[1][:64], epochs=2, batch_size=24, seed=seed), model.get_parameter(
            "dense2.weight"
        )

    state = torch.get_rng_state()
    (first, weight), (again, same), (other, _) = run(1), run(1), run(2)
    assert torch.equal(torch.get_rng_state(), state)
    assert first == again
    assert torch.equal(weight, same)
    assert first != other


def test_training_reports_progress(digits):
    calls = []
    model = build("fcn-small", (1, 8, 8), seed=0)
    train(model, digits[0][:100], digits[1][:100], epochs=2, batch_size=40, progress=lambda *call: calls.append(call))
    assert [call[:2] for call in calls] == [(done, 6) for done in range(1, 7)]
    assert calls[0][2] == "epoch 1/2"
    assert calls[-1][2].startswith("epoch 2/2, loss ")


def test_training_keeps_the_models_dtype(digits):
    model = build("fcn-small", (1, 8, 8), seed=0).double()
    train(model, digits[0][:50], digits[1][:50], epochs=1)
    assert model.get_parameter("dense1.weight").dtype == torch.float64


def test_sgd_steps_its_rate_down(digits, monkeypatch):
    rates = []
    step = torch.optim.SGD.step

    def watch(self, *args, **kwargs):
        rates.append(self.param_groups[0]["lr"])
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.SGD, "step", watch)
    model = build("fcn-small", (1, 8, 8), seed=0)
    train(model, digits[0][:20], digits[1][:20], epochs=8, optimizer="sgd", lr=0.1)
    assert rates == pytest.approx([0.1] * 4 + [0.01] * 2 + [0.001] * 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": torch.zeros(4, 1, 8, 8, dtype=torch.uint8)}, "training inputs: points must be of dtype"),
        ({"inputs": torch.full((4, 1, 8, 8), torch.nan)}, "training inputs: all values must be finite"),
        ({"labels": None}, r"int64 tensor \(4,\); found NoneType"),
        ({"labels": torch.zeros(4)}, r"int64 tensor \(4,\); found \(4,\) torch.float32"),
        ({"labels": torch.zeros(3, dtype=torch.int64)}, r"int64 tensor \(4,\); found \(3,\)"),
        ({"labels": torch.tensor([0, 1, 2, 10])}, "has 10 outputs, so labels lie in 0 … 9; found 0 … 10"),
        ({"labels": torch.tensor([0, 1, 2, -1])}, "found -1 … 2"),
        ({"epochs": 0}, "epochs and batch_size must be whole numbers, 1 or more; found 0, 128"),
        ({"batch_size": 1.5}, "found 1, 1.5"),
        ({"optimizer": "lion"}, "optimizer must be 'adam' or 'sgd'; found 'lion'"),
    ],
)
def test_training_errors(change, message):
    sound = {"inputs": torch.zeros(4, 1, 8, 8), "labels": torch.arange(4), "epochs": 1}
    with pytest.raises(InputError, match=message):
        train(build("fcn-small", (1, 8, 8)), **(sound | change))


def test_divergence_is_an_error_and_leaves_eval_mode(digits):
    model = build("fcn-small", (1, 8, 8), seed=0)
    with pytest.raises(NonFiniteWeights, match=r"training diverged in epoch .* lower lr=1e"):
        train(model, *digits, epochs=20, lr=1e20, optimizer="sgd")
    assert not model.training


# ── errors ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_unsupported_operation_says_all_it_knows():
    fields = {
        "op": "aten.gelu",
        "path": "body.act",
        "source": "net.py:12",
        "reason": "not piecewise linear",
        "accepted": ["relu", "leaky_relu"],
    }
    error = UnsupportedOperation(**fields)
    assert str(error).splitlines() == [
        "tropica cannot use the operation 'aten.gelu' in module 'body.act'.",
        "  source:   net.py:12",
        "  reason:   not piecewise linear",
        "  accepted: relu, leaky_relu",
    ]
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == str(error)
    assert copy.accepted == ("relu", "leaky_relu")
    assert str(UnsupportedOperation(op="sin")) == "tropica cannot use the operation 'sin'."
    assert UnsupportedOperation(op="sin", accepted="relu").accepted == ("relu",)


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (InputError, ValueError),
        (NonFiniteWeights, ValueError),
        (CertificateError, ArithmeticError),
        (StoreError, OSError),
        (UnsupportedOperation, NotImplementedError),
    ],
)
def test_errors_are_caught_by_their_builtin_kind(error, builtin):
    assert issubclass(error, TropicaError)
    assert issubclass(error, builtin)
