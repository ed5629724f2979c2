"""Running maxima against plain float64 arithmetic: block sizes, near-ties of one unit in the last place, extreme scales.

Many tests use multiples of a power of two with few bits: float64 sums are exact, so that the expected
index is unambiguous, while float32 products are rounded.
"""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import tropica as tp
from tests.sizes import examples
from tropica.terms.affine_functions import BLOCK_SIZES, AffineFunctions, BlockSizes
from tropica.terms.maxima import RunningMaxima
from tropica.terms.score_filter import Candidates

few = examples(150, database=None)
DTYPES = (torch.float32, torch.float64)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])


def brute_force(functions: AffineFunctions, x: Tensor, segments: int) -> tuple[Tensor, Tensor]:
    """Values (N, segments), −∞ where a segment is empty, and the lowest index that attains them, −1 for empty segments."""
    weight = sum(part.double() for part in functions.parts)
    assert isinstance(weight, Tensor)
    scores = (x.double().unsqueeze(1) * weight).sum(2) + functions.bias
    of = torch.zeros(len(functions.bias), dtype=torch.int64) if functions.segments is None else functions.segments
    value = torch.full((len(x), segments), -torch.inf, dtype=torch.float64)
    argmax = torch.full((len(x), segments), -1)
    for segment in range(segments):
        (index,) = (of == segment).nonzero(as_tuple=True)
        if len(index):
            value[:, segment] = scores[:, index].amax(1)
            ties = scores[:, index] == value[:, segment : segment + 1]
            argmax[:, segment] = index[ties.int().argmax(1)]
    return value, argmax


def check(functions: AffineFunctions, x: Tensor, segments: int = 1, blocks: int = 1, sizes: BlockSizes = BLOCK_SIZES) -> None:
    """Assert exact values and indices, for all functions in one block and in several."""
    value, argmax = brute_force(functions, x, segments)
    found = RunningMaxima(x, segments, sizes)
    step = -(-len(functions.bias) // blocks)
    for low in range(0, len(functions.bias), step):
        part = slice(low, low + step)
        of = None if functions.segments is None else functions.segments[part]
        found.update(AffineFunctions(tuple(p[part] for p in functions.parts), functions.bias[part], of, low))
    torch.testing.assert_close(found.value, value, rtol=0, atol=0)
    assert torch.equal(found.argmax, argmax)


def grid(generator: torch.Generator, *shape: int, bits: int = 12, step: float = 2.0**-8) -> Tensor:
    """Random multiples of ``step``, with ``bits`` bits, in float64."""
    return torch.randint(-(2**bits), 2**bits, shape, generator=generator).double() * step


def small_blocks(group: int, groups: int, points: int, pairs: int) -> BlockSizes:
    return BlockSizes(group=group, functions=group * groups, points=points, pairs=pairs, pending=3 * pairs)


SIZES = st.tuples(st.integers(1, 40), st.integers(1, 12), st.integers(1, 6))
BLOCKS = st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 5), st.integers(1, 9))


@few
@given(SIZES, BLOCKS, st.integers(1, 4), st.integers(0, 4), st.integers(1, 2), st.sampled_from(DTYPES), st.integers(0, 10**6))
def test_any_sizes(sizes, blocks, times, segments, parts, dtype, seed) -> None:
    """Functions, points and dimensions around the block sizes; ties; several blocks; segments (0: none), some of them empty."""
    generator = torch.Generator().manual_seed(seed)
    functions, points, d = sizes
    of = torch.randint(0, segments, (functions,), generator=generator) if segments else None
    rows = [grid(generator, functions, d, bits=2 + seed % 9).to(dtype) for _ in range(parts)]
    bias = grid(generator, functions, bits=1 + seed % 5)
    x = grid(generator, points, d, bits=1 + seed % 7).to(dtype)
    check(AffineFunctions(tuple(rows), bias, of), x, max(1, segments) + seed % 2, times, small_blocks(*blocks))


@by_dtype
@pytest.mark.parametrize("offset", [0.0, 1e8, -(2.0**40)])
def test_random_functions(dtype: torch.dtype, offset: float) -> None:
    """A few hundred functions with the default block sizes and a common offset that hides all differences in float32."""
    generator = torch.Generator().manual_seed(1)
    rows = grid(generator, 300, 33).to(dtype)
    x = grid(generator, 70, 33).to(dtype)
    bias = grid(generator, 300, bits=16) + offset
    labels = torch.randint(0, 7, (300,), generator=generator)
    check(AffineFunctions((rows,), bias), x)
    check(AffineFunctions((rows, rows.flip(0)), bias, labels), x, 8, blocks=3)


def test_terms_one_step_apart() -> None:
    """Copies of one row with single entries moved by one float32 step: all within rounding of one another in float32."""
    generator = torch.Generator().manual_seed(2)
    row = grid(generator, 40, bits=11).float()
    rows = row.repeat(400, 1)
    for k in range(400):
        at = int(torch.randint(0, 40, (), generator=generator))
        towards = torch.tensor(torch.inf if k % 2 else -torch.inf)
        rows[k, at] = torch.nextafter(rows[k, at], towards)
    x = grid(generator, 60, 40, bits=9).float()
    check(AffineFunctions((rows,), torch.zeros(400).double()), x)
    check(AffineFunctions((rows,), torch.zeros(400).double(), torch.arange(400) % 3), x, 3, blocks=5)


@by_dtype
def test_duplicates(dtype: torch.dtype) -> None:
    """Among equal functions the lowest index is chosen, in any block and position."""
    generator = torch.Generator().manual_seed(3)
    distinct = grid(generator, 7, 20).to(dtype)
    rows, bias = distinct.repeat(60, 1), torch.zeros(420).double()
    x = grid(generator, 50, 20).to(dtype)
    for blocks in (1, 2, 30, 420):
        check(AffineFunctions((rows,), bias), x, blocks=blocks)
    found = RunningMaxima(x)
    found.update(AffineFunctions((rows,), bias))
    assert int(found.argmax.max()) < 7


def test_parts_that_cancel() -> None:
    """a⁺ = a + a⁻ where the parts are large and the sum is small: the rounding is that of the parts."""
    generator = torch.Generator().manual_seed(4)
    large = grid(generator, 200, 30, bits=23, step=2.0**-4).float()
    small = grid(generator, 200, 30, bits=4).float()
    x = grid(generator, 40, 30, bits=8).float()
    check(AffineFunctions((large, small - large), torch.zeros(200).double()), x)


def test_blocks_in_any_order() -> None:
    """The maximum is associative: the result does not depend on the order of blocks."""
    generator = torch.Generator().manual_seed(5)
    rows, bias = grid(generator, 90, 5, bits=3).float(), grid(generator, 90, bits=2)
    x = grid(generator, 30, 5, bits=3).float()
    expected = brute_force(AffineFunctions((rows,), bias), x, 1)
    for order in (range(0, 90, 10), reversed(range(0, 90, 10))):
        found = RunningMaxima(x)
        for low in order:
            found.update(AffineFunctions((rows[low : low + 10],), bias[low : low + 10], None, low))
        assert torch.equal(found.value, expected[0])
        assert torch.equal(found.argmax, expected[1])


EXTREMES = [
    (1e25, 1e-25),
    (1e-25, 1e25),
    (1e-30, 1e-12),
    (1e-22, 1e-22),
    (1e15, 1e25),
    (1e25, 1e15),
    (1e18, 1e20),
    (1e-44, 1.0),
]


@pytest.mark.parametrize(("of_terms", "of_points"), EXTREMES)
def test_extremes_of_scale(of_terms: float, of_points: float) -> None:
    """Norms and products that leave float32, above or below, where float64 has no trouble."""
    generator = torch.Generator().manual_seed(6)
    base = torch.randn(20, generator=generator).double()
    rows = ((base + 1e-6 * torch.randn(150, 20, generator=generator)) * of_terms).float()
    x = (torch.randn(40, 20, generator=generator).double() * of_points).float()
    functions = AffineFunctions((rows,), torch.zeros(150).double())
    value, argmax = brute_force(functions, x, 1)
    found = RunningMaxima(x)
    found.update(functions)
    assert torch.equal(found.argmax, argmax)
    torch.testing.assert_close(found.value, value, rtol=1e-12, atol=0)


@pytest.mark.parametrize("d", [7, 784, 3072, 40_000])
@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_the_bound_on_rounding(d: int, offset: float) -> None:
    """Hundreds of near-ties, in the dimensions of images: rounding must not change the index."""
    generator = torch.Generator().manual_seed(7)
    count = 200 if d < 10_000 else 60
    base = torch.randn(d, generator=generator).double()
    spread = 1e-6 / d**0.5 * (1 + offset / 10)
    rows = (base + spread * torch.randn(count, d, generator=generator)).float()
    x = torch.rand(30, d, generator=generator)
    bias = offset + torch.randn(count, generator=generator).double() * 1e-6
    functions = AffineFunctions((rows,), bias)
    value, argmax = brute_force(functions, x, 1)
    found = RunningMaxima(x)
    found.update(functions)
    assert torch.equal(found.argmax, argmax)
    torch.testing.assert_close(found.value, value, rtol=1e-14, atol=0)


@by_dtype
def test_preferences(dtype: torch.dtype) -> None:
    """Among equal values the smallest ``prefer`` is chosen, then the lowest index, in any order of blocks."""
    generator = torch.Generator().manual_seed(9)
    rows = grid(generator, 5, 6, bits=3).to(dtype).repeat(40, 1)
    prefer = torch.randint(0, 1000, (200,), generator=generator)
    x, bias = grid(generator, 20, 6, bits=3).to(dtype), torch.zeros(200).double()
    value, _ = brute_force(AffineFunctions((rows,), bias), x, 1)
    scores = x.double() @ rows.double().T
    keys = torch.where(scores == value, prefer * 1000 + torch.arange(200), 10**9)
    for step in (7, 50, 200):
        found = RunningMaxima(x)
        for low in reversed(range(0, 200, step)):
            part = slice(low, low + step)
            found.update(AffineFunctions((rows[part],), bias[part], None, low, prefer[part]))
        assert torch.equal(found.argmax[:, 0], keys.argmin(1))


def test_products_worse_than_their_dtype_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFloat-32 and similar modes of PyTorch for float32 products raise an error instead of giving a wrong label."""
    exact = torch.addmm

    def shortened(bias: Tensor, x: Tensor, weight: Tensor, out: Tensor) -> Tensor:
        return exact(bias.bfloat16().float(), x.bfloat16().float(), weight.bfloat16().float(), out=out)

    monkeypatch.setattr(torch, "addmm", shortened)
    generator = torch.Generator().manual_seed(10)
    found = RunningMaxima(torch.rand(50, 30, generator=generator))
    with pytest.raises(tp.CertificateError, match=r"set torch\.set_float32_matmul_precision\('highest'\)"):
        found.update(AffineFunctions((torch.randn(400, 30, generator=generator),), torch.zeros(400).double()))


def test_many_ties_take_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """All functions equal: every pair is evaluated, but only few are held in memory at a time."""
    most = 0
    original = RunningMaxima.take

    def counted(self: RunningMaxima, functions: AffineFunctions, found: Candidates, lower_bound: Tensor) -> None:
        nonlocal most
        most = max(most, len(found.point))
        original(self, functions, found, lower_bound)

    monkeypatch.setattr(RunningMaxima, "take", counted)
    sizes = BlockSizes(functions=128, points=16, pending=1000)
    check(AffineFunctions((torch.ones(3000, 4),), torch.ones(3000).double()), torch.ones(50, 4), sizes=sizes)
    assert most <= 1000 + 128 * 16


def test_one_of_everything() -> None:
    check(AffineFunctions((torch.tensor([[2.0]]),), torch.tensor([1.0]).double()), torch.tensor([[3.0]]))
    check(AffineFunctions((torch.tensor([[2.0]]),), torch.tensor([1.0]).double(), torch.tensor([2])), torch.tensor([[3.0]]), 4)


def test_an_empty_block_changes_nothing() -> None:
    x = torch.ones(3, 2)
    found = RunningMaxima(x, 2)
    found.update(AffineFunctions((torch.empty(0, 2),), torch.empty(0).double(), torch.empty(0, dtype=torch.int64)))
    assert (found.argmax == -1).all()
    assert (found.value == -torch.inf).all()


def test_not_all_pairs_are_evaluated_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without near-ties about one function per point is evaluated exactly."""
    generator = torch.Generator().manual_seed(8)
    rows, x = torch.randn(5000, 64, generator=generator), torch.rand(500, 64, generator=generator)
    seen = 0
    original = AffineFunctions.rows

    def counted(self: AffineFunctions, index: Tensor | slice, dtype: torch.dtype) -> Tensor:
        nonlocal seen
        found = original(self, index, dtype)
        seen += len(found) if dtype == torch.float64 else 0
        return found

    monkeypatch.setattr(AffineFunctions, "rows", counted)
    RunningMaxima(x).update(AffineFunctions((rows,), torch.zeros(5000).double()))
    assert seen < 3 * 500
