"""Convolutions: Xiong's numbers against their definition and against arrangements with shared weights, and refused input."""

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tropica as tp
from tests.bounds.oracle import convolution, count
from tests.sizes import examples
from tropica import bounds
from tropica.bounds import windows
from tropica.bounds.convolution import Conv, ConvNet


def one(shape, filters, kernel, stride=1):
    return ConvNet(shape, [Conv(filters, kernel, stride)])


def by_definition(net):
    """Theorem 2 by enumeration of all t and of all sets of windows."""
    (conv,), (channels, *spatial) = net.layers, net.input_shape
    axes = conv.axes(spatial)
    sees = []
    for place in product(*(range(axis.count) for axis in axes)):
        cells = product(*(range(p * a.stride, p * a.stride + a.length) for p, a in zip(place, axes, strict=True)))
        sees.append(frozenset(product(range(channels), cells)))
    sets = [[p for p in range(len(sees)) if j >> p & 1] for j in range(1 << len(sees))]
    limits = [(chosen, len(frozenset().union(*(sees[p] for p in chosen)))) for chosen in sets]
    total = 0
    for t in product(range(conv.filters + 1), repeat=len(sees)):
        if all(sum(t[p] for p in chosen) <= limit for chosen, limit in limits):
            total += math.prod(math.comb(conv.filters, n) for n in t)
    return total


@pytest.mark.parametrize(
    ("length", "kernel", "stride", "filters", "regions"),
    [
        (3, 2, 1, 2, 15),
        (3, 2, 1, 3, 40),
        (4, 2, 1, 2, 55),
        (4, 3, 1, 3, 57),
        (4, 2, 2, 3, 49),
        pytest.param(5, 2, 1, 2, 200, marks=pytest.mark.slow),
        pytest.param(4, 2, 1, 3, 217, marks=pytest.mark.slow),
    ],
)
def test_one_layer_on_a_line(length, kernel, stride, filters, regions):
    net = one((1, length), filters, kernel, stride)
    assert bounds.xiong2020_one_layer(net) == by_definition(net) == regions
    assert count([convolution((1, length), filters, [kernel], [stride], seed=0)]) == regions
    assert bounds.xiong2020_upper(net) == bounds.xiong2020_lower(net) == regions


@pytest.mark.parametrize(
    ("shape", "filters", "kernel", "stride"),
    [
        ((2, 3), 3, (2,), (1,)),
        ((1, 5), 2, (3,), (2,)),
        pytest.param((1, 2, 3), 4, (2, 2), (1, 1), marks=pytest.mark.slow),
        pytest.param((1, 2, 3), 2, (1, 2), (1, 1), marks=pytest.mark.slow),
        pytest.param((1, 2, 2, 2), 2, (1, 2, 1), (1, 1, 1), marks=pytest.mark.slow),
        ((1, 3, 3), 1, (2, 2), (1, 1)),
        ((1, 5, 2), 2, (2, 2), (2, 2)),
    ],
)
def test_generic_filters_attain_it_where_windows_overlap_along_one_axis(shape, filters, kernel, stride):
    net = one(shape, filters, kernel, stride)
    regions = count([convolution(shape, filters, kernel, stride, seed=1)])
    assert bounds.bounds_of(net)["xiong2020_one_layer"] == ("exact", regions)


@pytest.mark.slow
def test_filters_that_share_weights_do_not_attain_it_on_a_plane():
    net = one((1, 3, 3), 2, 2)
    assert bounds.xiong2020_one_layer(net) == 256
    assert count([convolution((1, 3, 3), 2, (2, 2), (1, 1), seed=2)]) == 255
    assert bounds.xiong2020_lower(net) == 225
    assert bounds.bounds_of(net)["xiong2020_one_layer"] == ("upper", 256)


@examples(60)
@given(st.data())
def test_it_is_the_sum_of_its_definition(data):
    spatial = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    kernel = [data.draw(st.integers(1, min(n, 3))) for n in spatial]
    stride = [data.draw(st.integers(1, 3)) for _ in spatial]
    net = one((data.draw(st.integers(1, 2)), *spatial), data.draw(st.integers(1, 4)), kernel, stride)
    places = math.prod(net.shapes[1][1:])
    if places <= 6 and (net.layers[0].filters + 1) ** places <= 3000:
        assert bounds.xiong2020_one_layer(net) == by_definition(net)
        assert bounds.xiong2020_lower(net) <= bounds.xiong2020_one_layer(net) <= bounds.zaslavsky(net.widths)


@pytest.mark.parametrize(
    ("spatial", "filters", "kernel", "stride"),
    [
        ((3, 3), 4, (2, 2), (1, 1)),
        ((4, 3), 3, (2, 2), (1, 1)),
        ((2, 2, 3), 4, (2, 1, 2), (1, 1, 1)),
        ((4, 5), 6, (3, 3), (1, 2)),
        ((4, 4), 9, (3, 3), (1, 1)),
        ((3, 3, 2), 5, (2, 2, 1), (1, 1, 1)),
        pytest.param((3, 3, 3), 2, (2, 2, 2), (1, 1, 1), marks=pytest.mark.slow),
    ],
)
def test_windows_that_overlap_along_several_axes(spatial, filters, kernel, stride):
    net = one((1, *spatial), filters, kernel, stride)
    if (filters + 1) ** math.prod(net.shapes[1][1:]) <= 20_000:
        assert bounds.xiong2020_one_layer(net) == by_definition(net)
    turned = one((1, *spatial[::-1]), filters, kernel[::-1], stride[::-1])
    assert bounds.xiong2020_one_layer(turned) == bounds.xiong2020_one_layer(net)


def test_a_long_signal_and_an_image_are_no_trouble_where_they_fall_apart():
    assert bounds.xiong2020_one_layer(one((1, 200), 8, 5)) < bounds.zaslavsky(one((1, 200), 8, 5).widths)
    patches = bounds.xiong2020_one_layer(one((1, 28, 28), 9, 2, 2))
    assert patches == bounds.zaslavsky((4, 9)) ** 196
    assert bounds.xiong2020_one_layer(one((3, 32, 32), 3, 3)) == 2 ** (3 * 30 * 30)


def test_two_layers_by_hand():
    net = ConvNet((1, 4), [Conv(2, 2), Conv(3, 2)])
    assert net.shapes == ((1, 4), (2, 3), (3, 2))
    assert net.widths == (4, 6, 6)
    assert bounds.xiong2020_upper(net) == 55 * sum(math.comb(6, j) for j in range(5))
    assert bounds.xiong2020_lower(net) == 40 * 2**3  # the last layer on 3 entries of one channel; 2 folds of 3 entries
    assert bounds.xiong2020_upper(net) <= bounds.montufar2017(net.widths)


@given(st.integers(4, 9), st.lists(st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 2)), min_size=1, max_size=3))
def test_lower_is_below_upper(length, layers):
    try:
        net = ConvNet((1, length), [Conv(*layer) for layer in layers])
    except tp.InputError:
        return
    assert bounds.xiong2020_lower(net) <= min(bounds.xiong2020_upper(net), bounds.serra2018(net.widths))


def test_what_a_theorem_does_not_cover_is_refused():
    two = ConvNet((2, 5), [Conv(1, 2), Conv(3, 2)])
    with pytest.raises(tp.InputError, match=r"about one layer; found 2.*xiong2020_upper"):
        bounds.xiong2020_one_layer(two)
    with pytest.raises(tp.InputError, match=r"as the input has channels, 2, or more.*found \(1, 3\)"):
        bounds.xiong2020_lower(two)
    with pytest.raises(tp.InputError, match="54 windows overlap those before them"):
        bounds.xiong2020_one_layer(one((1, 28, 28), 8, 3))
    with pytest.raises(tp.InputError, match=r"more than 1000 steps.*ConvNet\.widths"):
        windows.xiong_number([windows.WindowAxis(5, 2, 1)] * 2, 1, 4, max_work=1000)
    for bound in (bounds.xiong2020_one_layer, bounds.xiong2020_upper, bounds.xiong2020_lower):
        with pytest.raises(tp.InputError, match=r"take a ConvNet.*found a value of type tuple"):
            bound((1, 3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv(0, 2), "number of filters must be a whole number, 1 or more; found 0"),
        (lambda: Conv(2, 2.5), "size of a kernel must be a whole number"),
        (lambda: Conv(2, "3"), "size of a kernel must be a whole number"),
        (lambda: Conv(2, 2, (1, 0)), "each size of a stride must be a whole number, 1 or more; found 0"),
        (lambda: ConvNet((3,), [Conv(2, 2)]), r"\(channels, \*spatial\), two numbers or more; found \(3,\)"),
        (lambda: ConvNet(3, [Conv(2, 2)]), "two numbers or more; found 3"),
        (lambda: ConvNet((1, 0), [Conv(2, 2)]), "entry 1 of input_shape must be a whole number, 1 or more; found 0"),
        (lambda: ConvNet((1, 5), []), r"one Conv or more; found \[\]"),
        (lambda: ConvNet((1, 5), [3]), r"one Conv or more; found \[3\]"),
        (lambda: ConvNet((1, 5), [Conv(2, (2, 2))]), r"must be one number or 1 each"),
        (lambda: ConvNet((1, 5), [Conv(2, 4), Conv(2, 3)]), r"does not fit into \(2,\): there is no padding"),
    ],
)
def test_shapes_that_are_none(make, message):
    with pytest.raises(tp.InputError, match=message):
        make()
