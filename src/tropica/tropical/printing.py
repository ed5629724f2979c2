"""Tropical polynomials as text in the paper's notation, and as LaTeX."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from tropica.exact.number_text import is_short, latex_number, rounded
from tropica.tropical.variable_names import Names, latex_name, plain_name

_UP = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
SHOWN = 12
"""Monomials shown by ``repr`` and in notebooks."""


def text(exponents: np.ndarray, coefficients: np.ndarray, names: Names = None) -> str:
    """Text such as 1⊙x₁² ⊕ 2⊙x₁x₂ ⊕ 2; non-integer exponents stand in parentheses: x₁^(1/2)."""
    terms = [_term(list(e), c, names) for e, c in zip(exponents[:SHOWN], coefficients[:SHOWN], strict=True)]
    return " ⊕ ".join(terms) + (f" ⊕ … ({len(exponents):,} monomials)" if len(exponents) > SHOWN else "")


def _term(exponents: list[int | Fraction], coefficient: int | Fraction, names: Names) -> str:
    powers = [_power(i, e, names) for i, e in enumerate(exponents) if e != 0]
    between = "⊙" if names and any(len(name) > 1 for name in names) else ""
    number = _short(coefficient)
    return f"{number}⊙{between.join(powers)}" if powers else number


def _power(i: int, exponent: int | Fraction, names: Names) -> str:
    name = plain_name(names, i)
    if exponent == 1:
        return name
    whole = Fraction(exponent).denominator == 1
    return name + (str(exponent).translate(_UP) if whole else f"^({_short(exponent)})")


def _short(number: int | Fraction) -> str:
    """The exact number where it is short, else four digits and "…"."""
    return str(number) if is_short(number) else f"{rounded(Fraction(number))}…"


def latex(exponents: np.ndarray, coefficients: np.ndarray, names: Names = None, *, short: bool = False) -> str:
    r"""LaTeX such as ``1 \odot x_1^{2} \oplus 2``: all monomials; exact, or with long numbers rounded to four digits."""
    terms = []
    for row, c in zip(exponents, coefficients, strict=True):
        powers = [_latex_power(i, e, names, short) for i, e in enumerate(row) if e != 0]
        number = _latex_number(c, short)
        terms.append(f"{number} \\odot {' '.join(powers)}" if powers else number)
    return " \\oplus ".join(terms)


def short_latex(exponents: np.ndarray, coefficients: np.ndarray, names: Names = None) -> str:
    """LaTeX for a notebook: all monomials, with long numbers rounded; or only their count."""
    few = len(exponents) <= SHOWN
    return latex(exponents, coefficients, names, short=True) if few else f"\\text{{{len(exponents):,} monomials}}"


def _latex_power(i: int, exponent: int | Fraction, names: Names, short: bool) -> str:
    name = latex_name(names, i)
    return name if exponent == 1 else f"{name}^{{{_latex_number(exponent, short)}}}"


def _latex_number(number: int | Fraction, short: bool) -> str:
    found = latex_number(number, short=short)
    return f"({found})" if number < 0 else found
