"""Tropical polynomials as text in the paper's notation, and as LaTeX."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

_UP = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_DOWN = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
SHOWN = 12
"""Monomials that ``repr`` and notebooks spell out."""


def text(exponents: np.ndarray, coefficients: np.ndarray) -> str:
    """Text such as 1⊙x₁² ⊕ 2⊙x₁x₂ ⊕ 2; exponents that are not whole stand in parentheses: x₁^(1/2)."""
    terms = [_term(list(e), c) for e, c in zip(exponents[:SHOWN], coefficients[:SHOWN], strict=True)]
    return " ⊕ ".join(terms) + (f" ⊕ … ({len(exponents):,} monomials)" if len(exponents) > SHOWN else "")


def _term(exponents: list[int | Fraction], coefficient: int | Fraction) -> str:
    powers = "".join(_power(i, e) for i, e in enumerate(exponents, start=1) if e != 0)
    number = _short(coefficient)
    return f"{number}⊙{powers}" if powers else number


def _power(i: int, exponent: int | Fraction) -> str:
    name = "x" + str(i).translate(_DOWN)
    if exponent == 1:
        return name
    whole = Fraction(exponent).denominator == 1
    return name + (str(exponent).translate(_UP) if whole else f"^({_short(exponent)})")


def _short(number: int | Fraction) -> str:
    """The exact number where it is short, else four digits and "…"."""
    exact = str(number)
    return exact if len(exact) <= 12 else f"{float(number):.4g}…"


def latex(exponents: np.ndarray, coefficients: np.ndarray) -> str:
    r"""LaTeX such as ``1 \odot x_1^{2} \oplus 2``: all monomials, exact."""
    terms = []
    for row, c in zip(exponents, coefficients, strict=True):
        powers = [_latex_power(i, e) for i, e in enumerate(row, start=1) if e != 0]
        terms.append(" \\odot ".join([_latex_number(c), " ".join(powers)] if powers else [_latex_number(c)]))
    return " \\oplus ".join(terms)


def display_latex(exponents: np.ndarray, coefficients: np.ndarray) -> str:
    """LaTeX between dollar signs for a notebook: all monomials, or their number where they are many."""
    few = len(exponents) <= SHOWN
    return f"${latex(exponents, coefficients)}$" if few else f"$\\text{{{len(exponents):,} monomials}}$"


def _latex_power(i: int, exponent: int | Fraction) -> str:
    return f"x_{{{i}}}" if exponent == 1 else f"x_{{{i}}}^{{{_latex_number(exponent)}}}"


def _latex_number(number: int | Fraction) -> str:
    value = Fraction(number)
    if value.denominator == 1:
        return f"({value})" if value < 0 else str(value)
    sign = "-" if value < 0 else ""
    body = f"{sign}\\tfrac{{{abs(value.numerator)}}}{{{value.denominator}}}"
    return f"({body})" if sign else body
