"""Exact integrated gradients: closed forms, a fine Riemann sum, ties, completeness."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import tropica as tp
from tests.traced import points, traced

DOUBLE = torch.float64


def vector(*numbers: float) -> torch.Tensor:
    return torch.tensor([numbers], dtype=DOUBLE)


def test_two_layers_by_hand() -> None:
    net = tp.from_layers([([[1.0, 0.0], [0.0, 1.0]], None), ([[1.0, -1.0]], [-1.0]), ([[1.0]], None)])
    found = tp.integrated_gradients(net, vector(3, 1))
    assert found.values.tolist() == [[1.5, -0.5]]
    assert found.tied.tolist() == [0.0]


def test_a_segment_inside_of_a_hyperplane_is_tied() -> None:
    net = tp.from_layers([([[1.0, -1.0]], None), ([[1.0]], None)])
    found = tp.integrated_gradients(net, vector(1, 1))
    assert found.values.tolist() == [[0.0, 0.0]]
    assert found.tied.tolist() == [1.0]
    third = tp.from_layers([([[1.0, -3.0]], None), ([[1.0]], None)])  # middles of pieces round off the plane
    found = tp.integrated_gradients(third, vector(3 * 0.1, 0.1) * 0 + torch.tensor([[0.75, 0.25]], dtype=DOUBLE))
    assert found.values.abs().sum() == 0
    assert found.tied.tolist() == [1.0]
    dead = tp.from_layers([([[0.0, 0.0], [1.0, 0.0]], None), ([[1.0, 1.0]], None)])  # 0 without a gradient: no tie
    assert tp.integrated_gradients(dead, vector(1, 1)).tied.tolist() == [0.0]


def test_half_of_a_segment_is_tied() -> None:
    """relu(x) − relu(y) on (−1, −1) … (1, 1), and a relu of it: both are active behind 0, where x − y is 0 with a gradient."""
    net = tp.from_layers([([[1.0, 0.0], [0.0, 1.0]], None), ([[1.0, -1.0]], None), ([[1.0]], None)])
    found = tp.integrated_gradients(net, vector(1, 1), vector(-1, -1)[0])
    assert found.tied.tolist() == [0.5]
    assert found.residual.tolist() == [0.0]


@pytest.mark.parametrize("name", ["max_pool2d_padding", "prelu_per_channel"])
def test_completeness_and_a_riemann_sum(name: str) -> None:
    net = traced(name).to(DOUBLE)
    x = points(name, 2).to(DOUBLE)
    base = points(name, 3).to(DOUBLE)[2]
    found = tp.integrated_gradients(net, x, base, target=0)
    assert float(found.residual.max()) <= 1e-12
    steps = (torch.arange(4000, dtype=DOUBLE) + 0.5) / 4000
    for k in range(2):
        t = steps.reshape(-1, *(1,) * base.ndim)
        on = (base + t * (x[k] - base)).requires_grad_()
        mean = torch.autograd.grad(net(on)[:, 0].sum(), on)[0].mean(0)
        assert torch.allclose(found.values[k], (x[k] - base) * mean, atol=2e-3 * float(found.values[k].abs().max() + 1e-9))


def test_windows_clamps_and_reused_modules() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.relu, self.last = nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Linear(12, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = nn.functional.max_pool2d(self.relu(self.conv(x)), 2)
            h = torch.clamp(self.relu(h - 0.2), max=0.5)
            return self.last(torch.maximum(h, h.flip(3) * 0.5).flatten(1))

    torch.manual_seed(0)
    net = tp.trace(Odd().double().eval(), torch.zeros(2, 1, 4, 4, dtype=DOUBLE))
    x, base = torch.randn(3, 1, 4, 4, dtype=DOUBLE), torch.randn(2, 1, 4, 4, dtype=DOUBLE)
    found = tp.integrated_gradients(net, x, base, target=torch.tensor([0, 1, 0]))
    assert found.values.shape == (3, 2, 1, 4, 4)
    assert float(found.residual.max()) <= 1e-12
    single = tp.integrated_gradients(net, x[1:2], base[1], target=1)
    assert torch.allclose(single.values[0], found.values[1, 1], rtol=1e-12, atol=1e-15)
    assert torch.allclose(found.mean(), found.values.mean(1))


def test_bad_arguments() -> None:
    net = tp.from_layers([([[1.0, -1.0]], None), ([[1.0]], None)])
    for call, message in (
        (lambda: tp.integrated_gradients(net, vector(1, 1), target=1), "an output 0 … 0"),
        (lambda: tp.integrated_gradients(net, vector(1, 1, 1)), "shape"),
        (lambda: tp.integrated_gradients(net, vector(1, float("nan"))), "finite"),
        (lambda: tp.integrated_gradients(net, vector(1, 1), vector(1, 1, 1)), "baseline has shape"),
        (lambda: tp.integrated_gradients(net, vector(1, 1), target=torch.tensor([0, 0])), "one for each of the 1 points"),
    ):
        with pytest.raises(tp.InputError, match=message):
            call()


def test_the_difference_of_two_networks() -> None:
    torch.manual_seed(1)
    models = [nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2), nn.Softmax(1)).eval() for _ in range(2)]
    a, b = (tp.trace(m, torch.zeros(2, 3)) for m in models)
    both, x = tp.subtract(a, b), torch.randn(5, 3)
    assert torch.allclose(both(x), a(x) - b(x), atol=1e-6)
    assert both.dtype == torch.float32
    assert tp.cell(both, x[0]).map(x[:1]).tolist()[0] == pytest.approx((a(x) - b(x))[0].tolist(), abs=1e-5)
    with pytest.raises(tp.InputError, match="same number of outputs"):
        tp.subtract(a, tp.from_layers([([[1.0, 0.0, 0.0]], None)]))
