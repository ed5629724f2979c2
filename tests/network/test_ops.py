"""Ops outside of the shared cases: every rule of the registry is used, and every refused op has a reason.

Many small functions of one input form one network, which is traced once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.testing import assert_close

import tropica as tp
from tests.oracles.dense import local_affine_map
from tropica.network.export import export
from tropica.network.ops import registry

Function = Callable[[Tensor], Tensor]

MASK = torch.arange(6) > 2
GRID = torch.linspace(-1, 1, 54, dtype=torch.float64)


def written(change: Callable[[Tensor], object]) -> Function:
    """A function that writes into a copy of its input."""

    def function(x: Tensor) -> Tensor:
        out = x.clone()
        change(out)
        return out

    return function


def rows(h: Tensor) -> Tensor:
    """Reshape to (B, n) by named sizes."""
    return h.reshape(h.shape[0], h.shape[1] * h.shape[2] * h.shape[3])


def put(index: Any, value: Tensor | float) -> Function:
    return written(lambda h: h.__setitem__(index, value))


AS_THEY_STAND: dict[str, Function] = {
    "where": lambda x: torch.where(MASK, x, 0.5 * x) + torch.where(MASK, x, 1.5) + torch.where(MASK, -2.0, x),
    "masked_fill": lambda x: x.masked_fill(MASK, -2.0),
    "tril": lambda x: x.tril() - x.triu(1),
    "cumsum": lambda x: x.cumsum(2),
    "bmm": lambda x: torch.bmm(x[:, 0].transpose(0, 1), GRID[:36].view(6, 6, 1)).transpose(0, 1),
    "baddbmm": lambda x: torch.baddbmm(GRID[:6].view(6, 1, 1), x[:, 0].transpose(0, 1), GRID[:36].view(6, 6, 1)).transpose(
        0, 1
    ),
    "mv": lambda x: x[:, 0].flatten(1).mv(GRID[:36]).unsqueeze(1),
    "mm": lambda x: torch.mm(x[:, 0, 0], GRID[:36].view(6, 6)),
    "addmm": lambda x: torch.addmm(x[:, 1, 0], x[:, 0, 0], GRID[:36].view(6, 6), beta=0.5, alpha=-2),
    "addcmul": lambda x: torch.addcmul(x, GRID[:6], x, value=-3),
    "einsum": lambda x: torch.einsum("w,bchw->bch", GRID[:6], x) - torch.einsum("bchw->bch", x),
    "unfold": lambda x: F.unfold(x, 2),
    "fold": lambda x: F.fold(F.unfold(x, 2), (6, 6), 2),
    "windows": lambda x: x.unfold(2, 2, 3),
    "max_pool3d": lambda x: F.max_pool3d(x.unsqueeze(1), (2, 3, 2), stride=2, padding=(1, 1, 0), ceil_mode=True),
    "adaptive_max_pool3d": lambda x: F.adaptive_max_pool3d(x.unsqueeze(1), (2, 4, 5)),
    "max_pool_with_indices": lambda x: F.max_pool2d(x, 2, return_indices=True)[0],
    "avg_pool3d": lambda x: F.avg_pool3d(x.unsqueeze(1), 2) + F.adaptive_avg_pool3d(x.unsqueeze(1), (1, 3, 3)),
    "interpolate_area": lambda x: F.interpolate(x, size=4, mode="area"),
    "interpolate_exact": lambda x: F.interpolate(x, scale_factor=1.5, mode="nearest-exact"),
    "interpolate_antialias": lambda x: F.interpolate(x, size=4, mode="bilinear", antialias=True),
    "interpolate_1d": lambda x: F.interpolate(x[:, 0], size=4, mode="linear") - F.interpolate(x[:, 0], size=4),
    "interpolate_3d": lambda x: F.interpolate(x[:, None], 4, mode="trilinear") - F.interpolate(x[:, None], 4),
    "conv_transpose3d": lambda x: F.conv_transpose3d(x.unsqueeze(1), GRID[:8].view(1, 1, 2, 2, 2)),
    "conv3d_same": lambda x: F.conv3d(x.unsqueeze(1), GRID[:27].view(1, 1, 3, 3, 3), padding="same"),
    "like": lambda x: torch.full_like(x, 2.0) - torch.ones_like(x) * 3 + torch.zeros_like(x) - x,
    "new": lambda x: x * x.new_ones(6) + x.new_full((3, 1, 1), 0.5) - torch.full((x.shape[0], 1, 1, 1), 2.0),
    "repeat_interleave": lambda x: x.repeat_interleave(2, 1),
    "squeeze": lambda x: x[:, :1].squeeze() + x[:, :1].squeeze((1, 2)),
    "t": lambda x: x.flatten(1).t().t(),
    "type_as": lambda x: x.type_as(x.detach()).double().contiguous(),
    "clip": lambda x: x.clip(-1, 1) - torch.clamp_min(x, GRID[:6]) + x.clamp_max(GRID[:6]),
    "clamp_infinite": lambda x: x.clamp(0.0, float("inf")) - F.hardtanh(x, -1.0, float("inf")),
    "max_widens": lambda x: torch.maximum(x[:, :1], GRID[:3].view(3, 1, 1)) - torch.min(x[:, 1:2], x),
    "max_min_other": lambda x: torch.max(x, x.flip(1)) - torch.min(x, x.flip(2)),
    "diagonal": lambda x: x.diagonal(dim1=2, dim2=3),
    "rot90": lambda x: x.rot90(1, (2, 3)),
    "reflection_pad1d": lambda x: F.pad(x[:, 0], (2, 1), mode="reflect") - F.pad(x[:, 0], (3, 0), mode="replicate"),
    "whole_batch": lambda x: x[: x.shape[0]] - x[:, ::2].repeat_interleave(2, 1)[:, :3],
    "rsub": lambda x: torch.rsub(x, x.flip(1), alpha=2) - torch.rsub(x, 3),
    "sub_alpha": lambda x: torch.sub(x, x.flip(1), alpha=0.5) - torch.sub(GRID[:6], x, alpha=-2),
    "movedim": lambda x: x.movedim(1, 3).movedim((1, 2), (2, 1)).narrow(2, 1, 3).unflatten(3, (1, 3)),
    "dropouts": lambda x: F.alpha_dropout(F.dropout2d(x, training=False), training=False),
    "instance_norm": lambda x: F.instance_norm(x, GRID[:3], GRID[3:6].abs(), use_input_stats=False),
    "softshrink": lambda x: F.softshrink(x, 0.2) - F.softshrink(x),
    "batch_norm": lambda x: F.batch_norm(x, GRID[:3], GRID[3:6].abs(), eps=0.1),
}
REWRITTEN_BY_TORCH: dict[str, Function] = {
    "diff": lambda x: x.diff(dim=2),
    "tensordot": lambda x: torch.tensordot(x, GRID[:18].view(3, 6, 1), dims=([1, 2], [0, 1])),  # type: ignore[arg-type]
    "trapezoid": lambda x: torch.trapezoid(x, dim=1),
    "stacks": lambda x: torch.hstack([x, torch.dstack([x, -x]).tile(1, 1, 1, 2)[:, :, :6, :6]]),
    "aliases": lambda x: torch.subtract(x.absolute(), torch.multiply(x, 2)).swapaxes(1, 2).fliplr().mT,
    "slice": put((slice(None), 0), 0.0),
    "slice_constant": put((slice(None), slice(None), slice(1, 6, 2)), GRID[:6]),
    "slice_of_itself": written(lambda h: h[:, 1].copy_(h[:, 0].relu())),
    "slice_widens": written(lambda h: h[:, 1:].copy_(h[:, :1].relu())),
    "row_in_place": written(lambda h: h[:, 1].mul_(2).sub_(1).relu_()),
    "zero": written(lambda h: h[:, 2].zero_()),
    "fill": written(lambda h: h[:, 2].fill_(3.0)),
    "in_place": lambda x: F.leaky_relu_(x.mul(2).add_(x).neg_(), 0.3).clone().relu_(),
    "index_mask": lambda x: rows(x[:, torch.tensor([True, False, True])]),
    "index_pairs": lambda x: x[:, :, torch.arange(6), torch.arange(6)],
    "integers": lambda x: x * torch.arange(6) + torch.arange(6) - x * MASK,
    "chunks": lambda x: x.chunk(4, 3)[1] - x.tensor_split(3, 3)[2],
}


LOGITS = 2


class SideBySide(nn.Module):
    """All functions of one input, each followed by a random linear map to two logits."""

    def __init__(self, functions: dict[str, Function]) -> None:
        super().__init__()
        self.functions = list(functions.values())
        generator, x = torch.Generator().manual_seed(0), torch.zeros(1, 3, 6, 6, dtype=torch.float64)
        widths = [function(x).numel() for function in self.functions]
        self.weights = nn.ParameterList(torch.randn(n, LOGITS, generator=generator, dtype=torch.float64) for n in widths)

    def forward(self, x: Tensor) -> Tensor:
        pairs = zip(self.functions, self.weights, strict=True)
        return torch.cat([function(x).flatten(1) @ weight for function, weight in pairs], 1)


def run(functions: dict[str, Function]) -> dict[str, tuple[Tensor, Tensor, Tensor, Tensor]]:
    """For each function the outputs and the Jacobian of the network, and those of the model."""
    x = torch.randn(3, 3, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model = SideBySide(functions).eval()
    net = tp.trace(model, x[:1])
    local, wanted = net.local_map(x), local_affine_map(model, x)
    parts = zip(*(t.split(LOGITS, 1) for t in (net(x), local.weight, model(x), wanted.weight)), strict=True)
    return dict(zip(functions, parts, strict=True))  # type: ignore[arg-type]


as_they_stand = cache(lambda: run(AS_THEY_STAND))
rewritten = cache(lambda: run(REWRITTEN_BY_TORCH))


@pytest.mark.parametrize("name", AS_THEY_STAND)
def test_as_they_stand(name: str) -> None:
    out, weight, wanted, jacobian = as_they_stand()[name]
    assert_close(out, wanted, rtol=1e-10, atol=1e-12)
    assert_close(weight, jacobian, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", REWRITTEN_BY_TORCH)
def test_rewritten_by_torch(name: str) -> None:
    """In-place code, and ops that torch rewrites into others."""
    out, weight, wanted, jacobian = rewritten()[name]
    assert_close(out, wanted, rtol=1e-10, atol=1e-12)
    assert_close(weight, jacobian, rtol=1e-10, atol=1e-12)


def test_stopped_gradients() -> None:
    """Parts that are hidden from autograd still belong to the function."""
    hidden = {
        "no_grad": lambda x: torch.no_grad()(F.relu)(x) + torch.enable_grad()(F.relu)(-x),
        "detach": lambda x: x.abs().detach(),
    }
    model, x = SideBySide(hidden).eval(), torch.randn(4, 3, 6, 6, dtype=torch.float64)
    net, step = tp.trace(model, x), 1e-7 * torch.randn(4, 3, 6, 6, dtype=torch.float64)
    slope = torch.einsum("bschw,bchw->bs", net.local_map(x).weight, step)
    assert_close(model(x + step) - model(x), slope, rtol=1e-5, atol=1e-10)


def test_recurrent() -> None:
    """An RNN of relus is unrolled."""

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.RNN(4, 3, num_layers=2, batch_first=True, nonlinearity="relu", bidirectional=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.rnn(x)[0][:, -1]

    model, x = Recurrent().double().eval(), torch.randn(5, 3, 4, dtype=torch.float64)
    assert_close(tp.trace(model, x)(x), model(x))


@pytest.mark.parametrize("functions", [AS_THEY_STAND, REWRITTEN_BY_TORCH], ids=["as they stand", "rewritten"])
def test_both_ways(functions: dict[str, Function]) -> None:
    """The first list is read as torch.export gives it, the second only after torch has rewritten it."""
    program = export(SideBySide(functions).eval(), torch.zeros(2, 3, 6, 6, dtype=torch.float64))
    flat = [verifier.dialect for verifier in program.verifiers]
    assert flat == (["TRAINING"] if functions is AS_THEY_STAND else ["ATEN"]), flat


def test_ops_of_rules_exist() -> None:
    """Every rule names an op of the installed torch."""
    for name in registry.RULES:
        packet, overload = name.split(".")
        assert overload in getattr(torch.ops.aten, packet).overloads(), name


def test_no_op_has_a_rule_and_a_reason() -> None:
    packets = {name.split(".")[0] for name in registry.RULES}
    assert not packets & {*registry.REASONS, *registry.COMPOSITES}
    assert all(hasattr(torch.ops.aten, packet) for packet in (*registry.REASONS, *registry.COMPOSITES))


def test_two_rules_for_one_op() -> None:
    with pytest.raises(ValueError, match=r"two rules for aten\.relu\.default"):
        registry.op("relu.default")(lambda b, x: x)
