"""All cells of a small network on a rectangle, in Fractions: polygons are cut by one unit after the other."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

Point = tuple[Fraction, ...]
Row = list[Fraction]
"""An affine function of the plane: two slopes and a constant."""


def area(polygon: Sequence[Point]) -> Fraction:
    """Twice the area."""
    around = zip(polygon, [*polygon[1:], polygon[0]], strict=True)
    return abs(sum((a[0] * b[1] - a[1] * b[0] for a, b in around), Fraction(0)))


def half(polygon: Sequence[Point], f: Row, sign: int) -> list[Point]:
    """The part of a polygon where sign · f ≥ 0; empty where it has no area."""
    values = [sign * (f[0] * p[0] + f[1] * p[1] + f[2]) for p in polygon]
    kept: list[Point] = []
    for i, (p, v) in enumerate(zip(polygon, values, strict=True)):
        q, w = polygon[i - 1], values[i - 1]
        if v * w < 0:
            t = w / (w - v)
            kept.append(tuple(a + t * (b - a) for a, b in zip(q, p, strict=True)))
        if v >= 0:
            kept.append(p)
    return kept if len(kept) > 2 and area(kept) > 0 else []


def relu_cells(
    layers: Sequence[tuple[list[Row], Row]], lo: int, hi: int
) -> list[tuple[list[Point], tuple[bool, ...], list[Row]]]:
    """Polygon, pattern (z > 0 inside) and affine output of every cell of a ReLU network on [lo, hi]².

    Args:
        layers: weight rows and biases of each layer; there is no ReLU behind the last.
    """
    a, b = Fraction(lo), Fraction(hi)
    identity = [[Fraction(1), Fraction(0), Fraction(0)], [Fraction(0), Fraction(1), Fraction(0)]]
    cells = [([(a, a), (b, a), (b, b), (a, b)], (), identity)]
    for number, (weight, bias) in enumerate(layers):
        last = number == len(layers) - 1
        found = []
        for polygon, pattern, h in cells:
            z = [
                [sum((w * f[k] for w, f in zip(row, h, strict=True)), Fraction(0)) + (c if k == 2 else 0) for k in range(3)]
                for row, c in zip(weight, bias, strict=True)
            ]
            parts = [(polygon, pattern, [])] if not last else [(polygon, pattern, z)]
            for f in z if not last else []:
                decomposition = []
                for piece, signs, outputs in parts:
                    for sign in (1, -1):
                        rest = half(piece, f, sign)
                        positive = sign > 0 and any(f[0] * p[0] + f[1] * p[1] + f[2] > 0 for p in rest)
                        if rest and (positive or sign < 0) and not (sign < 0 and _positive(piece, f)):
                            decomposition.append((rest, (*signs, positive), [*outputs, f if positive else [Fraction(0)] * 3]))
                parts = decomposition
            found += parts
        cells = found
    return cells


def _positive(polygon: Sequence[Point], f: Row) -> bool:
    """Whether f ≥ 0 on the whole polygon, with f > 0 at some vertex."""
    values = [f[0] * p[0] + f[1] * p[1] + f[2] for p in polygon]
    return min(values) >= 0 and max(values) > 0
