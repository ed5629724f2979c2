"""The two conventions of tropical algebra: ⊕ is the maximum ("max") or the minimum ("min").

x ↦ min_k (c_k + ⟨α_k, x⟩) is −f(−x) for the max-plus polynomial f with the coefficients −c_k. So every computation is done in
max-plus: signs change on the way in and on the way out.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from tropica.errors import InputError

Convention: TypeAlias = Literal["max", "min"]


def sign_of(convention: str) -> int:
    """1 for "max", −1 for "min".

    Raises:
        InputError: another word.

    >>> sign_of("max"), sign_of("min")
    (1, -1)
    """
    if convention not in ("max", "min"):
        raise InputError(f'convention must be "max" (⊕ is the maximum) or "min" (⊕ is the minimum); found {convention!r}')
    return 1 if convention == "max" else -1


def shown(convention: Convention) -> str:
    """The name of a convention in texts.

    >>> shown("min")
    'min-plus'
    """
    return f"{convention}-plus"
