"""Widths given as numbers, read from traced networks, and refused."""

import numpy as np
import pytest
import torch
from torch import nn

import tropica as tp
from tropica import bounds
from tropica.bounds.architecture import LayerWidths, layer_widths
from tropica.studies.networks import build


def trace(*layers, shape=(4,)):
    return tp.trace(nn.Sequential(*layers).eval(), torch.zeros(2, *shape))


class Function(nn.Module):
    def __init__(self, forward):
        super().__init__()
        self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 6)
        self.matrix = nn.Parameter(torch.ones(4, 5))
        self.compute = forward

    def forward(self, x):
        return self.compute(self, x)


def function(forward):
    return tp.trace(Function(forward).eval(), torch.zeros(2, 4))


@pytest.mark.parametrize("sizes", [(4, 6, 2), [4, 6, 2], np.array([4, 6, 2]), torch.Size([4, 6, 2]), iter((4, 6, 2))])
def test_widths_as_numbers(sizes):
    assert layer_widths(sizes) == LayerWidths(4, (6, 2))


def test_widths_of_traced_networks():
    assert layer_widths(tp.trace(build("fcn4", (1, 8, 8)), torch.zeros(2, 1, 8, 8))) == LayerWidths(64, (64, 200, 80))
    module = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)).eval()
    assert layer_widths(module) == LayerWidths(4, (6,))
    norm = trace(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(), nn.Linear(6, 3), nn.ReLU(), nn.Softmax(1))
    assert layer_widths(norm) == LayerWidths(4, (6, 3))
    assert layer_widths(trace(nn.Linear(4, 6), nn.LeakyReLU(0.0), nn.Linear(6, 2))) == LayerWidths(4, (6,))
    shaped = trace(
        nn.Flatten(), nn.Linear(4, 6), nn.Unflatten(1, (2, 3)), nn.ReLU(), nn.Flatten(), nn.Linear(6, 2), shape=(2, 2)
    )
    assert layer_widths(shaped) == LayerWidths(4, (6,))
    assert layer_widths(function(lambda m, x: 2 * torch.relu(x @ m.matrix - 1))) == LayerWidths(4, (5,))
    tail = trace(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3), nn.Linear(3, 2))
    assert layer_widths(tail) == LayerWidths(4, (6,))


def test_a_traced_network_has_the_bounds_of_its_widths():
    net = tp.trace(build("fcn4", (1, 2, 2)), torch.zeros(2, 1, 2, 2))
    assert bounds.bounds_of(net) == bounds.bounds_of((4, 4, 200, 80))
    assert bounds.serra2018_maxout(net, rank=2) == bounds.montufar2017(net)


@pytest.mark.parametrize("nonlinearity", [nn.LeakyReLU(0.3), nn.PReLU(6)])
def test_leaky_units_have_the_bounds_that_count_hyperplanes_alone(nonlinearity):
    net = trace(nn.Linear(4, 6), nonlinearity, nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3))
    assert layer_widths(net) == LayerWidths(4, (6, 6), leaky=True)
    assert bounds.montufar2017(net) == bounds.montufar2017((4, 6, 6))
    assert set(bounds.bounds_of(net)) == {"raghu2017", "montufar2017", "zhang2018"}
    relu_only = [bounds.serra2018, bounds.serra2018_log10, bounds.hinz2019]
    for bound in (*relu_only, bounds.montufar2014, bounds.serra2018_lower, bounds.arora2018):
        with pytest.raises(tp.InputError, match=r"about ReLU.*leaky"):
            bound(net)


@pytest.mark.parametrize(
    ("net", "found"),
    [
        (lambda: trace(nn.Linear(4, 3)), "it has no activation"),
        (lambda: trace(nn.ReLU(), nn.Linear(4, 3)), r"0 dense layers before relu \(0\)"),
        (lambda: trace(nn.Linear(4, 2), nn.Linear(2, 5), nn.ReLU()), r"2 dense layers before relu \(2\)"),
        (lambda: trace(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 6), nn.Hardtanh(-1, 1)), "hardtanh"),
        (lambda: trace(nn.Linear(4, 6), nn.ReLU6()), "branch|kind 'maximum'|dense"),
        (lambda: trace(nn.Linear(4, 6), nn.LeakyReLU(-0.5)), "makes a branch|no dense layer|before"),
        (lambda: function(lambda m, x: m.first(x).abs()), r"abs \(.*\) is a nonlinearity of kind 'abs'"),
        (lambda: function(lambda m, x: torch.relu(m.second(torch.relu(m.first(x))) + m.first(x))), "which makes a branch"),
        (
            lambda: trace(nn.Conv1d(1, 2, 3), nn.ReLU(), nn.Flatten(), shape=(1, 5)),
            r"conv1d \(0\) is no dense layer on all of its 5 inputs",
        ),
        (
            lambda: trace(nn.Linear(4, 6), nn.ReLU(), nn.Flatten(), shape=(3, 4)),
            r"linear \(0\) is no dense layer on all of its 12 inputs",
        ),
        (lambda: trace(nn.AvgPool1d(2), nn.Flatten(), nn.Linear(2, 3), nn.ReLU(), shape=(1, 4)), "avg_pool1d"),
    ],
)
def test_other_networks_are_named(net, found):
    with pytest.raises(tp.InputError, match=found) as error:
        bounds.serra2018(net())
    assert "Accepted are such chains" in str(error.value)


@pytest.mark.parametrize(
    ("architecture", "found"),
    [
        ((4,), r"at least one hidden layer.*found \(4,\)"),
        ((), "at least one hidden layer"),
        ((4, 0), "entry 1 of the architecture must be a whole number, 1 or more; found 0"),
        ((4, -1, 2), "entry 1 .* found -1"),
        ((4, 2.0), "entry 1 .* found 2.0"),
        ((True, 2), "entry 0 .* found True"),
        ("46", "entry 0 .* found '4'"),
        (4, "found a value of type int"),
        (None, "found a value of type NoneType"),
        (nn.Conv1d(1, 1, 1).eval(), r"trace it first: tp\.trace\(model, example\)"),
        (bounds.ConvNet((1, 4), [bounds.Conv(2, 2)]), "found a value of type ConvNet"),
    ],
)
def test_what_is_no_architecture(architecture, found):
    for bound in (bounds.serra2018, bounds.montufar2014, bounds.serra2018_log10, bounds.zaslavsky):
        with pytest.raises(tp.InputError, match=found):
            bound(architecture)
