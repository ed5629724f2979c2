"""``tp.parse_tropical``: tropical functions as people write them, max(x + 2*y + 1, 3*y, 0)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NoReturn

from tropica.errors import InputError
from tropica.polyhedra.conventions import Convention, sign_of
from tropica.runtime.arithmetic import own_settings
from tropica.tropical.polynomial import (
    MinPlusPolynomial,
    PolynomialWithQuotients,
    TropicalPolynomial,
    TropicalRational,
    as_rational,
)
from tropica.tropical.rational_map import TropicalMap
from tropica.tropical.variable_names import checked_names

TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|([^\W\d]\w*)|(\*\*|[-+*/(),−·]))")
ACCEPTED = "numbers, names, + − * / ( ) and max(...), min(...)"
INFINITE = ("inf", "infinity", "oo", "nan")
"""Words that are no names of variables unless the caller says so."""
MAX_DEPTH = 100
"""Largest number of nested parentheses."""


@dataclass(frozen=True)
class Token:
    """A number, a name or a mark, and where it begins."""

    kind: str
    text: str
    at: int


@own_settings()
def parse_tropical(
    text: str | Iterable[Any], *, variables: Iterable[str] | None = None, convention: Convention | None = None
) -> PolynomialWithQuotients | TropicalRational | TropicalMap:
    """Read a tropical function in ordinary arithmetic: maxima and minima of sums, differences and rational multiples.

    With max alone, the result is a TropicalPolynomial where the text is one, else a TropicalRational; with min alone, the same
    in min-plus; with both, a TropicalRational in max-plus. Several functions with commas between them are a TropicalMap.

    Args:
        text: such as "max(x + 2*y + 1, 3*y, 0)", "max(x, 0) - max(y, 1/2)", "min(2*x, 1.5e-3)"; factors are numbers. Or, for
            one variable, the list of the coefficients of x⁰, x¹, …, None for no monomial.
        variables: the names of all variables, in order; by default those in the text, sorted: a, b, x2, x10.
        convention: "max" or "min", for the result; by default that of the text, and "max" for a list or an affine function.

    Raises:
        InputError: text that is not such a function; the message points at the place.

    >>> parse_tropical("max(x + 2*y + 1, 3*y, 0)")
    max-plus: 1⊙xy² ⊕ 0⊙y³ ⊕ 0
    >>> parse_tropical("min(x, 0) - min(2*x, 1/2)")
    min-plus: (0⊙x ⊕ 0) ⊘ (0⊙x² ⊕ 1/2)
    >>> parse_tropical([1, 4, None, 0], variables=["t"])
    max-plus: 1 ⊕ 4⊙t ⊕ 0⊙t³
    """
    if convention is not None:
        sign_of(convention)
    if not isinstance(text, str):
        make = MinPlusPolynomial if convention == "min" else TropicalPolynomial
        return make(list(text), names=variables)
    tokens = list(_tokens(text))
    used = {t.text for t in tokens if t.kind == "name"}
    word: Convention = convention or ("min" if "min" in used and "max" not in used else "max")
    found = sorted(used - {"max", "min"}, key=_natural)
    names = tuple(found) if variables is None else tuple([variables] if isinstance(variables, str) else variables)
    checked_names(names, len(names))
    infinite = next((t for t in tokens if t.kind == "name" and t.text.lower() in INFINITE and variables is None), None)
    if infinite:
        _fail(text, infinite.at, f"{infinite.text!r} is not a number here; leave out what is infinite: max(x, −∞) is x")
    unknown = next((t for t in tokens if t.kind == "name" and t.text not in {*names, "max", "min"}), None)
    if unknown:
        _fail(text, unknown.at, f"{unknown.text!r} is not among the variables ({', '.join(names)})")
    return _Reader(text, tokens, names, word).read()


def _natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts x2 before x10."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts]


def _tokens(text: str) -> Iterator[Token]:
    at = 0
    while text[at:].strip():
        found = TOKEN.match(text, at)
        if not found:
            at += len(text[at:]) - len(text[at:].lstrip())
            _fail(text, at, f"{text[at]!r} is not part of a tropical function; accepted are {ACCEPTED}")
        kind = "number" if found[1] else "name" if found[2] else "mark"
        plain = (found[1] or found[2] or found[3]).replace("−", "-").replace("·", "*")
        yield Token(kind, plain, found.start(found.lastindex or 0))
        at = found.end()
    yield Token("end", "", len(text))


def _fail(text: str, at: int, why: str) -> NoReturn:
    raise InputError(f"{why}\n  {text}\n  {' ' * at}^")


class _Reader:
    """A recursive descent over the tokens; values are numbers, polynomials or rational functions of one convention."""

    def __init__(self, text: str, tokens: list[Token], names: tuple[str, ...], convention: Convention) -> None:
        self.text, self.tokens, self.names, self.convention = text, tokens, names, convention
        self.make = TropicalPolynomial if convention == "max" else MinPlusPolynomial
        self.next, self.depth = 0, 0

    def read(self) -> PolynomialWithQuotients | TropicalRational | TropicalMap:
        outputs = [self._function(self._sum())]
        while self._take(","):
            outputs.append(self._function(self._sum()))
        if self._token.kind != "end":
            self._unexpected()
        return outputs[0] if len(outputs) == 1 else TropicalMap(outputs, None)

    def _function(self, value: Any) -> PolynomialWithQuotients | TropicalRational:
        constant = isinstance(value, Fraction)
        return self.make.constant(value, len(self.names), names=self.names) if constant else value

    @property
    def _token(self) -> Token:
        return self.tokens[self.next]

    def _take(self, mark: str) -> bool:
        if self._token.kind == "mark" and self._token.text == mark:
            self.next += 1
            return True
        return False

    def _unexpected(self) -> NoReturn:
        token = self._token
        what = "the end" if token.kind == "end" else repr(token.text)
        _fail(self.text, token.at, f"{what} was not expected here; accepted are {ACCEPTED}")

    def _sum(self) -> Any:
        value = self._product()
        while True:
            if self._take("+"):
                value = self._plus(value, self._product())
            elif self._take("-"):
                value = self._plus(value, self._times(Fraction(-1), self._product()))
            else:
                return value

    def _plus(self, a: Any, b: Any) -> Any:
        if isinstance(a, Fraction) and isinstance(b, Fraction):
            return a + b
        a, b = (b, a) if isinstance(a, Fraction) else (a, b)
        return _simplest(a * b)

    def _product(self) -> Any:
        value = self._factor()
        while True:
            at = self._token.at
            if self._take("*"):
                other = self._factor()
            elif self._take("/"):
                other = self._factor()
                if not isinstance(other, Fraction) or other == 0:
                    _fail(self.text, at, "only division by a number other than 0 is piecewise linear")
                other = 1 / other
            else:
                return value
            if not isinstance(value, Fraction) and not isinstance(other, Fraction):
                _fail(self.text, at, "a product of two functions is not piecewise linear; one factor must be a number")
            value = self._times(value, other)

    def _times(self, a: Any, b: Any) -> Any:
        if isinstance(a, Fraction) and isinstance(b, Fraction):
            return a * b
        factor, value = (a, b) if isinstance(a, Fraction) else (b, a)
        if isinstance(value, PolynomialWithQuotients) and (factor >= 0 or len(value) == 1):
            return value**factor
        return _simplest(as_rational(value) ** factor)

    def _factor(self) -> Any:
        token = self._token
        self.depth += 1
        if self.depth > MAX_DEPTH:
            _fail(self.text, token.at, f"more than {MAX_DEPTH} nested parentheses or signs")
        value = self._factor_after(token)
        self.depth -= 1
        return value

    def _factor_after(self, token: Token) -> Any:
        if self._take("-"):
            return self._times(Fraction(-1), self._factor())
        if self._take("+"):
            return self._factor()
        if self._take("("):
            value = self._sum()
            self._close()
            return value
        if token.kind == "number":
            self.next += 1
            return Fraction(token.text)
        if token.kind != "name":
            self._unexpected()
        self.next += 1
        if token.text not in ("max", "min"):
            return self.make.variable(self.names.index(token.text), len(self.names), names=self.names)
        if not self._take("("):
            self._unexpected()
        operands = [self._function(self._sum())]
        while self._take(","):
            operands.append(self._function(self._sum()))
        self._close()
        return self._extremum(token.text, operands)

    def _close(self) -> None:
        if not self._take(")"):
            self._unexpected()

    def _extremum(self, word: str, operands: list[Any]) -> Any:
        """The maximum or the minimum; of the other convention by min(a, b) = −max(−a, −b)."""
        turned = word != self.convention
        if turned:
            operands = [as_rational(f) ** -1 for f in operands]
        total: Any = operands[0]
        for f in operands[1:]:
            convex = isinstance(f, PolynomialWithQuotients) and isinstance(total, PolynomialWithQuotients)
            total = total + f if convex else (as_rational(total) + as_rational(f)).essential()
        return _simplest(as_rational(total) ** -1) if turned else _simplest(total)


def _simplest(value: Any) -> Any:
    """A polynomial where the denominator is one monomial."""
    if isinstance(value, TropicalRational) and len(value.g) == 1:
        return value.f * value.g**-1
    return value
