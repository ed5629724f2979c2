"""Extraction on a device whose tensors hold no numbers: any copy to the host, or decision by a value, is an error there."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import tropica as tp
from tests.cached import decomposition_of, network, points
from tropica.decomposition.extraction import extract_batch
from tropica.decomposition.layer_by_layer import layer_by_layer


@pytest.mark.parametrize("name", ["mlp", "mnist_conv", "resnet", "maxout"])
def test_the_passes_of_extraction_copy_nothing_to_the_host(name: str) -> None:
    """All of it is queued on the device: forward and backward passes, centering, constant parts."""
    decomposition, x = decomposition_of(name, "calibrated").to("meta"), points(name)[:4].to("meta")
    center = torch.zeros(x[0].numel(), dtype=torch.float64, device="meta")
    block = extract_batch(decomposition, x, center)
    assert {part.device.type for part in block.tensors.values()} == {"meta"}
    assert block.local.shape == block.minus.shape == (4, x[0].numel())


@pytest.mark.parametrize("name", ["mlp", "mnist_conv", "resnet"])
def test_the_sweep_of_the_calibration_copies_nothing_to_the_host(name: str) -> None:
    net, x = network(name).to("meta"), points(name)[:4].to("meta")
    found = layer_by_layer(net, [x], memory=1e9)
    assert {k.device.type for k in found.multipliers.values()} == {"meta"}


def test_a_copy_would_be_noticed() -> None:
    def copies(x: Tensor) -> float:
        return float(x.sum())

    with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
        copies(torch.zeros(3, device="meta"))
    assert isinstance(network("mlp").to("meta"), tp.PiecewiseLinearNetwork)
