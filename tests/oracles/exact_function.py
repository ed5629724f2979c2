"""N^(X) of given K in exact fractions: the terms of a Sequential of Linear and ReLU, every maximum over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from torch import Tensor, nn


class ExactTerm(NamedTuple):
    """The terms of one data point as (coefficients, constant part): a_k = N_i on its region, a⁻_k, and the label i."""

    label: int
    local: tuple[list[Fraction], Fraction]
    minus: tuple[list[Fraction], Fraction]


def exact_terms(
    model: nn.Sequential, multipliers: Sequence[Tensor], data: Tensor, *, every_output: bool = False
) -> list[ExactTerm]:
    """The terms of the points (N, d) for K of each ReLU in order: one forward sweep carries the local map and that of F⁻.

    With ``every_output`` (regression) each point has a term for each output, else for its label.
    """
    terms = []
    for x in data:
        point = [Fraction(float(entry)) for entry in x]
        d = len(point)
        rows = [([Fraction(int(i == j)) for j in range(d)], Fraction(0)) for i in range(d)]
        slope, constant, used = [Fraction(0)] * d, Fraction(0), 0
        for layer in model:
            if isinstance(layer, nn.Linear):
                rows = [
                    _combined(weights, rows, bias)
                    for weights, bias in zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
                ]
            else:
                assert isinstance(layer, nn.ReLU)
                zero = ([Fraction(0)] * d, Fraction(0))
                rows = [row if _at(row, point) > 0 else zero for row in rows]
                for k, (weight, bias) in zip(multipliers[used].flatten().tolist(), rows, strict=True):
                    slope = [a + Fraction(k) * b for a, b in zip(slope, weight, strict=True)]
                    constant += Fraction(k) * bias
                used += 1
        scores = [_at(row, point) for row in rows]
        label = max(range(len(scores)), key=lambda i, s=scores: (s[i], -i))
        asked = range(len(scores)) if every_output else [label]
        terms += [ExactTerm(i, rows[i], (slope, constant)) for i in asked]
    return terms


def exact_function(terms: Sequence[ExactTerm], classes: int, x: Tensor) -> list[dict[int, Fraction]]:
    """N_i^(X)(x) at points (B, d), by label; labels without a term are left out."""
    found = []
    for one in x:
        point = [Fraction(float(entry)) for entry in one]
        minus = [_at(term.minus, point) for term in terms]
        values: Mapping[int, list[Fraction]] = {i: [] for i in range(classes)}
        for term, below in zip(terms, minus, strict=True):
            values[term.label].append(_at(term.local, point) + below)
        found.append({i: max(some) - max(minus) for i, some in values.items() if some})
    return found


def _combined(
    weights: Sequence[float], rows: Sequence[tuple[list[Fraction], Fraction]], bias: float
) -> tuple[list[Fraction], Fraction]:
    factors = [Fraction(weight) for weight in weights]
    columns = zip(*(row[0] for row in rows), strict=True)
    coefficients = [sum((f * entry for f, entry in zip(factors, column, strict=True)), Fraction(0)) for column in columns]
    return coefficients, sum((f * row[1] for f, row in zip(factors, rows, strict=True)), Fraction(bias))


def _at(row: tuple[list[Fraction], Fraction], point: Sequence[Fraction]) -> Fraction:
    return sum((a * b for a, b in zip(row[0], point, strict=True)), row[1])
