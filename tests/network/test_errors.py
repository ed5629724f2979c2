"""Every error says what is wrong, where, and what is accepted instead."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from itertools import count

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import tropica as tp
from tests.traced import traced
from tropica.network.ops.registry import supported

HERE = __file__


class Net(nn.Module):
    """forward(x) = code(self, x), with a hidden and an output layer to use."""

    def __init__(self, code: Callable[[Net, Tensor], object]) -> None:
        super().__init__()
        self.code = code
        self.hidden, self.out = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> object:
        return self.code(self, x)


def trace(code: Callable[[Net, Tensor], object], x: Tensor | None = None) -> tp.PiecewiseLinearNetwork:
    return tp.trace(Net(code).eval(), torch.randn(2, 4) if x is None else x)


# ── operations ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_unsupported_operation() -> None:
    """The error names op, module path and source line, says why, and lists what would be accepted."""

    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(4, 4), nn.Sigmoid())])
            self.out = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.blocks[0](x))

    with pytest.raises(tp.UnsupportedOperation) as caught:
        tp.trace(Deep().eval(), torch.zeros(2, 4))
    error = caught.value
    assert (error.op, error.path) == ("aten.sigmoid.default", "blocks.0.1")
    assert error.source.startswith(HERE)
    assert error.source.endswith("return self.out(self.blocks[0](x))")
    assert "smooth" in error.reason
    assert list(error.accepted) == supported()
    text = str(error)
    assert text.startswith("tropica cannot use the operation 'aten.sigmoid.default' in module 'blocks.0.1'.\n  source:   ")
    assert all(len(line) <= 100 for line in text.splitlines() if "source:" not in line)


def test_source_of_a_built_in_layer() -> None:
    """If all of the code is in torch, the error names its innermost line."""
    with pytest.raises(tp.UnsupportedOperation) as caught:
        tp.trace(nn.Sequential(nn.Linear(4, 3), nn.GELU()).eval(), torch.zeros(2, 4))
    assert "activation.py:" in caught.value.source
    assert "gelu" in caught.value.source


UNSUPPORTED: dict[str, tuple[Callable[[Net, Tensor], object], str]] = {
    "smooth": (lambda net, x: net.out(F.softplus(net.hidden(x))), "smooth"),
    "inner softmax": (lambda net, x: net.out(net.hidden(x).softmax(1)), "dropped only as the last op"),
    "softmax, then one column": (lambda net, x: net.out(net.hidden(x)).softmax(1)[:, 1], "dropped only as the last op"),
    "softmax of pixels": (lambda net, x: net.hidden(x).view(-1, 3, 2).softmax(1).flatten(1), "keeps the order at the pixel"),
    "softmax of other entries": (lambda net, x: net.hidden(x)[:, :4].view(-1, 2, 2).softmax(1)[:, 0], "dropped only as"),
    "open order": (lambda net, x: net.hidden(x).topk(2, sorted=False)[0], "use sorted=True"),
    "softmax over points": (lambda net, x: net.out(net.hidden(x)).softmax(0), "dropped only as the last op"),
    "inner sigmoid": (lambda net, x: net.out(net.hidden(x).sigmoid()), "dropped only as the last op"),
    "sigmoid, then one column": (lambda net, x: net.out(net.hidden(x)).sigmoid()[:, 1], "dropped only as the last op"),
    "product": (lambda net, x: net.out(net.hidden(x) * net.hidden(x).relu()), "multiplies two activations"),
    "square": (lambda net, x: net.out(net.hidden(x)) ** 2, "smooth"),
    "quotient": (lambda net, x: 1 / net.out(net.hidden(x)), "divides by an activation"),
    "quotient of two": (lambda net, x: net.out(net.hidden(x) / net.hidden(x)), "divides by an activation"),
    "made weights": (lambda net, x: F.linear(x, net.hidden(x)[:, :4]), "multiplies two activations"),
    "batch squared": (lambda net, x: net.out(net.hidden(x).repeat(1, x.shape[0])[:, :6]), "as many times as there are points"),
    "rows for the batch": (lambda net, x: net.out.bias.repeat(x.shape[0]).view(-1, 3), "of size 1 and expand"),
    "padding by the batch": (lambda net, x: net.out(F.pad(net.hidden(x), (0, x.shape[0]))[:, :6]), "way that is not known"),
    "matrix product": (lambda net, x: net.hidden(x) @ net.hidden(x).T, "multiplies two activations"),
    "einsum": (lambda net, x: torch.einsum("bi,bj->bij", x, x).flatten(1), "multiplies two activations"),
    "made filter": (lambda net, x: F.conv1d(x[:, None], net.hidden(x)[:1, None, :2]).flatten(1), "filter depends"),
    "hardswish": (lambda net, x: net.out(F.hardswish(net.hidden(x))), "by itself"),
    "comparison": (lambda net, x: net.out(torch.where(net.hidden(x) > 0, 1.0, 0.0)), "write a choice by comparison as relu"),
    "jump": (lambda net, x: net.out(F.threshold(net.hidden(x), 0.0, 1.0)), "only a continuous one"),
    "sign": (lambda net, x: net.out(net.hidden(x).sign()), "jumps"),
    "layer norm": (lambda net, x: net.out(F.layer_norm(net.hidden(x), (6,))), "statistics of its own input"),
    "batch statistics": (lambda net, x: F.batch_norm(net.hidden(x), None, None, training=True), "statistics of its own input"),
    "attention": (lambda net, x: F.scaled_dot_product_attention(x[:, None], x[:, None], x[:, None])[:, 0], "attention"),
    "dropout": (lambda net, x: net.out(F.dropout(net.hidden(x))), "training=False"),
    "random slopes": (lambda net, x: net.out(F.rrelu(net.hidden(x), training=True)), "training=False"),
    "noise of fixed size": (lambda net, x: net.out(net.hidden(x) + torch.randn(6)), "random"),
    "noise": (lambda net, x: net.out(net.hidden(x) + torch.randn_like(net.hidden(x))), "random"),
    "positions": (lambda net, x: net.out(net.hidden(x)) - net.hidden(x).max(1, keepdim=True)[1], "position of a maximum"),
    "argmax": (lambda net, x: net.out(net.hidden(x)).argmax(1), "return the logits"),
    "made index": (lambda net, x: net.out.weight[net.hidden(x).long()].sum(1), "converts torch.float32 to torch.int64"),
    "made slope": (lambda net, x: F.prelu(net.hidden(x), net.hidden(x)[0]), "constant slope"),
    "another dtype": (lambda net, x: net.out(net.hidden(x).double().float()), "one dtype throughout"),
    "unknown": (lambda net, x: net.out(net.hidden(x).digamma()), "not known"),
    "elu": (lambda net, x: net.out(F.elu(net.hidden(x))), "curved where its input is negative"),
    "writes into a constant": (lambda net, x: torch.zeros(2, 4).select_scatter(x.sum(0), 0, 1), "no batch"),
}


@pytest.mark.parametrize(("code", "why"), UNSUPPORTED.values(), ids=list(UNSUPPORTED))
def test_reasons(code: Callable[[Net, Tensor], object], why: str) -> None:
    with pytest.raises(tp.UnsupportedOperation) as caught:
        trace(code)
    assert why in caught.value.reason
    assert caught.value.source.startswith(HERE)


def test_unsupported_operation_in_another_process() -> None:
    """The error survives pickling, as between worker processes."""
    error = tp.UnsupportedOperation(op="gelu", path="a.b", source="net.py:3  x", reason="smooth", accepted=["relu", "abs"])
    again = pickle.loads(pickle.dumps(error))
    assert (again.op, again.path, again.source, again.reason, again.accepted) == (
        *("gelu", "a.b", "net.py:3  x", "smooth"),
        ("relu", "abs"),
    )
    assert str(again) == str(error)


# ── control flow and state ─────────────────────────────────────────────────────────────────────────────────────────────


def branch(net: Net, x: Tensor) -> Tensor:
    if x.sum() > 0:
        return net.out(net.hidden(x))
    return net.out(net.hidden(x).relu())


def number(net: Net, x: Tensor) -> Tensor:
    width = int(x.abs().sum().item())
    return net.out(net.hidden(x))[:, :width]


@pytest.mark.parametrize(("code", "line"), [(branch, "if x.sum() > 0:"), (number, "width = int(x.abs().sum().item())")])
def test_data_dependent_control_flow(code: Callable[[Net, Tensor], Tensor], line: str, capfd: pytest.CaptureFixture) -> None:
    """The line is named, and torch's own listings are not printed."""
    with pytest.raises(tp.TraceError, match="data-dependent control flow") as caught:
        trace(code)
    assert f"  source:   {HERE}:" in str(caught.value)
    assert line in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_conditional_subgraph() -> None:
    with pytest.raises(tp.TraceError, match=r"torch\.cond or a loop"):
        trace(lambda net, x: net.out(torch.cond(x.shape[0] > 3, torch.relu, torch.neg, (net.hidden(x),))))


NUMBERS = count(1.0)

MISMATCHES: dict[str, Callable[[Net, Tensor], object]] = {
    "exporting": lambda net, x: net.out(net.hidden(x).relu() if torch.compiler.is_exporting() else net.hidden(x)),
    "shape": lambda net, x: net.out(net.hidden(x)) if torch.compiler.is_compiling() else net.hidden(x),
    "stateful": lambda net, x: net.out(net.hidden(x).relu()) * next(NUMBERS),
    "only exported": lambda net, x: net.out(x if not torch.compiler.is_compiling() and len(x) > 2 else net.hidden(x)),
    "infinite": lambda net, x: net.out(net.hidden(x) * 3e38) * 3e38,
}


@pytest.mark.parametrize("code", MISMATCHES.values(), ids=list(MISMATCHES))
def test_trace_mismatch(code: Callable[[Net, Tensor], object]) -> None:
    with pytest.raises(tp.TraceMismatch):
        trace(code)


def test_stateful_model() -> None:
    def counting(net: Net, x: Tensor) -> Tensor:
        net.calls += 1  # type: ignore[operator]
        return net.out(net.hidden(x))

    model = Net(counting).eval()
    model.register_buffer("calls", torch.zeros(()))
    with pytest.raises(tp.TraceError, match=r"changes its own buffers in its forward pass \(calls\)"):
        tp.trace(model, torch.randn(2, 4))


# ── outputs ────────────────────────────────────────────────────────────────────────────────────────────────────────────

OUTPUTS: dict[str, tuple[Callable[[Net, Tensor], object], str]] = {
    "tuple": (lambda net, x: (net.hidden(x), x), "returns a tuple"),
    "tuple of one": (lambda net, x: (net.hidden(x),), "returns a tuple"),
    "dictionary": (lambda net, x: {"logits": net.hidden(x)}, "returns a dict"),
    "maps": (lambda net, x: net.hidden(x)[:, None], r"shape \(B, 1, 6\); logits \(B, s\) are needed"),
    "constant": (lambda net, x: net.out.bias, "does not depend on its input"),
    "positions": (lambda net, x: net.hidden(x).max(1)[1], "does not depend on its input"),
    "sum over points": (lambda net, x: net.hidden(x).sum(), "points of a batch are joined|logits"),
}


@pytest.mark.parametrize(("code", "why"), OUTPUTS.values(), ids=list(OUTPUTS))
def test_outputs(code: Callable[[Net, Tensor], object], why: str) -> None:
    with pytest.raises(tp.TraceError, match=why):
        trace(code)


def test_two_inputs() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x + y

    with pytest.raises(tp.InputError, match=r"itself fails on the example of shape .*missing 1 required positional argument"):
        tp.trace(Two().eval(), torch.randn(2, 4))


# ── models and examples ────────────────────────────────────────────────────────────────────────────────────────────────


def test_training_mode() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.BatchNorm1d(4), nn.Dropout()))
    with pytest.raises(tp.TrainingModeError, match=r"\(the model itself\) and 4 more is in training mode; call model.eval\(\)"):
        tp.trace(model, torch.randn(2, 4))
    model.eval()[1][0].train()  # type: ignore[index]
    with pytest.raises(tp.TrainingModeError, match=r"module 1\.0 is in training mode"):
        tp.trace(model, torch.randn(2, 4))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["0.weight", "1.running_mean"])
def test_non_finite_weights(name: str, value: float) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).eval()
    model.state_dict()[name].view(-1)[:2] = value
    with pytest.raises(tp.NonFiniteWeights, match=rf"{name} has 2 values that are NaN or infinite"):
        tp.trace(model, torch.randn(2, 4))


def test_non_finite_constants() -> None:
    """Non-finite constants in the code, and weights that overflow during tracing."""
    with pytest.raises(tp.NonFiniteWeights, match="the bias of aten"):
        trace(lambda net, x: net.hidden(x) + torch.tensor(float("inf")))
    model = nn.Sequential(nn.BatchNorm1d(4, eps=0.0)).eval()
    model[0].running_var.zero_()  # type: ignore[union-attr]
    with pytest.raises(tp.NonFiniteWeights, match="in module '0' has 4 values"):
        tp.trace(model, torch.randn(2, 4))


EXAMPLES: dict[str, tuple[object, str]] = {
    "another width": (torch.randn(2, 5), r"itself fails on the example of shape \(2, 5\): .*shapes cannot be multiplied"),
    "one point": (torch.randn(4), "a batch and at least one more dimension"),
    "no point": (torch.randn(0, 4), "a batch and at least one more dimension"),
    "an array": ([[1.0, 2.0]], "got list"),
    "integers": (torch.zeros(2, 4, dtype=torch.long), "int64; float32 or float64 is needed"),
    "half": (torch.zeros(2, 4, dtype=torch.float16), "float16; float32 or float64 is needed"),
    "float64": (torch.zeros(2, 4, dtype=torch.float64), "they must agree"),
    "not finite": (torch.full((2, 4), torch.nan), "NaN or infinite"),
    "another device": (torch.zeros(2, 4, device="meta"), "meta"),
}


@pytest.mark.parametrize(("example", "why"), EXAMPLES.values(), ids=list(EXAMPLES))
def test_examples(example: Tensor, why: str) -> None:
    with pytest.raises(tp.InputError, match=why):
        tp.trace(nn.Sequential(nn.Linear(4, 3), nn.ReLU()).eval(), example)


def test_not_a_model() -> None:
    with pytest.raises(tp.InputError, match=r"needs a torch\.nn\.Module, got builtin_function_or_method"):
        tp.trace(torch.relu, torch.zeros(2, 4))  # type: ignore[arg-type]
    with pytest.raises(tp.InputError, match=r"0\.weight has no shape yet"):
        tp.trace(nn.Sequential(nn.LazyLinear(3)).eval(), torch.zeros(2, 4))
    with pytest.raises(tp.InputError, match="trace the Python module that it was made from"):
        tp.trace(torch.jit.script(nn.Sequential(nn.Linear(4, 3)).eval()), torch.zeros(2, 4))


@pytest.mark.parametrize(
    ("x", "why"),
    [
        (torch.zeros(2, 5, dtype=torch.float64), r"has shape \(2, 5\); this network takes \(B, 4\)"),
        (torch.zeros(4, dtype=torch.float64), r"has shape \(4,\)"),
        (torch.zeros(2, 4), r"is torch\.float32; this network is torch\.float64"),
        (torch.zeros(2, 4, dtype=torch.float64, device="meta"), "is on meta; this network is on cpu"),
        ([[0.0] * 4], r"must be a torch\.Tensor, got list"),
    ],
)
def test_batches(x: Tensor, why: str) -> None:
    """Every method of a traced network refuses a batch of the wrong shape, with one message."""
    net = traced("mlp")
    for method in (net, net.predict, net.scores, net.local_map, net.activation_pattern, net.active_pieces):
        with pytest.raises(tp.InputError, match=why):
            method(x)


def test_every_error_is_a_tropica_error() -> None:
    """Every error derives from TropicaError and from the matching built-in error."""
    builtin = {
        **{tp.InputError: ValueError, tp.DataError: ValueError, tp.UnsupportedOperation: NotImplementedError},
        **{tp.TrainingModeError: RuntimeError, tp.TraceError: RuntimeError, tp.TraceMismatch: RuntimeError},
        **{tp.NonFiniteWeights: ValueError, tp.CertificateError: ArithmeticError, tp.StoreError: OSError},
    }
    for error, base in builtin.items():
        assert issubclass(error, tp.TropicaError)
        assert issubclass(error, base)
