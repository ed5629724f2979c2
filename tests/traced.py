"""The shared cases as traced networks, each traced once per test run."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor, nn

import tropica as tp
from tests.networks import CASES, REPRESENTATIVE, Case, logits_of

POINTS = 12
_SLOW = {case.name for case in CASES} - {case.name for case in REPRESENTATIVE}
by_op = pytest.mark.parametrize("name", [case.name for case in CASES])
"""Parametrization of properties of single ops: every network of the list."""
by_name = pytest.mark.parametrize(
    "name", [pytest.param(case.name, marks=[pytest.mark.slow] if case.name in _SLOW else []) for case in CASES]
)
"""Parametrization of properties of any graph: the representative networks; the others are marked slow."""
_CASES = {case.name: case for case in CASES}


def case_of(name: str) -> Case:
    """The case with this name."""
    return _CASES[name]


@cache
def model_of(name: str, dtype: torch.dtype = torch.float64) -> nn.Module:
    """The model of a case, seed 0, with its head. The weights are float32 numbers in every dtype."""
    return case_of(name).make(0).to(dtype)


@cache
def traced(name: str, dtype: torch.dtype = torch.float64) -> tp.PiecewiseLinearNetwork:
    """The network of a case, seed 0."""
    return tp.trace(model_of(name, dtype), points(name, 2, dtype=dtype))


@cache
def points(name: str, n: int = POINTS, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Standard normal points for a case."""
    return case_of(name).inputs(n, seed, dtype)


def logits(name: str, x: Tensor) -> Tensor:
    """The model's own logits (B, s), without its head."""
    with torch.no_grad():
        out = logits_of(model_of(name, x.dtype))(x)
    return out.reshape(len(x), -1)
