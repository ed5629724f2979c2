"""Activation patterns: equal exactly for points of one cell; they include the active pieces of max-pooling."""

from __future__ import annotations

from itertools import product
from math import prod

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import tropica as tp
from tests.traced import by_name, points, traced
from tropica.network.nonlinearities import AdaptiveMaxPool, Amax, MaxPool

MANY = 40


def neighbors(name: str) -> Tensor:
    """Points, and copies moved by steps of many sizes: some leave their cell, others do not."""
    x, generator = points(name, 8), torch.Generator().manual_seed(0)
    steps = torch.randn(4, *x.shape, generator=generator, dtype=x.dtype)
    scale = torch.tensor([0.0, 1e-6, 1e-2, 0.3], dtype=x.dtype).view(-1, *(1,) * x.ndim)
    return (x + steps * scale).flatten(0, 1)


@by_name
def test_equal_iff_same_pieces(name: str) -> None:
    net, x = traced(name), neighbors(name)
    pieces = [piece.flatten(1).long() for _, piece, _ in net.active_pieces(x)]
    every = torch.cat(pieces, 1) if pieces else torch.zeros(len(x), 0)
    packed = net.activation_pattern(x)
    assert packed.dtype == torch.uint8
    assert same_rows(packed).equal(same_rows(every))


def same_rows(rows: Tensor) -> Tensor:
    """Equality of rows i and j, as booleans (n, n)."""
    return (rows[:, None] == rows[None]).all(2)


@by_name
def test_active_pieces_exist(name: str) -> None:
    """Every active piece is one of the nonlinearity's pieces, one for each unit; the number of bits is as documented."""
    net, x = traced(name), points(name)
    bits = 0
    for nonlinearity, piece, num_pieces in net.active_pieces(x):
        assert piece.shape == (len(x), *nonlinearity.unit_shape)
        assert 0 <= int(piece.min()) <= int(piece.max()) < max(2, num_pieces)
        bits += nonlinearity.units * max(1, (num_pieces - 1).bit_length())
    assert net.activation_pattern(x).shape == (len(x), -(-bits // 8))


@by_name
def test_cells_are_convex(name: str) -> None:
    """The segment between two points of one cell lies in the cell, and the network is affine on it."""
    net, x = traced(name), neighbors(name)
    same = same_rows(net.activation_pattern(x)).triu(1)
    first, second = same.nonzero().unbind(1)
    middle = 0.7 * x[first] + 0.3 * x[second]
    assert len(middle) >= 8
    assert net.activation_pattern(middle).equal(net.activation_pattern(x[first]))
    assert_close(net(middle), 0.7 * net(x[first]) + 0.3 * net(x[second]), rtol=1e-9, atol=1e-10)


def test_one_unit_flips() -> None:
    """Across a border one bit changes, and the local map with it."""
    net = traced("mlp_planar")
    turn = torch.linspace(0, 6.28, 200, dtype=torch.float64)
    x = 2 * torch.stack([turn.cos(), turn.sin()], 1)
    pattern, weight = net.activation_pattern(x), net.local_map(x).weight
    flips = (pattern[1:] ^ pattern[:-1]).ne(0).any(1)
    turned = (weight[1:] - weight[:-1]).abs().amax((1, 2)) > 1e-9
    assert 4 <= flips.sum() <= 60
    assert not (turned & ~flips).any()


def test_packing_by_hand() -> None:
    """Nonlinearities in forward order, most significant bit first: relu's bits, then two bits for a piece of three."""

    class Two(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x)[:, :2] + x.view(-1, 2, 3).amax(2)

    net = tp.trace(Two().eval(), torch.zeros(2, 6))
    x = torch.tensor([[1.0, -1.0, 2.0, 3.0, 4.0, 5.0], [-1.0, 2.0, -3.0, 4.0, 3.0, -3.0]])
    assert net.activation_pattern(x).tolist() == [[0b10111110, 0b10000000], [0b01011001, 0b00000000]]
    assert [nonlinearity.op.name for nonlinearity in net.nonlinearities] == ["relu", "amax"]


POOLS = [
    (MaxPool((3,), (2,), (1,), (2,), True), (2, 9)),
    (MaxPool((3,), (1,), (1,), (1,), False), (2, 7)),
    (MaxPool((2, 3), (2, 1), (0, 0), (1, 1), False), (2, 5, 6)),
    (MaxPool((3, 3), (2, 2), (1, 1), (1, 1), False), (2, 6, 6)),
    (MaxPool((3, 2), (1, 1), (1, 0), (2, 2), False), (1, 6, 6)),
    (MaxPool((2, 3), (3, 2), (0, 1), (1, 1), True), (1, 6, 6)),
    (MaxPool((2, 2), (3, 3), (0, 0), (1, 1), True), (1, 7, 7)),
    (MaxPool((2, 3, 2), (2, 2, 1), (1, 1, 0), (1, 1, 2), True), (1, 4, 5, 5)),
]
ADAPTIVE = [
    (AdaptiveMaxPool((4,)), (2, 9)),
    (AdaptiveMaxPool((1,)), (2, 5)),
    (AdaptiveMaxPool((4, 1)), (1, 6, 6)),
    (AdaptiveMaxPool((5, 3)), (2, 7, 4)),
    (AdaptiveMaxPool((2, 3, 2)), (1, 3, 4, 5)),
]


@pytest.mark.parametrize(("nonlinearity", "shape"), POOLS, ids=str)
def test_max_pool_pieces(nonlinearity: MaxPool, shape: tuple[int, ...]) -> None:
    """The active piece is the row-major position of the largest entry in the window, never one in the padding."""
    z = torch.randn(MANY, *shape, generator=torch.Generator().manual_seed(0))
    out, piece, sizes = nonlinearity(z), nonlinearity.active_piece(z), shape[1:]
    for at in product(*(range(n) for n in out.shape[2:])):
        best = torch.full(z.shape[:2], -torch.inf)
        place = torch.full(z.shape[:2], -1)
        for i, offset in enumerate(product(*(range(k) for k in nonlinearity.kernel))):
            settings = zip(at, nonlinearity.stride, nonlinearity.padding, offset, nonlinearity.dilation, strict=True)
            where = [a * s - p + o * d for a, s, p, o, d in settings]
            if all(0 <= w < n for w, n in zip(where, sizes, strict=True)):
                entry = z[(..., *where)]
                place[entry > best], best = i, torch.maximum(best, entry)
        assert piece[(..., *at)].equal(place)
        assert out[(..., *at)].equal(best)
    assert nonlinearity.num_pieces(z.shape) == prod(nonlinearity.kernel)


@pytest.mark.parametrize(("nonlinearity", "shape"), ADAPTIVE, ids=str)
def test_adaptive_max_pool_pieces(nonlinearity: AdaptiveMaxPool, shape: tuple[int, ...]) -> None:
    """The active piece is the position in the window, padded to the largest windows of each axis."""
    z, sizes = torch.randn(MANY, *shape, generator=torch.Generator().manual_seed(0)), shape[1:]
    out, piece = nonlinearity(z), nonlinearity.active_piece(z)
    starts = [[i * n // k for i in range(k)] for n, k in zip(sizes, nonlinearity.size, strict=True)]
    ends = [[-(-(i + 1) * n // k) for i in range(k)] for n, k in zip(sizes, nonlinearity.size, strict=True)]
    longest = [max(b - a for a, b in zip(*both, strict=True)) for both in zip(starts, ends, strict=True)]
    for at in product(*(range(k) for k in nonlinearity.size)):
        window = z[(..., *(slice(starts[d][i], ends[d][i]) for d, i in enumerate(at)))]
        flat = window.flatten(2).argmax(2)
        place = torch.zeros_like(flat)
        for position, reach in zip(torch.unravel_index(flat, window.shape[2:]), longest, strict=True):
            place = place * reach + position
        assert piece[(..., *at)].equal(place)
        assert out[(..., *at)].equal(window.flatten(2).amax(2))
    assert nonlinearity.num_pieces(z.shape) == prod(longest)


def test_amax_pieces() -> None:
    """The first maximum, row-major over the reduced dimensions."""
    z = torch.randint(0, 3, (MANY, 2, 3, 4), generator=torch.Generator().manual_seed(0)).double()
    nonlinearity = Amax((1, 3))
    flat = z.permute(0, 2, 1, 3).flatten(2)
    first = (flat == flat.amax(2, keepdim=True)).int().argmax(2)
    assert nonlinearity.active_piece(z).equal(first)
    assert nonlinearity.num_pieces(z.shape) == 8


@pytest.mark.parametrize("name", ["max_pool2d_padding", "mnist_conv", "resnet"])
def test_batch_does_not_matter(name: str) -> None:
    net, x = traced(name), points(name, 6)
    assert net.activation_pattern(x[2:3]).equal(net.activation_pattern(x)[2:3])
    assert net.activation_pattern(x[:0]).shape == (0, net.activation_pattern(x).shape[1])
