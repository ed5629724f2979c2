"""``OneInput``: a model as a function of one batch that returns one tensor, for any signature of the model."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from tropica.errors import InputError, TraceError
from tropica.network.snapshot import Snapshot

Step: TypeAlias = int | str
"""An index, a key or the name of an attribute."""
INNER = "model"
"""Name of the model in the module, which begins the paths of all its parts."""
MOST_STEPS = 4
"""Largest depth at which a tensor is looked for in an output, to name it in an error."""


class OneInput(nn.Module):
    """A model with its other inputs held at given values, of whose outputs one is picked.

    Args:
        model: the model.
        output: index, key or attribute of the output; a sequence of them for nested outputs; None for a single tensor.
        fixed: values of the model's other arguments by name.
        flatten_output: flatten each point's output to (s,).
    """

    def __init__(
        self,
        model: nn.Module,
        output: Step | Sequence[Step] | None = None,
        fixed: Mapping[str, Any] | None = None,
        flatten_output: bool = False,
    ) -> None:
        super().__init__()
        self.training = False
        self.add_module(INNER, model)
        self._steps: tuple[Any, ...] = _steps(output)
        self._flatten = flatten_output
        self._fixed = dict(fixed or {})
        self._before, after, self._name = _places(model, self._fixed)
        leaves, self._structure = pytree.tree_flatten((list(self._before.values()), after))
        self._leaves: list[Any] = []
        for i, leaf in enumerate(leaves):
            if isinstance(leaf, Tensor):
                self.register_buffer(f"fixed{i}", leaf.detach())
            self._leaves.append(f"fixed{i}" if isinstance(leaf, Tensor) else leaf)
        self._tensors = [isinstance(leaf, Tensor) for leaf in leaves]

    def snapshot(self) -> Snapshot:
        """The state of the model and of the fixed values."""
        return Snapshot(self.get_submodule(INNER), self._fixed)

    def forward(self, x: Tensor) -> Tensor:
        # torch.export refuses attributes that the code assigns; they are as before when it looks.
        kept = Snapshot(self.get_submodule(INNER), values=False) if torch.compiler.is_exporting() else None
        leaves = [
            self.get_buffer(leaf) if is_tensor else leaf for leaf, is_tensor in zip(self._leaves, self._tensors, strict=True)
        ]
        before, after = pytree.tree_unflatten(leaves, self._structure)
        try:
            with _ForAnyBatch():
                batch, named = ([x.clone()], {}) if self._name is None else ([], {self._name: x.clone()})
                out = self._pick(self.get_submodule(INNER)(*before, *batch, **named, **after))
        finally:
            if kept is not None:
                kept.restore()
        return out.flatten(1) if self._flatten and out.ndim > 2 else out

    def _pick(self, out: Any) -> Tensor:
        """The tensor that the steps lead to."""
        for i, step in enumerate(self._steps):
            if isinstance(out, Tensor):
                what = "the model's output" if not i else f"the part {_text(self._steps[:i])} of the model's output"
                raise InputError(f"{what} is a tensor already; output={_text(self._steps)} picks a part of it")
            out = _part(out, step)
        if isinstance(out, Tensor):
            return out
        if self._steps:
            raise InputError(f"output={_text(self._steps)} leads to {described(out)}; it must lead to a tensor")
        step = _first_step(out)
        how = (
            "it must return a tensor of logits (B, s)"
            if step is None
            else f"pick one tensor of logits (B, s) with output={step}"
        )
        raise TraceError(f"the model returns {described(out)}; {how}")


class _ForAnyBatch(TorchFunctionMode):
    """Runs functions whose implementation in torch fixes the batch size while it is exported in another way."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.take_along_dim, Tensor.take_along_dim):
            return _take_along_dim(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _take_along_dim(x: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    if dim is None or indices.ndim != x.ndim:
        return torch.take_along_dim(x, indices, dim)
    sizes = [-1 if d == dim % x.ndim or n != 1 else x.shape[d] for d, n in enumerate(indices.shape)]
    x = x.expand([indices.shape[d] if d != dim % x.ndim and n == 1 else -1 for d, n in enumerate(x.shape)])
    return x.gather(dim, indices.expand(sizes))


def _steps(output: Step | Sequence[Step] | None) -> tuple[Step, ...]:
    if output is None:
        return ()
    steps: tuple[Step, ...] = tuple(output) if isinstance(output, list | tuple) else (output,)  # type: ignore[assignment]
    if not steps or not all(isinstance(step, int | str) and not isinstance(step, bool) for step in steps):
        raise InputError(f"output must be an index, a key, the name of an attribute or a sequence of these, got {output!r}")
    return steps


def _places(model: nn.Module, fixed: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], str | None]:
    """The fixed arguments that stand before the batch, those after it, and the batch's name if it is passed by name."""
    try:
        parameters = inspect.signature(model.forward).parameters
    except (TypeError, ValueError):
        return {}, fixed, None
    positional = [p.name for p in parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    anything = any(p.kind == p.VAR_KEYWORD for p in parameters.values())
    takes = ", ".join(parameters) or "nothing"
    unknown = [str(name) for name in fixed if name not in parameters and not anything]
    if unknown:
        raise InputError(f"fixed has {', '.join(unknown)}, and the model's forward takes {takes}")
    first, by_name = next((i for i, name in enumerate(positional) if name not in fixed), len(positional)), None
    if first == len(positional) and not any(p.kind == p.VAR_POSITIONAL for p in parameters.values()):
        free = [
            p.name for p in parameters.values() if p.kind == p.KEYWORD_ONLY and p.default is p.empty and p.name not in fixed
        ]
        if len(free) != 1:
            held = f"fixed holds {', '.join(fixed)}" if fixed else "none is its only one"
            raise InputError(f"one input must be left for the batch: the model's forward takes {takes}, and {held}")
        by_name = free[0]
    before = {name: fixed[name] for name in positional[:first]}
    return before, {name: value for name, value in fixed.items() if name not in before}, by_name


def _part(out: Any, step: Step) -> Any:
    if isinstance(out, Mapping | Sequence) and not isinstance(out, str):
        try:
            return out[step]  # type: ignore[index,call-overload]
        except (KeyError, IndexError, TypeError):
            pass
    if isinstance(step, str) and step in _fields(out):
        return getattr(out, step)
    raise InputError(f"output={step!r} is not a part of {described(out)}, which the model returns")


def _fields(out: Any) -> list[str]:
    """Names of the attributes of an output."""
    if dataclasses.is_dataclass(out):
        return [field.name for field in dataclasses.fields(out)]
    if hasattr(out, "_fields"):
        return list(out._fields)
    return [name for name in getattr(out, "__dict__", {}) if not name.startswith("_")]


def described(out: Any) -> str:
    """An output in words: its type and its parts."""
    name = type(out).__name__
    if isinstance(out, Mapping):
        return f"a {name} with the keys {', '.join(map(repr, out))}"
    if _fields(out):
        return f"a {name} with {', '.join(_fields(out))}"
    return f"a {name} of {len(out)}" if isinstance(out, Sequence) else f"a {name}"


def _first_step(out: Any) -> str | None:
    """The first step into an output, or the first steps, that lead to a tensor; None if there is none."""
    found = _first_tensor(out, ())
    return None if found is None else _text(found)


def _first_tensor(out: Any, steps: tuple[Step, ...]) -> tuple[Step, ...] | None:
    if isinstance(out, Tensor):
        return steps
    if isinstance(out, Mapping):
        parts = list(out.items())
    elif _fields(out):
        parts = [(name, getattr(out, name)) for name in _fields(out)]
    else:
        parts = list(enumerate(out)) if isinstance(out, list | tuple) else []
    if len(steps) == MOST_STEPS:
        return None
    return next((found for key, part in parts if (found := _first_tensor(part, (*steps, key))) is not None), None)


def _text(steps: Sequence[Step]) -> str:
    return repr(steps[0]) if len(steps) == 1 else repr(tuple(steps))
