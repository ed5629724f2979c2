"""Sorts, norms, indices, transforms: values and exact linear maps against plain torch, at random points and at ties."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.testing import assert_close

import tropica as tp
from tests.oracles.dense import local_affine_map
from tropica.network.ops.sorting import comparators

Function = Callable[[Tensor], Tensor]
ROWS, POINTS = (3, 6), 4
C = torch.randn(5, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
AT = torch.tensor([4, 0, 0, 5])


def group_sort(x: Tensor, size: int) -> Tensor:
    return x.unflatten(-1, (-1, size)).sort(-1)[0].flatten(-2)


def written(x: Tensor, *index_and_value: Any) -> Tensor:
    out = x.clone()
    out[index_and_value[:-1]] = index_and_value[-1]
    return out


PIECEWISE: dict[str, Function] = {
    "sort": lambda x: x.sort(-1)[0] * C[0] + x.sort(1, descending=True)[0],
    "stable": lambda x: torch.sort(x, dim=1, stable=True)[0],
    "msort": lambda x: torch.msort(x.movedim(0, 2).flatten(0, 1)).T @ torch.ones(18, 2, dtype=torch.float64).cumsum(0),
    "topk": lambda x: x.topk(2, 2)[0] - 3 * x.topk(3, 2, largest=False)[0][..., 1:],
    "top1": lambda x: x.topk(1, 1)[0],
    "kthvalue": lambda x: x.kthvalue(2, -1)[0] + x.kthvalue(3, 2, keepdim=True)[0].sum(-1),
    "median": lambda x: x.median(2)[0] - 2 * x.median(1, keepdim=True).values.mean(-1),
    "nan_to_num": lambda x: torch.where(x.isnan() | ~x.isfinite(), 0, x.nan_to_num()).relu(),
    "clamp": lambda x: (
        x.clamp(max=x.flip(1)) - C[:3].clamp(x, x + 1) + torch.clamp(C[0], torch.zeros(6), x[:, 0]).sum(1)[:, None, None]
    ),
    "cummax": lambda x: x.cummax(2)[0] * C[1] - x.cummin(1)[0],
    "aminmax": lambda x: torch.stack(torch.aminmax(x, dim=2), 1) * C[0, :2, None],
    "fmax": lambda x: torch.fmax(x, C[0]) - torch.fmin(x, x.flip(1)),
    "group_sort": lambda x: group_sort(x, 2) - group_sort(x, 3),
    "norm_1": lambda x: x.norm(1, -1) - 2 * torch.linalg.vector_norm(x - C[:3], 1, dim=(1, 2))[:, None],
    "norm_inf": lambda x: torch.linalg.norm(x, float("inf"), dim=2) - x.norm(p=-float("inf"), dim=1, keepdim=True).sum(-1),
    "distances": lambda x: torch.cdist(x, C, p=1) - torch.cdist(x, C, p=float("inf")),
    "pairwise": lambda x: (
        F.pairwise_distance(x, C[:3], p=1) + F.pairwise_distance(x[:, :1], x[:, 1:], p=float("inf")).sum(1)[:, None]
    ),
    "l1_loss": lambda x: F.l1_loss(x, C[:3].expand_as(x), reduction="none"),
    "softshrink": lambda x: F.softshrink(x, 0.3),
}
AFFINE: dict[str, Function] = {
    "first_power": lambda x: x**1,
    "bicubic": lambda x: F.interpolate(x[:, None], (5, 4), mode="bicubic", align_corners=True),
    "bicubic_factor": lambda x: F.interpolate(x[:, None], scale_factor=(1.7, 0.6), mode="bicubic"),
    "bicubic_aa": lambda x: F.interpolate(x[:, None], (2, 4), mode="bicubic", antialias=True),
    "rfft": lambda x: torch.view_as_real(torch.fft.rfft(x)).flatten(2),
    "rfft_padded": lambda x: torch.fft.rfft(x, n=9, dim=1, norm="ortho").imag,
    "irfft": lambda x: torch.fft.irfft(torch.fft.rfft(x, norm="forward") * torch.complex(C[0, :4], C[1, :4]), n=7),
    "rfft2": lambda x: torch.fft.irfft2(torch.fft.rfft2(x)[..., :3] + (1 - 2j), s=(3, 6)),
    "fft": lambda x: torch.fft.fft(torch.fft.ifft(x, dim=1) / (2 + 1j)).real - torch.fft.fft2(x).conj().imag,
    "complex": lambda x: torch.fft.ifft(torch.view_as_complex(x.unflatten(2, (3, 2)))).real,
    "addcmul": lambda x: torch.addcmul(x, C[0], C[1], value=2) - torch.addcmul(C[2], x, C[3]),
    "lerp": lambda x: torch.lerp(x, x.flip(1), 0.3) + torch.lerp(C[:3], x, C[0]) - x.lerp(C[0], -2.0),
    "index_add": lambda x: x.index_add(2, AT, x[..., :4], alpha=-2) - x.index_add(1, AT[1:3], C[:1].expand(x.shape[0], 2, 6)),
    "index_copy": lambda x: x.index_copy(1, torch.tensor([2]), x[:, :1]) - x.index_fill(2, AT, 1.5),
    "scatter_add": lambda x: x.scatter_add(2, AT.expand(x.shape[0], 3, 4), x[..., 2:]),
    "scatter": lambda x: x.scatter(1, torch.zeros(x.shape[0], 1, 6, dtype=torch.long), x[:, 1:2] * 2),
    "scatter_value": lambda x: x.scatter(2, AT.expand(x.shape[0], 3, 4), 0.5),
    "gather": lambda x: x.gather(2, AT.expand(x.shape[0], 3, 4)),
    "gather_repeat": lambda x: x.gather(1, (AT[1:] // 2).view(1, 3, 1).repeat(x.shape[0], 1, 6)),
    "take_along_dim": lambda x: torch.take_along_dim(x, AT.view(1, 1, 4), 2),
    "index_put": lambda x: written(x, slice(None), slice(None), AT[:2], x[..., :1]) - written(x, slice(None), AT[1:3], 2),
    "index_put_mask": lambda x: written(x, slice(None), slice(None), C[0] > 0, -1.0),
    "index_put_add": lambda x: x.movedim(0, 2).index_put((AT[1:3], AT[:2]), C[0, 0], accumulate=True).movedim(2, 0),
    "einsum": lambda x: torch.einsum("bij,kj,ki->bk", x, C, C[:, :3]) + torch.einsum("j,bij,k", C[0], x, C[:, 0]).sum(1),
}


class SideBySide(nn.Module):
    """All functions of one input, each followed by a random linear map to two logits."""

    def __init__(self, functions: list[Function]) -> None:
        super().__init__()
        generator, x = torch.Generator().manual_seed(0), torch.zeros(2, *ROWS, dtype=torch.float64)
        self.functions = functions
        widths = [function(x).flatten(1).shape[1] for function in functions]
        self.weights = nn.ParameterList(torch.randn(n, 2, generator=generator, dtype=torch.float64) for n in widths)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([f(x).flatten(1) @ w for f, w in zip(self.functions, self.weights, strict=True)], 1)


@pytest.mark.parametrize("functions", [PIECEWISE, AFFINE], ids=["piecewise", "affine"])
def test_values_and_maps(functions: dict[str, Function]) -> None:
    x = torch.randn(POINTS, *ROWS, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model = SideBySide(list(functions.values())).eval()
    net = tp.trace(model, x[:1])
    local, wanted = net.local_map(x), local_affine_map(model, x)
    for i, name in enumerate(functions):
        at = slice(2 * i, 2 * i + 2)
        assert_close(net(x)[:, at], model(x)[:, at], rtol=1e-10, atol=1e-12, msg=name)
        assert_close(local.weight[:, at], wanted.weight[:, at], rtol=1e-10, atol=1e-12, msg=name)
    assert bool(net.nonlinearities) == (functions is PIECEWISE)


def test_ties() -> None:
    """At ties the values are torch's own, and the slopes average slopes nearby: their sum over tied entries is kept."""
    functions = [PIECEWISE[name] for name in ("sort", "topk", "median", "cummax", "norm_1", "norm_inf", "group_sort")]
    x = torch.randint(-1, 2, (POINTS, *ROWS), generator=torch.Generator().manual_seed(0)).double()
    model = SideBySide(functions).eval()
    net = tp.trace(model, x)
    assert net(x).equal(net(x))
    assert_close(net(x), model(x), rtol=1e-12, atol=1e-12)
    whole = tp.trace(Apply(lambda x: x.sort(-1)[0].flatten(1)), x)
    slopes = whole.local_map(x).weight.flatten(2)
    assert (slopes >= 0).all()
    assert_close(slopes.sum(1), torch.ones_like(slopes[:, 0]))
    assert_close(slopes.sum(2), torch.ones_like(slopes[:, 0]))


class Apply(nn.Module):
    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function
        self.training = False

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@pytest.mark.parametrize("n", [2, 3, 5, 8, 11])
def test_comparators_sort(n: int) -> None:
    """The 0-1 principle: a comparator network that sorts all zeros and ones sorts everything."""
    x = (torch.arange(2**n)[:, None] >> torch.arange(n)) & 1
    for stage in comparators(n):
        assert len({i for pair in stage for i in pair}) == 2 * len(stage)
        for low, high in stage:
            x[:, low], x[:, high] = torch.minimum(x[:, low], x[:, high]), torch.maximum(x[:, low], x[:, high])
    assert x.equal(x.sort(1)[0])


def test_only_needed_comparators() -> None:
    """The largest of 8 entries takes 7 comparators."""
    net = tp.trace(Apply(lambda x: x.topk(1, 1)[0]), torch.zeros(2, 8))
    assert sum(node.units for node in net.nonlinearities) == 7


REFUSED: dict[str, tuple[Function, str]] = {
    "too many": (lambda x: x.flatten(1).repeat(1, 30).sort(1)[0], "sorts 540 entries, .* at most 256"),
    "positions": (lambda x: x.flatten(1).sort(1)[1] * x.flatten(1), "position"),
    "euclidean": (lambda x: x.norm(dim=2), "p = 2: it is curved.*p = 1 and p = inf"),
    "p3": (lambda x: torch.cdist(x, C, p=3.0).flatten(1), "p = 3"),
    "count": (lambda x: torch.linalg.vector_norm(x, 0, dim=2), "counts"),
    "index of the input": (lambda x: x[:, 0].gather(1, x[:, 1].long() % 6), "converts|index"),
    "all dimensions": (lambda x: torch.fft.fftn(x).real.flatten(1), "the batch included"),
    "power spectrum": (lambda x: torch.fft.rfft(x).abs().flatten(1), "complex"),
    "square": (lambda x: x.flatten(1) ** 2, "exponents other than 1"),
    "loss of a batch": (lambda x: F.l1_loss(x, x.flip(1)) + x.flatten(1), "sums over the batch"),
    "ellipsis": (lambda x: torch.einsum("b...,k,l->bkl", x[:, 0, 0], C[0], C[1]).flatten(1), "ellipsis"),
}


@pytest.mark.parametrize(("function", "why"), REFUSED.values(), ids=list(REFUSED))
def test_refused(function: Function, why: str) -> None:
    with pytest.raises(tp.UnsupportedOperation) as caught:
        tp.trace(Apply(function), torch.randn(2, *ROWS, dtype=torch.float64))
    assert re.search(why, caught.value.reason)
