"""``LinearTerms`` and ``AffineTerms``: parts, selections, pictures."""

from __future__ import annotations

import pytest
import torch

import tropica as tp
from tests.cached import by_method, decomposition_of, network, points, terms_of


@by_method
def test_parts_add_up(method: str) -> None:
    """a⁺ − a⁻ = a in float64, and every part is an affine function of flat inputs."""
    terms, x = terms_of("mnist_conv", method), points("mnist_conv")
    plus, minus, local = terms.plus, terms.minus, terms.local
    torch.testing.assert_close(plus.weight, local.weight + minus.weight, rtol=0, atol=0)
    torch.testing.assert_close(plus.bias, local.bias + minus.bias, rtol=0, atol=0)
    for part in (plus, minus, local):
        assert part.weight.shape == (len(x), 64)
        assert part.bias.shape == (len(x),)
        assert part.image().shape == (len(x), 1, 8, 8)
        assert torch.equal(part.image((8, 8)).flatten(1), part.weight)
        expected = torch.einsum("bi,ki->bk", x.flatten(1), part.weight) + part.bias
        torch.testing.assert_close(part(x), expected, rtol=1e-12, atol=1e-9)
        assert len(part) == len(x) == len(part[3:9]) + len(x) - 6
        assert torch.equal(part[3:9].bias, part.bias[3:9])
    with pytest.raises(tp.InputError, match="do not fill"):
        plus.image((3, 3))


def in_blocks(sizes: list[int]) -> tp.LinearTerms:
    """Terms of the mlp, cut into blocks as a store would keep them."""
    whole = terms_of("mlp", "calibrated")
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    parts = [whole.select(range(start, start + n)).blocks[0] for start, n in zip(starts, sizes, strict=True)]
    return tp.LinearTerms(parts, whole.center, whole.input_shape, whole.num_classes, whole.method, whole.certificate)


@pytest.mark.parametrize("sizes", [[32], [10, 22], [1, 30, 1]])
def test_select(sizes: list[int]) -> None:
    """Points of any order, repeated or not, by numbers or by a mask; across blocks."""
    whole, terms = terms_of("mlp", "calibrated"), in_blocks(sizes)
    assert len(terms) == len(whole)
    assert sum(len(block) for block in terms) == len(whole)
    for index in ([0], [31, 0, 10, 9, 11, 10], torch.randperm(32), torch.tensor([5])):
        chosen = terms.select(index)
        where = torch.as_tensor(index)
        assert torch.equal(chosen.labels, whole.labels[where])
        for part in ("local", "minus", "plus"):
            assert torch.equal(getattr(chosen, part).weight, getattr(whole, part).weight[where])
            assert torch.equal(getattr(chosen, part).bias, getattr(whole, part).bias[where])
    mask = whole.labels == 1
    assert torch.equal(terms.select(mask).labels, torch.ones(int(mask.sum()), dtype=torch.int64))


def test_select_a_share() -> None:
    """Theorem 3.3 stays true for the points that are kept."""
    terms, x, net = terms_of("mlp", "calibrated"), points("mlp"), network("mlp")
    index = torch.arange(0, 32, 3)
    assert torch.equal(tp.ExtractedFunction(terms.select(index)).predict(x[index]), net.predict(x[index]))


@pytest.mark.parametrize("index", [[], [-1], [32], [[0, 1]]])
def test_select_refuses(index: list) -> None:
    with pytest.raises(tp.InputError, match=r"0 … 31"):
        terms_of("mlp", "calibrated").select(torch.tensor(index, dtype=torch.int64))


def test_select_refuses_other_masks() -> None:
    with pytest.raises(tp.InputError, match="mask"):
        terms_of("mlp", "calibrated").select(torch.ones(31, dtype=torch.bool))
    with pytest.raises(tp.InputError, match="number"):
        terms_of("mlp", "calibrated").select(torch.tensor([0.5, 1.0]))


def test_repr() -> None:
    assert repr(terms_of("mlp", "paper")) == "LinearTerms(32 points of 4, 3 labels, paper decomposition, torch.float64)"
    assert "nonlinearities, largest K" in repr(decomposition_of("mlp", "paper"))


def test_repr_of_affine_terms() -> None:
    local = terms_of("mnist_conv", "paper").local
    assert repr(local) == "AffineTerms(32 affine functions of 1×8×8, torch.float64)"


def test_html() -> None:
    """The notebook representations are tables of plain text."""
    terms = terms_of("mnist_conv", "calibrated")
    for shown, facts in ((terms, ("Linear terms", "1×8×8", "calibrated", "holds")), (terms.local, ("‖w‖", "torch.float64"))):
        html = shown._repr_html_()
        assert html.startswith("<table>")
        assert all(fact in html for fact in facts)
    assert "none" in terms.local[:0]._repr_html_()
