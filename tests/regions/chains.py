"""Dense chains with weights of one's own, as a traced network and for the oracle of segments."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import torch
import torch.nn.functional as F
from hypothesis import strategies as st

import tropica as tp
from tests.oracles.segments import Dense, Layer, Leaky, Maxout
from tropica.network.builder import Builder
from tropica.network.graph import Origin
from tropica.network.nonlinearities import Abs, Amax, LeakyRelu, Relu

Matrix = Sequence[Sequence[float]]


def dense(weight: Matrix, bias: Sequence[float]) -> Dense:
    """A layer from floats, exactly."""
    return Dense([[Fraction(w) for w in row] for row in weight], [Fraction(b) for b in bias])


def as_network(layers: Sequence[Layer], inputs: int) -> tp.PiecewiseLinearNetwork:
    """The chain as a graph, without a trip through torch.export."""
    b = Builder(torch.zeros(2, inputs, dtype=torch.float64))
    x = b.input
    for i, layer in enumerate(layers):
        b.stem = f"layer{i}"
        if isinstance(layer, Dense):
            b.origin = Origin("aten.linear.default", str(i))
            weight = torch.tensor([[float(w) for w in row] for row in layer.weight], dtype=torch.float64)
            bias = torch.tensor([float(c) for c in layer.bias], dtype=torch.float64)
            x = b.affine(lambda x, weight, bias: F.linear(x, weight, bias), x, weight=weight, bias=bias)
        elif isinstance(layer, Leaky):
            b.origin = Origin("aten.relu.default", str(i))
            kinds = {Fraction(0): Relu(), Fraction(-1): Abs()}
            x = b.nonlinearity(kinds.get(layer.slope, LeakyRelu(float(layer.slope))), x)
        else:
            b.origin = Origin("aten.amax.default", str(i))
            x = b.affine(lambda x, p=layer.pieces: x.reshape(len(x), -1, p), x)
            x = b.nonlinearity(Amax((2,)), x)
    graph = b.graph(x)
    example = torch.zeros(2, inputs, dtype=torch.float64)
    from tropica.network.trace_checks import check_points

    graph = check_points(graph, b.constants, example)
    return tp.PiecewiseLinearNetwork(graph, b.constants, (inputs,), torch.float64, torch.device("cpu"))


SMALL = st.integers(-2, 2)


@st.composite
def integer_chains(draw: st.DrawFn) -> tuple[list[Layer], int]:
    """A chain of 1 to 3 hidden layers with weights −2 … 2: full of coincidences. And the number of inputs."""
    inputs = width = draw(st.integers(1, 3))
    layers: list[Layer] = []

    def linear(before: int, after: int) -> Dense:
        row = st.lists(SMALL, min_size=before, max_size=before)
        weight = draw(st.lists(row, min_size=after, max_size=after))
        return dense(weight, draw(st.lists(SMALL, min_size=after, max_size=after)))

    for _ in range(draw(st.integers(1, 3))):
        units = draw(st.integers(1, 5))
        nonlinearity = draw(
            st.sampled_from([Leaky(Fraction(0)), Leaky(Fraction(1, 4)), Leaky(Fraction(-1)), Maxout(2), Maxout(3)])
        )
        pieces = nonlinearity.pieces if isinstance(nonlinearity, Maxout) else 1
        layers += [linear(width, units * pieces), nonlinearity]
        width = units
    layers.append(linear(width, draw(st.integers(1, 3))))
    return layers, inputs
