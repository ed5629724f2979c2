"""The activation cells of a dense chain on a box, pattern by pattern.

Unit by unit, depth first, a cell is a list of strict linear inequalities with rational coefficients. It is nonempty if these
have a common point: a linear program finds the largest ball (the coefficients are small integers, so that a nonempty cell
contains a ball far larger than the solver's tolerance).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
from scipy.optimize import linprog

from tests.oracles.segments import Dense, Layer, Leaky

Form = tuple[Fraction, ...]
"""(w_1, …, w_d, c): the affine function w · x + c."""
Cell = tuple[tuple[int, ...], tuple[Form, ...]]
"""The active piece of each unit, and the outputs."""


def cells(layers: Sequence[Layer], d: int, lo: int, hi: int) -> list[Cell]:
    """All cells with an interior on lo ≤ x ≤ hi."""
    unit = [tuple(Fraction(int(i == j)) for j in range(d + 1)) for i in range(d)]
    box = [minus(x, constant(lo, d)) for x in unit] + [minus(constant(hi, d), x) for x in unit]
    return list(_refine(layers, tuple(unit), box, ()))


def _refine(layers: Sequence[Layer], forms: tuple[Form, ...], inside: list[Form], pattern: tuple[int, ...]) -> Iterator[Cell]:
    if not layers:
        yield pattern, forms
        return
    layer, rest = layers[0], layers[1:]
    d = len(forms[0]) - 1
    if isinstance(layer, Dense):
        out = []
        for row, bias in zip(layer.weight, layer.bias, strict=True):
            total = constant(bias, d)
            for w, form in zip(row, forms, strict=True):
                total = tuple(t + w * f for t, f in zip(total, form, strict=True))
            out.append(total)
        yield from _refine(rest, tuple(out), inside, pattern)
        return
    if isinstance(layer, Leaky):  # at a tie the second piece is active
        groups = [[tuple(layer.slope * f for f in form), form] for form in forms]
    else:
        groups = [list(forms[i : i + layer.pieces]) for i in range(0, len(forms), layer.pieces)]
    for indices, chosen, where in _patterns(groups, inside):
        yield from _refine(rest, chosen, where, pattern + indices)


def _patterns(groups: list[list[Form]], inside: list[Form]) -> Iterator[tuple[tuple[int, ...], tuple[Form, ...], list[Form]]]:
    """The nonempty patterns of several units: indices of the active pieces, these pieces, and the inequalities."""
    if not groups:
        yield (), (), inside
        return
    pieces = groups[0]
    for k, piece in enumerate(pieces):
        if piece in pieces[:k]:
            continue  # of equal pieces the first is active
        where = inside + [minus(piece, other) for other in pieces if other != piece]
        if has_interior(where):
            for indices, chosen, at in _patterns(groups[1:], where):
                yield (k, *indices), (piece, *chosen), at


def has_interior(inequalities: list[Form]) -> bool:
    """Whether some point satisfies w · x + c > 0 for all inequalities."""
    if any(not any(form[:-1]) and form[-1] <= 0 for form in inequalities):
        return False
    rows = np.array([form for form in inequalities if any(form[:-1])], dtype=float)
    size = np.linalg.norm(rows[:, :-1], axis=1)
    d = rows.shape[1] - 1
    found = linprog(
        np.append(np.zeros(d), -1.0),
        A_ub=np.column_stack([-rows[:, :-1], size]),
        b_ub=rows[:, -1],
        bounds=[(None, None)] * (d + 1),
    )
    return found.status == 0 and found.x[-1] > 1e-7


def minus(a: Form, b: Form) -> Form:
    return tuple(x - y for x, y in zip(a, b, strict=True))


def constant(c: Fraction | int, d: int) -> Form:
    return (*(Fraction(0),) * d, Fraction(c))
