"""Tropical polynomials as text in the paper's notation, and as LaTeX."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

_UP = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_DOWN = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
SHOWN = 12
"""Monomials shown by ``repr`` and in notebooks."""
LONG = 12
"""Length, in characters, up to which ``repr`` and notebooks show a number exactly."""


def text(exponents: np.ndarray, coefficients: np.ndarray) -> str:
    """Text such as 1⊙x₁² ⊕ 2⊙x₁x₂ ⊕ 2; non-integer exponents stand in parentheses: x₁^(1/2)."""
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
    return exact if len(exact) <= LONG else f"{float(number):.4g}…"


def latex(exponents: np.ndarray, coefficients: np.ndarray, *, short: bool = False) -> str:
    r"""LaTeX such as ``1 \odot x_1^{2} \oplus 2``: all monomials; exact, or with long numbers rounded to four digits."""
    terms = []
    for row, c in zip(exponents, coefficients, strict=True):
        powers = [_latex_power(i, e, short) for i, e in enumerate(row, start=1) if e != 0]
        number = _latex_number(c, short)
        terms.append(f"{number} \\odot {' '.join(powers)}" if powers else number)
    return " \\oplus ".join(terms)


def display_latex(exponents: np.ndarray, coefficients: np.ndarray) -> str:
    """LaTeX between dollar signs for a notebook: all monomials, with long numbers rounded; or only their count."""
    few = len(exponents) <= SHOWN
    return f"${latex(exponents, coefficients, short=True)}$" if few else f"$\\text{{{len(exponents):,} monomials}}$"


def _latex_power(i: int, exponent: int | Fraction, short: bool) -> str:
    return f"x_{{{i}}}" if exponent == 1 else f"x_{{{i}}}^{{{_latex_number(exponent, short)}}}"


def _latex_number(number: int | Fraction, short: bool) -> str:
    value = Fraction(number)
    if short and len(str(number)) > LONG:
        body = f"{float(abs(value)):.4g}\\ldots"
    else:
        body = str(abs(value)) if value.denominator == 1 else f"\\tfrac{{{abs(value.numerator)}}}{{{value.denominator}}}"
    return f"(-{body})" if value < 0 else body
