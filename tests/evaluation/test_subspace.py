"""Coordinates in float32 and what bounds their errors, against exact rational numbers: points in the subspace and nearly so,
huge and tiny ones, subnormal ones, far from the origin, one step of their dtype apart."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import tropica as tp
from tests.evaluation.test_function import UNCHECKED
from tests.oracles.rational import Exact, exact, exact_products, exact_square
from tests.sizes import examples
from tropica.evaluation.search.score_bound import LONGEST, Scaling, ScoreBound
from tropica.evaluation.search.settings import SearchSettings
from tropica.evaluation.search.subspace import (
    Coordinates,
    Projection,
    Subspace,
    chunked_product,
    fit_subspace,
    float32_is_exact,
    squared_norms,
)
from tropica.evaluation.search.subspace import gamma as gamma_of
from tropica.evaluation.settings import EvaluationSettings
from tropica.terms.term_block import TermBlock

KINDS = ("any", "inside", "nearly inside", "the mean", "huge", "tiny", "far", "subnormal", "sparse", "one step apart")
few = examples(40, database=None)
CHUNK = 8
"""Products summed at a time, so that small rows have several chunks."""


def rows_like(kind: str, count: int, base: Tensor, mean: Tensor, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Rows (count, d) for a subspace of rows mean + (numbers) @ base."""
    d = base.shape[1]
    inside = mean + torch.randn(count, len(base), generator=generator, dtype=torch.float64) @ base
    noise = torch.randn(count, d, generator=generator, dtype=torch.float64)
    made = {
        "any": inside + noise,
        "inside": inside,
        "nearly inside": inside + 10.0 ** torch.randint(-12, -3, (count, 1), generator=generator) * noise,
        "the mean": mean.expand(count, -1),
        "huge": 1e12 * inside + noise,
        "tiny": 1e-20 * noise,
        "far": inside + 1e6,
        "subnormal": 1e-41 * noise,
        "sparse": noise * (torch.rand(count, d, generator=generator) < 0.1),
    }
    if kind in made:
        return made[kind].to(dtype)
    first = inside[:1].to(dtype).expand(count, -1).clone()
    return torch.where(noise > 1, torch.nextafter(first, torch.full_like(first, torch.inf)), first)


def made(
    d: int, rank: int, dtype: torch.dtype, seed: int, scales: tuple[float, float], kinds: tuple[str, str]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Terms and points for the fit, and others for the bounds."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for kind, scale in zip(kinds, scales, strict=True):
        base = torch.randn(rank, d, generator=generator, dtype=torch.float64)
        base /= torch.arange(1, rank + 1).unsqueeze(1) ** 2
        mean = torch.randn(d, generator=generator, dtype=torch.float64)
        found += [scale * rows_like(which, 8, base, mean, generator, dtype) for which in ("nearly inside", kind)]
    terms, other_terms, points, other_points = found
    return terms, other_terms, points, other_points


def centered(side: Projection, rows: Tensor) -> Exact:
    """(row − mean) · scale, exactly."""
    return (exact(rows) - exact(side.mean)) * Fraction(side.scale)


def taken(at: Coordinates, keep: Tensor) -> Coordinates:
    """The rows with these indices."""
    return Coordinates(at.inner[keep], at.outer[keep], at.norm[keep], at.error[keep], at.size[keep], at.chunk)


def bounded(at: Coordinates, rows: Tensor) -> tuple[Coordinates, Tensor, Tensor]:
    """Coordinates, rows and indices of the rows that have a bound."""
    here = (at.outer + at.norm + at.error + at.size + at.inner.double().abs().sum(1)).isfinite()
    assert int(here.sum()) >= 3
    return taken(at, here), rows[here], here


SIZES = (st.integers(2, 28), st.integers(1, 9), st.sampled_from((torch.float32, torch.float64)), st.integers(0, 10**6))
SCALES = st.tuples(*[st.sampled_from((1e-25, 1e-3, 1.0, 1e4, 1e25))] * 2)
PAIRS_OF_KINDS = st.tuples(*[st.sampled_from(KINDS)] * 2)


@few
@given(*SIZES, SCALES, PAIRS_OF_KINDS)
def test_coordinates_and_their_errors(d, rank, dtype, seed, scales, kinds) -> None:
    """At every rank a score differs from the product of coordinates by at most the bound of residuals and errors, exactly."""
    terms, more_terms, points, more_points = made(d, rank, dtype, seed, scales, kinds)
    found = fit_subspace(terms.double(), points.double(), CHUNK)
    if found is None:
        return
    a, x = torch.cat([terms[:3], more_terms]), torch.cat([points[:3], more_points])
    at_terms, a, _ = bounded(found.terms(a), a)
    at_points, along = found.points_and_shift(x)
    at_points, x, here = bounded(at_points, x)
    _as_proven(found, found.of_terms, found.of_points, a, at_terms)
    _as_proven(found, found.of_points, found.of_terms, x, at_points)
    scores = exact_products(centered(found.of_terms, a), centered(found.of_points, x))
    errors = np.outer(exact(at_terms.error), exact(at_points.norm)) + np.outer(exact(at_terms.norm), exact(at_points.error))
    alpha, xi = exact(at_terms.inner), exact(at_points.inner)
    for kept in {0, 1, found.rank // 2, found.rank}:
        rests = np.outer(exact(at_terms.rest(kept, 0.5)), exact(at_points.rest(kept, 2.0)))
        assert (abs(scores - exact_products(alpha[:, :kept], xi[:, :kept])) <= rests + errors).all()
    mean = ((exact(x) - exact(found.of_points.mean)) * exact(found.of_terms.mean)).sum(1)
    assert (exact(along[here]) >= mean).all()


def _as_proven(found: Subspace, side: Projection, other: Projection, rows: Tensor, at: Coordinates) -> None:
    """Every bound is at least what the module's proof asks for, from the coordinates as computed, in exact numbers."""
    z, p = centered(side, rows), exact(chunked_product(side.centered(rows), found.columns, found.chunk)[:, :-1])
    xi, N = exact(at.inner), exact(at.norm)
    gamma, second = (Fraction(gamma_of(n, found.chunk)) for n in (z.shape[1], found.rank))
    e, turned = Fraction(found.defect), Fraction(found.inverse_defect)
    assert (exact_square(z) <= N**2).all()
    assert (exact_square(p) <= N**2).all()
    assert (exact(at.size) ** 2 >= exact_square(exact(rows) * Fraction(side.scale))).all()
    assert (exact(at.size) ** 2 >= (exact(side.mean) ** 2).sum() * Fraction(side.scale) ** 2).all()
    ones, spread, length = abs(p).sum(1), _roots(exact_square(exact(other.change).T)), _roots(exact_square(p))
    least = gamma * (1 + e) * ones + second * (abs(xi) @ spread) + (e + turned) * length
    assert (exact(at.error) >= least).all()
    assert (
        exact(at.outer) ** 2 >= exact_square(z) - exact_square(p) + 2 * gamma * (1 + e) * ones * N + e * exact_square(p)
    ).all()
    # The bound holds, and it is not much larger than the error.
    outside = exact_square(z - p @ exact(found.basis).T)
    assert (exact(at.outer) ** 2 >= outside).all()
    assert (exact(at.outer) ** 2 <= outside + N**2 / 2**10).all()


def _roots(of: Exact) -> Exact:
    """Square roots, rounded down."""
    return exact(torch.tensor([float(square) for square in of], dtype=torch.float64).sqrt() * (1 - 2.0**-40))


@few
@given(st.integers(2, 14), st.integers(1, 5), st.integers(0, 10**6), SCALES)
def test_how_far_a_subspace_is_from_exact(d: int, rank: int, seed: int, scales: tuple[float, float]) -> None:
    """‖UᵀU − I‖ and ‖I − ST‖ of the float32 numbers, in exact numbers."""
    terms, _, points, _ = made(d, rank, torch.float64, seed, scales, ("any", "any"))
    found = fit_subspace(terms, points)
    assert found is not None
    basis, s, t = exact(found.basis), exact(found.of_terms.change), exact(found.of_points.change).T
    eye = exact(torch.eye(found.rank))
    for number, off in ((found.defect, basis.T @ basis - eye), (found.inverse_defect, s @ t - eye)):
        assert Fraction(number) ** 2 >= (off * off).sum()
    assert found.inverse_defect >= float((s * s).sum() * (t * t).sum()) ** 0.5 * gamma_of(found.rank) ** 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@few
@given(*SIZES, SCALES, PAIRS_OF_KINDS, st.sampled_from((0.0, 1.0, 1e8)))
def test_products_of_rows(dtype, d, rank, working, seed, scales, kinds, bias) -> None:
    """The computed product of two rows plus its bound is at least the exact score plus the uncertainty of the term."""
    terms, more_terms, points, more_points = made(d, rank, working, seed, scales, kinds)
    found = fit_subspace(terms.double(), points.double(), CHUNK)
    if found is None:
        return
    a, x = torch.cat([terms[:3], more_terms]), torch.cat([points[:3], more_points])
    generator = torch.Generator().manual_seed(seed)
    beta = bias * torch.randn(len(a), generator=generator, dtype=torch.float64)
    of_norm, of_bias = 1e-3 * torch.rand(2, len(a), generator=generator, dtype=torch.float64)
    scaling = Scaling.of(found.terms(terms), beta[:8], found.points(points))
    assert scaling is not None
    at_terms, at_points = found.terms(a), found.points(x)
    for kept in {1, found.rank // 2 + 1, found.rank}:
        stage = ScoreBound(min(kept, found.rank), dtype)
        f, y = stage.term_rows(at_terms, beta, (of_norm, of_bias), scaling), stage.point_rows(at_points, scaling)
        some, those = ((rows.float().abs().amax(1) < LONGEST).nonzero()[:, 0] for rows in (f, y))
        assert min(len(some), len(those)) >= 3
        f, y, unknown = f[some], y[those], (of_norm[some], of_bias[some])
        bounds = stage.raised(torch.mm(f, y.mT)).double() / (scaling.terms * scaling.points)
        scores = (
            exact_products(centered(found.of_terms, a[some]), centered(found.of_points, x[those])) + exact(beta[some])[:, None]
        )
        lengths = _roots(exact_square(exact(x[those]) * Fraction(found.of_points.scale)))
        assert (exact(bounds) >= scores + np.outer(exact(unknown[0]), lengths) + exact(unknown[1])[:, None]).all()
        _rows_as_proven(stage, f, y, taken(at_terms, some), taken(at_points, those), beta[some], unknown, scaling)


def _rows_as_proven(
    stage: ScoreBound,
    f: Tensor,
    y: Tensor,
    terms: Coordinates,
    points: Coordinates,
    beta: Tensor,
    unknown: tuple[Tensor, Tensor],
    scaling: Scaling,
) -> None:
    """e_k z_x and l_k ε_x bound their errors, and the columns of the residuals bound the residuals."""
    rank, gamma = stage.rank, Fraction(stage.gamma)
    (rest, e, length), (rest_x, z, off) = (exact(rows[:, rank + 2 :].double()).T for rows in (f, y))
    to_f, to_y = Fraction(scaling.terms), Fraction(scaling.points)
    high = beta * (scaling.terms / scaling.bias)
    left, right = (exact(rows[:, : rank + 2].double()) for rows in (f, y))
    exact_left = np.concatenate([exact(terms.inner[:, :rank]) * to_f, left[:, rank : rank + 1], exact(high)[:, None]], 1)
    exact_left[:, rank + 1] -= left[:, rank]
    exact_right = np.concatenate([exact(points.inner[:, :rank]) * to_y, right[:, rank:]], 1)
    delta, own, ny = (_roots(exact_square(rows)) for rows in (exact_left - left, left, exact_right))
    assert (length >= own).all()
    assert (off >= _roots(exact_square(exact_right - right))).all()
    assert (rest >= (1 + gamma) * to_f * exact(terms.rest(rank, scaling.weight))).all()
    assert (rest_x >= (1 + gamma) * to_y * exact(points.rest(rank, 1 / scaling.weight))).all()
    both = to_f * to_y
    least: Exact = np.outer(delta + gamma * own, ny)
    least += both * np.outer(exact(terms.error) + exact(unknown[0]), exact(points.size))
    least += both * (np.outer(exact(terms.norm), exact(points.error)) + exact(unknown[1])[:, None])
    assert (np.outer(e, z) >= least).all()


@few
@given(st.integers(1, 60), st.integers(1, 9), st.integers(0, 10**6), st.sampled_from((1.0, 1e-18, 1e15)))
def test_sums_in_runs(d: int, rank: int, seed: int, scale: float) -> None:
    """Products and squares are as exact as γ says."""
    generator = torch.Generator().manual_seed(seed)
    rows, matrix = scale * torch.randn(7, d, generator=generator), torch.randn(d, rank, generator=generator)
    off = abs(exact(chunked_product(rows, matrix, CHUNK)) - exact(rows) @ exact(matrix))
    tiny = Fraction(d * 2.0**-125)
    assert (off <= Fraction(gamma_of(d, CHUNK)) * (abs(exact(rows)) @ abs(exact(matrix))) + tiny).all()
    off = abs(exact(squared_norms(rows, CHUNK)) - exact_square(exact(rows)))
    assert (off <= Fraction((8 + 8) * 2.0**-23) * exact_square(exact(rows)) + tiny).all()


@pytest.mark.parametrize(
    ("dtype", "first"), [(torch.float32, torch.bfloat16), (torch.float64, torch.float32)], ids=["float32", "float64"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_active_terms(kind: str, dtype: torch.dtype, first: torch.dtype) -> None:
    """Terms one unit in the last place apart in a subspace that contains all points, or nearly: many ties and near ties."""
    always = SearchSettings(
        least_terms=1, least_points=1, least_work=1, least_asked=1, most_left=1.0, most_work=float("inf"), first_dtype=first
    )
    generator = torch.Generator().manual_seed(0)
    for rank, offset in ((2, 0.0), (5, 1e7)):
        base = torch.randn(rank, 150, generator=generator, dtype=torch.float64)
        mean = torch.randn(150, generator=generator, dtype=torch.float64)
        some = torch.cat([rows_like("one step apart", 40, base, mean, generator, dtype) for _ in range(10)])
        bias = torch.randn(len(some), generator=generator, dtype=torch.float64).div(1e6).round() + offset
        labels = torch.randint(0, 3, (len(some),), generator=generator)
        block = TermBlock(labels, some, bias, 0.125 * some, bias)
        terms = tp.LinearTerms([block], mean, (150,), 3, "made up", UNCHECKED)
        x = torch.cat([rows_like(each, 60, base, mean, generator, dtype) for each in ("nearly inside", kind, "inside")])
        found = tp.ExtractedFunction(terms, settings=EvaluationSettings(search=always))
        full = tp.ExtractedFunction(terms, search="full")
        for one, other in zip(found.labels_and_terms(x), full.labels_and_terms(x), strict=True):
            assert torch.equal(one, other)
        if kind != "huge":
            assert found.search_report.used == "exact", found.search_report.why


def test_inexact_float32_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert float32_is_exact()
    plain = torch.mm
    monkeypatch.setattr(torch, "mm", lambda a, b, **more: plain(a.bfloat16(), b.bfloat16(), **more).float())
    assert not float32_is_exact()


def test_nothing_to_fit() -> None:
    rows = torch.randn(30, 5, dtype=torch.float64)
    assert fit_subspace(rows, torch.zeros(30, 5).double()) is None
    assert fit_subspace(1e-60 * rows, rows) is None
    assert fit_subspace(1e60 * rows, rows) is None
    assert fit_subspace(rows[:, :1], rows[:, :1]) is None
