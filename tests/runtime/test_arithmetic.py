"""The settings around a public call change nothing in its results, and are the same afterwards."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import tropica as tp
from tropica.runtime.arithmetic import ThreadSettings, callers_settings, own_settings


@contextmanager
def switched(set_to: Callable[[Any], object], during: Any, after: Any) -> Iterator[None]:
    set_to(during)
    try:
        yield
    finally:
        set_to(after)


@contextmanager
def numpy_raises() -> Iterator[None]:
    with np.errstate(all="raise"):
        yield


SURROUNDINGS: dict[str, Callable[[], Any]] = {
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "medium precision": lambda: switched(torch.set_float32_matmul_precision, "medium", "highest"),
    "bfloat16 products": lambda: switched(
        lambda value: torch._C._set_fp32_precision_setter("mkldnn", "matmul", value), "bf16", "none"
    ),
    "deterministic": lambda: switched(torch.use_deterministic_algorithms, True, False),
    "flush denormal": lambda: switched(torch.set_flush_denormal, True, False),
    "float64": lambda: switched(torch.set_default_dtype, torch.float64, torch.float32),
    "meta": lambda: torch.device("meta"),
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
    "anomaly detection": torch.autograd.detect_anomaly,
    "NumPy raises": numpy_raises,
}


def model() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 3)).eval()
    next(layers.parameters()).data.mul_(1.00390625)
    return layers


def points(count: int, seed: int) -> Tensor:
    return torch.randn(count, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float32, device="cpu")


def public_calls(module: nn.Module, x: Tensor, test: Tensor) -> dict[str, Any]:
    """What the public calls give."""
    net = tp.trace(module, x[:2])
    made = tp.decompose(net, x)
    smaller = tp.decompose(net, x, method="minimal")
    terms = tp.extract(module, x, made)
    f = tp.ExtractedFunction(terms)
    line = tp.linear_regions(net.to(torch.float64), tp.Segment(x[0].double(), x[1].double()))
    return {
        "logits": net(test),
        "scores": net.scores(test),
        "multipliers": list(made.multipliers.values()),
        "minimal": list(smaller.multipliers.values()),
        "f_plus": made.f_plus(test),
        "local": terms.local.weight,
        "plus": terms.plus(test),
        "bias": terms.minus.bias,
        "certificate": terms.certificate,
        "values": f(test),
        "labels": f.predict(test),
        "active": f.active_term(test),
        "streamed": tp.ExtractedFunction.streaming(net, x)(test),
        "agreement": tp.agreement(net, f, test),
        "pattern": net.activation_pattern(test),
        "patterns": tp.count_patterns(net, test),
        "terms": tp.count_terms(net, test),
        "map": net.local_map(test).weight,
        "breakpoints": line.breakpoints,
        "angles": tp.angles(terms.local, terms.minus),
    }


def same(a: Any, b: Any) -> bool:
    if isinstance(a, list):
        return all(map(same, a, b))
    if isinstance(a, Tensor | np.ndarray):
        a, b = torch.as_tensor(a), torch.as_tensor(b)
        return a.dtype == b.dtype and not b.is_inference() and torch.equal(a, b)
    return bool(a == b)


@pytest.fixture(scope="module")
def usual() -> dict[str, Any]:
    return public_calls(model(), points(60, 1), points(30, 2))


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_surroundings_change_no_result(name: str, usual: dict[str, Any]) -> None:
    module, x, test = model(), points(60, 1), points(30, 2)
    with SURROUNDINGS[name]():
        before = ThreadSettings.current(), torch.get_default_dtype(), torch.get_deterministic_debug_mode()
        found = public_calls(module, x, test)
        assert before == (ThreadSettings.current(), torch.get_default_dtype(), torch.get_deterministic_debug_mode())
    assert [key for key in usual if not same(usual[key], found[key])] == []


def test_every_public_function_holds_the_settings() -> None:
    functions = {name: getattr(tp, name) for name in tp.__all__ if inspect.isfunction(getattr(tp, name))}
    assert [name for name, function in functions.items() if not hasattr(function, "__wrapped__")] == []


def test_results_of_the_network_stay_differentiable() -> None:
    net, x = tp.trace(model(), points(2, 1)), points(3, 2).requires_grad_()
    assert net(x).requires_grad
    with torch.no_grad():
        assert not net(x).requires_grad


def test_denormal_numbers_survive_in_worker_threads() -> None:
    """Worker threads that were started under set_flush_denormal(True) keep it."""
    x = torch.full((2**18,), 1e-39)
    with switched(torch.set_flush_denormal, True, False):
        torch.mm(torch.ones(512, 512), torch.ones(512, 512))
        with own_settings():
            assert bool((x * 0.5).view(torch.int32).all())


def test_data_are_made_under_the_settings_of_the_caller() -> None:
    class Zeros(torch.utils.data.Dataset[Tensor]):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> Tensor:
            seen.append(torch.zeros(6).dtype)
            return torch.zeros(6, dtype=torch.float32)

    seen: list[torch.dtype] = []
    with switched(torch.set_default_dtype, torch.float64, torch.float32):
        tp.count_patterns(model().float(), Zeros())
    assert set(seen) == {torch.float64}


def test_models_are_traced_with_the_default_dtype_of_the_caller() -> None:
    class Shift(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x + torch.ones(3))

    with switched(torch.set_default_dtype, torch.float64, torch.float32):
        net = tp.trace(Shift().eval(), torch.zeros(2, 3))
        assert net.dtype == torch.float64


def test_nothing_is_held_outside_of_a_call() -> None:
    with own_settings(), callers_settings(), torch.autocast("cpu"):
        assert torch.is_autocast_enabled("cpu")
    assert not torch.is_autocast_enabled("cpu")
