"""A dense chain along a segment without rounding, breakpoint by breakpoint.

The input and its direction are propagated through the layers as (value, slope) at t and to the right of it. The active piece of
a unit is the first of those that are largest immediately after t. The next breakpoint is the first t at which another piece
becomes larger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

Row = Sequence[Fraction]


@dataclass(frozen=True)
class Dense:
    """x ↦ W x + b."""

    weight: Sequence[Row]
    bias: Row


@dataclass(frozen=True)
class Leaky:
    """max(z, slope·z): 0 for relu, −1 for abs."""

    slope: Fraction


@dataclass(frozen=True)
class Maxout:
    """The maximum of each run of ``pieces`` numbers."""

    pieces: int


class Point(NamedTuple):
    """A value at t, and its slope to the right of t."""

    value: Fraction
    slope: Fraction


@dataclass(frozen=True)
class Interval:
    """start ≤ t ≤ stop, with the active pieces of all nonlinearities in order and the outputs as (slope, value at t = 0)."""

    start: Fraction
    stop: Fraction
    pattern: tuple[int, ...]
    outputs: tuple[tuple[Fraction, Fraction], ...]


Layer = Dense | Leaky | Maxout


def intervals(layers: Sequence[Layer], a: Row, b: Row) -> list[Interval]:
    """The intervals of 0 ≤ t ≤ 1 between breakpoints, where the pattern changes."""
    found: list[Interval] = []
    t = Fraction(0)
    while t < 1:
        pattern, outputs, step = _right_of(layers, [Point((1 - t) * p + t * q, q - p) for p, q in zip(a, b, strict=True)])
        stop = Fraction(1) if step is None else min(Fraction(1), t + step)
        lines = tuple((x.slope, x.value - x.slope * t) for x in outputs)
        if found and found[-1].pattern == pattern:  # two pieces are equal here, but the active one stays
            found[-1] = Interval(found[-1].start, stop, pattern, lines)
        else:
            found.append(Interval(t, stop, pattern, lines))
        t = stop
    return found


def _right_of(layers: Sequence[Layer], x: list[Point]) -> tuple[tuple[int, ...], list[Point], Fraction | None]:
    """The pattern and the outputs immediately after t, and the length of their interval (None: unbounded)."""
    pattern: list[int] = []
    reach: Fraction | None = None
    for layer in layers:
        if isinstance(layer, Dense):
            x = [
                Point(_dot(row, [p.value for p in x]) + bias, _dot(row, [p.slope for p in x]))
                for row, bias in zip(layer.weight, layer.bias, strict=True)
            ]
            continue
        if isinstance(layer, Leaky):
            windows = [[Point(layer.slope * p.value, layer.slope * p.slope), p] for p in x]
        else:
            windows = [x[i : i + layer.pieces] for i in range(0, len(x), layer.pieces)]
        x = []
        for window in windows:
            best = max(window)
            chosen = window.index(best)
            pattern.append(chosen)
            x.append(best)
            for p in window:
                if p.slope > best.slope:
                    until = (best.value - p.value) / (p.slope - best.slope)
                    reach = until if reach is None else min(reach, until)
    return tuple(pattern), x, reach


def _dot(row: Row, x: Sequence[Fraction]) -> Fraction:
    return sum((w * v for w, v in zip(row, x, strict=True)), Fraction(0))
