"""Whatever a forward pass keeps is as before the trace: values, identities and types of everything reachable."""

from __future__ import annotations

import gc
import types
from collections import OrderedDict, deque
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.ao.quantization import FakeQuantize
from torch.testing import assert_close

import tropica as tp
from tests.network_modules import Apply

X = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
GLOBAL_CACHE: dict[int, Tensor] = {}
GLOBAL_MASK: Tensor | None = None


def parts(one: object) -> list[object]:
    if isinstance(one, types.FunctionType):
        return [*(one.__closure__ or ())]
    if isinstance(one, dict):
        return [part for pair in one.items() for part in pair]
    if isinstance(one, nn.Module | types.SimpleNamespace):
        return [vars(one)]
    return gc.get_referents(one)


def reachable(root: object) -> dict[int, tuple[object, Any]]:
    """Every object that the garbage collector finds from the root, short of Python modules and classes, and what it holds."""
    found: dict[int, tuple[object, Any]] = {}
    waiting = [root]
    while waiting:
        one = waiting.pop()
        if id(one) in found or isinstance(one, types.ModuleType | type | types.CodeType | str | int | float):
            continue
        inside = parts(one)
        held: Any = [id(part) for part in inside]
        if isinstance(one, Tensor):
            held = (one.detach().clone(), one.data_ptr(), one.requires_grad, one.is_leaf)
            inside = [vars(one), one.grad if one.is_leaf else None]
        found[id(one)] = one, (type(one), held)
        waiting += inside
    return found


def assert_same(before: dict[int, tuple[object, Any]], after: dict[int, tuple[object, Any]]) -> None:
    assert before.keys() == after.keys()
    for key, (one, (kind, held)) in before.items():
        new_kind, new = after[key][1]
        assert kind is new_kind
        if isinstance(one, Tensor):
            assert held[0].equal(new[0])
            assert held[1:] == new[1:]
        else:
            assert held == new, one


class Base(nn.Module):
    shared: ClassVar[dict[str, Tensor]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 6)
        self.register_buffer("mask", None)
        self.cache: dict[int, Tensor] = {}
        self.kept: list[Tensor] = []
        self.recent: deque[Tensor] = deque(maxlen=2)
        self.note = types.SimpleNamespace(grid=None)
        self.eval()

    def grid(self) -> Tensor:
        return torch.arange(6.0) + 1

    def weights(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.layer(x)) * self.weights(x)


class NoneBuffer(Base):
    def weights(self, x: Tensor) -> Tensor:
        if self.mask is None:
            self.mask = self.grid()
        return self.mask


class HasAttribute(Base):
    def weights(self, x: Tensor) -> Tensor:
        if not hasattr(self, "made"):
            self.made = self.grid()
        return self.made


class Cached(Base):
    @cached_property
    def table(self) -> Tensor:
        return self.grid()

    def weights(self, x: Tensor) -> Tensor:
        return self.table


class Registers(Base):
    def weights(self, x: Tensor) -> Tensor:
        self.register_buffer("late", self.grid())
        return self.get_buffer("late")


class Containers(Base):
    def weights(self, x: Tensor) -> Tensor:
        if 6 not in self.cache:
            self.cache[6] = self.grid()
        self.kept.append(x)
        self.recent.append(x)
        if self.note.grid is None:
            self.note.grid = self.grid()
        return self.cache[6] + self.note.grid


class AddsModules(Base):
    def weights(self, x: Tensor) -> Tensor:
        if "scale" not in self._modules:
            scale = nn.Linear(1, 6)
            nn.init.ones_(scale.weight)
            self.add_module("scale", scale)
        return self.get_parameter("scale.weight")[:, 0]


class KeepsOutputs(Base):
    def weights(self, x: Tensor) -> Tensor:
        self.last = x
        self.layer.seen = x  # type: ignore[assignment]
        return self.grid()


class Counts(Base):
    calls = 0

    def weights(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.layer.weight.grad = torch.ones(6, 6)
        self.layer.bias.requires_grad_(False)
        return self.grid()


class ClassCache(Base):
    def weights(self, x: Tensor) -> Tensor:
        if "grid" not in type(self).shared:
            type(self).shared["grid"] = self.grid()
            type(self).late = self.grid()  # type: ignore[attr-defined]
        return type(self).shared["grid"]


class Globals(Base):
    def weights(self, x: Tensor) -> Tensor:
        global GLOBAL_MASK
        if GLOBAL_MASK is None:
            GLOBAL_MASK = self.grid()
        return GLOBAL_MASK * GLOBAL_CACHE.setdefault(6, self.grid())


@lru_cache
def shared_grid(n: int) -> Tensor:
    return torch.arange(n) + 1.0


class LruCache(Base):
    def weights(self, x: Tensor) -> Tensor:
        return shared_grid(6)


class Hooked(Base):
    def __init__(self) -> None:
        super().__init__()
        cache: OrderedDict[str, Any] = OrderedDict(a=torch.zeros(1))
        self.closure = lambda: cache.setdefault("grid", self.grid())
        self.layer.register_forward_hook(lambda module, args, out: cache.__setitem__("out", out))

    def weights(self, x: Tensor) -> Tensor:
        return self.closure()


class Writes(Base):
    """Writes values into its weights, then writes the old ones back: its function is pure."""

    def weights(self, x: Tensor) -> Tensor:
        self.__class__ = Base  # type: ignore[assignment]
        self.__class__ = Writes  # type: ignore[assignment]
        torch.manual_seed(0)
        return self.grid()


KEEPING = [
    *(NoneBuffer, HasAttribute, Cached, Registers, Containers, AddsModules, KeepsOutputs, Counts),
    *(ClassCache, Globals, LruCache, Hooked, Writes),
]


@pytest.mark.parametrize("kind", KEEPING, ids=lambda kind: kind.__name__)
def test_restored(kind: type[Base], tmp_path: Any) -> None:
    """The trace is right, and the model is as before; then it still computes the same, and can be saved."""
    model = kind()
    world = [model, Base.shared, GLOBAL_CACHE, lambda: GLOBAL_MASK]
    before, random = reachable(world), torch.get_rng_state()
    net = tp.trace(model, X)
    assert_same(before, reachable(world))
    assert GLOBAL_MASK is None
    assert not GLOBAL_CACHE
    assert random.equal(torch.get_rng_state())
    out = model(X.clone())
    assert type(out) is Tensor
    assert_close(net(X), out)
    torch.save(model.state_dict(), tmp_path / "model.pt")
    reset()


def reset() -> None:
    """Empty the caches that outlive a model."""
    global GLOBAL_MASK
    GLOBAL_MASK = None
    GLOBAL_CACHE.clear()
    Base.shared.clear()
    shared_grid.cache_clear()


@pytest.mark.parametrize("kind", KEEPING[::3], ids=lambda kind: kind.__name__)
def test_restored_after_a_refusal(kind: type[Base]) -> None:
    model = nn.Sequential(kind(), nn.Tanh(), nn.Linear(6, 2)).eval()
    world = [model, Base.shared]
    before = reachable(world)
    with pytest.raises(tp.UnsupportedOperation):
        tp.trace(model, X)
    assert_same(before, reachable(world))
    assert type(model(X)) is Tensor
    reset()


class FirstBatch(Base):
    """Its function depends on its first batch."""

    def weights(self, x: Tensor) -> Tensor:
        if self.mask is None:
            self.mask = x.mean(0)
        return self.mask


class EachCall(Base):
    calls = 0

    def weights(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.grid() * self.calls


@pytest.mark.parametrize("kind", [FirstBatch, EachCall])
def test_stateful_models_are_refused(kind: type[Base]) -> None:
    model = kind()
    before = reachable(model)
    with pytest.raises((tp.TraceMismatch, tp.TraceError)):
        tp.trace(model, X)
    assert_same(before, reachable(model))


# ── transforms, modes and kinds of tensors ─────────────────────────────────────────────────────────────────────────────


def test_vmap() -> None:
    """vmap is resolved; the transforms themselves are never run, and later traces work."""
    layer = nn.Linear(6, 3)
    model = Apply("vmap", lambda x: torch.vmap(lambda v: torch.relu(F.linear(v, layer.weight, layer.bias)))(x))
    assert_close(tp.trace(model.eval(), X)(X), model(X))
    with pytest.raises(tp.TropicaError):
        tp.trace(Apply("jvp", lambda x: torch.func.jvp(torch.relu, (x,), (x,))[1]).eval(), X)
    assert_close(tp.trace(layer.eval(), X)(X), layer(X))


def test_modes_in_the_code() -> None:
    """Gradient modes in the code neither reach the caller nor change the function."""

    def code(x: Tensor) -> Tensor:
        with torch.no_grad():
            h = torch.relu(x)
        torch._C._set_grad_enabled(False)
        out = h - torch.relu(-x)
        torch._C._set_grad_enabled(True)
        return out

    assert torch.is_grad_enabled()
    assert_close(tp.trace(Apply("code", code).eval(), X)(X), X)
    assert torch.is_grad_enabled()


def test_inference_mode() -> None:
    """Models and examples that were made under inference mode."""
    with torch.inference_mode():
        model, x = nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3), nn.ReLU()).eval(), torch.randn(3, 6)
        inside = tp.trace(model, x)
    before = reachable(model)
    net = tp.trace(model, x)
    assert_same(before, reachable(model))
    at = X.clone().requires_grad_()
    for one in (net, inside):
        with torch.inference_mode():
            wanted = model(X).clone()
        assert_close(one(X), wanted)
        one(at).sum().backward()


def meta() -> nn.Module:
    with torch.device("meta"):
        return nn.Linear(6, 3)


def sparse() -> nn.Module:
    model = nn.Linear(6, 3)
    model.weight = nn.Parameter(model.weight.detach().to_sparse())
    return model


def quantized() -> nn.Module:
    return torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(6, 3)), {nn.Linear})


class Complex(nn.Module):
    """Returns z + iz."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.complex(x, x)


UNFIT: dict[str, tuple[Callable[[], nn.Module], type[Exception], str]] = {
    "meta": (meta, tp.InputError, "weight is on the meta device and has no values; load"),
    "sparse": (sparse, tp.InputError, r"weight is sparse \(torch\.sparse_coo\); .*to_dense"),
    "scripted": (lambda: torch.jit.script(nn.Linear(6, 3).eval()), tp.InputError, "TorchScript"),
    "frozen": (lambda: torch.jit.freeze(torch.jit.script(nn.Linear(6, 3).eval())), tp.InputError, "TorchScript"),
    "a scripted part": (lambda: nn.Sequential(torch.jit.script(nn.ReLU())), tp.InputError, "module 0 is TorchScript"),
    "fake quantized": (
        lambda: nn.Sequential(FakeQuantize()),
        tp.UnsupportedOperation,
        "(?s)in module '0'.*before quantization",
    ),
    "complex": (Complex, tp.TraceError, "returns complex numbers; return their parts"),
    "quantized": (quantized, tp.UnsupportedOperation, "(?s)in module '0'.*before quantization"),
}


@pytest.mark.parametrize(("make", "error", "why"), UNFIT.values(), ids=list(UNFIT))
def test_unfit_models(make: Callable[[], nn.Module], error: type[Exception], why: str) -> None:
    model = make()
    if not isinstance(model, torch.jit.ScriptModule):
        model.eval()
    with pytest.raises(error, match=why) as caught:
        tp.trace(model, X)
    assert "torch/" not in str(caught.value)


@pytest.mark.parametrize(
    ("example", "why"),
    [
        (X.to("meta"), "the example is on the meta device"),
        (X.to_sparse(), "the example is sparse"),
        (torch.nested.nested_tensor([X[0], X[1]]), "the example is a nested tensor"),
    ],
)
def test_unfit_examples(example: Tensor, why: str) -> None:
    with pytest.raises(tp.InputError, match=why):
        tp.trace(nn.Linear(6, 3).eval(), example)


def test_unused_values_may_be_infinite() -> None:
    """Only what the output depends on must be finite."""
    model = nn.Sequential(nn.Linear(6, 3)).eval()
    model.register_buffer("unused", torch.tensor([torch.inf, torch.nan]))
    dead = Apply("dead", lambda x: (x + torch.inf, x)[1]).eval()
    masked = Apply("masked", lambda x: x.masked_fill(torch.arange(6) > 9, -torch.inf)).eval()
    assert_close(tp.trace(model, X)(X), model(X))
    for pure in (dead, masked):
        assert_close(tp.trace(pure, X)(X), X)
    with pytest.raises(tp.NonFiniteWeights):
        tp.trace(Apply("masked", lambda x: x.masked_fill(torch.arange(6) > 4, -torch.inf)).eval(), X)
