"""A traced network computes what its model computes, with affine ops and nonlinearities alone."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import tropica as tp
from tests.network_families import mlp
from tests.network_modules import Apply, Headed
from tests.traced import by_name, by_op, case_of, logits, model_of, points, traced
from tropica.network.graph import AffineNode, NonlinearityNode
from tropica.network.ops.registry import supported

FLOAT32 = [
    "weight_norm_linear",
    "batch_norm2d",
    "batch_norm1d_negative",
    "batch_norm2d_no_affine",
    "div_constant",
    "div_scalar",
    "hardsigmoid",
    "prelu_mixed",
    "leaky_relu_steep",
    "clamp_tensor",
    "conv_bn_conv_negative",
    "resnet_negative",
    "densenet",
    "functional_linear",
    "inverted_residual",
    "mnist_conv",
]


@by_op
def test_logits(name: str) -> None:
    """The logits are those of the model, for a batch and for single points."""
    x = points(name)
    found, wanted = traced(name)(x), logits(name, x)
    scale = float(wanted.abs().max())
    assert_close(found, wanted, rtol=1e-10, atol=1e-12 * scale)
    assert_close(torch.cat([traced(name)(x[i : i + 1]) for i in range(3)]), wanted[:3], rtol=1e-10, atol=1e-12 * scale)


@by_name
def test_graph(name: str) -> None:
    """Only affine ops and nonlinearities, each with its own name, each input computed before it is read."""
    net, made = traced(name), {"input"}
    for node in net.graph.nodes:
        assert isinstance(node, AffineNode | NonlinearityNode)
        assert set(node.inputs) <= made
        assert node.name not in made
        made.add(node.name)
    assert net.graph.output in made
    assert {name for node in net.graph.nodes for name in node.constants.values()} == set(net.constants)


@by_name
def test_nonlinearities(name: str) -> None:
    """A nonlinearity's units are one point's part of its output, and its path is a module of the model."""
    net, x = traced(name), points(name, 3)
    seen: list[NonlinearityNode] = []

    def visit(nonlinearity: NonlinearityNode, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        seen.append(nonlinearity)
        assert nonlinearity.per_point(out, 3).shape == (3, *nonlinearity.unit_shape)
        assert nonlinearity.units == math.prod(nonlinearity.unit_shape) > 0
        assert math.prod(nonlinearity.unit_shape) * 3 == out.numel()

    net.graph.evaluate(x, net.constants, visit=visit)
    assert tuple(seen) == net.nonlinearities
    for nonlinearity in net.nonlinearities:
        model_of(name).get_submodule(nonlinearity.path)


@by_name
def test_jacobian_signs(name: str) -> None:
    """The assumption of the (P, Q) rule: J ≥ 0 without a weight, up to ``signs``; else J(w) = J(w⁺) − J(w⁻), both ≥ 0."""
    net, x = traced(name), points(name, 2)
    generator = torch.Generator().manual_seed(0)
    values = {"input": x}
    for node in net.graph.nodes:
        inputs = [values[i] for i in node.inputs]
        values[node.name] = node.apply(inputs, net.constants)
        if not isinstance(node, AffineNode):
            continue
        roles = node.roles(net.constants)
        up = [
            s * torch.rand(z.shape, generator=generator) for z, s in zip(inputs, node.signs or (1,) * len(inputs), strict=True)
        ]
        parts = [roles]
        if node.weighted:
            parts = [{**roles, "weight": w} for w in (roles["weight"].clamp(min=0), (-roles["weight"]).clamp(min=0))]
        rises = [rise(node, part, up) for part in parts]
        assert all(float(step.min()) >= -1e-12 for step in rises)
        if node.weighted:
            assert_close(rise(node, roles, up), rises[0] - rises[1], rtol=1e-9, atol=1e-11)


def rise(node: AffineNode, roles: dict[str, Tensor], direction: list[Tensor]) -> Tensor:
    """J · direction for an affine op with these constants."""
    direction = [step.double() for step in direction]
    return node.fn(*direction, **roles) - node.fn(*(torch.zeros_like(step) for step in direction), **roles)


@pytest.mark.parametrize("name", FLOAT32)
def test_float64_of_a_float32_trace(name: str) -> None:
    """``net.to(float64)`` is as exact as the model in float64: constants computed from weights are kept in float64."""
    net, x = traced(name, torch.float32), points(name)
    assert_close(net(x.float()), logits(name, x.float()), rtol=1e-4, atol=1e-5)
    wanted = logits(name, x)
    assert_close(net.to(torch.float64)(x), wanted, rtol=1e-12, atol=1e-13 * float(wanted.abs().max()))
    assert net.to(torch.float64).to(torch.float32)(x.float()).equal(net(x.float()))


@pytest.mark.parametrize("size", [1, 2, 5])
def test_any_example(size: int) -> None:
    """Only shape, dtype and device of the example matter; a batch of one, or of zeros, is enough."""
    model = case_of("mnist_conv").make(0)
    net = tp.trace(model, torch.zeros(size, 1, 8, 8))
    x = points("mnist_conv", 5, dtype=torch.float32)
    assert_close(net(x), model(x))
    assert_close(net(x[:1]), model(x[:1]))
    assert net(x[:0]).shape == (0, net.num_outputs)
    assert net.fingerprint == traced("mnist_conv", torch.float32).fingerprint


HEADS: list[tuple[str | None, int, nn.Module]] = [
    ("softmax", 3, nn.Softmax(1)),
    ("log_softmax", 3, nn.LogSoftmax(-1)),
    ("softmax", 3, nn.Sequential(nn.Softmax(1), nn.Flatten())),
    ("softmax", 3, nn.Sequential(nn.Unflatten(1, (3, 1, 1)), nn.Softmax(1), nn.Flatten())),
    ("log_softmax", 3, Apply("of a pixel", lambda z: torch.stack([z, -z], 2)[..., None].log_softmax(1)[:, :, 0, 0])),
    ("sigmoid", 1, nn.Sigmoid()),
    ("sigmoid", 1, nn.Sequential(nn.Sigmoid(), nn.Flatten(0))),
    ("sigmoid", 1, Apply("first", lambda z: z[:, 0].sigmoid())),
    ("log_sigmoid", 1, nn.LogSigmoid()),
    ("sigmoid", 3, nn.Sigmoid()),
    ("log_sigmoid", 3, nn.LogSigmoid()),
    (None, 1, nn.Flatten(0)),
]


@pytest.mark.parametrize(("dropped", "outputs", "head"), HEADS)
def test_heads(dropped: str | None, outputs: int, head: nn.Module) -> None:
    """A final op that changes no label is dropped, and its name is kept."""
    body = mlp(3, 4, outputs).eval()
    net, x = tp.trace(Headed(body, head).eval(), torch.zeros(2, 3)), torch.randn(20, 3)
    assert (net.dropped, net.num_outputs, net.num_classes) == (dropped, outputs, max(2, outputs))
    assert_close(net(x), body(x))
    labels = body(x).argmax(1) if outputs > 1 else (body(x)[:, 0] > 0).long()
    assert net.predict(x).equal(labels)
    assert net.scores(x).argmax(1).equal(labels)


def test_repr_in_notebooks() -> None:
    """The repr is one line; in a notebook it is a table with one row per nonlinearity."""
    net, x = traced("mnist_conv"), points("mnist_conv", 3)
    local = net.local_map(x)
    assert repr(local) == f"AffineMap(3 points, {'×'.join(map(str, net.input_shape))} → {net.num_outputs}, torch.float64)"
    for node in net.nonlinearities:
        assert f"<th>{node.name}</th><td>{node.op.name} in module {node.path}: {node.units:,} units" in net._repr_html_()
    assert "<th>weight</th>" in local._repr_html_()


def test_evaluate_keeps_values() -> None:
    """All values by name, in the dtype of the points; the evaluation can start from each of them."""
    net, x = traced("resnet"), points("resnet", 2)
    graph = net.graph
    values = graph.evaluate(x, net.constants, keep=graph.names)
    assert list(values) == ["input", *(node.name for node in graph.nodes)]
    assert_close(values[graph.output], logits("resnet", x))
    assert {name: value[:1].shape for name, value in values.items()} == net.shapes
    for node in graph.nodes:
        assert graph.evaluate(x, net.constants, stop=node.name).equal(values[node.name])
        assert graph.evaluate(values, net.constants, stop=node.name) is values[node.name]


def test_evaluate_from_a_cut() -> None:
    """The values at a cut give the output and its gradients; without one of them the evaluation is refused."""
    net, x = traced("resnet"), points("resnet", 3).clone().requires_grad_()
    skip = next(node for node in net.graph.nodes if len(node.inputs) == 2)
    cut = net.graph.evaluate(x, net.constants, stop=skip.inputs[0], keep=skip.inputs)
    assert set(cut) == set(skip.inputs)
    out = net.graph.evaluate(cut, net.constants)
    assert out.equal(net(x))
    (direct,) = torch.autograd.grad(net(x).sum(), x)
    assert_close(torch.autograd.grad(out.sum(), x)[0], direct)
    del cut[min(skip.inputs, key=net.graph.names.index)]
    with pytest.raises(tp.InputError, match="input"):
        net.graph.evaluate(cut, net.constants)


def test_evaluate_frees_values() -> None:
    """A value is freed after its last use, unless it is kept: a chain holds two values at a time."""
    model = nn.Sequential(*(layer for _ in range(6) for layer in (nn.Linear(4, 4), nn.ReLU()))).eval()
    net = tp.trace(model, torch.zeros(2, 4))
    alive: list[weakref.ref[Tensor]] = []
    most = 0

    def visit(nonlinearity: NonlinearityNode, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        nonlocal most
        alive.extend(weakref.ref(z) for z in (*inputs, out))
        most = max(most, sum(ref() is not None for ref in alive))

    with torch.no_grad():
        net.graph.evaluate(torch.zeros(2, 4), net.constants, visit=visit)
    assert most == 2


def test_wrapped_models() -> None:
    """A model wrapped by torch.compile or data parallelism is unwrapped and traced."""
    model, x = mlp(3, 4, 2).eval(), torch.randn(5, 3)
    for wrapped in (torch.compile(model), nn.DataParallel(model).eval()):
        assert_close(tp.trace(wrapped, x)(x), model(x))  # type: ignore[arg-type]


SETTINGS: dict[str, Callable[[], AbstractContextManager]] = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "default device": lambda: torch.device("meta"),
}


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=list(SETTINGS))
def test_global_settings(setting: Callable[[], AbstractContextManager]) -> None:
    """Global settings of the caller do not affect the network, which can be differentiated afterwards."""
    model, x = case_of("inverted_residual").make(0), points("inverted_residual", 3, dtype=torch.float32)
    with setting():
        net = tp.trace(model, x)
        double = net.to(torch.float64)
    assert_close(net(x), logits("inverted_residual", x), rtol=1e-4, atol=1e-5)
    for one in (net, double):
        at = x.to(one.dtype, copy=True).requires_grad_()
        one(at).sum().backward()
        assert at.grad is not None
        assert at.grad.abs().sum() > 0


def test_threads() -> None:
    """Traces from several threads wait for one another, of one model and of several."""
    shared = mlp(3, 9, 2).eval()
    models = [shared if i % 2 else mlp(3, 4 + i, 2).eval() for i in range(6)]
    with ThreadPoolExecutor(4) as pool:
        nets = list(pool.map(lambda model: tp.trace(model, torch.zeros(2, 3)), models))
    assert [net.nonlinearities[0].units for net in nets] == [4, 9, 6, 9, 8, 9]


def test_precision_of_folded_constants() -> None:
    """A weight that is computed from parameters is computed in float64."""

    class Standardised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.scale = nn.Conv2d(2, 4, 3), nn.Parameter(torch.tensor(0.3))

        def forward(self, x: Tensor) -> Tensor:
            weight = self.conv.weight
            weight = (weight - weight.mean((1, 2, 3), keepdim=True)) / weight.std((1, 2, 3), keepdim=True)
            return nn.functional.conv2d(x, weight * self.scale.exp()).flatten(1)

    model, x = Standardised().eval(), torch.randn(4, 2, 5, 5)
    net = tp.trace(model, x).to(torch.float64)
    assert_close(net(x.double()), model.double()(x.double()), rtol=1e-13, atol=1e-13)


def test_to() -> None:
    net = traced("mlp")
    assert net.to(torch.float64) is net
    assert net.to("cpu") is net
    assert (net.to(torch.float32).dtype, net.to(torch.float32).device) == (torch.float32, torch.device("cpu"))
    with pytest.raises(tp.InputError, match="float16"):
        net.to(torch.float16)


def test_repr() -> None:
    assert (
        repr(traced("softmax"))
        == "PiecewiseLinearNetwork(4 → 3, 1 nonlinearities with 6 units, torch.float64, softmax dropped)"
    )


def test_supported_names_are_public() -> None:
    names = supported()
    assert {"conv2d", "max_pool2d", "batch_norm", "interpolate", "pad", "flatten", "softshrink", "dropout"} <= set(names)
    assert not any(name.startswith(("_", "unsafe_", "native_")) for name in names)
    assert names == sorted(set(names))
