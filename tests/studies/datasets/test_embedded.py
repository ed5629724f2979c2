"""The embedded data sets."""

from __future__ import annotations

import pytest
import torch

from tropica.studies.datasets.load import load_data


@pytest.mark.parametrize(("spec", "shape", "sizes"), [("digits", (1, 8, 8), (1442, 355)), ("mnist1d", (1, 40), (4000, 1000))])
def test_embedded_sets(spec, shape, sizes):
    train, test = load_data(spec), load_data(spec, split="test")
    assert (len(train), len(test)) == sizes
    assert train.input_shape == test.input_shape == shape
    assert (train.name, train.num_classes, train.split, test.split) == (spec, 10, "train", "test")
    for data in (train, test):
        assert data.labels is not None
        shares = torch.bincount(data.labels, minlength=10) / len(data)
        assert shares.min() > 0.07
        assert shares.max() < 0.13
    assert len(torch.cat([train.inputs, test.inputs]).flatten(1).unique(dim=0)) == sum(sizes)
    assert torch.equal(load_data(spec, limit=3).inputs, train.inputs[:3])


def test_digits_are_scaled_to_the_unit_interval():
    inputs = load_data("digits").inputs
    assert inputs.min() == 0
    assert inputs.max() == 1
    assert torch.equal(inputs * 16, (inputs * 16).round())


def test_mnist1d_is_the_same_everywhere():
    train, test = load_data("mnist1d"), load_data("mnist1d", split="test")
    assert train.labels is not None
    assert test.labels is not None
    assert train.labels[:8].tolist() == [5, 3, 8, 5, 3, 0, 5, 5]
    assert test.labels[-5:].tolist() == [7, 1, 9, 2, 2]
    first = torch.tensor([-0.0315, 0.0799, -0.5841, -0.8933])
    last = torch.tensor([-0.7566, -1.7017, -2.0283, -1.7497])
    torch.testing.assert_close(train.inputs[0, 0, :4], first, atol=1e-4, rtol=0)
    torch.testing.assert_close(test.inputs[-1, 0, -4:], last, atol=1e-4, rtol=0)
