"""``tp.decompose`` around the methods: the network it is given, and how many points it takes at a time."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import tropica as tp
from tests.extracted import network, points
from tropica.network.batch_size import default_batch_size
from tropica.network.trace import as_network


@pytest.mark.parametrize("name", ["mlp", "mnist_conv", "resnet", "densenet"])
def test_default_batch_size(name: str) -> None:
    """The largest power of two up to 1024 whose values, twice, fit the memory."""
    net = network(name)
    numbers = 0

    def count(module_out: torch.Tensor) -> None:
        nonlocal numbers
        numbers += module_out.numel()

    values = {"input": torch.zeros(1, *net.input_shape, dtype=net.dtype)}
    for node in net.graph.nodes:
        values[node.name] = node.apply([values[i] for i in node.inputs], net.constants)
        count(values[node.name])
    need = 2 * 8 * numbers
    assert default_batch_size(net) == 1024
    assert default_batch_size(net, memory=64 * need) == 64
    assert default_batch_size(net, memory=64 * need - 1) == 32
    assert default_batch_size(net, memory=1) == 1
    assert default_batch_size(net.to(torch.float32), memory=64 * need) == 128


def test_a_network_is_taken_as_it_is() -> None:
    net = network("mlp")
    assert as_network(net, None) is net
    assert tp.decompose(net, points("mlp")).net is net


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_module_is_traced_in_its_own_dtype(dtype: torch.dtype) -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).to(dtype).eval()
    for data in (torch.randn(5, 4), torch.randn(5, 4, dtype=torch.float64).numpy(), [torch.randn(1, 4), torch.randn(4, 4)]):
        assert as_network(model, data).dtype == dtype


def test_a_module_without_parameters() -> None:
    assert as_network(nn.Sequential(nn.ReLU(), nn.Flatten()).eval(), torch.randn(5, 4)).dtype == torch.float32
    assert tp.decompose(nn.ReLU().eval(), torch.randn(5, 4)).smallest_cotangent == 0


def test_training_mode_is_refused() -> None:
    with pytest.raises(tp.TrainingModeError):
        tp.decompose(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), torch.randn(5, 4))
