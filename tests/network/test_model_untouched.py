"""Tracing changes nothing in the user's model, and the network does not depend on the model afterwards."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm
from torch.testing import assert_close

import tropica as tp
from tests.networks import CASES
from tests.traced import case_of, points


def state(model: nn.Module) -> dict[str, Any]:
    """The state that tracing could change: values and their identities, dtypes, modes, hooks, gradients, attributes."""
    found: dict[str, Any] = {"rng": torch.get_rng_state().clone(), "threads": torch.get_num_threads()}
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        found[name] = (tensor.detach().clone(), id(tensor), tensor.data_ptr(), tensor.dtype, tensor.device)
        found[f"{name}?"] = (tensor.requires_grad, tensor.grad, tensor.is_leaf, type(tensor))
    for name, module in model.named_modules():
        hooks = {key: list(value) for key, value in vars(module).items() if "hooks" in key and value}
        found[f"{name}!"] = (module.training, hooks, sorted(vars(module)), list(module._modules), type(module), id(module))
    return found


def assert_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert before.keys() == after.keys()
    for name, old in before.items():
        for a, b in zip(*((x if isinstance(x, tuple) else (x,)) for x in (old, after[name])), strict=True):
            assert a.equal(b) if isinstance(a, Tensor) else a == b, name


class Frozen(nn.Module):
    """No parameter requires a gradient; buffers of several dtypes; parametrized weights."""

    index: Tensor
    mask: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.first = spectral_norm(nn.Linear(4, 4))
        self.second = weight_norm(nn.Linear(4, 4))
        self.third = orthogonal(nn.Linear(4, 4))
        self.tied = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.register_buffer("index", torch.tensor([3, 0, 1, 2]))
        self.register_buffer("mask", torch.tensor([True, False, True, True]))
        self.register_buffer("scratch", torch.ones(3), persistent=False)
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.norm(self.second(torch.relu(self.first(x)))))[:, self.index]
        h = nn.functional.linear(self.third(h), self.tied.weight.T, self.tied.bias)
        return self.tied(torch.relu(h)) * self.mask


def add_one(module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> Tensor:
    return out + 1


def with_hooks() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(inplace=True), nn.Linear(5, 3))
    model[0].register_forward_pre_hook(lambda module, args: (args[0] * 2,))
    model[1].register_forward_hook(add_one)
    model[2].weight.requires_grad_(False)
    model[2].bias.grad = torch.ones(3)
    return model


MODELS: dict[str, Callable[[], nn.Module]] = {
    "frozen": Frozen,
    "hooks": with_hooks,
    "in_place_on_the_input": lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 3)),
    "inner_tensors": lambda: nn.Sequential(nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Flatten()),
}


@pytest.mark.parametrize("make", MODELS.values(), ids=list(MODELS))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_unchanged(make: Callable[[], nn.Module], dtype: torch.dtype) -> None:
    model, x = make().to(dtype).eval(), torch.randn(6, 4, dtype=dtype)
    before, given = state(model), x.clone()
    net = tp.trace(model, x)
    net.to(torch.float64).local_map(x.double())
    net.fingerprint  # noqa: B018 (computed on demand)
    assert_same(before, state(model))
    assert x.equal(given)
    assert_close(net(x), model(x.clone()).detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [case.name for case in CASES][::12])
def test_cases_unchanged(name: str) -> None:
    model = case_of(name).make(0)
    before = state(model)
    tp.trace(model, points(name, 2, dtype=torch.float32))
    assert_same(before, state(model))


class Counting(nn.Module):
    """Counts its calls in a buffer, which a trace refuses; the count must stay."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return torch.relu(self.layer(x))


FAILING: dict[str, tuple[Callable[[], nn.Module], type[Exception]]] = {
    "unsupported": (lambda: nn.Sequential(nn.Linear(4, 3), nn.GELU()), tp.UnsupportedOperation),
    "stateful": (Counting, tp.TraceError),
    "wrong shape": (lambda: nn.Sequential(nn.Linear(5, 3), nn.ReLU()), tp.InputError),
}


@pytest.mark.parametrize(("make", "error"), FAILING.values(), ids=list(FAILING))
def test_unchanged_by_a_failure(make: Callable[[], nn.Module], error: type[Exception]) -> None:
    model, x = make().eval(), torch.randn(2, 4)
    before = state(model)
    with pytest.raises(error):
        tp.trace(model, x)
    assert_same(before, state(model))


@pytest.mark.parametrize("name", ["mlp", "batch_norm2d", "weight_norm_linear", "shared_layer", "maximum_constant"])
def test_network_keeps_its_own_weights(name: str) -> None:
    """Changes of the model do not reach the network, nor the other way round."""
    model, x = case_of(name).make(0), points(name, 5, dtype=torch.float32)
    net, twin = tp.trace(model, x), deepcopy(model)
    values, fingerprint = net(x), net.fingerprint
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.mul_(3) if tensor.is_floating_point() else tensor.add_(1)
    model.train().double()
    assert net(x).equal(values)
    assert net.fingerprint == fingerprint == tp.trace(twin, x).fingerprint
    before = state(twin)
    with torch.no_grad():
        for constant in tp.trace(twin, x).constants.values():
            constant.zero_()
    assert_same(before, state(twin))


def test_training_goes_on() -> None:
    """After a trace, the model trains as before."""
    model, x = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)), torch.randn(8, 4)
    twin = deepcopy(model)
    tp.trace(model.eval(), x)
    for one in (model.train(), twin.train()):
        one(x).square().sum().backward()
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        assert a.grad is not None
        assert b.grad is not None
        assert a.grad.equal(b.grad)
