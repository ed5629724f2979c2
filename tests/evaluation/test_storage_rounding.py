"""Terms stored in fewer digits: error bounds hold, and labels are those without rounding or not certified."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import tropica as tp
from tests.cached import case_of, network, points
from tropica.data.passes import ShardSizes

NAMES = ("mlp", "mlp_leaky", "mnist_conv", "resnet", "duplicated", "sigmoid")
by_case = pytest.mark.parametrize("name", NAMES)
by_pair = pytest.mark.parametrize(
    ("computed", "stored"),
    [(torch.float32, torch.bfloat16), (torch.float64, torch.bfloat16), (torch.float64, torch.float32)],
    ids=str,
)


SMALL = ShardSizes(points=8)


def pair(name: str, folder: Path, computed: torch.dtype, stored: torch.dtype, **settings):
    """The same terms at full precision and stored in fewer digits."""
    net, x = network(name).to(computed), points(name).to(computed)
    exact = tp.extract(net, x, batch_size=4, on_failure="warn", **settings)
    tp.extract(net, x, batch_size=4, out=folder, shard_sizes=SMALL, stored_dtype=stored, on_failure="warn", **settings)
    return net, x, exact, tp.load_terms(folder)


@by_pair
@by_case
def test_bounds(name: str, computed: torch.dtype, stored: torch.dtype, tmp_path: Path) -> None:
    """|a as stored − a as computed|(x) ≤ r₀‖x‖ + r₁, at fresh points near and far; 0 at a point's own, up to float64."""
    _, x, exact, coarse = pair(name, tmp_path / "terms", computed, stored)
    assert coarse.dtype == stored
    assert coarse.working == computed
    assert coarse.lossy
    assert not exact.lossy
    bounds = torch.cat([block.rounding for block in coarse.blocks if block.rounding is not None])
    assert bounds.shape == (len(x), 4)
    for size in (0.1, 1.0, 30.0):
        fresh = size * case_of(name).inputs(40, 7, torch.float64)
        norm = fresh.flatten(1).norm(dim=1).unsqueeze(1)
        for kept, whole, column in ((coarse.plus, exact.plus, 0), (coarse.minus, exact.minus, 2)):
            gap = (kept(fresh) - whole(fresh)).abs()
            bound = norm * bounds[:, column] + bounds[:, column + 1]
            assert bool((gap <= bound * (1 + 1e-9) + 1e-11 * (1 + norm)).all())
    own = torch.arange(len(x))
    at = x.double()
    scale = 1 + float(exact.plus(at).abs().max())
    assert float((coarse.plus(at)[own, own] - exact.plus(at)[own, own]).abs().max()) <= 1e-12 * scale
    if bool((exact.minus.weight != exact.minus.weight[0]).any()):
        assert float((coarse.plus.weight - exact.plus.weight).abs().max()) > 0  # some coefficients were rounded


@by_pair
@by_case
def test_labels_are_those_without_rounding(name: str, computed: torch.dtype, stored: torch.dtype, tmp_path: Path) -> None:
    """With the network, labels and active terms are those without rounding, on the data, at fresh points and between points."""
    net, x, exact, coarse = pair(name, tmp_path / "terms", computed, stored)
    fresh = case_of(name).inputs(100, 5).to(computed)
    between = torch.lerp(x[:16], x[16:32], 0.5)
    expected = tp.ExtractedFunction(exact)
    without, rescued = tp.ExtractedFunction(coarse), tp.ExtractedFunction(coarse, net=net, data=x)
    for at in (x, fresh, between):
        for found, wanted in zip(rescued.labels_and_terms(at), expected.labels_and_terms(at), strict=True):
            assert torch.equal(found, wanted)
        sure = without.label_is_certified(at)
        assert torch.equal(without.predict(at)[sure], expected.predict(at)[sure])
    assert bool(expected.label_is_certified(x).all())


def test_some_labels_are_certified_and_some_are_not(tmp_path: Path) -> None:
    """Both cases occur: labels that rounding could change, and certified labels."""
    net, _x, exact, coarse = pair("mnist_conv", tmp_path / "terms", torch.float32, torch.bfloat16)
    at = case_of("mnist_conv").inputs(400, 6).float()
    sure = tp.ExtractedFunction(coarse).label_is_certified(at)
    assert 0 < int(sure.sum()) < len(sure)
    assert bool((tp.ExtractedFunction(coarse).active_term(at) != tp.ExtractedFunction(exact).active_term(at)).any())
    assert net.dtype == torch.float32


@pytest.mark.parametrize("method", ["calibrated", "paper"])
def test_the_certificate_allows_for_rounding(tmp_path: Path, method: str) -> None:
    net, x = network("mnist_conv").to(torch.float32), points("mnist_conv").float()
    settings = {"dtype": torch.float32, "stored_dtype": torch.bfloat16, "decomposition": method}
    terms = tp.extract(net, x, out=tmp_path / "terms", on_failure="warn", **settings)
    assert terms.certificate.largest_violation <= terms.certificate.tolerance
    assert not terms.certificate.holds  # bfloat16 leaves less than one digit of f(x)
    assert (terms.certificate.digits or 0) < 1
    assert terms.certificate.storage_alone_fails == (method == "calibrated")  # the paper's F⁻ is too large in float32 as well
    assert terms.certificate.dtype == "float32"


def test_a_store_of_too_few_digits_is_refused(tmp_path: Path) -> None:
    """What ``holds`` means allows no exception for storage: the error says what to do, and the call with "warn" ends it."""
    net, x = network("mnist_conv").to(torch.float32), points("mnist_conv").float()
    settings = {"stored_dtype": torch.bfloat16, "out": tmp_path / "terms"}
    with pytest.raises(
        tp.CertificateError, match=r"storing in a coarser dtype leaves 0\.\d digits.*on_failure='warn'.*net=model"
    ):
        tp.extract(net, x, **settings)
    with pytest.warns(UserWarning, match="storing in a coarser dtype leaves"):
        terms = tp.extract(net, x, on_failure="warn", **settings)
    assert not tp.load_terms(tmp_path / "terms").certificate.holds
    assert torch.equal(tp.ExtractedFunction(terms, net=net, data=x).predict(x), net.predict(x))
    fine = tp.extract(net.to(torch.float64), x.double(), stored_dtype=torch.float32).certificate
    assert fine.holds
    assert (fine.digits or 0) >= 3


def test_terms_of_an_inner_layer(tmp_path: Path) -> None:
    net, x, exact, coarse = pair("mnist_conv", tmp_path / "terms", torch.float32, torch.bfloat16, at="2")
    head, _ = net.cut("2")
    inner = head(case_of("mnist_conv").inputs(50, 8).float())
    f = tp.ExtractedFunction(coarse, net=net, data=x)
    assert torch.equal(f.active_term(inner), tp.ExtractedFunction(exact).active_term(inner))


def test_refusals(tmp_path: Path) -> None:
    net, x, exact, coarse = pair("mlp", tmp_path / "terms", torch.float32, torch.bfloat16)
    fresh = case_of("mlp").inputs(50, 8)
    with pytest.raises(tp.InputError, match="both the network and its data"):
        tp.ExtractedFunction(coarse, net=net)
    with pytest.raises(tp.InputError, match="not those of this network and this data: points is 32 there, 30 here"):
        tp.ExtractedFunction(coarse, net=net, data=x[:30])
    with pytest.raises(tp.InputError, match="not those of this network and this data: network is"):
        tp.ExtractedFunction(coarse, net=case_of("mlp").make(1), data=x)
    with pytest.raises(tp.InputError, match="whole store"):
        tp.ExtractedFunction(coarse.select([0, 1]), net=net, data=x)
    with pytest.raises(tp.InputError, match="the data differs"):
        tp.ExtractedFunction(coarse, net=net, data=x + 1).active_term(fresh)
    with pytest.raises(tp.InputError, match=r"computed in torch.float32 can be stored in bfloat16, float32; got torch.float64"):
        tp.extract(net, x, out=tmp_path / "other", stored_dtype=torch.float64)
    assert torch.equal(
        tp.ExtractedFunction(exact, net=net, data=x).active_term(fresh), tp.ExtractedFunction(exact).active_term(fresh)
    )
    kept = tp.extract(net, x, stored_dtype=torch.bfloat16, on_failure="warn")  # in memory too
    assert torch.equal(kept.local.weight, kept.local.weight.to(torch.bfloat16))
    assert tp.ExtractedFunction(kept).label_is_certified(fresh).dtype == torch.bool
