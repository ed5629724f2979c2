"""The table of all bounds: its rows, and exact counts of networks between lower and upper bounds."""

from itertools import pairwise

import pytest
import torch
from torch import nn

import tropica as tp
from tests.bounds.oracle import count
from tropica import bounds
from tropica.bounds.convolution import Conv, ConvNet


def test_every_bound_whose_assumptions_hold():
    assert bounds.bounds_of((2, 6)).keys() == {
        *("zaslavsky", "raghu2017", "montufar2017", "zhang2018", "serra2018", "hinz2019"),
        *("montufar2014", "arora2018", "serra2018_lower"),
    }
    assert bounds.bounds_of((4, 3, 2)).keys() == {"montufar2017", "serra2018", "hinz2019"}
    assert bounds.bounds_of((4, 3, 2), rank=3).keys() == {"serra2018_maxout", "montufar2022"}
    assert bounds.bounds_of((2, 6))["zaslavsky"] == bounds.Bound("upper", 22) == ("upper", 22)


def test_tables_say_what_lies_between_their_bounds():
    table = bounds.bounds_of((2, 6))
    assert repr(table) == "BoundTable(9 bounds: 22 ≤ largest number of regions ≤ 22)"
    assert repr(bounds.bounds_of((4, 3, 2))) == "BoundTable(3 bounds: largest number of regions ≤ 26)"
    huge = bounds.bounds_of((784, 784, 200, 80))
    assert repr(huge).endswith("largest number of regions ≤ 10^320.30)")
    frame = huge.to_dataframe()
    assert frame.columns.tolist() == ["bound", "kind", "value", "log10"]
    assert dict(zip(frame["bound"], frame["value"], strict=True)) == {name: b.value for name, b in huge.items()}
    assert "10^320.30" in huge._repr_html_()


def test_convolutions():
    net = ConvNet((1, 3), [Conv(2, 2)])
    assert bounds.bounds_of(net) == {
        "xiong2020_one_layer": ("exact", 15),
        "xiong2020_upper": ("upper", 15),
        "xiong2020_lower": ("lower", 15),
    }
    image = ConvNet((1, 28, 28), [Conv(8, 3)])  # too large for the sum, but not for the lower bound
    assert set(bounds.bounds_of(image)) == {"xiong2020_lower"}


@pytest.mark.parametrize("nonlinearity", [nn.ReLU(), nn.LeakyReLU(0.2)])
@pytest.mark.parametrize("w", [(2, 3), (2, 3, 3), (1, 3, 2, 2), (3, 2, 2)])
def test_exact_counts_are_below_every_upper_bound(w, nonlinearity):
    torch.manual_seed(0)
    layers = [nn.Linear(m, n, dtype=torch.float64) for m, n in pairwise(w)]
    chain = [module for layer in layers for module in (layer, nonlinearity)]
    net = tp.trace(nn.Sequential(*chain, nn.Linear(w[-1], 2, dtype=torch.float64)).eval(), torch.zeros(2, w[0]).double())
    weights = [(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in layers]
    regions = count(weights, slope=getattr(nonlinearity, "negative_slope", 0.0))
    for table in (bounds.bounds_of(net), bounds.bounds_of(net, rank=2), bounds.bounds_of(net, rank=3)):
        assert all(regions <= bound.value for bound in table.values() if bound.kind == "upper")


def test_what_is_no_architecture_is_an_error_not_an_empty_table():
    with pytest.raises(tp.InputError, match="at least one hidden layer"):
        bounds.bounds_of((3,))
    with pytest.raises(tp.InputError, match="rank of maxout units"):
        bounds.bounds_of((3, 4), rank=1)
    with pytest.raises(tp.InputError, match="ReLU units, which have no rank"):
        bounds.bounds_of(ConvNet((1, 3), [Conv(2, 2)]), rank=3)
