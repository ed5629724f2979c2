"""``f.margin`` and ``f.top_terms`` against a full sort of every term's value, ties included."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from torch import Tensor

import tropica as tp
from tests.cached import by_method, case_of, terms_of
from tropica.evaluation.settings import EVALUATION_SETTINGS
from tropica.terms.affine_functions import BlockSizes


def sorted_terms(terms: tp.LinearTerms, x: Tensor) -> tuple[Tensor, Tensor]:
    """All terms by decreasing a⁺, then label, then index; and the values a⁺ − max a⁻: plain loops over float64 products."""
    flat, labels = x.double().flatten(1), terms.labels.tolist()
    plus = torch.stack([(flat * w).sum(1) for w in terms.plus.weight], 1) + terms.plus.bias
    minus = torch.stack([(flat * w).sum(1) for w in terms.minus.weight], 1) + terms.minus.bias
    order = [sorted(range(len(labels)), key=lambda i: (-row[i], labels[i], i)) for row in plus.tolist()]
    index = torch.tensor(order)
    return index, plus.gather(1, index) - minus.amax(1, keepdim=True)


@by_method
@pytest.mark.parametrize("name", ["mlp", "mnist_conv", "resnet", "sigmoid"])
def test_by_brute_force(name: str, method: str) -> None:
    terms = terms_of(name, method)
    f = tp.ExtractedFunction(terms)
    x = case_of(name).inputs(20, 30, torch.float64)
    top, (index, value) = f.top_terms(x, k=7), sorted_terms(terms, x)
    assert torch.allclose(top.value, value[:, :7], rtol=1e-9, atol=1e-9)
    close = (value[:, :7] - value[:, 1:8]).abs() < 1e-9
    assert bool(((top.index == index[:, :7]) | close | close.roll(1, 1)).all())
    assert bool((top.label == terms.labels[top.index]).all())
    assert torch.equal(top.index[:, 0], f.active_term(x))
    assert torch.allclose(top.value[:, 0], f(x).amax(1))
    two = f(x).topk(2).values
    assert torch.allclose(f.margin(x), two[:, 0] - two[:, 1])
    values, margins = f.values_and_margins(x)
    assert torch.equal(values, f(x))
    assert torch.equal(margins, f.margin(x))
    assert f.top_terms(x, k=len(terms)).index.sort(1).values.tolist() == [list(range(len(terms)))] * 20


def test_ties_go_to_the_lowest_label_then_index() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 3, bias=False)).eval()
    model[0].weight.data = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    x = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    f = tp.ExtractedFunction(tp.extract(model, x))
    top = f.top_terms(torch.tensor([[1.0, 1.0], [2.0, 1.0]]), k=4)
    assert top.index.tolist() == [[1, 3, 0, 2], [1, 3, 0, 2]]  # a tie of all four terms at (1, 1): label 0 first
    assert top.label.tolist() == [[0, 0, 2, 2]] * 2
    assert f.margin(torch.tensor([[1.0, 1.0], [2.0, 1.0]])).tolist() == [0.0, 1.0]


def test_one_label_has_an_infinite_margin_and_bad_k_is_refused() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2)).eval()
    model[0].bias.data = torch.tensor([100.0, 0.0])
    f = tp.ExtractedFunction(tp.extract(model, torch.rand(5, 2)))
    assert f.margin(torch.rand(3, 2)).tolist() == [torch.inf] * 3
    for k in (0, 6, True, 2.0):
        with pytest.raises(tp.InputError, match=r"1 … 5"):
            f.top_terms(torch.rand(3, 2), k=k)  # type: ignore[arg-type]


def test_streamed_and_blockwise_terms_are_the_same() -> None:
    case = case_of("mlp")
    x, points = case.inputs(9, 3, torch.float64), case.inputs(40, 4, torch.float64)
    model = case.make(0).double()
    terms = tp.extract(model, points)
    expected = tp.ExtractedFunction(terms).top_terms(x, k=6)
    small = replace(EVALUATION_SETTINGS, maxima=BlockSizes(group=2, functions=4, points=3))
    assert torch.equal(tp.ExtractedFunction(terms, settings=small).top_terms(x, k=6).index, expected.index)
    streamed = tp.ExtractedFunction.streaming(model, points, batch_size=7).top_terms(x, k=6)
    assert torch.allclose(streamed.value, expected.value)  # the last bits, and so the order of equal terms, may differ
    assert torch.equal(streamed.label, expected.label)


def test_rounded_terms_with_their_data_are_those_of_the_extraction(tmp_path) -> None:
    case = case_of("mlp")
    model, points, x = case.make(0).double(), case.inputs(60, 5, torch.float64), case.inputs(30, 6, torch.float64)
    exact = tp.ExtractedFunction(tp.extract(model, points))
    tp.extract(model, points, out=tmp_path / "terms", stored_dtype=torch.bfloat16, on_failure="warn")
    f = tp.ExtractedFunction(tp.load_terms(tmp_path / "terms"), net=model, data=points)
    assert torch.equal(f.top_terms(x, k=4).index, exact.top_terms(x, k=4).index)
    assert torch.equal(f.top_terms(x, k=4).index[:, 0], f.active_term(x))


def test_terms_in_double_double_by_rationals() -> None:
    """The order of the exact values, where float64 has ties."""
    case = case_of("mlp")
    points, x = case.inputs(30, 5, torch.float64), case.inputs(6, 6, torch.float64)
    terms = tp.extract(case.make(0).double(), points)
    rest = torch.Generator().manual_seed(0)
    blocks = [
        replace(
            b,
            minus_low=torch.rand(b.minus.shape, generator=rest, dtype=torch.float64) * 1e-19,
            minus_bias_low=torch.rand(b.minus_bias.shape, generator=rest, dtype=torch.float64) * 1e-19,
        )
        for b in terms
    ]
    f = tp.ExtractedFunction(replace(terms, blocks=blocks, about={**terms.about, "precision": "double-double"}))
    (block,) = blocks
    assert block.minus_low is not None
    assert block.minus_bias_low is not None
    parts = [block.local, block.minus, block.minus_low], [block.local_bias, block.minus_bias, block.minus_bias_low]
    weight, bias = ([[Fraction(v) for v in part.flatten().tolist()] for part in side] for side in parts)
    d = x.shape[1]
    for row, index in zip(x.tolist(), f.top_terms(x, k=8).index.tolist(), strict=True):
        value = [
            sum(part[i] for part in bias) + sum(part[i * d + j] * Fraction(row[j]) for part in weight for j in range(d))
            for i in range(30)
        ]
        assert index == sorted(range(30), key=lambda i: (-value[i], terms.labels[i], i))[:8]
    margin = tp.ExtractedFunction(terms).margin(x)
    assert torch.allclose(f.margin(x), margin)
