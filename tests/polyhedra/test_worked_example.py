"""The worked example of Zhang, Naitzat and Lim (supplement C.2), computed from its weights."""

from fractions import Fraction

import numpy as np
import pytest

from tropica.polyhedra.dual_complexes import hypersurface
from tropica.polyhedra.overlay import overlay_cells
from tropica.polyhedra.polytope import Polytope
from tropica.polyhedra.upper_hull import essential, upper_hull
from tropica.polyhedra.zonotope import Zonotope

W = np.array([[-1, 1], [1, -3], [1, 2], [-4, 1], [3, 2]])
B = np.array([1, -1, 2, 0, -2])
OUT = np.array([1, 2, 1, -1, -3])


def part(sign: int):
    """P of G (sign −1) or of H (sign 1), multiplied out: 2 or 3 segments and a shift, with repeated monomials."""
    points, heights = np.zeros((1, 2), int), np.zeros(1, int)
    for w, b, out in zip(W, B, OUT, strict=True):
        plus, minus, size = np.maximum(w, 0), np.maximum(-w, 0), abs(out)
        more = [(plus, b), (minus, 0)] if np.sign(out) == sign else [(minus, 0)]
        points = (points[:, None] + size * np.array([p for p, _ in more])).reshape(-1, 2)
        heights = (heights[:, None] + size * np.array([h for _, h in more])).ravel()
    return points, heights


def union(first, second):
    return np.concatenate([first[0], second[0]]), np.concatenate([first[1], second[1]])


G, H = part(-1), part(1)
F = union(H, G)


@pytest.mark.parametrize(
    ("polynomial", "upper", "counts", "newton"),
    [
        (G, 4, (1, 0, 4), [(1, 7), (5, 6), (14, 12), (10, 13)]),
        (H, 7, (3, 3, 6), [(7, 0), (8, 2), (6, 8), (5, 9), (4, 7), (6, 1)]),
        (F, 8, (7, 9, 5), [(7, 0), (14, 12), (10, 13), (1, 7), (6, 1)]),
    ],
)
def test_the_table(polynomial, upper, counts, newton):
    cx = hypersurface(*polynomial)
    assert len(essential(*polynomial)) == upper
    assert (len(cx.faces(0)), len(cx.bounded(1)), len(cx.unbounded(1))) == counts
    assert {tuple(v) for v in Polytope(polynomial[0]).vertices.tolist()} == set(newton)


def test_the_essential_monomials_of_f():
    found = {tuple(F[0][i].tolist()): int(F[1][i]) for i in essential(*F)}
    assert found == {
        (1, 7): 0,
        (5, 9): 3,
        (6, 1): -1,
        (7, 0): -2,
        (7, 3): 1,
        (8, 2): 0,
        (10, 13): -6,
        (14, 12): -6,
    }


def test_the_vertices_of_the_curve():
    half, eighth = Fraction(1, 2), Fraction(1, 8)
    # The upper face over a cell is h = const + ⟨s, α⟩ with these slopes s ...
    slopes = {
        (5, -17 * half),
        (Fraction(-3, 7), Fraction(-12, 7)),
        (half, half),
        (5 * eighth, 11 * eighth * half),
        (-16, 9),
        (-1, 0),
        (0, 1),
    }
    # ... so its monomials tie, const = ⟨x, α⟩ + h, at x = −s: the vertices of T(F) are their negatives.
    assert {tuple(-e for e in v) for v in hypersurface(*F).vertices.tolist()} == slopes
    for cell, x in zip(upper_hull(*F).cells, upper_hull(*F).slopes, strict=True):
        values = F[0] @ x + F[1]
        assert {tuple(F[0][i]) for i in np.flatnonzero(values == values.max())} == {tuple(F[0][i]) for i in cell}


def test_region_counts_stay_apart():
    assert overlay_cells(*H, *G) == 16  # linear output: the arrangement of five lines, the bound of Theorem 6.3
    assert overlay_cells(*F, *G) == 17  # ReLU output: F and G overlaid


def test_the_polytope_of_g_is_two_dimensional():
    lifted = Polytope(np.concatenate([G[0], G[1][:, None]], 1))
    assert lifted.dimension == 2
    assert lifted.f_vector == (4, 4, 1)
    # Σ_{a_j<0} |a_j|·Conv{(w_j⁺, b_j), (w_j⁻, 0)} + Σ_{a_j>0} a_j·(w_j⁻, 0)
    segments = [size * np.append(w, b) for w, b, size in zip(W, B, -OUT, strict=True) if size > 0]
    start = sum(size * np.append(np.maximum(-w, 0), 0) for w, size in zip(W, np.abs(OUT), strict=True))
    zonotope = Zonotope(segments, start)
    assert len(zonotope.vertices) == 4
    assert zonotope.polytope() == lifted
