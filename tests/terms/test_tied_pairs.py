"""Pairs that float32 cannot tell apart: in blocks, with the results of float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tropica.terms import maxima
from tropica.terms.affine_functions import AffineFunctions, BlockSizes
from tropica.terms.maxima import RunningMaxima

SMALL = BlockSizes(group=4, functions=16, points=8, pairs=1)


def found(functions: AffineFunctions, x: Tensor, segments: int = 1, sizes: BlockSizes = SMALL) -> tuple[Tensor, Tensor]:
    state = RunningMaxima(x, segments, sizes)
    state.update(functions)
    return state.value, state.argmax


def by_hand(functions: AffineFunctions, x: Tensor, segments: int) -> tuple[Tensor, Tensor]:
    """Every pair in float64; the lowest ``prefer``, then the lowest index, at a tie."""
    index, point = (t.flatten() for t in torch.meshgrid(torch.arange(len(functions.bias)), torch.arange(len(x)), indexing="ij"))
    values = functions.values(index, x, point).view(-1, len(x))
    value = torch.full((len(x), segments), -torch.inf, dtype=torch.float64)
    argmax = torch.full((len(x), segments), -1)
    prefer = torch.zeros(len(functions.bias)) if functions.prefer is None else functions.prefer
    for k in sorted(range(len(functions.bias)), key=lambda k: (float(prefer[k]), k)):
        s = 0 if functions.segments is None else int(functions.segments[k])
        higher = values[k] > value[:, s]
        value[higher, s], argmax[higher, s] = values[k][higher], k
    return value, argmax


@pytest.mark.parametrize("case", ["all equal", "offset", "many features", "copies"])
@pytest.mark.parametrize("by_segment", [False, True])
def test_results_of_float64(case: str, by_segment: bool) -> None:
    torch.manual_seed(0)
    n, d = 37, 4000 if case == "many features" else 6
    weight, bias, x = torch.randn(n, d), torch.randn(n, dtype=torch.float64), torch.randn(29, d)
    labels = torch.randint(0, 3, (n,))
    if case == "all equal":
        weight, bias = torch.zeros(n, d), torch.ones(n, dtype=torch.float64)
    elif case == "offset":
        weight, x = 1 + 1e-3 * weight, x + 1e6
    elif case == "many features":
        weight = 1 + 1e-6 * weight
    else:
        weight, bias = weight[:5].repeat(8, 1)[:n], bias[:5].repeat(8)[:n]
    functions = AffineFunctions(
        (weight, -0.5 * weight), bias, labels if by_segment else None, prefer=None if by_segment else labels
    )
    for ours, exact in zip(found(functions, x, 3), by_hand(functions, x, 3), strict=True):
        assert torch.equal(ours, exact)


def test_few_pairs_are_settled_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an offset of 10⁶ float32 separates no pair; with one function repeated no product does."""
    taken: list[int] = []
    values = AffineFunctions.values

    def counted(self: AffineFunctions, index: Tensor, *rest: object) -> Tensor:
        taken.append(len(index))
        return values(self, index, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(maxima.AffineFunctions, "values", counted)
    torch.manual_seed(0)
    weight, x = torch.randn(64, 50), torch.rand(64, 50) + 1e6
    found(AffineFunctions((weight - weight.mean(1, keepdim=True),), torch.randn(64).double()), x)
    assert sum(taken) < 4 * 64
    taken.clear()
    found(AffineFunctions((torch.zeros(64, 50),), torch.zeros(64).double()), x)
    assert sum(taken) <= 4 * 64  # one for each product of 16 functions
