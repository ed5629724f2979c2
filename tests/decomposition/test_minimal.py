"""The minimal decomposition against matrices of all pairs: λ is minimal, all pairs hold, the certificate is correct."""

from __future__ import annotations

from copy import deepcopy
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import tropica as tp
from tests.cached import by_name, case_of, decomposition_of, network, points
from tests.networks import tagged
from tests.oracles.minimal import exact_pairs, pairs
from tests.random_networks import Network, random_networks
from tests.sizes import examples
from tropica.data.passes import DataPass, ShardSizes
from tropica.decomposition import minimal
from tropica.decomposition.data_terms import DataTerms, PointsInMemory, certify_factors
from tropica.decomposition.factor_program import PRECISION, standard_deviations
from tropica.decomposition.load import load_decomposition
from tropica.decomposition.minimal import MARGIN, MinimalSettings, smallest_factor
from tropica.decomposition.pairwise_check import check_pairs

SOME = ("mlp_deep", "mnist_conv", "resnet", "densenet", "maxout", "two_towers", "unet", "abs", "amin")
some = pytest.mark.parametrize("name", SOME)
by_per = pytest.mark.parametrize("per", ["network", "nonlinearity"])


def made(net: tp.PiecewiseLinearNetwork, x: Tensor, **options: object) -> tp.DCDecomposition:
    return tp.decompose(net, x, method="minimal", **options)  # type: ignore[arg-type]


def in_memory(x: Tensor, net: tp.PiecewiseLinearNetwork) -> PointsInMemory:
    """The points in batches of 64."""
    return PointsInMemory(x, DataPass(x, 64, net.dtype, net.device, net.input_shape), 2**28)


def check_all_pairs(decomposition: tp.DCDecomposition, x: Tensor) -> None:
    """All pairs hold on both sides, and N^(X) has the label of N wherever it is not a tie."""
    found = pairs(decomposition, x)
    minus = found.minus.sum(0)
    plus = found.local + minus
    assert min(float(plus.min()), float(minus.min())) >= -found.rounding
    # At each point, no term of another label exceeds the largest term of its own label.
    other = found.labels[:, None] != found.labels[None]
    clear = found.margin > found.rounding
    assert not bool((other & (plus < 0) & clear[None]).any()) or float(plus[other & clear[None]].min()) >= -1e-13
    assert decomposition.certificate is not None
    assert decomposition.certificate.holds
    assert decomposition.certificate.points == len(x)
    assert decomposition.certificate.largest_violation <= found.rounding


def common(decomposition: tp.DCDecomposition) -> float:
    """The factor λ* of a decomposition with one common factor."""
    (factor,) = set(decomposition.factors.values()) or {0.0}
    return factor / (1 + MARGIN)


# ── against the full matrices ───────────────────────────────────────────────────────────────────────────────────────


@by_name
def test_smallest_factor(name: str) -> None:
    """λ* is the largest ratio of all pairs, and K has a margin of 1 %; a factor slightly below λ* violates Theorem 3.3."""
    net, x = network(name), points(name)
    full, decomposition = pairs(decomposition_of(name, "calibrated"), x), made(net, x)
    least = full.least()
    assert common(decomposition) == pytest.approx(least, rel=1e-6, abs=1e-9)
    assert least <= 1 + 1e-6
    for nonlinearity, k in decomposition_of(name, "calibrated").multipliers.items():
        torch.testing.assert_close(
            decomposition.multipliers[nonlinearity], (1 + MARGIN) * least * k, rtol=1e-6, atol=1e-9 * float(k.max())
        )
    check_all_pairs(decomposition, x)
    if least > 1e-6:
        assert float((full.local + 0.99 * least * full.minus.sum(0)).min()) < 0


@pytest.mark.parametrize("name", [case.name for case in tagged("rational")])
def test_in_exact_fractions(name: str) -> None:
    """In exact fractions the minimal λ is that of float64, and all pairs of the decomposition hold."""
    net, x = network(name), points(name)[:12]
    model = case_of(name).make(0)
    assert isinstance(model, nn.Sequential)
    full = tp.decompose(net, x)
    decomposition = made(net, x)
    order = [nonlinearity.name for nonlinearity in net.nonlinearities]
    local, minus = exact_pairs(_flat(model), [full.multipliers[name] for name in order], x)
    every = [(p, d) for row, other in zip(local, minus, strict=True) for p, d in zip(row, other, strict=True)]
    assert all(d >= -Fraction(1, 10**12) for _, d in every)
    least = max((-p / d for p, d in every if p < -Fraction(1, 10**12)), default=Fraction(0))
    assert common(decomposition) == pytest.approx(float(least), rel=1e-9, abs=1e-12)
    local, minus = exact_pairs(_flat(model), [decomposition.multipliers[name] for name in order], x)
    for row, other in zip(local, minus, strict=True):
        for p, d in zip(row, other, strict=True):
            assert d >= -Fraction(1, 10**12)
            assert p + d >= -Fraction(1, 10**12)


def _flat(model: nn.Module) -> nn.Sequential:
    """The layers of nested Sequentials as one."""
    found: list[nn.Module] = []
    assert isinstance(model, nn.Sequential)
    for layer in model:  # children() would list a layer that is used twice only once
        found += list(_flat(layer)) if isinstance(layer, nn.Sequential) else [layer]
    return nn.Sequential(*found)


@examples(15, database=None)
@given(random_networks())
def test_random_networks(drawn: Network) -> None:
    model, shape = drawn
    x = 2 * torch.randn(25, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    net = tp.trace(deepcopy(model).double(), x)
    full = pairs(tp.decompose(net, x), x)
    one, many = made(net, x), made(net, x, per="nonlinearity")
    assert common(one) == pytest.approx(full.least(), rel=1e-5, abs=1e-8)
    for decomposition in (one, many):
        check_all_pairs(decomposition, x)
        terms = tp.extract(net, x, decomposition)
        assert terms.certificate.holds
        assert terms.certificate.smallest_cotangent is None
        assert torch.equal(tp.ExtractedFunction.streaming(net, x, decomposition)(x), tp.ExtractedFunction(terms)(x))


@some
def test_factors_by_nonlinearity_are_the_best(name: str) -> None:
    """F⁻ varies as little as in the linear program with all pairs, and no more than with one common factor."""
    net, x = network(name), points(name)
    calibrated, one, many = decomposition_of(name, "calibrated"), made(net, x), made(net, x, per="nonlinearity")
    check_all_pairs(many, x)
    full = pairs(calibrated, x)
    cost = standard_deviations(calibrated, full.names, x)
    rest = np.array([many.factors.get(name, 0.0) / (1 + MARGIN) - PRECISION * common(one) for name in full.names])
    best = full.program(cost)
    assert float(cost @ rest) == pytest.approx(best, rel=1e-4, abs=1e-6 * float(cost.sum()))
    assert best <= common(one) * float(cost.sum()) * (1 + 1e-6) + 1e-9


def test_by_hand() -> None:
    """N = (−h, −1) of h = relu(x) at −1 and 2: a₂ − a₋₁ = −1 at 2, where a⁻ differ by 2K: K = 1/2 is the smallest possible."""
    last = nn.Linear(1, 2)
    with torch.no_grad():
        last.weight.copy_(torch.tensor([[-1.0], [0.0]]))
        last.bias.copy_(torch.tensor([0.0, -1.0]))
    x = torch.tensor([[-1.0], [2.0]], dtype=torch.float64)
    net = tp.trace(nn.Sequential(nn.ReLU(), last).double().eval(), x)
    for per in ("network", "nonlinearity"):
        decomposition = made(net, x, margin=0.0, per=per)
        (k,) = decomposition.multipliers.values()
        assert k.item() == pytest.approx(0.5, rel=1e-9 if per == "network" else 1e-5)
        assert decomposition.certificate is not None
        assert [step.values["margin"] for step in decomposition.history if step.name == "factor"] == [0]
    (k,) = made(net, x, margin=0.1).multipliers.values()
    assert k.item() == pytest.approx(0.55, rel=1e-9)


# ── nothing to do ───────────────────────────────────────────────────────────────────────────────────────────────────


@by_per
def test_without_pairs_f_minus_is_zero(per: str) -> None:
    """With one point, repeated points or no nonlinearities λ = 0, and N^(X) is the maximum of the a_k."""
    net, x = network("mlp"), points("mlp")
    for data in (x[1:2], x[[1, 1, 1]]):
        decomposition = made(net, data, per=per)
        assert set(decomposition.factors.values()) == {0.0}
        assert not any(bool(k.any()) for k in decomposition.multipliers.values())
        terms = tp.extract(net, data, decomposition)
        assert terms.certificate.holds
        assert torch.equal(tp.ExtractedFunction(terms).predict(data), net.predict(data))
    linear = tp.trace(nn.Linear(x.shape[1], 3).double().eval(), x)
    decomposition = made(linear, x, per=per)
    assert (dict(decomposition.factors), decomposition.multipliers) == ({}, {})
    assert decomposition.certificate is not None
    assert decomposition.certificate.holds


# ── independence of the algorithm ───────────────────────────────────────────────────────────────────────────────────


@by_per
@pytest.mark.parametrize("name", ["mlp_deep", "mnist_conv"])
def test_stages_shards_and_memory(name: str, per: str) -> None:
    """A first step of few points, many shards, and terms that are extracted again in each pass give as small factors."""
    net, x = network(name), case_of(name).inputs(90, 7, torch.float64)
    expected = made(net, x, per=per)
    check_all_pairs(expected, x)
    small = MinimalSettings(first_points=8, shards=2)
    calibrated = tp.decompose(net, x)
    over = DataPass(x, 8, net.dtype, net.device, net.input_shape, ShardSizes(points=8))
    for memory in (2**30, 1):
        found = minimal.minimal_decomposition(calibrated, over, per=per, memory=memory, settings=small)
        check_all_pairs(found, x)
        if per == "network":
            assert common(found) == pytest.approx(common(expected), rel=1e-5, abs=1e-6)
        else:  # the program may have several solutions of one cost
            shares = [
                step.values["share"] for one in (found, expected) for step in one.history if step.name == "factor program"
            ]
            assert shares[0] == pytest.approx(shares[1], rel=1e-5)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1))
    if per == "network":
        assert common(made(net, x[order])) == pytest.approx(common(expected), rel=1e-9)


@by_per
def test_twice_the_same_bits(per: str) -> None:
    x = case_of("mlp_deep").inputs(80, 3)
    model = case_of("mlp_deep").make(0)
    one, two = (made(model, x, per=per) for _ in range(2))  # type: ignore[arg-type]
    assert one.fingerprint == two.fingerprint
    assert one.certificate == two.certificate


def test_any_kind_of_data() -> None:
    case = case_of("mlp")
    x = case.inputs(50, 3)
    expected = made(case.make(0), x, batch_size=16)  # type: ignore[arg-type]
    for data in (x.numpy(), DataLoader(TensorDataset(x, torch.zeros(50)), batch_size=16), tp.LabelledData(x, None, "points")):
        assert made(case.make(0), data, batch_size=16).fingerprint == expected.fingerprint  # type: ignore[arg-type]


@some
def test_float32(name: str) -> None:
    """Terms extracted in float32 are certified, and λ is within 1 % of the minimum."""
    net, x = network(name).to(torch.float32), case_of(name).inputs(100, 4)
    decomposition = made(net, x)
    terms = tp.extract(net, x, decomposition)
    assert terms.certificate.holds, str(terms.certificate)
    assert terms.certificate.labels_kept == 1
    exact = pairs(tp.decompose(net, x).to(torch.float64), x.double())
    assert common(decomposition) == pytest.approx(exact.least(), rel=1e-2)


# ── guarantees ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_check_finds_what_is_wrong() -> None:
    """Factors that are too small fail the check: pairs are violated and labels are lost."""
    net, x = network("mlp_deep"), case_of("mlp_deep").inputs(200, 1, torch.float64)
    calibrated = tp.decompose(net, x)
    held = in_memory(x, net)
    least = smallest_factor(calibrated, held)
    for share, right in ((1.0 + 1e-9, True), (0.98, False), (0.0, False)):
        terms = DataTerms.extract(calibrated.scaled(dict.fromkeys(calibrated.multipliers, share * least)), held)
        found = check_pairs(terms.x, terms.own, terms.blocks, terms.dtype, pairwise=True)
        assert found.holds is right
    assert found.labels_changed > found.labels_tied
    dense = pairs(calibrated, x).local
    assert found.largest_violation == pytest.approx(-float(dense.min()), rel=1e-9)
    with pytest.raises(tp.CertificateError, match=r"minimal decomposition's check fails: .* do not keep their label$"):
        certify_factors(calibrated, dict.fromkeys(calibrated.multipliers, 0.5 * least), held)


def test_what_no_factor_cures_is_an_error() -> None:
    """If F⁻ is 0, no factor can repair a violated pair: the error names rounding as the cause."""
    net, x = network("mlp_deep").to(torch.float32), case_of("mlp_deep").inputs(200, 1)
    nothing = tp.decompose(net, x).scaled(dict.fromkeys((nonlinearity.name for nonlinearity in net.nonlinearities), 0.0))
    with pytest.raises(tp.CertificateError, match=r"rounding in float32 is too coarse .*; use dtype=torch.float64"):
        smallest_factor(nothing, in_memory(x, net))


def test_the_certificate_is_the_pairwise_one() -> None:
    """The certificate is pairwise: over all pairs if extract computes the decomposition, over a sample if it is given."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 60), nn.ReLU(), nn.Linear(60, 3)).eval()
    x = torch.randn(4500, 2)
    net = tp.trace(model, x)
    fresh = tp.extract(net, x, decomposition="minimal").certificate
    assert (fresh.pairwise, fresh.complete, fresh.points, fresh.terms) == (True, True, 4500, 4500)
    assert fresh.holds
    assert "of pairs of data points only" in str(fresh)
    assert "sample" not in str(fresh)
    decomposition = made(net, x)
    assert "4,500 points × 4,500 terms" in str(decomposition.certificate)
    given = tp.extract(net, x, decomposition).certificate
    assert (given.pairwise, given.complete) == (True, False)
    assert 0 < given.points < len(x)
    assert given.holds
    assert "a sample" in str(given)
    assert not tp.extract(net, x[:50]).certificate.pairwise


def test_other_points_are_checked_as_such() -> None:
    """On other points the certificate of a minimal decomposition fails."""
    net, x = network("mlp_deep"), case_of("mlp_deep").inputs(300, 2, torch.float64)
    with pytest.raises(tp.CertificateError, match="exceeds a point's own term"):
        tp.extract(net, x, made(net, x[:4]))


def test_at_an_inner_layer() -> None:
    net, x = network("mlp_deep"), case_of("mlp_deep").inputs(60, 2, torch.float64)
    inner = net.nonlinearities[0].name
    terms = tp.extract(net, x, at=inner, decomposition="minimal")
    assert terms.certificate.holds
    assert terms.method == "minimal"
    head, tail = net.cut(inner)
    pushed = head(x)
    full = pairs(tp.decompose(tail, pushed), pushed)
    assert common(made(tail, pushed)) == pytest.approx(full.least(), rel=1e-6)


# ── on disk ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@by_per
def test_saved_and_loaded(tmp_path: Path, per: str) -> None:
    net, x = network("mlp_deep"), points("mlp_deep")
    decomposition = made(net, x, per=per)
    decomposition.save(tmp_path / "decomposition.safetensors")
    again = load_decomposition(tmp_path / "decomposition.safetensors", net)
    assert (again.fingerprint, again.method, again.certificate) == (
        decomposition.fingerprint,
        "minimal",
        decomposition.certificate,
    )
    assert dict(again.factors) == dict(decomposition.factors)
    assert all(torch.equal(again.multipliers[name], k) for name, k in decomposition.multipliers.items())
    assert again.fingerprint != decomposition_of("mlp_deep", "calibrated").fingerprint


def test_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store keeps the decomposition and its certificate, and a resumed extraction reuses them."""
    net, x = network("mlp_deep"), case_of("mlp_deep").inputs(100, 2, torch.float64)
    terms = tp.extract(net, x, decomposition="minimal", out=tmp_path / "terms")
    loaded = tp.load_terms(tmp_path / "terms")
    assert (loaded.method, loaded.certificate) == ("minimal", terms.certificate)
    assert loaded.certificate.pairwise
    (tmp_path / "terms" / "shard-00000.safetensors").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(minimal, "minimal_decomposition", None)  # the stored decomposition is reused
        again = tp.extract(net, x, decomposition="minimal", out=tmp_path / "terms")
    assert again.certificate == terms.certificate
    assert torch.equal(again.minus.weight, terms.minus.weight)
    manifest, faults = tp.check_terms(tmp_path / "terms")
    assert (faults, manifest.certificate) == ([], terms.certificate)
    with pytest.raises(tp.StoreError, match="method is minimal there, calibrated here"):
        tp.extract(net, x, out=tmp_path / "terms")


def test_coarse_store(tmp_path: Path) -> None:
    net, x = network("mlp_deep").to(torch.float32), case_of("mlp_deep").inputs(100, 2)
    terms = tp.extract(net, x, decomposition="minimal", out=tmp_path / "terms", stored_dtype=torch.bfloat16, on_failure="warn")
    assert terms.certificate.storage_alone_fails
    function = tp.ExtractedFunction(terms, net=net, data=x)
    assert torch.equal(function.predict(x), net.predict(x))


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_refusals() -> None:
    net, x = network("mlp"), points("mlp")
    with pytest.raises(tp.InputError, match=r"the minimal decomposition needs data: tp.decompose\(net, data\)"):
        tp.decompose(net, method="minimal")
    with pytest.raises(tp.InputError, match="per must be one of network, nonlinearity; got 'layer'"):
        made(net, x, per="layer")
    for margin in (-0.1, float("nan"), float("inf"), "small", True):
        with pytest.raises(tp.InputError, match="margin must be a number, 0 or more"):
            made(net, x, margin=margin)
    for options in ({"per": "nonlinearity"}, {"margin": 0.1}):
        with pytest.raises(tp.InputError, match="options of the minimal decomposition; the calibrated decomposition has none"):
            tp.decompose(net, x, **options)  # type: ignore[arg-type]
    with pytest.raises(tp.InputError, match="shape"):
        made(net, torch.zeros(4, 7, dtype=torch.float64))
    with pytest.raises(tp.InputError, match="at least one point"):
        made(net, x[:0])
    bad = x.clone()
    bad[3, 1] = torch.nan
    with pytest.raises(tp.InputError, match=r"NaN|finite"):
        made(net, bad)
