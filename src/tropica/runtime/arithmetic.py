"""The library's own settings of arithmetic, held during every public call whatever the caller's settings are.

Error bounds and certificates assume that float32 is float32: no autocast, no TensorFloat-32 or bfloat16 products, no flushing
of denormal numbers to zero. Gradients need autograd. Tensors without a dtype or device are float32 on the CPU.

Settings of the process (precision of products, deterministic mode, default dtype) are set by the first thread that enters and
restored when the last one leaves; settings of a thread by each thread. The caller's own code, models and data sets, runs under
the caller's settings (:func:`callers_settings`).
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar

import numpy as np
import torch

T = TypeVar("T")
EXACT = ("ieee", "none")
"""The names of the exact precision of float32 products. "none" takes the value of the level above."""
BACKENDS = ("mkldnn", "cuda")
LEVELS = (
    ("generic", "all"),
    *((backend, "all") for backend in BACKENDS),
    *((backend, op) for backend in BACKENDS for op in ("matmul", "conv", "rnn")),
)
"""The places, from general to special, where PyTorch ≥ 2.9 keeps the precision of float32 products."""


@dataclass(frozen=True)
class ThreadSettings:
    """The settings of one thread: device types under autocast, inference mode, gradient mode (None: any), flushing of denormal
    numbers, anomaly detection, default device, NumPy's handling of errors."""

    autocast: frozenset[str] = frozenset()
    inference: bool = False
    gradients: bool | None = True
    flush: bool = False
    anomaly: bool = False
    device: str = "cpu"
    numpy: tuple[tuple[str, Any], ...] = (("divide", "warn"), ("invalid", "warn"), ("over", "warn"), ("under", "ignore"))

    @classmethod
    def current(cls) -> ThreadSettings:
        """The settings at hand."""
        devices = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
        return cls(
            frozenset(device for device in devices if torch.is_autocast_enabled(device)),
            torch.is_inference_mode_enabled(),
            torch.is_grad_enabled(),
            _flushes(),
            torch.is_anomaly_enabled(),
            str(torch.get_default_device()),
            tuple(sorted(np.geterr().items())),
        )

    def changes(self, now: ThreadSettings) -> Iterator[AbstractContextManager[Any]]:
        """The context managers that turn the settings ``now`` into these."""
        for device in self.autocast ^ now.autocast:
            yield torch.autocast(device, enabled=device in self.autocast)
        if self.inference != now.inference:
            yield torch.inference_mode(self.inference)
        # Inference mode carries a gradient mode of its own.
        if self.gradients is not None and (self.gradients != now.gradients or self.inference != now.inference):
            yield torch.set_grad_enabled(self.gradients)
        if self.flush != now.flush:
            yield _changed(_set_flush, now.flush, self.flush)
        if self.anomaly != now.anomaly:
            yield torch.autograd.set_detect_anomaly(self.anomaly)
        if self.device != now.device:
            yield torch.device(self.device)
        if self.numpy != now.numpy:
            yield np.errstate(**dict(self.numpy))


OWN = ThreadSettings()
_entered = threading.local()
_lock = threading.Lock()
_holders: list[ExitStack] = []  # the settings of the process, while any thread is inside
_inside = 0


@contextmanager
def own_settings(*, gradients: bool | None = True) -> Iterator[None]:
    """Hold the library's own settings; as a decorator, during each call.

    Args:
        gradients: the gradient mode; None for the caller's, for results that the caller may differentiate.

    >>> with torch.autocast("cpu"), own_settings():
    ...     torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype
    torch.float32
    """
    if getattr(_entered, "callers", None) is not None:
        yield
        return
    callers = ThreadSettings.current()
    with ExitStack() as stack:
        _enter_process()
        stack.callback(_leave_process)
        for change in replace(OWN, gradients=gradients).changes(callers):
            stack.enter_context(change)
        _entered.callers = callers
        try:
            yield
        finally:
            _entered.callers = None


def under_own_settings(cls: type[T]) -> type[T]:
    """A class decorator: public methods and cached properties of results run under :func:`own_settings`.

    Plain properties do not: they are to hand on what is there.

    >>> @under_own_settings
    ... class Result:
    ...     @cached_property
    ...     def product(self):
    ...         return torch.mm(torch.ones(2, 2), torch.ones(2, 2))
    >>> with torch.autocast("cpu"):
    ...     Result().product.dtype
    torch.float32
    """
    for name, member in list(vars(cls).items()):
        if isinstance(member, cached_property):
            wrapped = cached_property(own_settings()(member.func))
            wrapped.__set_name__(cls, name)
            setattr(cls, name, wrapped)
        elif isinstance(member, FunctionType) and not name.startswith("_"):
            setattr(cls, name, own_settings()(member))
    return cls


@contextmanager
def callers_settings(*, defaults_only: bool = False) -> Iterator[None]:
    """Run the caller's code, inside :func:`own_settings`, under the caller's settings of the thread and default dtype.

    With ``defaults_only`` these are the default dtype and device: for models, whose arithmetic is to be the library's.
    """
    callers = getattr(_entered, "callers", None)
    if callers is None:
        yield
        return
    with ExitStack() as stack:
        now = ThreadSettings.current()
        for change in (replace(now, device=callers.device) if defaults_only else callers).changes(now):
            stack.enter_context(change)
        if _callers_dtype != torch.get_default_dtype():
            stack.enter_context(_changed(torch.set_default_dtype, torch.get_default_dtype(), _callers_dtype))
        _entered.callers = None
        try:
            yield
        finally:
            _entered.callers = callers


def callers_iterator(items: Iterator[T]) -> Iterator[T]:
    """The items of an iterator of the caller's, each made under the caller's settings."""
    while True:
        with callers_settings():
            try:
                item = next(items)
            except StopIteration:
                return
        yield item


# ── settings of the process ────────────────────────────────────────────────────────────────────────────────────────────


_callers_dtype = torch.float32


def _enter_process() -> None:
    global _inside, _callers_dtype
    with _lock:
        _inside += 1
        if _inside == 1:
            _callers_dtype = torch.get_default_dtype()
            stack = ExitStack()
            for change in _process_changes():
                stack.enter_context(change)
            _holders.append(stack)


def _leave_process() -> None:
    global _inside
    with _lock:
        _inside -= 1
        if _inside == 0:
            _holders.pop().close()


def _process_changes() -> Iterator[AbstractContextManager[Any]]:
    if (dtype := torch.get_default_dtype()) != torch.float32:
        yield _changed(torch.set_default_dtype, dtype, torch.float32)
    if mode := torch.get_deterministic_debug_mode():  # some operations raise in it
        yield _changed(torch.set_deterministic_debug_mode, mode, 0)
    yield _exact_products()


@contextmanager
def _exact_products() -> Iterator[None]:
    """Hold the exact precision of float32 products.

    PyTorch ≥ 2.9 keeps the precision at several levels beside the two older flags, and raises where these disagree. So the
    flags are set first, which sets some levels, and then the levels that are left.
    """
    flags = [(name, _flag(name)) for name in FLAGS]
    levels = [(level, _precision(level)) for level in LEVELS] if hasattr(torch._C, "_get_fp32_precision_getter") else []
    for name, exact in FLAGS.items():
        _set_flag(name, exact)
    for level, _ in levels:
        if _precision(level) not in EXACT:
            torch._C._set_fp32_precision_setter(*level, "ieee")
    try:
        yield
    finally:
        for name, value in flags:
            if value is not None:
                _set_flag(name, value)
        above = dict(levels)
        for (backend, op), value in levels:
            if _precision((backend, op)) != value:
                parent = ("generic", "all") if op == "all" else (backend, "all")
                inherited = (backend, op) != parent and above[parent] == value
                torch._C._set_fp32_precision_setter(backend, op, "none" if inherited else value)


FLAGS: dict[str, Any] = {"matmul": "highest", "cudnn": False}
"""PyTorch's older flags for the precision of float32 products, with their exact values."""


def _precision(level: tuple[str, str]) -> str:
    """The precision at a level. "none" takes that of the level above."""
    return torch._C._get_fp32_precision_getter(*level)


def _flag(name: str) -> Any:
    """The value of a flag; None if it disagrees with the levels that the caller has set."""
    try:
        return torch.get_float32_matmul_precision() if name == "matmul" else torch.backends.cudnn.allow_tf32
    except RuntimeError:
        return None


def _set_flag(name: str, value: Any) -> None:
    if name == "matmul":
        torch.set_float32_matmul_precision(value)
    else:
        torch.backends.cudnn.allow_tf32 = value


@contextmanager
def _changed(set_to: Callable[[Any], object], before: Any, during: Any) -> Iterator[None]:
    set_to(during)
    try:
        yield
    finally:
        set_to(before)


# ── denormal numbers ───────────────────────────────────────────────────────────────────────────────────────────────────


def _flushes() -> bool:
    """Does this thread flush denormal numbers to zero?"""
    least = sys.float_info.min
    return least * 0.5 == 0.0


def _set_flush(on: bool) -> None:
    """Set the flushing of denormal numbers in this thread. Switching it off does so in PyTorch's worker threads as well, which
    keep the setting of the thread that started them."""
    torch.set_flush_denormal(on)
    library = Path(torch.__file__).parent / "lib" / "libgomp.so.1"
    if on or torch.get_num_threads() == 1 or not library.exists():
        return
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: torch.set_flush_denormal(False))
    ctypes.CDLL(str(library)).GOMP_parallel(function, None, ctypes.c_uint(torch.get_num_threads()), ctypes.c_uint(0))
