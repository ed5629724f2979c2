"""Small networks for the tropical tests, as torch modules and as graphs without torch.export."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import tropica as tp
from tropica.network.builder import Builder, Value
from tropica.network.nonlinearities import Relu
from tropica.tropical.to_network import LinearSum


def mlp(*sizes: int, seed: int = 0, whole: bool = False, last: bool = False) -> nn.Sequential:
    """Linear and ReLU layers in float64: random normal weights, or integer ones in −3 … 3."""
    random = np.random.default_rng(seed)
    layers: list[nn.Module] = []
    for a, b in pairwise(sizes):
        draw = (lambda *shape: random.integers(-3, 4, shape).astype(float)) if whole else random.standard_normal
        layers += [linear(draw((b, a)) if not whole else draw(b, a), draw(b)), nn.ReLU()]
    return nn.Sequential(*(layers if last else layers[:-1])).eval()


def linear(weight: np.ndarray | Sequence[Sequence[float]], bias: np.ndarray | Sequence[float]) -> nn.Linear:
    """One layer in float64."""
    w = torch.tensor(np.array(weight, dtype=np.float64))
    layer = nn.Linear(w.shape[1], w.shape[0], dtype=torch.float64)
    layer.weight, layer.bias = nn.Parameter(w), nn.Parameter(torch.tensor(np.array(bias, dtype=np.float64)))
    return layer


def numbers(model: nn.Sequential) -> list[tuple[list[list[float]], list[float]]]:
    """Weights and biases of the linear layers."""
    layers = [m for m in model if isinstance(m, nn.Linear)]
    return [(m.weight.tolist(), [0.0] * len(m.weight) if m.bias is None else m.bias.tolist()) for m in layers]


def graph(model: nn.Sequential, inputs: int) -> tp.PiecewiseLinearNetwork:
    """Linear, LinearSum and ReLU layers as a traced network, quickly."""
    b = Builder(torch.zeros(2, inputs, dtype=torch.float64))
    x = b.input
    for i, layer in enumerate(model):
        b.stem = f"layer{i}"
        if isinstance(layer, nn.Linear):
            x = _linear(b, layer, x)
        elif isinstance(layer, LinearSum):
            parts = [_linear(b, part, x) for part in layer.parts if isinstance(part, nn.Linear)]
            x = parts[0]
            for part in parts[1:]:
                x = b.add(x, part)
        else:
            assert isinstance(layer, nn.ReLU)
            x = b.nonlinearity(Relu(), x)
    from tropica.network.trace_checks import check_points

    found = check_points(b.graph(x), b.constants, torch.zeros(2, inputs, dtype=torch.float64))
    return tp.PiecewiseLinearNetwork(found, b.constants, (inputs,), torch.float64, torch.device("cpu"))


def _linear(b: Builder, layer: nn.Linear, x: Value) -> Value:
    bias = None if layer.bias is None else layer.bias.detach()
    return b.affine(lambda x, weight, bias=None: F.linear(x, weight, bias), x, weight=layer.weight.detach(), bias=bias)


def c2(last: bool = False) -> nn.Sequential:
    """The worked example of the paper's supplement C.2, with linear or with ReLU output."""
    first = linear([[-1, 1], [1, -3], [1, 2], [-4, 1], [3, 2]], [1, -1, 2, 0, -2])
    layers: list[nn.Module] = [first, nn.ReLU(), linear([[1, 2, 1, -1, -3]], [0])]
    return nn.Sequential(*layers, *([nn.ReLU()] if last else [])).eval()
