"""N^(X) against brute force in float64 on every point: kept or streamed, whatever the dtype, the block sizes and the ties."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

import tropica as tp
from tests.cached import case_of, decomposition_of, network, points, terms_of
from tests.oracles.extracted_function import Extracted, evaluate
from tests.sizes import examples
from tropica.data.passes import ShardSizes
from tropica.evaluation.settings import EvaluationSettings
from tropica.terms.affine_functions import BlockSizes
from tropica.terms.certificate import Certificate
from tropica.terms.term_block import TermBlock

NAMES = ("mlp", "mlp_leaky", "mnist_conv", "resnet", "inverted_residual", "sigmoid", "constant", "duplicated", "linear_only")
names = pytest.mark.parametrize("name", NAMES)
DTYPES = (torch.float32, torch.float64)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
UNCHECKED = Certificate.unchecked("float32")


def brute_force(terms: tp.LinearTerms, x: Tensor) -> Extracted:
    """The oracle's N^(X), on points rounded to the dtype of the terms."""
    plus, minus = terms.plus, terms.minus
    weights = plus.weight, plus.bias, minus.weight, minus.bias
    return evaluate(*weights, terms.labels, terms.num_classes, x.to(terms.dtype).double())


def check(f: tp.ExtractedFunction, expected: Extracted, x: Tensor, rtol: float = 1e-12, atol: float = 0.0) -> None:
    labels, active = f.labels_and_terms(x)
    np.testing.assert_array_equal(active.numpy(), expected.active_term)
    np.testing.assert_array_equal(labels.numpy(), expected.labels)
    assert torch.equal(f.active_term(x), active)
    assert torch.equal(f.predict(x), labels)
    values = f(x)
    assert (values.dtype, values.shape) == (torch.float64, (len(x), f.num_classes))
    np.testing.assert_allclose(values.numpy(), expected.values, rtol=rtol, atol=atol)


def check_near(f: tp.ExtractedFunction, terms: tp.LinearTerms, x: Tensor) -> None:
    """Labels and values of terms of a network, up to ties.

    Terms of points in one cell are equal up to rounding: the order of summation determines which of them is active.
    The value of the active term, and that of its label, is the maximum to 13 digits.
    """
    expected = brute_force(terms, x)
    labels, active = f.labels_and_terms(x)
    assert torch.equal(labels, terms.labels[active])
    plus, at = terms.plus, x.to(terms.dtype).double()
    values = plus(at)
    reach = at.flatten(1).norm(dim=1) * float(plus.weight.norm(dim=1).max()) + float(plus.bias.abs().max()) + 1e-300
    assert (values.gather(1, active.unsqueeze(1))[:, 0] >= values.amax(1) - 1e-13 * reach).all()
    np.testing.assert_allclose(f(x).numpy(), expected.values, rtol=0, atol=2e-13 * float(reach.max()))
    first, second = torch.from_numpy(expected.values).topk(2, 1).values.T
    clear = first - second > 1e-12 * reach
    assert torch.equal(labels[clear], torch.from_numpy(expected.labels)[clear])


# ── terms with exact arithmetic: every comparison is exact ────────────────────────────────────────────────────────


def grid(generator: torch.Generator, *shape: int, bits: int = 10, step: float = 2.0**-6) -> Tensor:
    """Random multiples of ``step`` with ``bits`` bits: sums of products are exact in float64, and not in float32."""
    return torch.randint(-(2**bits), 2**bits, shape, generator=generator).double() * step


def made_up(
    generator: torch.Generator, sizes: list[int], d: int, classes: int, dtype: torch.dtype, bits: int = 10, offset: float = 0.0
) -> tp.LinearTerms:
    """Terms in blocks of the given sizes."""
    blocks = [
        TermBlock(
            torch.randint(0, classes, (n,), generator=generator),
            grid(generator, n, d, bits=bits).to(dtype),
            grid(generator, n, bits=bits),
            grid(generator, n, d, bits=bits).to(dtype),
            grid(generator, n, bits=bits) + offset,
        )
        for n in sizes
    ]
    return tp.LinearTerms(blocks, grid(generator, d), (d,), classes, "made up", UNCHECKED)


@examples(30, database=None)
@given(
    st.lists(st.integers(1, 14), min_size=1, max_size=4),
    st.integers(1, 14),
    st.integers(1, 4),
    st.integers(1, 5),
    st.sampled_from(DTYPES),
    st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 5), st.integers(1, 7), st.integers(1, 6)),
    st.integers(1, 10),
    st.integers(0, 10**6),
)
def test_any_sizes(sizes, count, d, classes, dtype, blocks, bits, seed) -> None:
    """Small block sizes, numbers of terms and points around them, few bits (ties) and many."""
    group, groups, at_once, pairs, outer = blocks
    inner = BlockSizes(group=group, functions=group * groups, points=at_once, pairs=pairs, pending=3 * pairs)
    small = EvaluationSettings(points=outer, maxima=inner)
    generator = torch.Generator().manual_seed(seed)
    terms = made_up(generator, sizes, d, classes, dtype, bits)
    x = grid(generator, count, d, bits=bits).to(dtype)
    check(tp.ExtractedFunction(terms, settings=small), brute_force(terms, x), x, rtol=0)


@by_dtype
@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_many_terms(dtype: torch.dtype, offset: float) -> None:
    """The default block sizes; with F⁻ of 1e8 float32 holds no digit of the logits."""
    generator = torch.Generator().manual_seed(1)
    terms = made_up(generator, [700, 1, 299], 40, 10, dtype, offset=offset)
    x = grid(generator, 130, 40).to(dtype)
    check(tp.ExtractedFunction(terms), brute_force(terms, x), x, rtol=0)


def test_ties_go_to_the_lowest_label_then_the_lowest_index() -> None:
    """Tied labels resolve to the lowest, as in an argmax over N_i^(X), even if a term of another label comes first."""
    one = torch.ones(6, 2)
    block = TermBlock(torch.tensor([2, 1, 2, 1, 0, 1]), one, torch.zeros(6).double(), one, torch.zeros(6).double())
    block.local_bias[4] = -1.0
    terms = tp.LinearTerms([block], torch.zeros(2).double(), (2,), 4, "made up", UNCHECKED)
    f, x = tp.ExtractedFunction(terms), torch.ones(1, 2)
    assert f(x).tolist() == [[1.0, 2.0, 2.0, -torch.inf]]
    assert (f.predict(x).tolist(), f.active_term(x).tolist()) == ([1], [1])
    check(f, brute_force(terms, x), x)


def test_labels_without_terms() -> None:
    """The value is −∞, and the label is never predicted."""
    terms = terms_of("mlp", "calibrated")
    only = terms.select(terms.labels == int(terms.labels[0]))
    f, x = tp.ExtractedFunction(only), case_of("mlp").inputs(50, 8, torch.float64)
    values = f(x)
    missing = [i for i in range(3) if i != int(terms.labels[0])]
    assert (values[:, missing] == -torch.inf).all()
    assert torch.isfinite(values[:, int(terms.labels[0])]).all()
    assert (f.predict(x) == terms.labels[0]).all()
    check_near(f, only, x)


# ── terms of networks ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("dtype", "method"), [(torch.float32, "calibrated"), (torch.float64, "paper")], ids=["float32", "float64"]
)
@names
def test_equals_brute_force(name: str, dtype: torch.dtype, method: str) -> None:
    """N^(X) on the extracted points (with many exact ties), near them, and far from them."""
    x = points(name).to(dtype)
    terms = tp.extract(network(name).to(dtype), x, decomposition_of(name, method), on_failure="warn", batch_size=10)
    fresh = case_of(name).inputs(60, 21, dtype)
    where = torch.cat([x[1:], x[1:] + 1e-3 * fresh[:31], fresh, 100 * fresh])
    check_near(tp.ExtractedFunction(terms), terms, where)


@by_dtype
@pytest.mark.parametrize("name", ["mlp", "mnist_conv", "resnet", "constant", "duplicated"])
def test_streaming_is_the_same_bits(name: str, dtype: torch.dtype) -> None:
    net, x = network(name).to(dtype), points(name).to(dtype)
    decomposition = decomposition_of(name, "calibrated")
    for size in (1, 1000) if dtype == torch.float32 else (10,):
        kept = tp.ExtractedFunction(tp.extract(net, x, decomposition, check="none", batch_size=size))
        streamed = tp.ExtractedFunction.streaming(net, x, decomposition, batch_size=size)
        where = torch.cat([x, case_of(name).inputs(40, 22, dtype)])
        assert streamed.num_classes == kept.num_classes
        for _ in range(2):  # each call extracts anew
            assert torch.equal(streamed(where), kept(where))
            assert torch.equal(streamed.active_term(where), kept.active_term(where))
            assert torch.equal(streamed.predict(where), kept.predict(where))
        assert all(
            torch.equal(a, b) for a, b in zip(streamed.labels_and_terms(where), kept.labels_and_terms(where), strict=True)
        )


def test_streaming_calibrates_by_itself() -> None:
    case = case_of("mlp")
    model, x = case.make(0), case.inputs(60)
    streamed, kept = tp.ExtractedFunction.streaming(model, x), tp.ExtractedFunction(tp.extract(model, x))
    assert torch.equal(streamed(x), kept(x))
    assert torch.equal(streamed.predict(x), model(x).argmax(1))
    paper = tp.ExtractedFunction.streaming(model, x, "paper", dtype=torch.float64)
    assert torch.equal(paper(x), tp.ExtractedFunction(tp.extract(model, x, decomposition="paper", dtype=torch.float64))(x))


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("kind", ["kept", "streamed"])
def test_few_terms_few_points(n: int, kind: str) -> None:
    net, x = network("mlp"), points("mlp")[3 : 3 + n]
    terms = tp.extract(net, x)
    f = tp.ExtractedFunction(terms) if kind == "kept" else tp.ExtractedFunction.streaming(net, x)
    for where in (x, x[:1]):
        check_near(f, terms, where)
    assert torch.equal(f.predict(x), net.predict(x))


def test_inputs_of_one_number() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(1, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3)).double().eval()
    x = torch.linspace(-2, 2, 40, dtype=torch.float64).unsqueeze(1)
    terms = tp.extract(model, x)
    f = tp.ExtractedFunction(terms)
    check_near(f, terms, x)
    assert torch.equal(f.predict(x), model(x).argmax(1))


def test_a_store_is_read_in_blocks(tmp_path) -> None:
    net, x, decomposition = network("mnist_conv"), points("mnist_conv"), decomposition_of("mnist_conv", "calibrated")
    tp.extract(net, x, decomposition, out=tmp_path / "terms", batch_size=4, shard_sizes=ShardSizes(points=8))
    loaded = tp.load_terms(tmp_path / "terms")
    assert len(loaded.blocks) == 4
    where = case_of("mnist_conv").inputs(30, 23, torch.float64)
    kept = tp.ExtractedFunction(tp.extract(net, x, decomposition, batch_size=4))
    found = tp.ExtractedFunction(loaded)
    assert torch.equal(found(where), kept(where))
    assert torch.equal(found.active_term(where), kept.active_term(where))


# ── how it is called ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["kept", "streamed"])
def test_any_kind_of_points(kind: str) -> None:
    """Tensors, arrays and loaders of any dtype are converted to the dtype of the terms."""
    case = case_of("mnist_conv")
    model, data, x = case.make(0), case.inputs(30), case.inputs(25, 4, torch.float64)
    terms = tp.extract(model, data)
    f = tp.ExtractedFunction(terms) if kind == "kept" else tp.ExtractedFunction.streaming(model, data)
    expected = f(x.float())
    check_near(f, terms, x.float())
    loader = DataLoader(TensorDataset(x.float(), torch.zeros(25)), batch_size=7)
    for points_ in (x, x.numpy(), x.float().numpy(), loader, list(x.split(4)), tp.LabelledData(x.float(), None, "points")):
        assert torch.equal(f(points_), expected)
        assert torch.equal(f.predict(points_), f.predict(x))


@pytest.mark.parametrize("kind", ["kept", "streamed"])
def test_refusals(kind: str) -> None:
    net, x = network("mlp"), points("mlp")
    f = tp.ExtractedFunction(terms_of("mlp", "calibrated")) if kind == "kept" else tp.ExtractedFunction.streaming(net, x)
    nan = x.clone()
    nan[4, 1] = torch.nan
    bad = [torch.zeros(3, 5), torch.zeros(4), torch.zeros(0, 4), nan, torch.zeros(3, 4, dtype=torch.int64), "points", None, 3.0]
    for call in (f, f.predict, f.active_term, f.labels_and_terms):
        for points_ in bad:
            with pytest.raises(tp.InputError):
                call(points_)  # type: ignore[operator]


def test_takes_terms_only() -> None:
    with pytest.raises(tp.InputError, match=r"takes the terms that tp\.extract gives, got PiecewiseLinearNetwork"):
        tp.ExtractedFunction(network("mlp"))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["kept", "streamed"])
def test_progress(kind: str) -> None:
    net, x = network("mlp"), points("mlp")
    terms = terms_of("mlp", "calibrated")
    f = (
        tp.ExtractedFunction(terms, settings=EvaluationSettings(points=10))
        if kind == "kept"
        else tp.ExtractedFunction.streaming(net, x, batch_size=10)
    )
    seen: list[tuple[int, int, str]] = []
    f(x, progress=lambda *step: seen.append(step))
    assert [step[0] for step in seen] == [10, 20, 30, 32]
    assert {step[1] for step in seen} == {32}


def test_small_batches_of_points_are_put_together() -> None:
    """A loader of single points takes one pass over the terms."""
    f, x = tp.ExtractedFunction(terms_of("mlp", "calibrated")), points("mlp")
    passes: list[tuple[int, int, str]] = []
    assert torch.equal(f(list(x.split(1)), progress=lambda *step: passes.append(step)), f(x))
    assert [step[0] for step in passes] == [32]


def test_points_keep_their_values() -> None:
    """Neither the points nor the terms are changed."""
    terms, x = terms_of("mlp", "calibrated"), points("mlp").clone()
    before = [tensor.clone() for tensor in (x, terms.local.weight, terms.local.bias, terms.minus.weight, terms.minus.bias)]
    tp.ExtractedFunction(terms)(x)
    after = (x, terms.local.weight, terms.local.bias, terms.minus.weight, terms.minus.bias)
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
