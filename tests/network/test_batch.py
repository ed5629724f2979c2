"""The batch may be any dimension in the code: points are independent and first at every nonlinearity, or there is an error."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import tropica as tp
from tests.traced import traced


class Net(nn.Module):
    """forward(x) = code(self, x), with a hidden and an output layer to use."""

    token: Tensor

    def __init__(self, code: Callable[[Net, Tensor], Tensor], inputs: int = 4) -> None:
        super().__init__()
        self.code = code
        self.hidden, self.out = nn.Linear(inputs, 6), nn.Linear(6, 3)
        self.register_buffer("token", torch.linspace(-1, 1, 6))

    def forward(self, x: Tensor) -> Tensor:
        return self.code(self, x)


def as_columns(net: Net, x: Tensor) -> Tensor:
    """Points as the columns of a matrix."""
    h = torch.relu(net.hidden.weight @ x.T + net.hidden.bias[:, None])
    h = torch.maximum(torch.maximum(h, -h.flip(0)), torch.tensor(0.1))
    return (net.out.weight @ nn.functional.leaky_relu(h - 0.5, 0.2)).T + net.out.bias


def sequence_first(net: Net, x: Tensor) -> Tensor:
    """(L, B, C) inside."""
    h = net.hidden(x.permute(1, 0, 2)).abs().clamp(0.2, 0.9)
    return net.out(nn.functional.prelu(h - 0.5, x.new_tensor([0.25]))).permute(1, 0, 2).flatten(1)


def patches(net: Net, x: Tensor) -> Tensor:
    """(B·P, C) inside."""
    h = torch.relu(net.hidden(x.view(-1, x.shape[2])))
    return net.out(h).view(x.shape[0], -1)


def token(net: Net, x: Tensor) -> Tensor:
    """A learned token for each point, a constant repeated for each point, and zeros created for the batch."""
    zeros = torch.zeros(x.shape[0], 2, 6, dtype=x.dtype)
    tokens = net.token.expand(x.shape[0], 1, -1)
    twice = net.token[None, None].repeat(x.shape[0], 2, 1)
    h = torch.cat([tokens, torch.relu(net.hidden(x)), twice, zeros, x.new_full((x.shape[0], 1, 6), 0.5)], 1)
    return net.out(h.amax(1) + h[:, -1])


@pytest.mark.parametrize("code", [as_columns, sequence_first, patches, token])
def test_layouts(code: Callable[[Net, Tensor], Tensor]) -> None:
    model = Net(code).double().eval()
    x = torch.randn(7, *((3, 4) if code is not as_columns else (4,)), dtype=torch.float64)
    net = tp.trace(model, x)
    assert_close(net(x), model(x))
    assert_close(net(x[:1]), model(x[:1]))
    assert_close(net.local_map(x)(x), model(x))
    alone = torch.cat([net.activation_pattern(x[i : i + 1]) for i in range(7)])
    assert net.activation_pattern(x).equal(alone)
    for (nonlinearity, piece, _), (_, single, _) in zip(net.active_pieces(x), net.active_pieces(x[3:4]), strict=True):
        assert piece.shape == (7, *nonlinearity.unit_shape)
        assert piece[3:4].equal(single)


def test_units_of_patches() -> None:
    """The nonlinearities of a patch-wise network have the units of all patches."""
    assert [nonlinearity.unit_shape for nonlinearity in traced("patch_mlp").nonlinearities] == [(3, 4), (9,)]


DEPENDENT: dict[str, Callable[[Net, Tensor], Tensor]] = {
    "minus the mean": lambda net, x: net.out(torch.relu(net.hidden(x - x.mean(0)))),
    "minus the first": lambda net, x: net.out(torch.relu(net.hidden(x - x[:1]))),
    "neighbor": lambda net, x: net.out(torch.relu(net.hidden(x))) + torch.roll(x[:, :3], 1, 0),
    "batch maximum": lambda net, x: net.out(torch.relu(net.hidden(x))) - x.amax(0, keepdim=True)[:, :3],
    "order": lambda net, x: net.out(torch.relu(net.hidden(x))).flip(0),
    "wrong view": lambda net, x: net.out(torch.relu(net.hidden(x)).T.reshape(x.shape[0], 6)),
}


@pytest.mark.parametrize("code", DEPENDENT.values(), ids=list(DEPENDENT))
def test_points_that_see_each_other(code: Callable[[Net, Tensor], Tensor]) -> None:
    with pytest.raises(tp.TraceError, match=r"other points of its batch|points of a batch are joined"):
        tp.trace(Net(code).eval(), torch.randn(2, 4))


def test_parts_of_the_batch() -> None:
    both = Net(lambda net, x: net.out(torch.relu(net.hidden(torch.cat([x, -x]))))[: x.shape[0]])
    with pytest.raises(tp.TropicaError, match=r"by itself"):
        tp.trace(both.eval(), torch.randn(2, 4))


MISPLACED: dict[str, Callable[[Net, Tensor], Tensor]] = {
    "maximum over columns": lambda net, x: net.hidden(x).T.unflatten(0, (3, 2)).amax(1).T,
    "per-channel slopes": lambda net, x: nn.functional.prelu(net.hidden(x).T[None], torch.linspace(0.1, 0.9, 6))[0].T,
    "output": lambda net, x: torch.relu(net.hidden(x)).T,
}


@pytest.mark.parametrize("code", MISPLACED.values(), ids=list(MISPLACED))
def test_batch_in_the_wrong_place(code: Callable[[Net, Tensor], Tensor]) -> None:
    with pytest.raises(tp.TraceError, match="not the first dimension there"):
        tp.trace(Net(code).eval(), torch.randn(2, 4))


FIXED: dict[str, Callable[[Net, Tensor], Tensor]] = {
    "view": lambda net, x: net.out(torch.relu(net.hidden(x.view(8, -1)))),
    "added constant": lambda net, x: net.out(torch.relu(net.hidden(x)) + torch.ones(8, 6)),
    "loop": lambda net, x: net.out(torch.stack([torch.relu(net.hidden(x[i])) for i in range(8)])),
}


@pytest.mark.parametrize("size", [2, 8])
@pytest.mark.parametrize("code", FIXED.values(), ids=list(FIXED))
def test_fixed_batch_size(code: Callable[[Net, Tensor], Tensor], size: int) -> None:
    """A model for 8 points raises an InputError on an example of 2; for an example of 8 the error names the remedy."""
    error, why = (tp.TraceError, "one batch size only") if size == 8 else (tp.InputError, "itself fails on the example")
    with pytest.raises(error, match=why):
        tp.trace(Net(code).eval(), torch.randn(size, 4))


def test_length() -> None:
    """``len(x)`` is a constant to torch.export (2 in the example), and the error says so."""
    model = Net(lambda net, x: net.out(torch.relu(net.hidden(x))).view(len(x), 3))
    with pytest.raises(tp.TraceError, match=r"use x\.shape\[0\], or -1, wherever .* \(len\(x\)"):
        tp.trace(model.eval(), torch.randn(2, 4))


def test_size_arithmetic() -> None:
    odd = Net(lambda net, x: net.out(torch.relu(net.hidden(x))) + torch.zeros(x.shape[0] + 1, 3)[1:])
    with pytest.raises(tp.UnsupportedOperation, match=r"size B \+ 1 from the batch size"):
        tp.trace(odd.eval(), torch.randn(2, 4))
    scaled = Net(lambda net, x: net.out(torch.relu(net.hidden(x))) * x.shape[0])
    with pytest.raises(tp.UnsupportedOperation, match="batch size as a number"):
        tp.trace(scaled.eval(), torch.randn(2, 4))
