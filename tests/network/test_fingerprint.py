"""A network's fingerprint: the same in every process, and different for networks that differ."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torch.testing import assert_close

import tropica as tp
from tests.network_families import mnist_conv
from tests.network_modules import Apply
from tests.traced import by_name, case_of, model_of, points, traced


@by_name
def test_no_addresses(name: str) -> None:
    """Text that is the same in every process: no object's address, no set's order."""
    for node in traced(name).graph.nodes:
        assert not re.search(r"0x[0-9a-f]{4}|<function|<lambda|\bobject at\b|device", node.signature)


def test_same_again() -> None:
    name = "inverted_residual"
    again = tp.trace(case_of(name).make(0).double(), points(name, 5, seed=3))
    assert again.fingerprint == traced(name).fingerprint
    assert traced(name).to(torch.float32).fingerprint == traced(name).fingerprint


class Wrapper(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)


def test_a_wrapped_copy_is_the_same_network() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).eval()
    x = torch.randn(3, 4)
    same = tp.trace(model, x).fingerprint
    inside: Any = copy.deepcopy(model)
    inside[0] = torch.compile(inside[0])
    compiled: Any = torch.compile(model)
    wrapped = (nn.DataParallel(model), compiled, AveragedModel(model), Wrapper(model), inside)
    assert [tp.trace(other.eval(), x).fingerprint == same for other in wrapped] == [True] * 5
    other: Any = copy.deepcopy(model)
    with torch.no_grad():
        other[0].bias[0] += 1e-6
    assert tp.trace(Wrapper(other).eval(), x).fingerprint != same


@pytest.mark.slow
def test_another_process() -> None:
    code = "from tests.traced import traced; print(traced('inverted_residual').fingerprint)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == traced("inverted_residual").fingerprint


PAIRS: dict[str, list[nn.Module]] = {
    "order of dimensions": [Apply("", lambda x, d=d: x.permute(0, *d)) for d in ((1, 2, 3), (3, 1, 2))],
    "padding": [nn.ZeroPad2d(p) for p in ((1, 0, 0, 1), (0, 1, 1, 0))],
    "window": [nn.AvgPool2d(k, 1, p) for k, p in ((1, 0), (3, 1))],
    "number": [Apply("", lambda x, c=c: x + c) for c in (1.0, 2.0)],
    "nonlinearity": [nn.LeakyReLU(slope) for slope in (0.1, 0.2)],
    "head": [nn.Flatten(), nn.Sequential(nn.Flatten(), nn.Softmax(1))],
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=list(PAIRS))
def test_differences(pair: list[nn.Module]) -> None:
    first, second = (tp.trace(nn.Sequential(model, nn.Flatten()).eval(), torch.zeros(2, 1, 3, 3)) for model in pair)
    assert first.fingerprint != second.fingerprint


def test_weights_count() -> None:
    """A change in the last digit of one weight changes the fingerprint."""
    model = mnist_conv().eval()
    before = tp.trace(model, torch.zeros(2, 1, 8, 8)).fingerprint
    with torch.no_grad():
        bias = next(model.parameters()).view(-1)
        bias[0] = torch.nextafter(bias[0], torch.tensor(9.0))
    assert tp.trace(model, torch.zeros(2, 1, 8, 8)).fingerprint != before


def test_shared_weights_are_kept_once() -> None:
    net, layer = traced("shared_layer"), model_of("shared_layer")[0]  # type: ignore[index]
    assert sum(c.shape == layer.weight.shape for c in net.constants.values()) == 1
    assert_close(net(points("shared_layer")), model_of("shared_layer")(points("shared_layer")))
