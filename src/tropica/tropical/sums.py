"""``tropical_sum`` and ``tropical_prod``: ⊕ and ⊙ of any number of functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from operator import add, mul
from typing import Any

from tropica.errors import InputError
from tropica.runtime.arithmetic import own_settings
from tropica.tropical.polynomial import PolynomialWithQuotients, TropicalRational


@own_settings()
def tropical_sum(functions: Iterable[Any]) -> Any:
    """Compute f_1 ⊕ f_2 ⊕ ...: polynomials and rational functions of one convention, and numbers among them.

    Raises:
        InputError: no function (the tropical zero, −∞ or +∞, is not a function here), or functions that do not fit.

    >>> import tropica as tp
    >>> x, y = (tp.TropicalPolynomial.variable(i, 2) for i in range(2))
    >>> tropical_sum([x, y, 3])
    max-plus: 0⊙x₁ ⊕ 0⊙x₂ ⊕ 3
    """
    return _folded(functions, add, "⊕")


@own_settings()
def tropical_prod(functions: Iterable[Any]) -> Any:
    """Compute f_1 ⊙ f_2 ⊙ .... Args, Raises: as :func:`tropical_sum`.

    >>> import tropica as tp
    >>> x, y = (tp.TropicalPolynomial.variable(i, 2) for i in range(2))
    >>> tropical_prod([x, y, y])
    max-plus: 0⊙x₁x₂²
    """
    return _folded(functions, mul, "⊙")


def _folded(functions: Iterable[Any], operation: Callable[[Any, Any], Any], mark: str) -> Any:
    given = list(functions)
    if not any(isinstance(f, PolynomialWithQuotients | TropicalRational) for f in given):
        raise InputError(f"{mark} of functions needs at least one polynomial or rational function; found {given!r}")
    given.sort(key=lambda f: not isinstance(f, PolynomialWithQuotients | TropicalRational))  # numbers join on the right
    return reduce(operation, given)
