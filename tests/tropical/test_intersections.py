"""Stable intersections and prevarieties: against curves moved apart by a little, and Bernstein's count."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import assume, given

import tropica as tp
from tests.sizes import examples
from tests.tropical.strategies import points, polynomials
from tropica.errors import InputError
from tropica.tropical.intersections import lattice_mixed_volume, mixed_cells

SHIFT = (Fraction(1, 10**9 + 7), Fraction(1, 10**9 + 9))
"""A small vector in general position."""


def moved_apart(f, g) -> dict[tuple[Fraction, ...], int]:
    """The stable intersection of two max-plus curves: g is moved by a little, and all pairs of ties are solved."""
    first = list(f.to_dict().items())
    second = [(e, c - sum(a * v for a, v in zip(e, SHIFT, strict=True))) for e, c in g.to_dict().items()]

    def largest(terms, x):
        return max(c + sum(Fraction(a) * v for a, v in zip(e, x, strict=True)) for e, c in terms)

    found: dict[tuple[Fraction, ...], int] = {}
    for (a, p), (b, q) in combinations(first, 2):
        for (c, r), (e, s) in combinations(second, 2):
            u, v = (a[0] - b[0], a[1] - b[1]), (c[0] - e[0], c[1] - e[1])
            det = u[0] * v[1] - u[1] * v[0]
            if not det:
                continue
            x = (Fraction((q - p) * v[1] - (s - r) * u[1]) / det, Fraction((s - r) * u[0] - (q - p) * v[0]) / det)
            at_f, at_g = (largest([t], x) for t in ((a, p), (c, r)))
            if at_f == largest(first, x) and at_g == largest(second, x):
                near = tuple(Fraction(w).limit_denominator(10**4) for w in x)
                found[near] = found.get(near, 0) + abs(det)
    return found


def generic(f) -> bool:
    """Whether no monomial ties on an edge: else the sum above counts pairs of ties on the edge several times."""
    return len(f.essential()) == len(f) and all(len(cell) == 3 for cell in f.dual_subdivision().cells)


@examples(60)
@given(polynomials(2, most=5), polynomials(2, most=5))
def test_two_curves(f, g) -> None:
    f, g = f.essential(), g.essential()
    assume(generic(f) and generic(g))
    found = tp.stable_intersection(f, g)
    got = {tuple(map(Fraction, p)): m for p, m in zip(found.points.tolist(), found.multiplicities, strict=True)}
    assert got == moved_apart(f, g)
    assert sum(found.multiplicities) == tp.mixed_volume(f, g)
    cells = {tuple(map(Fraction, c.point.tolist())): c.multiplicity for c in mixed_cells(f, g) if c.multiplicity}
    assert cells == got


@examples(20)
@given(polynomials(3, most=4), polynomials(3, most=4), polynomials(3, most=3))
def test_bernstein(f, g, h) -> None:
    assert sum(tp.stable_intersection(f, g, h).multiplicities) == tp.mixed_volume(f, g, h)


@examples(40)
@given(polynomials(2, most=4), polynomials(2, most=4), points(2))
def test_prevarieties(f, g, x) -> None:
    both = tp.prevariety(f, g)
    for cell in both.cells:
        middle = [sum(map(Fraction, c)) / len(c) for c in cell.vertices.T.tolist()]
        for p, active in zip((f, g), cell.active, strict=True):
            terms = p.exact_terms(middle)
            assert terms.count(max(terms)) > 1
            assert set(active) <= {i for i, v in enumerate(terms) if v == max(terms)}
    ties = all((v := p.exact_terms(x)).count(max(v)) > 1 for p in (f, g))
    assert not ties or len(both) > 0


def test_one_line_twice() -> None:
    line = tp.MinPlusPolynomial({(1, 0): 0, (0, 1): 0, (0, 0): 0})
    assert tp.prevariety(line, line).dimension == 1
    twice = tp.stable_intersection(line, line)
    assert (twice.points.tolist(), twice.multiplicities) == ([[0, 0]], [1])
    assert repr(twice).endswith("1 cells, multiplicities 1 in all, min-plus)")
    plane = tp.TropicalPolynomial({(1, 0, 0): 0, (0, 1, 0): 0, (0, 0, 1): 0, (0, 0, 0): 0})
    fan = tp.stable_intersection(plane, plane)
    assert sorted(c.rays.tolist()[0] for c in fan.cells) == [[-1, 0, 0], [0, -1, 0], [0, 0, -1], [1, 1, 1]]
    assert fan.multiplicities == [1, 1, 1, 1]
    assert len(fan.to_dataframe()) == 4


def test_bad_input() -> None:
    f = tp.TropicalPolynomial({(1, 0): 0, (0, 1): 0})
    for call, says in (
        (lambda: tp.stable_intersection(f, f, f), "3 and 2"),
        (lambda: tp.prevariety(), "found none"),
        (lambda: tp.prevariety(f, 3), "found a int"),
        (lambda: tp.prevariety(f, tp.MinPlusPolynomial(f)), "cannot be combined"),
        (lambda: tp.prevariety(f).multiplicities, "without multiplicities"),
    ):
        with pytest.raises(InputError, match=says):
            call()
    assert lattice_mixed_volume([f.exponents.astype(object) * 0]) == 0
