"""Sizes of families of tests: few examples and seeds by default, all of them in ``make test-all``."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import settings


def examples(n: int, **more: Any) -> settings:
    """Settings of a property test: n examples in hypothesis's profile "full", n / 4 by default."""
    return settings(max_examples=math.ceil(n * settings().max_examples / 100), **more)


def some_slow(values: Iterable[Any], *, quick: int) -> list[Any]:
    """Values of a parametrization: those after the first `quick` are marked slow."""
    return [value if i < quick else pytest.param(value, marks=pytest.mark.slow) for i, value in enumerate(values)]
