"""Regression: N^(X) of every output against exact fractions, Theorem 3.3 for every output, and what is refused."""

from __future__ import annotations

import functools
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import tropica as tp
from tests.cached import network, points
from tests.oracles.exact_function import exact_function, exact_terms
from tropica.data.passes import ShardSizes
from tropica.decomposition.load import load_decomposition
from tropica.decomposition.minimal import MARGIN
from tropica.runtime.memory import BatchHalving

METHODS = ("calibrated", "minimal", "paper")
by_method = pytest.mark.parametrize("method", METHODS)
by_outputs = pytest.mark.parametrize("outputs", [1, 3])


def model(outputs: int) -> nn.Sequential:
    torch.manual_seed(outputs)
    return nn.Sequential(nn.Linear(3, 7), nn.ReLU(), nn.Linear(7, 6), nn.ReLU(), nn.Linear(6, outputs)).double().eval()


@functools.cache
def traced(outputs: int) -> tp.PiecewiseLinearNetwork:
    return tp.trace(model(outputs), data(2))


def data(count: int = 20, seed: int = 0) -> Tensor:
    return torch.randn(count, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@by_method
@by_outputs
def test_values_and_deciding_points_are_those_of_exact_fractions(method: str, outputs: int) -> None:
    net, x, new = traced(outputs), data(), data(15, 1)
    decomposition = tp.decompose(net, x, method=method, task="regression")
    f = tp.ExtractedFunction(tp.extract(net, x, decomposition))
    order = [decomposition.multipliers[node.name] for node in decomposition.net.nonlinearities]
    terms = exact_terms(model(outputs), order, x, every_output=True)
    for values, exact in zip(f(new).tolist(), exact_function(terms, outputs, new), strict=True):
        assert values == pytest.approx([float(exact[i]) for i in range(outputs)], abs=1e-12)
    # The point that decides an output is one whose own a⁺ reaches the maximum.
    point = [Fraction(float(entry)) for entry in new[0]]
    for i, k in enumerate(f.active_term(new)[0].tolist()):
        plus = [
            sum((a + b) * z for a, b, z in zip(term.local[0], term.minus[0], point, strict=True))
            + term.local[1]
            + term.minus[1]
            for term in terms
            if term.label == i
        ]
        assert float(max(plus) - plus[k]) < 1e-12


@by_method
@by_outputs
def test_every_output_of_every_data_point_is_kept(method: str, outputs: int) -> None:
    net, x = traced(outputs), data(50)
    terms = tp.extract(net, x, method, task="regression")
    assert (len(terms), terms.num_points, terms.certificate.points) == (50 * outputs, 50, 50)
    assert terms.certificate.holds
    assert terms.labels.tolist() == list(range(outputs)) * 50
    f = tp.ExtractedFunction(terms)
    torch.testing.assert_close(f(x), net(x), rtol=1e-12, atol=1e-12)
    assert torch.equal(f.predict(x), f(x))
    assert tp.regression_agreement(net, f, x).network_extracted.r2 == pytest.approx([1.0] * outputs)  # type: ignore[union-attr]


@by_outputs
def test_terms_of_a_calibrated_decomposition_bound_every_output_everywhere(outputs: int) -> None:
    net, x, new = traced(outputs), data(30), 5 * data(200, 2)
    decomposition = tp.decompose(net, x, task="regression")
    terms = tp.extract(net, x, decomposition)
    plus = terms.plus(new).unflatten(1, (-1, outputs)).amax(1)
    assert float((plus - decomposition.f_plus(new)).max()) < 1e-12
    assert float((terms.minus(new).amax(1) - decomposition.f_minus(new)).max()) < 1e-12


@pytest.mark.parametrize("name", ["mnist_conv", "resnet", "two_towers"])
def test_any_graph(name: str) -> None:
    net, x = network(name), points(name)[:24]
    terms = tp.extract(net, x, "minimal", task="regression", check="full", batch_size=10)
    torch.testing.assert_close(tp.ExtractedFunction(terms)(x), net(x).flatten(1).double(), rtol=1e-8, atol=1e-8)


@by_outputs
def test_the_factor_is_the_least_for_all_pairs_of_all_outputs(outputs: int) -> None:
    """λ* against all pairs from plain derivatives; slightly below it an output of some point is lost."""
    net, x = traced(outputs), data(40)
    calibrated = tp.decompose(net, x, task="regression")
    terms = tp.extract(net, x, calibrated)
    local, minus = (part(x).unflatten(1, (-1, outputs)) for part in (terms.local, terms.minus))  # [k, j, i]: term (j, i) at x_k
    own = torch.arange(40)
    p, d = local[own, own].unsqueeze(1) - local, minus[own, own].unsqueeze(1) - minus
    short = p < -1e-12
    least = float((-p / d)[short].max())
    found = tp.decompose(net, x, method="minimal", task="regression")
    assert list(found.factors.values()) == pytest.approx([(1 + MARGIN) * least] * 2, rel=1e-9)
    lost = tp.ExtractedFunction(terms.scaled(0.999 * least))(x) - net(x)
    assert float(lost.abs().max()) > 1e-9


def test_minimal_keeps_values_that_classification_may_lose() -> None:
    """N = (x, 2x − 3), both bent at 3: between labels the value of the other label may exceed N, in regression it may not."""
    first = (np.array([[1.0], [-1.0], [1.0]]), np.array([0.0, 0.0, -3.0]))
    last = (np.array([[1.0, -1.0, -0.25], [2.0, -2.0, -0.5]]), np.array([0.0, -3.0]))
    net = tp.from_layers([first, last])
    x = torch.tensor([[-2.0], [-1.0], [1.0], [2.0], [4.0], [5.0]], dtype=torch.float64)
    by_label = tp.ExtractedFunction(tp.extract(net, x, "minimal"))(x)
    assert float((by_label - net(x))[:, 0].max()) > 0.2
    torch.testing.assert_close(tp.ExtractedFunction(tp.extract(net, x, "minimal", task="regression"))(x), net(x))


def test_streaming_stores_and_selections_give_the_same_values(tmp_path: Path) -> None:
    net, x, new = traced(3), data(70), data(9, 3)
    small = ShardSizes(points=32)
    terms = tp.extract(net, x, out=tmp_path / "terms", batch_size=8, task="regression", shard_sizes=small)
    f = tp.ExtractedFunction(terms)
    again = tp.load_terms(tmp_path / "terms", check="all")
    assert again.num_points == 70
    assert again.certificate == terms.certificate
    assert torch.equal(tp.ExtractedFunction(again)(new), f(new))
    streamed = tp.ExtractedFunction.streaming(net, x, batch_size=8, task="regression", shard_sizes=small)
    assert torch.equal(streamed(new), f(new))
    again.select(range(10)).save(tmp_path / "some")
    some = tp.ExtractedFunction(tp.load_terms(tmp_path / "some"))
    torch.testing.assert_close(some(x[:10]), net(x[:10]))
    with pytest.raises(tp.StoreError, match="another extraction"):
        tp.extract(net, x, out=tmp_path / "terms", batch_size=8, shard_sizes=small)


def test_a_decomposition_keeps_its_task(tmp_path: Path) -> None:
    net, x = traced(1), data()
    made = tp.decompose(net, x, task="regression")
    made.save(tmp_path / "d.safetensors")
    again = load_decomposition(tmp_path / "d.safetensors", net)
    assert again.fingerprint == made.fingerprint
    assert tp.extract(net, x, again).num_targets == 1
    with pytest.raises(tp.InputError, match="made for regression"):
        tp.extract(net, x, again, task="classification")


def test_halved_batches_hold_whole_points() -> None:
    def work(part: Tensor) -> int:
        if len(part) > 4:
            raise MemoryError
        return len(part)

    with pytest.warns(UserWarning, match="does not fit"):
        assert BatchHalving(3)(work, torch.zeros(21, 1)) == [3] * 7


def test_what_has_no_meaning_is_refused() -> None:
    net, x = traced(3), data()
    f = tp.ExtractedFunction(tp.extract(net, x, task="regression"))
    for call in (f.labels_and_terms, f.label_is_certified, lambda x: tp.agreement(net, f, x)):
        with pytest.raises(tp.InputError, match="regression"):
            call(x)
    with pytest.raises(tp.InputError, match="task must be one of"):
        tp.extract(net, x, task="ranking")
    with pytest.raises(tp.InputError, match="ends in a softmax"):
        tp.extract(nn.Sequential(*model(3), nn.Softmax(1)).eval(), x, task="regression")
    with pytest.raises(tp.InputError, match="distinguishes labels"):
        tp.regression_agreement(net, tp.ExtractedFunction(tp.extract(net, x)), x)
    for y, message in (
        (np.zeros(20), "must have shape"),
        (np.full((20, 3), np.nan), "finite"),
        (np.array(["a"]), "real numbers"),
    ):
        with pytest.raises(tp.InputError, match=message):
            tp.regression_agreement(net, f, x, y)


def test_errors_are_those_of_plain_formulas() -> None:
    net, x, new = traced(3), data(), data(12, 4)
    y = net(new).detach() + 0.1 * torch.randn(12, 3, dtype=torch.float64)
    f = tp.ExtractedFunction(tp.extract(net, x, task="regression"))
    found = tp.regression_agreement(net, f, new, y)
    assert found.extracted_true is not None
    difference, true = (f(new) - y).numpy(), y.numpy()
    assert found.extracted_true.r2 == pytest.approx(1 - (difference**2).sum(0) / ((true - true.mean(0)) ** 2).sum(0))
    assert found.extracted_true.root_mean_square == pytest.approx(np.sqrt((difference**2).mean(0)))
    assert found.extracted_true.largest == pytest.approx(np.abs(difference).max(0))
    assert len(found.to_dataframe()) == 9
