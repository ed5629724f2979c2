"""``Snapshot``: the state of everything that a model's forward pass can reach, so that it can be restored.

``torch.export`` runs the forward pass on tensors without values. What the code keeps (a mask in a buffer, a cached property, a
dictionary of grids) then holds such tensors, and the model is broken. A snapshot is taken before, and restored afterwards.
"""

from __future__ import annotations

import functools
import random
import sys
import types
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor


@dataclass(frozen=True)
class Saved:
    """The saved state of one object: whether the object has changed since, and how to restore it."""

    changed: Callable[[], bool]
    restore: Callable[[], None]


_ATOMS = (type(None), bool, int, float, complex, str, bytes, type, types.ModuleType, torch.dtype, torch.device, torch.Size)
_FOREIGN = {*sys.stdlib_module_names, "torch", "numpy", "tropica"} - {"collections", "functools", "types", "__main__"}
"""Packages whose classes and functions are not searched; of their objects, modules alone."""
_CACHED = type(functools.lru_cache(lambda: None))


class Snapshot:
    """State of everything reachable from some objects: attributes, containers, closures, classes, tensors, random numbers.

    Args:
        roots: the objects.
        values: also keep copies of the tensors' values, their gradients, and the states of random generators.
    """

    def __init__(self, *roots: Any, values: bool = True) -> None:
        self._values = values
        self._seen: dict[int, Any] = {}  # keeps the objects alive, so that their ids stay unique
        self._saved: list[Saved] = []
        waiting = list(roots)
        while waiting:
            one = waiting.pop()
            if id(one) not in self._seen and not isinstance(one, _ATOMS):
                self._seen[id(one)] = one
                waiting += self._save(one)
        self._random = _random_states() if values else None

    def changed(self) -> bool:
        """Whether anything has changed, random numbers aside."""
        return any(saved.changed() for saved in self._saved)

    def restore(self) -> None:
        """Restore what has changed."""
        for saved in self._saved:
            if saved.changed():
                saved.restore()
        if self._random is not None:
            _set_random_states(*self._random)

    def _save(self, one: Any) -> Iterable[Any]:
        """Save one object; return the objects that it refers to."""
        if isinstance(one, Tensor):
            return self._tensor(one) if self._values else ()
        if isinstance(one, np.ndarray):
            if self._values and one.dtype != object:
                self._saved.append(_array(one))
            return ()
        return [*self._container(one), *self._attributes(one), *self._code(one)]

    def _tensor(self, tensor: Tensor) -> Iterable[Any]:
        saved = _tensor(tensor)
        if saved is None:
            return ()
        self._saved.append(saved)
        return (tensor.grad, vars(tensor)) if tensor.is_leaf else (vars(tensor),)

    def _container(self, one: Any) -> Iterable[Any]:
        if isinstance(one, dict):
            self._saved.append(_dictionary(one))
            return [*one.values(), *one.keys()]
        if isinstance(one, list | deque):
            self._saved.append(_sequence(one))
        elif isinstance(one, set):
            self._saved.append(_set(one))
        elif not isinstance(one, tuple | frozenset):
            return ()
        return list(one)

    def _attributes(self, one: Any) -> Iterable[Any]:
        """The dictionary and slots of an object, and the class of a module, which parametrizations replace."""
        if _is_foreign(type(one).__module__) and not isinstance(one, nn.Module | types.FunctionType):
            return ()
        found: list[Any] = [vars(one)] if isinstance(getattr(one, "__dict__", None), dict) else []
        for cls in type(one).__mro__:
            if _is_foreign(cls.__module__):
                continue
            found += self._class(cls)
            for name in _slots(cls):
                self._saved.append(_attribute(one, name))
                found.append(getattr(one, name, None))
        if isinstance(one, nn.Module):
            self._saved.append(_class_of(one))
        return found

    def _class(self, cls: type) -> Iterable[Any]:
        """Attributes of a class of the user's: shared caches, and what its methods refer to."""
        if id(cls) in self._seen:
            return ()
        self._seen[id(cls)] = cls
        self._saved.append(_class_attributes(cls))
        return [_function_of(value) for name, value in vars(cls).items() if not name.startswith("__") or name == "__call__"]

    def _code(self, one: Any) -> Iterable[Any]:
        """What a function refers to: closure, defaults, wrapped functions, global variables."""
        if isinstance(one, types.MethodType):
            return (one.__func__, one.__self__)
        if isinstance(one, functools.partial):
            return (one.func, one.args, one.keywords)
        if isinstance(one, _CACHED):
            self._saved.append(_cached_function(one))
            return (one.__wrapped__,)
        if isinstance(one, types.CellType):
            self._saved.append(_attribute(one, "cell_contents"))
            return (getattr(one, "cell_contents", None),) if _is_full(one) else ()
        if not isinstance(one, types.FunctionType):
            return ()
        if _is_foreign(one.__module__):
            return one.__closure__ or ()
        self._saved += [_item(one.__globals__, name) for name in _global_names(one)]
        known = (one.__globals__.get(name) for name in _global_names(one))
        return [*(one.__closure__ or ()), one.__defaults__, one.__kwdefaults__, *(value for value in known if _is_state(value))]


def _is_foreign(module: str | None) -> bool:
    return module is not None and module.partition(".")[0] in _FOREIGN


def _is_state(value: Any) -> bool:
    """Whether a global variable may hold state that a forward pass changes."""
    return isinstance(value, dict | list | set | deque | Tensor | nn.Module | types.FunctionType | _CACHED)


def _is_full(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 (raises for an empty cell)
    except ValueError:
        return False
    return True


def _function_of(value: Any) -> Any:
    """The function inside a property, a class method or a cached property; any other value as it is."""
    if isinstance(value, property):
        return value.fget
    if isinstance(value, functools.cached_property):
        return value.func
    return value.__func__ if isinstance(value, classmethod | staticmethod) else value


def _slots(cls: type) -> list[str]:
    slots = vars(cls).get("__slots__", ())
    names = [slots] if isinstance(slots, str) else list(slots)
    return [name for name in names if name not in ("__dict__", "__weakref__") and not name.startswith("__")]


def _global_names(function: types.FunctionType) -> list[str]:
    """Names of global variables that the code of a function, or of a function inside it, reads or writes."""

    def names(code: types.CodeType) -> Iterator[str]:
        yield from code.co_names
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                yield from names(constant)

    return [name for name in dict.fromkeys(names(function.__code__)) if name in function.__globals__]


# ── one object ─────────────────────────────────────────────────────────────────────────────────────────────────────────


_MISSING = object()


def _same(a: Iterable[Any], b: Iterable[Any]) -> bool:
    """Whether two series hold the same objects."""
    return [id(one) for one in a] == [id(one) for one in b]


def _dictionary(one: dict[Any, Any]) -> Saved:
    base: Any = OrderedDict if isinstance(one, OrderedDict) else dict
    saved = list(one.items())
    flat = [part for pair in saved for part in pair]

    def restore() -> None:
        base.clear(one)
        for key, value in saved:
            base.__setitem__(one, key, value)

    return Saved(lambda: not _same((part for pair in base.items(one) for part in pair), flat), restore)


def _sequence(one: list[Any] | deque[Any]) -> Saved:
    saved = list(one)

    def restore() -> None:
        one.clear()
        one.extend(saved)

    return Saved(lambda: not _same(one, saved), restore)


def _set(one: set[Any]) -> Saved:
    saved = list(one)

    def restore() -> None:
        one.clear()
        one.update(saved)

    return Saved(lambda: {id(item) for item in one} != {id(item) for item in saved}, restore)


def _attribute(one: Any, name: str) -> Saved:
    """One slot of an object, or the contents of a cell."""

    def value() -> Any:
        try:
            return getattr(one, name)
        except (AttributeError, ValueError):
            return _MISSING

    def restore() -> None:
        object.__delattr__(one, name) if saved is _MISSING else object.__setattr__(one, name, saved)

    saved = value()
    return Saved(lambda: value() is not saved, restore)


def _item(variables: dict[str, Any], name: str) -> Saved:
    """One global variable."""
    saved = variables[name]
    return Saved(lambda: variables.get(name, _MISSING) is not saved, lambda: variables.__setitem__(name, saved))


def _class_of(module: nn.Module) -> Saved:
    saved = type(module)
    return Saved(lambda: type(module) is not saved, lambda: setattr(module, "__class__", saved))


def _class_attributes(cls: type) -> Saved:
    saved = dict(vars(cls))

    def different() -> list[str]:
        now = dict(vars(cls))
        names = [name for name in {**saved, **now} if now.get(name, _MISSING) is not saved.get(name, _MISSING)]
        return [name for name in names if not name.startswith("__")]

    def restore() -> None:
        for name in different():
            type.__setattr__(cls, name, saved[name]) if name in saved else type.__delattr__(cls, name)

    return Saved(lambda: bool(different()), restore)


def _cached_function(function: Any) -> Saved:
    """An ``lru_cache``: it is emptied if it has grown, as single entries cannot be removed."""
    misses = function.cache_info().misses
    return Saved(lambda: function.cache_info().misses != misses, function.cache_clear)


def _array(array: np.ndarray) -> Saved:
    saved = array.copy()
    return Saved(lambda: array.tobytes() != saved.tobytes(), lambda: array.__setitem__(..., saved))


def _tensor(tensor: Tensor) -> Saved | None:
    """A tensor's storage, values, class, gradient and flags; None for a tensor without readable values."""
    if tensor.layout != torch.strided or tensor.is_meta or tensor.is_nested or isinstance(tensor, FakeTensor):
        return None
    with torch.no_grad():
        storage, values = tensor.detach(), tensor.detach().clone()
    cls, requires_grad, grad = type(tensor), tensor.requires_grad, tensor.grad if tensor.is_leaf else None
    place = (tensor.data_ptr(), tensor.shape, tensor.dtype)

    def has_moved() -> bool:
        return type(tensor) is not cls or (tensor.data_ptr(), tensor.shape, tensor.dtype) != place

    def has_other_flags() -> bool:
        return tensor.is_leaf and (tensor.requires_grad != requires_grad or tensor.grad is not grad)

    def restore() -> None:
        with torch.no_grad(), torch.inference_mode(tensor.is_inference()):
            if has_moved():
                tensor.__class__ = cls
                tensor.data = storage
            if not _equal(storage, values):
                storage.copy_(values)
        if has_other_flags():
            tensor.requires_grad_(requires_grad)
            tensor.grad = grad

    return Saved(lambda: has_moved() or has_other_flags() or not _equal(storage, values), restore)


def _equal(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors have the same values, NaN included."""
    return a.equal(b) or (a.is_floating_point() and bool(((a == b) | ((a != a) & (b != b))).all()))


# ── random numbers ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _random_states() -> tuple[Any, ...]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() and torch.cuda.is_initialized() else []
    return torch.get_rng_state(), cuda, random.getstate(), np.random.get_state()  # noqa: NPY002 (the global state)


def _set_random_states(cpu: Tensor, cuda: list[Tensor], plain: Any, array: Any) -> None:
    torch.set_rng_state(cpu)
    if cuda:
        torch.cuda.set_rng_state_all(cuda)
    random.setstate(plain)
    np.random.set_state(array)  # noqa: NPY002
