"""Checks of a model and its example before they are traced: one clear error for what cannot be traced at all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.export import ExportedProgram
from torch.nn.parameter import is_lazy
from torch.optim.swa_utils import AveragedModel

from tropica.errors import InputError, TrainingModeError, UnsupportedOperation
from tropica.network.ops.registry import supported


def unwrapped(model: object) -> nn.Module:
    """The module inside the wrappers of torch.compile, data parallelism and weight averaging.

    Raises:
        InputError: the object is not a module of Python code.
    """
    if isinstance(model, ExportedProgram):
        raise InputError(
            "trace needs a torch.nn.Module, got an ExportedProgram; trace the module that was exported, or pass the file "
            "written by torch.export.save to tp.load_network"
        )
    if not isinstance(model, nn.Module):
        raise InputError(f"trace needs a torch.nn.Module, got {type(model).__name__}")
    inner = getattr(model, "_orig_mod", None)
    if inner is None and isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel | AveragedModel):
        inner = model.module
    return unwrapped(inner) if isinstance(inner, nn.Module) else model


def check_model(model: nn.Module) -> None:
    """Raise an error for a model that cannot be traced whatever the example."""
    _check_modules(model)
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(tensor):
            raise InputError(f"{name} has no shape yet (a lazy module); run the model once before it is traced")
        _check_tensor(name, tensor, "load the model's weights before it is traced")
    _check_mode(model)


def _check_modules(model: nn.Module) -> None:
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            what = f"module {name} is" if name else "the model is"
            raise InputError(
                f"{what} TorchScript (a ScriptModule), which cannot be traced; trace the Python module that it was made from"
            )
        cls = type(module)
        if cls.__module__.startswith("torch.") and any(word in cls.__module__ for word in (".quantized", ".fake_quantize")):
            raise UnsupportedOperation(
                op=f"{cls.__module__}.{cls.__name__}",
                path=name,
                reason="a quantized module rounds, and a piecewise-linear network must be continuous; trace the model before "
                "quantization",
                accepted=supported(),
            )


def _check_mode(model: nn.Module) -> None:
    training = [name or "(the model itself)" for name, module in model.named_modules() if module.training]
    # The modes of an exported program's modules say nothing: it runs as it was exported.
    exported = [name for name, module in model.named_modules() if isinstance(module, fx.GraphModule) and "eval" in vars(module)]
    inside = tuple(f"{name}." for name in exported)
    plain = [n for n in training if n not in exported and not n.startswith(inside) and "" not in exported]
    if plain:
        more = f" and {len(plain) - 1} more" if len(plain) > 1 else ""
        raise TrainingModeError(f"module {plain[0]}{more} is in training mode; call model.eval() first")


def check_example(model: nn.Module, example: object) -> Tensor:
    """The example; raise InputError if it is no batch of points, or does not fit the model's dtype and device."""
    if not isinstance(example, Tensor) or example.ndim < 2 or (not example.is_nested and 0 in example.shape):
        found = tuple(example.shape) if isinstance(example, Tensor) else type(example).__name__
        raise InputError(f"the example must be a tensor with a batch and at least one more dimension (B, ...), got {found}")
    _check_tensor("the example", example, "give a batch with values")
    if example.dtype not in (torch.float32, torch.float64):
        raise InputError(f"the example is {example.dtype}; float32 or float64 is needed (cast model and data with .float())")
    for name, p in model.named_parameters():
        if p.is_floating_point() and (p.dtype != example.dtype or p.device != example.device):
            raise InputError(
                f"the example is {example.dtype} on {example.device}, but the model's {name} is {p.dtype} on {p.device}; "
                "they must agree"
            )
    if not bool(torch.isfinite(example).all()):
        raise InputError("the example has values that are NaN or infinite")
    return example


def _check_tensor(name: str, tensor: Tensor, values: str) -> None:
    """Raise InputError for a tensor without values, or in another form than a dense array."""
    if tensor.is_meta or isinstance(tensor, FakeTensor):
        where = "on the meta device" if tensor.is_meta else "a FakeTensor"
        raise InputError(f"{name} is {where} and has no values; {values}")
    if tensor.is_nested:
        raise InputError(f"{name} is a nested tensor; a dense one is needed (torch.nested.to_padded_tensor)")
    if tensor.layout != torch.strided:
        raise InputError(f"{name} is sparse ({tensor.layout}); a dense tensor is needed (.to_dense())")
    if tensor.is_quantized:
        raise InputError(f"{name} is quantized ({tensor.dtype}); a tensor of floats is needed (.dequantize())")


def without_inference_tensors(modules: Iterable[nn.Module]) -> bool:
    """Replace tensors of modules made under ``torch.inference_mode`` by plain copies; return whether there were any."""
    found = False
    for module in modules:
        for table in (module._parameters, module._buffers, vars(module)):
            for name, tensor in table.items():
                if isinstance(tensor, Tensor) and tensor.is_inference():
                    copy = tensor.detach().clone()
                    replaced: Any = nn.Parameter(copy, False) if isinstance(tensor, nn.Parameter) else copy
                    table[name] = replaced
                    found = True
    return found
