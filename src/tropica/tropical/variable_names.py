"""Names of variables: checked, shared by the operands of an operation, and shown in output."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tropica.errors import InputError

Names = tuple[str, ...] | None
"""A name for each variable, or None: x₁, x₂, ...."""
_DOWN = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def checked_names(names: Iterable[str] | None, variables: int) -> Names:
    """Names of all variables, checked: distinct identifiers.

    Raises:
        InputError: a wrong number of names, equal names, or text that is not a name.

    >>> checked_names(["x", "y1"], 2)
    ('x', 'y1')
    """
    if names is None:
        return None
    listed = tuple([names] if isinstance(names, str) else names)
    if len(listed) != variables:
        raise InputError(f"there must be a name for each of the {variables} variables; found {len(listed)}: {listed}")
    for name in listed:
        if not isinstance(name, str) or not name.isidentifier() or name in ("max", "min"):
            raise InputError(f"the name of a variable is a word such as x or y1; found {name!r}")
    if len(set(listed)) < len(listed):
        raise InputError(f"the names of variables must differ; found {listed}")
    return listed


def common_names(first: Names, second: Names) -> Names:
    """The names of two operands' variables.

    Raises:
        InputError: both have names, and they differ.
    """
    if first is None or second is None or first == second:
        return first or second
    raise InputError(f"functions of ({', '.join(first)}) and of ({', '.join(second)}) cannot be combined")


def plain_name(names: Names, i: int) -> str:
    """The name of variable i, from 0: x₁ by default.

    >>> plain_name(None, 0), plain_name(("u", "v"), 1)
    ('x₁', 'v')
    """
    return names[i] if names else "x" + str(i + 1).translate(_DOWN)


def latex_name(names: Names, i: int) -> str:
    r"""The name of variable i in LaTeX.

    >>> latex_name(None, 0), latex_name(("alpha2",), 0), latex_name(("y",), 0)
    ('x_{1}', '\\mathrm{alpha}_{2}', 'y')
    """
    if not names:
        return f"x_{{{i + 1}}}"
    found = re.fullmatch(r"(.*?)_?(\d*)", names[i])
    assert found is not None  # the pattern matches any name
    word, number = found.groups()
    word = word.replace("_", r"\_")
    base = word if len(word) == 1 else rf"\mathrm{{{word}}}"
    return f"{base}_{{{number}}}" if number else base
