"""Digits of f(x): N^(X) at any depth against exact fractions, and what a certificate promises."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import tropica as tp
from tests.oracles.exact_function import exact_function, exact_terms
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.decomposition.double_double_ops import DoubleDoubleAffine
from tropica.decomposition.double_double_pass import minus_terms
from tropica.decomposition.load import load_decomposition
from tropica.decomposition.own_terms import OwnTerms
from tropica.exact.double_double import DoubleDouble, slices, two_sum
from tropica.network.graph import INPUT, AffineNode
from tropica.terms.double_double_maxima import DoubleDoubleFunctions, DoubleDoubleMaxima, maxima_for

DATA = torch.tensor([[-2.0], [-1.0], [1.0], [2.0], [4.0], [5.0]])
POINTS = torch.tensor([[-3.0], [-1.5], [0.25], [1.7], [2.9], [3.1], [4.4], [4.6], [7.0]])


def linear(weight: list[list[float]], bias: list[float] | None = None) -> nn.Linear:
    layer = nn.Linear(len(weight[0]), len(weight))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight))
        layer.bias.copy_(torch.tensor(bias or [0.0] * len(weight)))
    return layer


def chain(depth: int, extra: bool = False) -> nn.Sequential:
    """N(x) = (x, 2x − 3), with ``depth`` layers that each double F⁻; with ``extra`` both bend at 4.5."""
    layers: list[nn.Module] = [linear([[1.0], [-1.0]])]
    for _ in range(depth):
        layers += [nn.ReLU(), linear([[1.0, -1.0], [-1.0, 1.0]])]
    if extra:
        layers += [nn.ReLU(), linear([[1.0, -1.0], [-1.0, 1.0], [1.0, -1.0]], [0.0, 0.0, -4.5])]
        layers += [nn.ReLU(), linear([[1.0, -1.0, -0.25], [2.0, -2.0, -0.5]], [0.0, -3.0])]
    else:
        layers += [nn.ReLU(), linear([[1.0, -1.0], [2.0, -2.0]], [0.0, -3.0])]
    return nn.Sequential(*layers).eval()


def digits(model: nn.Sequential, decomposition: DCDecomposition, data: Tensor, f: tp.ExtractedFunction, x: Tensor) -> float:
    """The decimal digits of f on x against exact fractions of the same K, at the label that wins."""
    net = decomposition.net
    order = [decomposition.multipliers[node.name] for node in net.nonlinearities]
    exact = exact_function(exact_terms(model.double(), order, data.double()), net.num_classes, x.double())
    spread = float(model(data.double()).std(0).max())
    worst = 0.0
    for row, by_label in zip(f(x).tolist(), exact, strict=True):
        label = max(by_label, key=lambda i, values=by_label: values[i])
        error = abs(Fraction(row[label]) - by_label[label])
        worst = max(worst, float(error) / max(abs(float(by_label[label])), spread))
    return 16.0 if worst == 0 else -torch.tensor(worst, dtype=torch.float64).log10().item()


@pytest.mark.parametrize(
    ("depth", "extra", "dtype", "precision"),
    [
        (3, False, torch.float32, "float32"),
        (18, False, torch.float32, "float64"),
        (18, True, torch.float64, "float64"),
        (34, False, torch.float64, "double-double"),
        (34, True, torch.float32, "double-double"),
    ],
)
def test_chain(depth: int, extra: bool, dtype: torch.dtype, precision: str) -> None:
    """As many digits as the certificate says, in the coarsest precision that leaves enough."""
    model = chain(depth, extra).to(dtype)
    net = tp.trace(model, DATA.to(dtype))
    decomposition = tp.decompose(net, DATA.to(dtype))
    terms = tp.extract(net, DATA.to(dtype))
    found, f = terms.certificate, tp.ExtractedFunction(terms)
    assert found.holds
    assert terms.precision == found.precision == precision
    assert bool(found.steps) == (precision != str(dtype).removeprefix("torch."))
    assert torch.equal(f.predict(DATA), torch.tensor([0, 0, 0, 0, 1, 1]))
    assert found.digits is not None
    assert digits(model, decomposition, DATA, f, POINTS) >= min(found.digits, 15)
    streamed = tp.ExtractedFunction.streaming(net, DATA)
    assert torch.equal(streamed(POINTS), f(POINTS))


@pytest.mark.slow
@pytest.mark.parametrize("extra", [False, True])
def test_a_chain_of_100(extra: bool) -> None:
    """Double-double keeps no digits at 2¹⁰⁰; a decomposition that grows less does."""
    terms = tp.extract(chain(100, extra), DATA)
    assert terms.certificate.holds
    assert terms.method == "minimal"
    assert len(terms.certificate.steps) >= 3
    f = tp.ExtractedFunction(terms)
    own = chain(100, extra)(DATA).max(1).values
    assert torch.allclose(f(DATA).max(1).values, own.double(), rtol=1e-9)


def test_float32_that_is_asked_for_is_refused_where_it_holds_nothing() -> None:
    with pytest.raises(tp.CertificateError, match=r"rounding in float32 leaves 0\.0 digits of f\(x\).*dtype=torch\.float64"):
        tp.extract(chain(30), DATA, dtype=torch.float32)
    with pytest.warns(UserWarning, match=r"leaves 0\.0 digits"):
        terms = tp.extract(chain(30), DATA, dtype=torch.float32, on_failure="warn")
    assert not terms.certificate.holds


def test_a_given_decomposition_rises_in_precision_but_keeps_its_k() -> None:
    net = tp.trace(chain(100), DATA)
    decomposition = tp.decompose(net.to(torch.float64), DATA)
    with pytest.raises(tp.CertificateError, match=r"no precision leaves 3 digits.*leaves 0\.0 .*decomposition='minimal'"):
        tp.extract(net, DATA, decomposition)
    net = tp.trace(chain(34).double(), DATA.double())
    terms = tp.extract(net, DATA, tp.decompose(net, DATA), check="none")
    assert (terms.method, terms.precision) == ("calibrated", "double-double")


def test_store(tmp_path: Path) -> None:
    """A store in double-double gives the same values, and the same call repairs it."""
    model, folder = chain(34), tmp_path / "terms"
    terms = tp.extract(model, DATA, out=folder)
    loaded = tp.load_terms(folder)
    assert loaded.precision == "double-double"
    assert loaded.certificate == terms.certificate
    assert loaded.certificate.steps
    assert torch.equal(tp.ExtractedFunction(loaded)(POINTS), tp.ExtractedFunction(tp.extract(model, DATA))(POINTS))
    (folder / "shard-00000.safetensors").unlink()
    again = tp.extract(model, DATA, out=folder)
    assert torch.equal(again._join("minus_low"), terms._join("minus_low"))
    assert load_decomposition(folder / "decomposition.safetensors", tp.trace(model, DATA)).double_double
    assert tp.check_terms(folder)[1] == []
    kept = loaded.select([0, 5])
    assert torch.equal(tp.ExtractedFunction(kept).predict(DATA[[0, 5]]), torch.tensor([0, 1]))


# ── the arithmetic ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_double_double_sums_and_slices() -> None:
    generator = torch.Generator().manual_seed(0)
    high = torch.randn(7, generator=generator, dtype=torch.float64) * 10.0 ** torch.arange(7, dtype=torch.float64)
    x = DoubleDouble(high, high * 1e-17)
    exact = [Fraction(float(a)) + Fraction(float(b)) for a, b in zip(*x, strict=True)]
    total = x.sum()
    assert abs(Fraction(float(total.high)) + Fraction(float(total.low)) - sum(exact)) <= abs(sum(exact)) * Fraction(1, 2**98)
    for bits in (5, 18, 25):
        parts = slices(x, bits, digits=106)
        for at, number in enumerate(exact):
            rest = number - sum((Fraction(float(one.part[at])) for one in parts), Fraction(0))
            assert abs(rest) <= max(map(abs, exact)) / 2**105


def test_functions_that_differ_in_the_low_part_alone() -> None:
    """Many functions that float64 cannot tell apart: the maximum is that of the low parts, the lowest index at a tie."""
    count, x = 300, torch.ones(4, 2, dtype=torch.float64)
    part, zero = torch.ones(count, 2, dtype=torch.float64), torch.zeros(count, dtype=torch.float64)
    low = zero.clone()
    low[[70, 200]] = 1e-20
    functions = DoubleDoubleFunctions((part,), zero + 3, part_low=torch.zeros_like(part), bias_low=low)
    state = maxima_for(x, True)
    state.update(functions)
    assert isinstance(state, DoubleDoubleMaxima)
    assert state.argmax[:, 0].tolist() == [70] * 4
    assert (state.value[0, 0].item(), state.low[0, 0].item()) == (5.0, 1e-20)


CASES = {
    "mlp": nn.Sequential(nn.Linear(6, 5), nn.LeakyReLU(0.1), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2)),
    "conv": nn.Sequential(
        nn.Unflatten(1, (1, 6)),
        nn.Conv1d(1, 3, 3, padding=1),
        nn.BatchNorm1d(3),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(3, 2, 1),
        nn.Hardtanh(),
        nn.AvgPool1d(2),
        nn.Flatten(),
        nn.Linear(2, 3),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_double_double_pass_is_the_float64_pass_and_more(name: str) -> None:
    """∇F⁻ and F⁻ agree with float64 to its rounding; with weights of few binary digits the low parts are exactly 0."""
    torch.manual_seed(0)
    model = CASES[name].eval()
    x = torch.randn(9, 6, dtype=torch.float64)
    decomposition = tp.decompose(model.double(), x)
    found, plain = minus_terms(decomposition, x), tp.extract(decomposition.net, x, decomposition)
    torch.testing.assert_close(found.gradient.high, plain.minus.weight, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(found.value.high, decomposition.f_minus(x), rtol=1e-12, atol=1e-13)
    assert bool((found.gradient.low.abs() <= 2.0**-53 * found.gradient.high.abs()).all())


AVERAGES = {
    "three": nn.AvgPool2d((1, 3)),
    "windows with a border": nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False),
    "uneven cells": nn.AdaptiveAvgPool2d((4, 5)),
    "all": nn.AdaptiveAvgPool2d(1),
}


@pytest.mark.parametrize("name", AVERAGES)
def test_averages_over_any_count_are_exact_to_double_double(name: str) -> None:
    """Values and cotangents of averages over 3, 4, 6, 9 or 49 numbers against fractions."""
    side = 7
    net = tp.trace(
        nn.Sequential(AVERAGES[name], nn.Flatten()).double().eval(), torch.rand(2, 1, side, side, dtype=torch.float64)
    )
    node = next(node for node in net.graph.nodes if isinstance(node, AffineNode))
    op = DoubleDoubleAffine(node, node.roles(net.constants), [net.shapes[INPUT]])
    basis = torch.eye(side**2, dtype=torch.float64).view(-1, 1, side, side)
    rows = [[Fraction(v).limit_denominator(60) for v in row] for row in op.node.fn(basis, **op.constants).flatten(1).T.tolist()]
    high, low = torch.randn(2, 1, 1, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = op([DoubleDouble(*two_sum(high, 2.0**-54 * low))])
    exact = [Fraction(a) + Fraction(2.0**-54 * b) for a, b in zip(high.flatten().tolist(), low.flatten().tolist(), strict=True)]
    assert _largest_error(found, [sum(a * b for a, b in zip(row, exact, strict=True)) for row in rows]) < 2.0**-98
    back = DoubleDouble.of(torch.randn(found.high.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    given = list(map(Fraction, back.high.flatten().tolist()))
    expected = [sum(g * row[i] for g, row in zip(given, rows, strict=True)) for i in range(side**2)]
    assert _largest_error(op.pull_back(back, [high])[0], expected) < 2.0**-98


def _largest_error(found: DoubleDouble, exact: list[Fraction | int]) -> float:
    pairs = zip(found.high.flatten().tolist(), found.low.flatten().tolist(), exact, strict=True)
    return float(max(abs(Fraction(a) + Fraction(b) - c) for a, b, c in pairs))


@pytest.mark.parametrize("slope", [math.pi, 1 / 8191])
def test_slopes_without_a_small_common_denominator_are_refused_in_double_double(slope: float) -> None:
    net = tp.trace(nn.Sequential(nn.AvgPool2d(2), nn.Flatten()).double().eval(), torch.rand(2, 1, 2, 4, dtype=torch.float64))
    node = next(node for node in net.graph.nodes if isinstance(node, AffineNode))
    op = DoubleDoubleAffine(replace(node, fn=lambda x: slope * x), {}, [net.shapes[INPUT]])
    with pytest.raises(tp.CertificateError, match="cannot be computed in double-double"):
        op([DoubleDouble.of(torch.rand(1, 1, 2, 4, dtype=torch.float64))])


# ── one checker ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", [0, 3])
def test_decompose_and_extract_agree_on_data_with_an_offset(seed: int) -> None:
    """A column of years: the minimal decomposition that holds in ``decompose`` holds in ``extract``, with one tolerance.

    Where a processor's rounding in float32 is too coarse, both say so.
    """
    torch.manual_seed(seed)
    x = torch.cat([torch.randn(80, 3), torch.randint(1950, 2021, (80, 1)).float()], 1)
    net = tp.trace(nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3)).eval(), x)
    try:
        decomposition = tp.decompose(net, x, method="minimal")
    except tp.CertificateError:
        with pytest.raises(tp.CertificateError, match=r"use dtype=torch\.float64"):
            tp.extract(net, x, "minimal", dtype=torch.float32)
        return
    made, found = decomposition.certificate, tp.extract(net, x, decomposition, dtype=torch.float32).certificate
    assert made is not None
    assert made.holds
    assert found.holds
    assert found.tolerance == pytest.approx(made.tolerance, rel=1e-3)
    assert found.largest_violation == pytest.approx(made.largest_violation, abs=0.1 * made.tolerance)


def test_an_outlier_does_not_inflate_the_spread() -> None:
    own = torch.tensor([0.0, 1.0, 2.0, 3.0, 1e9])
    terms = _own(own)
    assert terms.scale() == pytest.approx(1e9 * 0.4 / 30, rel=0.2)
    assert _own(own[:4]).scale() == pytest.approx(1.118, rel=0.1)
    assert _own(torch.full((4,), 5.0)).scale() == 5


def _own(local: Tensor) -> OwnTerms:
    """Own terms with these values of N, and no margin."""
    zero = torch.zeros(len(local), dtype=torch.float64)
    known = {"labels": zero.long(), "local": local.double()}
    return OwnTerms(**{field.name: known.get(field.name, zero) for field in fields(OwnTerms)})


def test_values_beyond_float64_are_a_clear_error() -> None:
    model = chain(4).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1e110)
    with pytest.raises(tp.TraceMismatch, match="exceed the range of float64"):
        tp.trace(model, DATA.double())


@pytest.mark.parametrize("exponent", [-600, 600])
@pytest.mark.parametrize("method", ["paper", "calibrated", "minimal"])
def test_digits_do_not_depend_on_the_scale(method: str, exponent: int) -> None:
    """Squares of the terms underflow or overflow; N scaled by a power of two has the same digits."""

    def extracted(scale: float) -> tp.LinearTerms:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)).double().eval()
            x = torch.randn(20, 3, dtype=torch.float64)
        with torch.no_grad():
            for parameter in (model[0].weight, *(model[i].bias for i in (0, 2, 4))):
                parameter.mul_(scale)
        return tp.extract(model, x, decomposition=method)

    one, other = extracted(1.0).certificate, extracted(2.0**exponent).certificate
    assert other.holds
    assert other.precision == one.precision
    assert abs(other.digits - one.digits) < 1e-3
