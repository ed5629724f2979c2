"""An archived graph as a module that runs the graph's ops in order, so that it can be traced like any other model.

Only ops on a fixed list of ATen ops run; nothing else in an archive is called, imported or evaluated.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tropica.errors import DataError, UnsupportedOperation
from tropica.network.export import source_line
from tropica.network.graph import Origin
from tropica.network.ops.registry import COMPOSITES, HEAD_OPS, NO_VALUE_OPS, RULES, reason_for, supported

# Numbers of dtypes and memory formats in the archive format (torch/_export/serde/schema.py).
_DTYPES = {
    1: torch.uint8,
    2: torch.int8,
    3: torch.int16,
    4: torch.int32,
    5: torch.int64,
    6: torch.float16,
    7: torch.float32,
    8: torch.float64,
    12: torch.bool,
    13: torch.bfloat16,
}
_MEMORY_FORMATS = {
    1: torch.contiguous_format,
    2: torch.channels_last,
    3: torch.channels_last_3d,
    4: torch.preserve_format,
}
_SIZES = {"_operator.mul": operator.mul, "_operator.add": operator.add, "_operator.floordiv": operator.floordiv}
_CONSTANT_OPS = ("_weight_norm", "arange", "linalg_vector_norm", "pow", "rsqrt", "scalar_tensor", "sqrt", "sym_size")
"""Ops on constants and sizes; applied to an activation, they are refused when the archive is traced."""


def dtype_of(number: int) -> torch.dtype:
    """The dtype with a number of the archive format."""
    if number not in _DTYPES:
        raise DataError(f"dtype number {number} of the archive format is not one of {', '.join(map(str, _DTYPES.values()))}")
    return _DTYPES[number]


@dataclass(frozen=True)
class Name:
    """A reference to a value of the archived graph."""

    name: str


@dataclass(frozen=True)
class AtenCall:
    """One op of the archived graph; ``outputs`` are names, or one name for an op that returns one tensor."""

    target: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: list[str] | str | None
    origin: Origin


def read_call(node: dict[str, Any]) -> AtenCall:
    """Read a node of the archived graph as a call."""
    metadata = node.get("metadata") or {}
    stack = [entry.split(",") for entry in metadata.get("nn_module_stack", "").split(";") if entry]
    path = stack[-1][1].partition("@")[0] if stack and len(stack[-1]) > 2 else ""
    at = Origin(node["target"].removeprefix("torch.ops."), path, source_line(metadata.get("stack_trace") or ""))
    positional = [given for given in node["inputs"] if given.get("kind", 1) == 1]
    named = {given["name"]: argument(given["arg"]) for given in node["inputs"] if given.get("kind", 1) != 1}
    args = tuple(argument(given["arg"]) for given in positional)
    return AtenCall(_target(node["target"], at), args, named, _outputs(node["outputs"]), at)


def _target(name: str, at: Origin) -> Callable[..., Any]:
    """The ATen op of that name. Raises UnsupportedOperation unless the op, or its out-of-place form, is allowed."""
    if name in _SIZES:
        return _SIZES[name]
    parts = name.split(".")
    packet = parts[3] if parts[:3] == ["torch", "ops", "aten"] and len(parts) == 5 else ""
    plain = packet if packet.startswith("__") else packet.removesuffix("_")
    if plain in _allowed():
        overloads = getattr(torch.ops.aten, packet)
        # An archive may name an overload of the packet, but no other attribute, such as a method.
        if parts[4] in overloads.overloads() and "out" not in parts[4]:
            return getattr(overloads, parts[4])
    raise UnsupportedOperation(op=at.op, path=at.path, source=at.source, reason=reason_for(plain), accepted=supported())


def _allowed() -> set[str]:
    """Packet names of the ATen ops that an archive may call."""
    packets = {name.split(".")[0] for name in RULES}
    heads = {head.split(".")[1] for head in (*HEAD_OPS, *NO_VALUE_OPS)}
    return packets | heads | {*COMPOSITES, *_CONSTANT_OPS}


def _outputs(outputs: list[dict[str, Any]]) -> list[str] | str | None:
    names = [argument(output) for output in outputs]
    if len(names) == 1:
        (only,) = names
        return [item.name for item in only] if isinstance(only, list) else only.name if only else None
    return [item.name if item else "" for item in names]


def argument(arg: dict[str, Any]) -> Any:
    """A serialized argument as a Python value."""
    ((kind, what),) = arg.items()
    match kind:
        case "as_tensor" | "as_sym_int" | "as_sym_bool" | "as_sym_float" | "as_optional_tensor":
            return _reference(what)
        case "as_tensors" | "as_sym_ints" | "as_optional_tensors":
            return [_reference(item) for item in what]
        case "as_int" | "as_ints" | "as_bool" | "as_bools" | "as_string" | "as_strings":
            return what
        case "as_float":
            return float(what)  # infinities are strings
        case "as_floats":
            return [float(item) for item in what]
        case "as_none":
            return None
        case "as_scalar_type":
            return dtype_of(what)
        case "as_memory_format":
            return _MEMORY_FORMATS[what]
        case "as_device":
            return torch.device("cpu")
        case "as_layout":
            return torch.strided
    raise DataError(f"the graph holds an argument of kind {kind!r}, which cannot be read")


def _reference(what: dict[str, Any]) -> Any:
    """A reference to a value, or a number, or None, as the archive states."""
    match what:
        case {"name": name} | {"as_name": name} | {"as_tensor": {"name": name}}:
            return Name(name)
        case {"as_int": number} | {"as_float": number} | {"as_bool": number}:
            return number
    return None


class _Scope(nn.Module):
    """Module in which one call runs: the module path of a traced op identifies the call."""

    def forward(self, run: Callable[[], Any]) -> Any:
        return run()


class Replay(nn.Module):
    """Module that runs archived calls in order, each in a submodule of its own (``call0``, ``call1``, ...).

    Raises DataError if a call reads a name that is not defined before it. ``paths`` has the archive's name of a weight for the
    id of its tensor.
    """

    def __init__(
        self, calls: list[AtenCall], leaves: dict[str, Tensor], placeholder: str, output: str, paths: Mapping[int, str]
    ) -> None:
        super().__init__()
        self._calls, self._placeholder, self._output = calls, placeholder, output
        self._leaves = [f"leaf{i}" for i in range(len(leaves))]
        self._names = list(leaves)
        self._paths = {leaf: paths.get(id(t), name) for leaf, (name, t) in zip(self._leaves, leaves.items(), strict=True)}
        known = {placeholder, *leaves}
        for leaf, tensor in zip(self._leaves, leaves.values(), strict=True):
            self.register_buffer(leaf, tensor)
        for i, call in enumerate(calls):
            self.add_module(f"call{i}", _Scope())
            missing = {item.name for item in _names([call.args, call.kwargs])} - known
            if missing:
                raise DataError(f"the archived graph uses {', '.join(sorted(missing))}, which it does not define")
            known.update([call.outputs] if isinstance(call.outputs, str) else call.outputs or [])
        if output not in known:
            raise DataError(f"the archived graph returns {output}, which it does not define")

    def relocate(self, at: Origin) -> Origin:
        """Origin of a traced op, or path of a weight, in the archived model."""
        if at.path in self._paths:  # a weight
            return Origin(at.op, self._paths[at.path], at.source)
        if not at.path.startswith("call"):
            return at
        archived = self._calls[int(at.path.removeprefix("call"))].origin
        return Origin(at.op, archived.path, archived.source)

    def forward(self, x: Tensor) -> Tensor:
        env: dict[str, Any] = dict(zip(self._names, map(self.get_buffer, self._leaves), strict=True))
        env[self._placeholder] = x
        for i, call in enumerate(self._calls):
            args, kwargs = _look_up(env, call.args), _look_up(env, call.kwargs)
            out = self.get_submodule(f"call{i}")(lambda: call.target(*args, **kwargs))  # noqa: B023 (called at once)
            if isinstance(call.outputs, str):
                env[call.outputs] = out
            elif call.outputs is not None:
                env.update(zip(call.outputs, out, strict=False))
        return env[self._output]


def _look_up(env: dict[str, Any], tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _look_up(env, item) for key, item in tree.items()}
    if isinstance(tree, list | tuple):
        return [_look_up(env, item) for item in tree]
    return env[tree.name] if isinstance(tree, Name) else tree


def _names(tree: Any) -> Iterator[Name]:
    if isinstance(tree, Name):
        yield tree
    elif isinstance(tree, dict | list | tuple):
        for item in tree.values() if isinstance(tree, dict) else tree:
            yield from _names(item)
