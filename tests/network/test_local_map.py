"""The affine map of a point's region, against the model's own Jacobian."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import tropica as tp
from tests.networks import logits_of
from tests.oracles.dense import local_affine_map
from tests.traced import by_name, by_op, logits, model_of, points, traced
from tropica.network.network import AffineMap

# PyTorch's derivative of hardsigmoid rounds 1/6 to float32, in float64 as well.
ROUGH = {"hardsigmoid": 1e-7}


@by_op
def test_against_the_model(name: str) -> None:
    x, model = points(name, 4), logits_of(model_of(name))
    local = traced(name).local_map(x)
    wanted = local_affine_map(model if traced(name).num_outputs > 1 else nn.Sequential(model, nn.Flatten()), x)
    rough = ROUGH.get(name, 1e-9)
    assert local.weight.shape == (4, traced(name).num_outputs, *x.shape[1:])
    assert_close(local.weight, wanted.weight, rtol=rough, atol=rough * 1e-3)
    assert_close(local.bias, wanted.bias, rtol=rough, atol=rough)
    assert_close(local(x), logits(name, x), rtol=1e-10, atol=1e-11)


@by_name
def test_inside_the_cell(name: str) -> None:
    """Points of one pattern have one map, and a step within the cell changes the logits as the map predicts."""
    net, x = traced(name), points(name, 6)
    step = torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=x.dtype)
    here, there = net.local_map(x), net.local_map(x + 1e-6 * step)
    same = (net.activation_pattern(x) == net.activation_pattern(x + 1e-6 * step)).all(1)
    assert same.sum() >= 3
    assert_close(there.weight[same], here.weight[same], rtol=1e-9, atol=1e-11)
    assert_close(there.bias[same], here.bias[same], rtol=1e-9, atol=1e-8)
    assert_close(net(x + 1e-6 * step)[same], here(x + 1e-6 * step)[same], rtol=1e-9, atol=1e-11)


def test_dtype_and_leaves() -> None:
    """The slopes are in the network's dtype, the bias in float64; x keeps no gradient and asks for none."""
    x = points("mnist_conv", 3, dtype=torch.float32).clone().requires_grad_()
    local = traced("mnist_conv", torch.float32).local_map(x)
    assert (local.weight.dtype, local.bias.dtype) == (torch.float32, torch.float64)
    assert not local.weight.requires_grad
    assert x.grad is None
    assert_close(local(x.detach()), traced("mnist_conv", torch.float32)(x).detach().double(), rtol=1e-4, atol=1e-5)
    assert len(local) == 3


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients(mode: type[torch.no_grad | torch.inference_mode]) -> None:
    """Local maps do not depend on the caller's gradient mode."""
    with mode():
        local = traced("mlp").local_map(points("mlp", 2) + 0)
    assert local.weight.equal(traced("mlp").local_map(points("mlp", 2)).weight)


class Constant(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.new_full((x.shape[0], 3), 2.0)


def test_constant_network() -> None:
    net = tp.trace(Constant().eval(), torch.zeros(2, 4))
    local = net.local_map(torch.randn(5, 4))
    assert local.weight.equal(torch.zeros(5, 3, 4))
    assert local.bias.equal(torch.full((5, 3), 2.0, dtype=torch.float64))
    assert net.activation_pattern(torch.randn(5, 4)).shape == (5, 0)


def test_network_is_differentiable() -> None:
    """``net(x)`` has the gradient of the model."""
    x = points("resnet", 2).clone().requires_grad_()
    (found,) = torch.autograd.grad(traced("resnet")(x).square().sum(), x)
    (wanted,) = torch.autograd.grad(model_of("resnet")(x).square().sum(), x)
    assert_close(found, wanted, rtol=1e-9, atol=1e-12)


def test_affine_map() -> None:
    """W x + b, each map at its own point, by hand."""
    weight, bias = torch.tensor([[[1.0, 2.0]], [[3.0, -1.0]]]), torch.tensor([[0.5], [1.0]], dtype=torch.float64)
    out = AffineMap(weight, bias)(torch.tensor([[1.0, 1.0], [2.0, 4.0]]))
    assert out.equal(torch.tensor([[3.5], [3.0]], dtype=torch.float64))


@pytest.mark.parametrize("name", ["linear_only", "linear_linear"])
def test_affine_network(name: str) -> None:
    """Without nonlinearities there is one map, and no pattern."""
    net = traced(name)
    local = net.local_map(points(name))
    assert net.nonlinearities == ()
    assert_close(local.weight, local.weight[:1].expand_as(local.weight))
    assert_close(local.bias, local.bias[:1].expand_as(local.bias))
