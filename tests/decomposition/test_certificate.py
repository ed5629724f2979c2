"""The certificate: what it checks, when it fails, and what happens then."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest
import torch
from torch import nn

import tropica as tp
from tests.cached import by_method, by_name, case_of, cotangents, decomposition_of, network, points, terms_of
from tropica.decomposition.certify import Sample, SampleSizes

NAMES = ("mlp_deep", "mnist_conv", "resnet", "inverted_residual")
names = pytest.mark.parametrize("name", NAMES)


def scaled(decomposition: tp.DCDecomposition, factor: float) -> tp.DCDecomposition:
    return replace(decomposition, multipliers={name: factor * k for name, k in decomposition.multipliers.items()})


@names
def test_half_of_k_is_not_enough(name: str) -> None:
    net, x, decomposition = network(name), points(name), scaled(decomposition_of(name, "calibrated"), 0.5)
    with pytest.raises(tp.CertificateError, match=r"certificate fails: a cotangent is negative \(-0\.\d+"):
        tp.extract(net, x, decomposition)
    with pytest.warns(UserWarning, match="a cotangent is negative"):
        terms = tp.extract(net, x, decomposition, on_failure="warn")
    assert not terms.certificate.holds
    assert "FAILS" in str(terms.certificate)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        unchecked = tp.extract(net, x, decomposition, check="none")
    assert unchecked.certificate.smallest_cotangent is None
    assert torch.equal(unchecked.plus.weight, terms.plus.weight)


@names
def test_no_k_at_all_violates_the_theorem(name: str) -> None:
    """Without K the cotangents, the pairs and the labels of N^(X) (by brute force) violate Theorem 3.3."""
    net, x = network(name), points(name)
    with pytest.warns(UserWarning, match="a cotangent is negative"):
        terms = tp.extract(net, x, scaled(decomposition_of(name, "calibrated"), 0.0), on_failure="warn")
    worst = 0.0
    for one in (terms.plus, terms.minus):
        values = one(x)
        worst = max(worst, float((values - values.diagonal().unsqueeze(1)).max()))
    assert terms.certificate.largest_violation == pytest.approx(worst, rel=1e-9, abs=1e-12)
    kept = (tp.ExtractedFunction(terms).predict(x) == net.predict(x)).double().mean()
    assert terms.certificate.labels_kept == pytest.approx(float(kept))


@names
def test_k_missing_at_one_nonlinearity(name: str) -> None:
    """The certificate fails for every nonlinearity, also for the last one, which no cotangent of F⁻ reaches."""
    net, x, decomposition = network(name), points(name), decomposition_of(name, "calibrated")
    for nonlinearity in net.nonlinearities:
        k = decomposition.multipliers[nonlinearity.name]
        if float(k.max()) < 1e-3:
            continue
        without = replace(decomposition, multipliers={**decomposition.multipliers, nonlinearity.name: torch.zeros_like(k)})
        with pytest.raises(tp.CertificateError, match="a cotangent is negative"):
            tp.extract(net, x, without)


@by_method
@by_name
def test_figures(name: str, method: str) -> None:
    """The smallest cotangent is that of automatic differentiation; all pairs are checked, and the certificate says so."""
    terms, x = terms_of(name, method), points(name)
    found = terms.certificate
    assert found.holds, str(found)
    least = 0.0
    for _, minus, plus in cotangents(decomposition_of(name, method), x):
        least = min(least, float(torch.minimum(minus, plus).min()))
    assert least >= -1e-9
    assert found.smallest_cotangent is not None
    assert found.smallest_cotangent >= -1e-12
    assert (found.points, found.terms, found.complete, found.dtype) == (len(x), len(x), True, "float64")
    assert round((1 - found.labels_kept) * len(x)) == found.labels_tied <= int("zero_biases" in name)
    assert 0 <= found.largest_violation <= found.tolerance
    assert "holds" in str(found)


@by_method
def test_cotangents_are_checked_for_every_method(method: str) -> None:
    found = tp.extract(network("mlp_deep"), points("mlp_deep"), decomposition=method).certificate
    assert found.smallest_cotangent is not None
    assert found.smallest_cotangent >= -1e-12


def test_smallest_cotangent() -> None:
    """One nonlinearity of two units with known cotangents, K − 1 and K, relative to the largest."""
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)).double().eval()
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), ([[1, 0], [0, 1]], [0, 0], [[1, -1], [-1, 1]], [0, 0]), strict=True):
            parameter.copy_(torch.tensor(value))
    x = torch.tensor([[2.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    net = tp.trace(model, x)
    decomposition = replace(
        tp.decompose(net, x), multipliers={net.nonlinearities[0].name: torch.tensor([4.0, 2.0], dtype=torch.float64)}
    )
    terms = tp.extract(net, x, decomposition)
    assert terms.certificate.smallest_cotangent == pytest.approx((2 - 1) / 4)


def test_an_unchecked_certificate_does_not_hold() -> None:
    """With check="none" and a decomposition that was not certified on this data, the certificate does not hold."""
    terms = tp.extract(network("mlp"), points("mlp"), decomposition_of("mlp", "calibrated"), check="none")
    assert not terms.certificate.holds
    assert "not checked" in str(terms.certificate)
    # The calibration itself is a certificate.
    assert tp.extract(network("mlp"), points("mlp"), check="none").certificate.holds


def test_a_large_set_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sample, "draw", lambda points, *_, **__: Sample(torch.arange(10), points))
    net, x = network("mlp"), points("mlp")
    found = tp.extract(net, x, batch_size=7).certificate
    assert (found.points, found.terms, found.complete, found.holds) == (10, 10, False, True)
    assert "(a sample)" in str(found)


def test_fewer_of_large_points() -> None:
    """The sample of large points is smaller, and a small data set is taken whole."""
    sizes = [len(Sample.draw(100_000, d).index) for d in (64, 784, 150_528)]
    assert 100_000 > sizes[0] > sizes[1] > sizes[2] > 0
    assert len(Sample.draw(100, 784).index) == 100


def test_sample_sees_its_own_points() -> None:
    sizes = SampleSizes(points=12)
    x = torch.arange(50.0).unsqueeze(1)
    sample = Sample.draw(50, sizes=sizes)
    start = 0
    for part in x.split(8):
        sample.see(start, part, part[:, 0].double())
        start += len(part)
    assert torch.equal(sample.x[:, 0].long(), sample.index)
    assert torch.equal(sample.margin.long(), sample.index)
    assert len(sample.index.unique()) == 12
    assert torch.equal(sample.index, Sample.draw(50, sizes=sizes).index)


def test_not_a_number_fails() -> None:
    """K beyond the range of float32 is an error, not terms that are NaN."""
    net, x = network("mlp").to(torch.float32), points("mlp").float()
    huge = scaled(decomposition_of("mlp", "paper"), 1e39)
    for how in ({"check": "sample"}, {"on_failure": "warn"}, {"check": "none"}):
        with pytest.raises(tp.CertificateError, match="float64"):
            tp.extract(net, x, huge, **how)  # type: ignore[arg-type]


def test_float32_error_recommends_float64() -> None:
    case = case_of("mlp_deep")
    x = case.inputs(40)
    net = network("mlp_deep").to(torch.float32)
    with pytest.raises(tp.CertificateError, match=r"extract with dtype=torch\.float64"):
        tp.extract(net, x, scaled(tp.decompose(net, x), 0.3))


def test_without_nonlinearities() -> None:
    """An affine network has no cotangents: the smallest is 0, and the certificate holds."""
    terms = terms_of("linear_only", "calibrated")
    assert terms.certificate.smallest_cotangent == 0
    assert tp.extract(network("linear_only"), points("linear_only")).certificate.smallest_cotangent == 0
