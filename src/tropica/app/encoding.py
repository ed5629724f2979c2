"""Numbers for the page: arrays as base64 of their bytes, JSON with every digit, and numbers out of addresses."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from starlette.responses import Response


def packed(array: Any, dtype: str = "float64") -> dict[str, Any]:
    """An array as its shape and its little-endian bytes.

    >>> packed(np.zeros((2, 1)), "uint8")
    {'shape': [2, 1], 'dtype': 'uint8', 'data': 'AAA='}
    """
    values = np.ascontiguousarray(array, dtype=np.dtype(dtype).newbyteorder("<"))
    return {"shape": list(values.shape), "dtype": dtype, "data": base64.b64encode(values.tobytes()).decode()}


def unpacked(found: Mapping[str, Any]) -> np.ndarray:
    """The array of :func:`packed`.

    >>> unpacked(packed(np.arange(3.0))).tolist()
    [0.0, 1.0, 2.0]
    """
    flat = np.frombuffer(base64.b64decode(found["data"]), np.dtype(found["dtype"]).newbyteorder("<"))
    return flat.reshape(found["shape"])


def plain(value: Any) -> Any:
    """The same with Python's own numbers and lists; ±∞ and NaN, which JSON has not, as texts.

    >>> plain({"a": np.float64(0.5), "b": (1, -math.inf)})
    {'a': 0.5, 'b': [1, '-∞']}
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "-∞"
    return value


class Json(Response):
    """An answer in JSON."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The bytes of the answer."""
        return json.dumps(plain(content), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


class AddressQuery:
    """The parameters of an address, each checked as it is read."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given

    def word(self, name: str, allowed: tuple[str, ...] | list[str], default: str | None = None) -> str:
        """One of some words."""
        value = self.text(name, default)
        if value not in allowed:
            raise _input_error(f"{name} must be one of {', '.join(allowed)}; found {value!r}")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        """A text."""
        value = self._given.get(name, default)
        if value is None:
            raise _input_error(f"{name} is missing")
        return value

    def integer(self, name: str, default: int | None = None, least: int = 0, most: int = 2**53) -> int:
        """A whole number."""
        found = self.integers(name, None if default is None else str(default))
        if len(found) != 1 or not least <= found[0] <= most:
            raise _input_error(f"{name} must be a whole number from {least} to {most:,}; found {self.text(name)!r}")
        return found[0]

    def integers(self, name: str, default: str | None = None, most: int = 4096) -> list[int]:
        """Whole numbers with commas between them."""
        text = self.text(name, default)
        try:
            found = [int(part) for part in text.split(",") if part]
        except ValueError:
            raise _input_error(f"{name} must be whole numbers; found {text[:80]!r}") from None
        if len(found) > most:
            raise _input_error(f"{name}: at most {most:,} at a time; found {len(found):,}")
        return found

    def numbers(self, name: str, count: int | None = None, default: str | None = None) -> list[float]:
        """Finite numbers with commas between them."""
        text = self.text(name, default)
        try:
            found = [float(part) for part in text.split(",") if part]
        except ValueError:
            raise _input_error(f"{name} must be numbers; found {text[:80]!r}") from None
        if not all(map(math.isfinite, found)) or (count is not None and len(found) != count):
            raise _input_error(f"{name} must be {count or 'some'} finite numbers; found {text[:80]!r}")
        return found

    def number_or_none(self, name: str) -> float | None:
        """A finite number; None where the address has none."""
        return self.numbers(name, 1)[0] if self._given.get(name) else None


def _input_error(text: str) -> Exception:
    import tropica as tp

    return tp.InputError(text)
