"""At breakpoints a network has PyTorch's subgradients, also for rewritten activations."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.testing import assert_close

import tropica as tp
from tests.network_modules import prelu
from tests.oracles.dense import local_affine_map

# Points (8 numbers) with every breakpoint below, equal neighbors and equal triples.
POINTS = torch.tensor(
    [
        [0.0, -0.0, 6.0, 3.0, -3.0, 0.5, -0.5, 1.0],
        [1.0, 1.0, -1.0, -1.0, 0.0, 0.0, 2.0, 2.0],
        [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5],
        [-2.0, 3.0, 3.0, -2.0, 3.0, -2.0, 6.0, 6.0],
        [0.25, -0.25, 0.25, -0.25, 1.0, -1.0, 1.0, -1.0],
    ],
    dtype=torch.float64,
)
LEVELS = torch.tensor([0.0, 0.0, 6.0, 3.0, -3.0, 0.5, -0.5, 1.0], dtype=torch.float64)

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "leaky_relu": nn.LeakyReLU(0.25),
    "leaky_relu_steep": nn.LeakyReLU(1.5),
    "leaky_relu_negative": nn.LeakyReLU(-0.5),
    "prelu": lambda x: F.prelu(x, x.new_tensor([0.25])),
    "prelu_outside": lambda x: F.prelu(x, x.new_tensor([-0.5, 1.5, 0.3, 1.0, 0.0, 2.0, -1.0, 0.5])),
    "rrelu": nn.RReLU(0.25, 0.75).eval(),
    "abs": torch.abs,
    "relu6": F.relu6,
    "hardtanh": F.hardtanh,
    "hardtanh_zero": lambda x: F.hardtanh(x, 0.0, 1.0),
    "hardtanh_uneven": lambda x: F.hardtanh(x, -0.5, 3.0),
    "hardsigmoid": F.hardsigmoid,
    "softshrink": F.softshrink,
    "threshold": lambda x: F.threshold(x, 0.5, 0.5),
    "threshold_zero": lambda x: F.threshold(x, 0.0, 0.0),
    "clamp": lambda x: x.clamp(-1, 1),
    "clamp_zero": lambda x: x.clamp(0, 6),
    "clamp_min": lambda x: x.clamp_min(0.5),
    "clamp_max": lambda x: x.clamp(max=0.5),
    "clamp_tensor": lambda x: torch.clamp(x, LEVELS - 1, LEVELS),
    "clamp_crossed": lambda x: x.clamp(1, -1),
    "maximum_constant": lambda x: torch.maximum(x, LEVELS),
    "minimum_constant": lambda x: torch.minimum(LEVELS, x),
    "maximum": lambda x: torch.maximum(x, x.flip(1)),
    "minimum": lambda x: torch.minimum(x, x.roll(1, 1)),
    "amax": lambda x: x.view(-1, 2, 4).amax(2),
    "amin": lambda x: x.view(-1, 4, 2).amin((1, 2)).unsqueeze(1),
    "max_dim": lambda x: x.view(-1, 2, 4).max(2)[0],
    "min_dim": lambda x: x.view(-1, 2, 4).min(1)[0],
    "max_pool1d": lambda x: F.max_pool1d(x.unsqueeze(1), 3, 1, 1).squeeze(1),
    "max_pool2d": lambda x: F.max_pool2d(x.view(-1, 1, 2, 4), 2, 1).flatten(1),
    "adaptive_max_pool": lambda x: F.adaptive_max_pool1d(x.unsqueeze(1), 3).squeeze(1),
}


class Beside(nn.Module):
    """The concatenated outputs of all functions of one vector."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([function(x) for function in FUNCTIONS.values()], 1)


@cache
def jacobians() -> dict[str, tuple[Tensor, Tensor]]:
    """For each function the Jacobian of the network at the points, and that of the function by autograd."""
    widths = [function(POINTS).shape[1] for function in FUNCTIONS.values()]
    net = tp.trace(Beside().eval(), torch.randn(2, 8, dtype=torch.float64))
    found, wanted = net.local_map(POINTS).weight, local_affine_map(Beside(), POINTS).weight
    return dict(zip(FUNCTIONS, zip(found.split(widths, 1), wanted.split(widths, 1), strict=True), strict=True))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_subgradients(name: str) -> None:
    found, wanted = jacobians()[name]
    # PyTorch's derivative of hardsigmoid rounds 1/6 to float32.
    assert_close(found, wanted, rtol=0, atol=1e-8 if name == "hardsigmoid" else 1e-15)


def test_pattern_at_a_tie() -> None:
    """At a tie the active piece is the one whose slope the network takes: for relu at 0 the negative side."""
    net = tp.trace(nn.Sequential(nn.Flatten(), nn.ReLU()).eval(), torch.zeros(2, 3))
    pattern = net.activation_pattern(torch.tensor([[0.0, -1.0, 1.0], [-1.0, 0.0, 2.0], [1e-30, -1.0, 1.0]]))
    assert pattern.tolist() == [[0b00100000], [0b00100000], [0b10100000]]


def test_per_channel_prelu_at_zero() -> None:
    model = nn.Sequential(prelu(0.25, -0.5), nn.Flatten()).double().eval()
    x = torch.zeros(2, 2, 3, dtype=torch.float64)
    net = tp.trace(model, x)
    assert_close(net.local_map(x).weight, local_affine_map(model, x).weight, rtol=0, atol=1e-15)
