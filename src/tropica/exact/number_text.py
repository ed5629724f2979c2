"""Exact numbers as text and LaTeX: whole where they are short, else four digits."""

from __future__ import annotations

import decimal
from fractions import Fraction

LONG = 12
"""Length, in characters, up to which ``repr`` and notebooks show a number exactly."""


def is_short(number: int | Fraction) -> bool:
    """Whether a number is shown exactly."""
    return int(number.numerator).bit_length() < 64 and len(str(number)) <= LONG


def rounded(value: Fraction) -> str:
    """Four digits of a number of any size.

    >>> rounded(Fraction(1, 3)), rounded(Fraction(-(10**400))), rounded(Fraction(1, 10**400))
    ('0.3333', '-1e+400', '1e-400')
    """
    if value == 0 or Fraction(1, 10**300) < abs(value) < 10**300:
        return f"{float(value):.4g}"
    context = decimal.Context(prec=4, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN)
    found = context.divide(decimal.Decimal(value.numerator), decimal.Decimal(value.denominator)).normalize(context)
    return f"{found:e}"


def latex_number(number: int | Fraction, *, short: bool = False) -> str:
    r"""A number in LaTeX, without parentheses: exact, or with ``short`` rounded where it is long.

    >>> latex_number(-2), latex_number(Fraction(-1, 3)), latex_number(Fraction(10**20, 3), short=True)
    ('-2', '-\\tfrac{1}{3}', '3.333e+19\\ldots')
    """
    value = Fraction(number)
    if short and not is_short(number):
        body = f"{rounded(abs(value))}\\ldots"
    else:
        body = str(abs(value)) if value.denominator == 1 else f"\\tfrac{{{abs(value.numerator)}}}{{{value.denominator}}}"
    return f"-{body}" if value < 0 else body
