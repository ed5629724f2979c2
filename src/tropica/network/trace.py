"""``tp.trace``: trace a PyTorch model as a piecewise-linear network."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from tropica.data.batches import Data, first_points
from tropica.errors import InputError, NonFiniteWeights, TraceError, TrainingModeError
from tropica.network.builder import EXAMPLE_POINTS
from tropica.network.export import ONE_AT_A_TIME, check_signature, export, first_line
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace_checks import batch_first, check_network, check_points
from tropica.network.translate import Relocate, translate
from tropica.runtime.arithmetic import callers_settings, own_settings


@own_settings()
def trace(model: nn.Module, example: Tensor) -> PiecewiseLinearNetwork:
    """Trace a model in eval mode into a graph of affine ops and nonlinearities.

    Args:
        model: any module that maps a batch (B, *input) to logits (B, s) or (B,), in eval mode, in float32 or float64. The
            model is not changed; the network has copies of its weights. Its forward pass runs a few times; meanwhile no
            other thread may use the model (torch.export replaces its tensors).
        example: a batch (B, *input), B ≥ 1, in the dtype and on the device of the model; only the first two points are used.

    Returns:
        The network; it computes the model's logits. A final softmax or log_softmax, or a final sigmoid or log_sigmoid of
        one logit, is dropped and named in ``dropped``. A network of one logit has two labels, by the logit's sign.

    Raises:
        UnsupportedOperation: an op is not piecewise linear, or not known; the error names op, module path and source line.
        TrainingModeError: a module is in training mode.
        TraceError: control flow depends on data, the batch size is fixed, or the points of a batch are not independent.
        TraceMismatch: the traced network does not compute what the model computes.
        NonFiniteWeights: a weight is NaN or infinite.
        InputError: the example's shape, dtype or device does not fit the model.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> net = tp.trace(model, torch.randn(2, 4))
    >>> [(k.op.name, k.units) for k in net.nonlinearities], net.num_outputs
    ([('relu', 8)], 3)
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"trace needs a torch.nn.Module, got {type(model).__name__}")
    model = _unwrapped(model)
    if any(tensor.is_inference() for tensor in (*model.parameters(), *model.buffers()) if not is_lazy(tensor)):
        model = copy.deepcopy(model)  # autograd refuses tensors made in inference mode
    with ONE_AT_A_TIME:
        _check_model(model)
        _check_example(model, example)
        return trace_checked(model, example.detach().clone())


def as_network(net: PiecewiseLinearNetwork | nn.Module, data: Data | None) -> PiecewiseLinearNetwork:
    """The network itself, or a module traced on the first two points of the data, in the module's dtype and on its device.

    Raises:
        InputError: ``net`` is neither a network nor a module, or it is a module and ``data`` is None.
        TropicaError: as in :func:`trace`.
    """
    if isinstance(net, PiecewiseLinearNetwork):
        return net
    if not isinstance(net, nn.Module):
        raise InputError(f"a network or a torch.nn.Module is needed, got {type(net).__name__}")
    if data is None:
        raise InputError("a module is traced on data, and none is given; trace it first with tp.trace(model, example)")
    weight = next((p for p in net.parameters() if p.is_floating_point()), torch.zeros(0))
    return trace(net, first_points(data, 2, dtype=weight.dtype, device=weight.device))


def trace_checked(model: nn.Module, example: Tensor, relocate: Relocate = lambda at: at) -> PiecewiseLinearNetwork:
    """Trace a model on an example, both already checked; ``relocate`` maps the origins of ops."""
    points = _two_points(example)
    try:
        with callers_settings(defaults_only=True):
            program = export(model, points)
    except TraceError:
        _check_forward(model, example, points)
        raise
    check_signature(program)
    graph, constants, dropped = translate(program, points, relocate)
    graph = check_points(batch_first(graph, constants, points), constants, points)
    net = PiecewiseLinearNetwork(graph, constants, tuple(points.shape[1:]), points.dtype, points.device, dropped)
    check_network(net, model, points)
    return net


def _unwrapped(model: nn.Module) -> nn.Module:
    """The module inside the wrappers of torch.compile and data parallelism, which cannot be exported."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            inner = model.module
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def _check_model(model: nn.Module) -> None:
    training = [name or "(the model itself)" for name, module in model.named_modules() if module.training]
    if training:
        more = f" and {len(training) - 1} more" if len(training) > 1 else ""
        raise TrainingModeError(f"module {training[0]}{more} is in training mode; call model.eval() first")
    tensors = [*model.named_parameters(), *model.named_buffers()]
    lazy = [name for name, tensor in tensors if is_lazy(tensor)]
    if lazy:
        raise InputError(f"{lazy[0]} has no shape yet (a lazy module); run the model once before it is traced")
    check_finite(tensors)


def check_finite(tensors: Iterable[tuple[str, Tensor]]) -> None:
    """Raise NonFiniteWeights for named weights with values that are NaN or infinite."""
    for name, tensor in tensors:
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            bad = int((~torch.isfinite(tensor)).sum())
            raise NonFiniteWeights(f"{name} has {bad} values that are NaN or infinite; finite weights are needed")


def _check_example(model: nn.Module, example: Tensor) -> None:
    if not isinstance(example, Tensor) or example.ndim < 2 or 0 in example.shape:
        found = tuple(example.shape) if isinstance(example, Tensor) else type(example).__name__
        raise InputError(f"the example must be a tensor with a batch and at least one more dimension (B, ...), got {found}")
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


def _two_points(example: Tensor) -> Tensor:
    """The first two points; a batch of one is extended by a shifted copy (torch.export makes a batch size of 1 static)."""
    if example.shape[0] == 1:
        example = torch.cat([example, example.flip(-1) + 0.5])
    return example[:EXAMPLE_POINTS].clone()


def _check_forward(model: nn.Module, example: Tensor, points: Tensor) -> None:
    """Raise the model's own error, after a failed export, if the model fails on the example or on two of its points."""
    for batch in (example, points):
        try:
            with torch.no_grad(), callers_settings(defaults_only=True):
                model(batch.clone())
        except Exception as error:
            failure = f"{type(error).__name__}: {first_line(error)}"
            if batch is example:
                raise InputError(f"the model itself fails on the example of shape {tuple(batch.shape)}: {failure}") from error
            raise TraceError(
                f"the model works for one batch size only: it takes {len(example)} points, and fails on {len(batch)} of them "
                f"({failure}); use x.shape[0] (or -1) wherever the batch size is meant"
            ) from error
