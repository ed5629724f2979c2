"""The calibrated decomposition: its certificate recomputed, the proof's inequality at fresh points, and its tightness."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import tropica as tp
from tests.cached import (
    by_method,
    by_name,
    case_of,
    cotangents,
    decomposition_of,
    f_minus_and_scores,
    network,
    points,
    smallest_cotangent,
    terms_of,
)
from tests.checks import check_below, check_certificate, check_tight, fresh_points
from tests.network_modules import build
from tests.networks import tagged
from tests.oracles.fixed_point import tight
from tropica.decomposition.calibrated import calibrated_decomposition
from tropica.decomposition.paper import bound_on_raises

SOME = ("mlp_deep", "mnist_conv", "resnet", "densenet", "inverted_residual", "maxout", "two_towers", "unet", "abs", "amin")
some = pytest.mark.parametrize("name", SOME)


@by_name
def test_cotangents_are_nonnegative_on_the_data(name: str) -> None:
    check_certificate(decomposition_of(name, "calibrated"), points(name))


@by_method
@by_name
def test_terms_stay_below_everywhere(name: str, method: str) -> None:
    decomposition = decomposition_of(name, method)
    check_below(decomposition, terms_of(name, method), points(name), fresh_points(decomposition.net))


@by_name
def test_is_tight(name: str) -> None:
    """K is that of the slow fixed point plus a margin of 0.1 % of each nonlinearity's largest K."""
    check_tight(decomposition_of(name, "calibrated"), points(name), 1.05)


@pytest.mark.parametrize("name", [case.name for case in tagged("paper") if "architecture" not in case.tags])
def test_few_passes(name: str) -> None:
    """At most 4 passes, including the check; the plain fixed point takes one per nonlinearity."""
    decomposition = decomposition_of(name, "calibrated")
    assert decomposition.passes <= 4
    assert decomposition.history[-1].values["raised"] == 0
    assert decomposition.history[-1].name == "pass"


# ── K from part of the points, raised by passes over all of them ─────────────────────────────────────────────────────


@some
@pytest.mark.parametrize("sort", [False, True], ids=["mixed", "sorted"])
def test_little_memory(name: str, sort: bool) -> None:
    """The first step takes 8 of 160 points (all of one class if the data is sorted); the guarantees are the same."""
    net = network(name)
    x = case_of(name).inputs(160, 3, torch.float64)
    if sort:
        x = x[net.predict(x).argsort(stable=True)]
    decomposition = calibrated_decomposition(net, x, batch_size=8, memory=1)
    assert decomposition.history[0].name == "first step"
    assert decomposition.history[0].values["largest_share"] == pytest.approx(0.05)
    check_certificate(decomposition, x)
    check_below(decomposition, tp.extract(net, x, decomposition), x, fresh_points(net))
    check_tight(decomposition, x, 1.3)
    assert len(decomposition.history) - 1 <= decomposition.passes <= 8


def test_passes_raise() -> None:
    """On this network 8 points are not enough: after the first step at least one pass raises K, and another one checks it."""
    x = case_of("mlp_deep").inputs(160, 3, torch.float64)
    history = calibrated_decomposition(network("mlp_deep"), x, batch_size=8, memory=1).history
    assert len(history) > 2
    assert all(step.values["raised"] > 0 for step in history[1:-1])
    assert "consequence" in history[-1].values or history[-1].values["raised"] == 0


@by_name
def test_bound_on_raises(name: str) -> None:
    """With arbitrary raises of K and the bound on the raises that they require, no cotangent of F⁻ decreases at any point."""
    net, x = network(name), points(name)
    decomposition = decomposition_of(name, "calibrated")
    generator = torch.Generator().manual_seed(len(name))
    raised = {
        nonlinearity: k * torch.rand(k.shape, generator=generator) * (torch.rand(k.shape, generator=generator) < 0.3)
        for nonlinearity, k in decomposition.multipliers.items()
    }
    more = bound_on_raises(net, raised)
    after = replace(
        decomposition,
        multipliers={
            nonlinearity: k + raised[nonlinearity] + more[nonlinearity] for nonlinearity, k in decomposition.multipliers.items()
        },
    )
    for (_, before, _), (nonlinearity, minus, _) in zip(cotangents(decomposition, x), cotangents(after, x), strict=True):
        assert float((minus - before - raised[nonlinearity.name]).min()) >= -1e-10 * float(minus.abs().max())
    assert all(not bool(q.any()) for q in bound_on_raises(net, {}).values())


def test_memory_bounds_the_first_step() -> None:
    """The first step takes more points if more memory is allowed."""
    net, x = network("mlp_deep"), case_of("mlp_deep").inputs(400, 1, torch.float64)
    first = [calibrated_decomposition(net, x, batch_size=10, memory=m).history[0].values for m in (1, 20_000, 2**30)]
    assert first[0]["largest_share"] == pytest.approx(0.025)
    assert first[-1] == {"least_share": 1.0, "largest_share": 1.0, "passes": first[-1]["passes"]}
    assert len({(step["least_share"], step["passes"]) for step in first}) == 3


def test_gives_up() -> None:
    """A single pass cannot both raise K and check it."""
    net, x = network("mlp_deep"), case_of("mlp_deep").inputs(400, 1, torch.float64)
    with pytest.raises(tp.CertificateError, match=r"not final after 1 passes .* raised \d+ units"):
        calibrated_decomposition(net, x, batch_size=4, memory=1, max_passes=1)


# ── how it is called ──────────────────────────────────────────────────────────────────────────────────────────────────


def same(one: tp.DCDecomposition, other: tp.DCDecomposition, rtol: float) -> None:
    for name, k in one.multipliers.items():
        torch.testing.assert_close(other.multipliers[name], k, rtol=rtol, atol=rtol * float(k.max()))


@some
def test_same_bits_again(name: str) -> None:
    net, x = network(name), points(name)
    again = tp.decompose(net, x)
    same(again, decomposition_of(name, "calibrated"), 0.0)
    assert again.fingerprint == decomposition_of(name, "calibrated").fingerprint


@some
@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_order_and_batches_do_not_matter(name: str, batch_size: int) -> None:
    """If the first step takes all points, K is a maximum over them."""
    net, x = network(name), points(name)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(2))
    same(tp.decompose(net, x[order], batch_size=batch_size), decomposition_of(name, "calibrated"), 1e-10)


@pytest.mark.parametrize("kind", ["array", "dataset", "loader", "batches", "labelled"])
def test_any_kind_of_data(kind: str) -> None:
    case = case_of("mlp")
    x = case.inputs(50, 3)
    made = {
        "array": lambda: x.numpy(),
        "dataset": lambda: TensorDataset(x, torch.zeros(50)),
        "loader": lambda: DataLoader(TensorDataset(x, torch.zeros(50)), batch_size=16),
        "batches": lambda: list(x.split(16)),
        "labelled": lambda: tp.LabelledData(x, None, "points"),
    }[kind]()
    model = case.make(0)
    expected = tp.decompose(model, x, batch_size=16)
    same(tp.decompose(model, made, batch_size=16), expected, 0.0)


@some
@pytest.mark.parametrize("memory", [2**30, 1])
def test_float32(name: str, memory: int) -> None:
    """In float32 the certificate holds up to rounding, in float32 and, with the same K, in float64."""
    net = network(name).to(torch.float32)
    x = case_of(name).inputs(100, 4)
    decomposition = tp.decompose(net, x, batch_size=10, memory=memory)
    check_certificate(decomposition, x, 1e-6)
    assert smallest_cotangent(decomposition.to(torch.float64), x.double()) >= -1e-5


def test_dtype_is_a_choice() -> None:
    case = case_of("mlp")
    x = case.inputs(40)
    decomposition = tp.decompose(case.make(0), x, dtype=torch.float64)
    assert decomposition.net.dtype == torch.float64
    check_certificate(decomposition, x.double())
    assert decomposition.to(torch.float32).net.dtype == torch.float32
    assert decomposition.to(torch.float64).multipliers is decomposition.multipliers


# ── attributes ───────────────────────────────────────────────────────────────────────────────────────────────────────


@by_method
@by_name
def test_f_minus_is_the_sum(name: str, method: str) -> None:
    """F⁻ = c⁻ + Σ ⟨K_v, h_v⟩, and F⁺_i − F⁻ = N_i at every point, here as values of the terms."""
    decomposition, x, terms = decomposition_of(name, method), points(name), terms_of(name, method)
    total, scores, *_ = f_minus_and_scores(decomposition, x)
    scale = float(total.abs().max()) + 1e-300
    assert (decomposition.f_minus(x) - total.detach()).abs().max() <= 1e-12 * scale
    own = torch.arange(len(x))
    at = (terms.minus(x)[own, own], terms.local(x)[own, own])
    scale = max(scale, float((terms.minus.weight.norm(dim=1) * x.flatten(1).norm(dim=1)).max()))
    assert (at[0] - total).abs().max() <= 1e-11 * scale
    torch.testing.assert_close(at[1], scores[own, terms.labels].detach(), rtol=1e-11, atol=1e-11)
    assert decomposition.f_minus(x).dtype == torch.float64


class NonlinearityOfAConstant(nn.Module):
    """A nonlinearity of a constant: its contribution to F⁻ is constant."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.first(x)) - torch.relu(self.first(torch.zeros_like(x) + 0.5)))


@by_method
def test_a_nonlinearity_of_a_constant(method: str) -> None:
    x = case_of("mlp").inputs(30, 1, torch.float64)
    net = tp.trace(build(NonlinearityOfAConstant, 0).double(), x)
    decomposition = tp.decompose(net, x, method=method)
    terms = tp.extract(net, x, decomposition)
    assert terms.certificate.holds
    torch.testing.assert_close(terms.minus(x).diagonal(), decomposition.f_minus(x), rtol=1e-12, atol=1e-12)


@some
def test_summary(name: str) -> None:
    decomposition = decomposition_of(name, "calibrated")
    rows = decomposition.summary().rows
    assert [row.nonlinearity for row in rows] == [nonlinearity.name for nonlinearity in decomposition.net.nonlinearities]
    for row, nonlinearity in zip(rows, decomposition.net.nonlinearities, strict=True):
        k = decomposition.multipliers[nonlinearity.name].numpy()
        assert (row.path, row.units) == (nonlinearity.path, k.size)
        np.testing.assert_allclose((row.largest, row.mean, row.share), (k.max(), k.mean(), (k > 0).mean()), rtol=1e-12)


def test_is_smaller_than_the_paper_decomposition() -> None:
    """Calibrated multipliers are smaller because signs cancel."""
    for name in ("mlp_deep", "mnist_conv", "resnet"):
        ours, theirs = (decomposition_of(name, method).summary().largest for method in ("calibrated", "paper"))
        assert ours < theirs


def test_the_margin() -> None:
    """For one nonlinearity K is the tight K plus a thousandth of its largest entry."""
    net, x = network("one_logit"), points("one_logit")
    exact, _ = tight(net, x)
    last = net.nonlinearities[-1].name
    k, wanted = decomposition_of("one_logit", "calibrated").multipliers[last], exact.multipliers[last]
    torch.testing.assert_close(k, wanted + 1e-3 * wanted.max(), rtol=1e-12, atol=0)


def test_by_hand() -> None:
    """N = (h₀ − 3h₁, 2h₁ − h₀) of h = relu(x), both labels in the data: K = (1, 3), or (0, 3) where label 1 does not occur."""
    last = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        last.weight.copy_(torch.tensor([[1.0, -3.0], [-1.0, 2.0]]))
    model = nn.Sequential(nn.ReLU(), last).double().eval()
    x = torch.tensor([[5.0, 1.0], [1.0, 5.0], [4.0, 1.0]], dtype=torch.float64)
    net = tp.trace(model, x)
    for data, expected in ((x, [1.0, 3.0]), (x[::2], [0.0, 3.0])):
        (k,) = tp.decompose(net, data).multipliers.values()
        assert k.tolist() == pytest.approx([wanted + 3e-3 for wanted in expected])
        (k,) = tight(net, data)[0].multipliers.values()
        assert k.tolist() == expected
        terms = tp.extract(net, data)
        assert terms.minus.weight[0].tolist() == pytest.approx([wanted + 3e-3 for wanted in expected])
        assert terms.minus.bias.tolist() == pytest.approx([0.0] * len(data))


def test_refusals() -> None:
    net, x = network("mlp"), points("mlp")
    with pytest.raises(tp.InputError, match="unknown decomposition 'smallest'; there are calibrated, minimal, paper"):
        tp.decompose(net, x, method="smallest")
    with pytest.raises(tp.InputError, match="needs data"):
        tp.decompose(net)
    with pytest.raises(tp.InputError, match="trace it first"):
        tp.decompose(torch.nn.Conv1d(1, 1, 1).eval(), method="paper")
    with pytest.raises(tp.InputError):
        tp.decompose("mlp", x)  # type: ignore[arg-type]
    with pytest.raises(tp.InputError, match=r"\(5,\)|shape"):
        tp.decompose(net, torch.zeros(4, 5, dtype=torch.float64))
    with pytest.raises(tp.InputError, match="float16"):
        tp.decompose(net, x, dtype=torch.float16)
