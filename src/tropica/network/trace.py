"""``tp.trace``: trace a PyTorch model as a piecewise-linear network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tropica.data.batches import Data, first_points
from tropica.errors import InputError, TraceError, TraceMismatch
from tropica.network.builder import EXAMPLE_POINTS
from tropica.network.export import ONE_AT_A_TIME, check_signature, export, first_line
from tropica.network.model_checks import check_example, check_model, unwrapped, without_inference_tensors
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.one_input import OneInput, Step
from tropica.network.snapshot import Snapshot
from tropica.network.trace_checks import check_outputs, points_first, probe
from tropica.network.translate import Relocate, translate
from tropica.runtime.arithmetic import callers_settings, own_settings

_FEW_UNITS = 2**16
"""Number of units up to which a network is compared with its model on more points, which then takes little time."""


@own_settings()
def trace(
    model: nn.Module,
    example: Tensor,
    *,
    output: Step | Sequence[Step] | None = None,
    fixed: Mapping[str, Any] | None = None,
    flatten_output: bool = False,
) -> PiecewiseLinearNetwork:
    """Trace a model in eval mode into a graph of affine ops and nonlinearities.

    Args:
        model: any module that maps a batch (B, *input) to logits (B, s) or (B,), in eval mode, in float32 or float64. Its
            forward pass runs a few times. Everything that its code can reach is the same afterwards (values, attributes,
            caches), also after an error; the network has copies of the weights. Meanwhile no other thread may use the model.
        example: a batch (B, *input), B ≥ 1, in the dtype and on the device of the model; only the first two points are used.
        output: which output to take of a model that returns several: an index, a key or the name of an attribute, or a
            sequence of these for nested outputs (``output=("heads", 0)``).
        fixed: values at which the model's other arguments are held, by name. They are the same for all points: a tensor has
            a batch of 1, or none.
        flatten_output: flatten outputs of several dimensions (images, sequences) to (B, s).

    Returns:
        The network; it computes the model's logits. A final softmax, log_softmax, sigmoid or log_sigmoid is dropped and
        named in ``dropped``: each keeps the order of the logits. A network of one logit has two labels, by its sign.

    Raises:
        UnsupportedOperation: an op is not piecewise linear, or not known; the error names op, module path and source line.
        TrainingModeError: a module is in training mode.
        TraceError: control flow depends on data, the batch size is fixed, the points of a batch are not independent, or the
            model returns several outputs and ``output`` is not given.
        TraceMismatch: the traced network does not compute what the model computes.
        NonFiniteWeights: a weight that the output depends on is NaN or infinite.
        InputError: the example's shape, dtype or device does not fit the model, ``output`` or ``fixed`` do not fit its
            signature, or the model cannot be traced (TorchScript, an ExportedProgram, weights without values).

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> net = tp.trace(model, torch.randn(2, 4))
    >>> [(k.op.name, k.units) for k in net.nonlinearities], net.num_outputs
    ([('relu', 8)], 3)

    A recurrent layer returns its outputs and its last state; the outputs of all steps are flattened:

    >>> layer = torch.nn.RNN(4, 3, nonlinearity="relu", batch_first=True).eval()
    >>> tp.trace(layer, torch.randn(2, 5, 4), output=0, flatten_output=True).num_outputs
    15
    """
    model = unwrapped(model)
    with ONE_AT_A_TIME:
        check_model(model)
        example = check_example(model, example)
        return trace_checked(OneInput(model, output, fixed, flatten_output), example.detach())


def as_network(
    net: PiecewiseLinearNetwork | nn.Module, data: Data | None = None, *, inputs: int | None = None
) -> PiecewiseLinearNetwork:
    """The network itself, or a module traced in its own dtype and on its device.

    A module is traced on the first two points of the data. Without data it is traced on points of ``inputs`` numbers, or of as
    many as its first layer takes, if that is ``nn.Linear``.

    Raises:
        InputError: ``net`` is neither a network nor a module, or it is a module whose inputs are not known.
        TropicaError: as in :func:`trace`.
    """
    if isinstance(net, PiecewiseLinearNetwork):
        return net
    if not isinstance(net, nn.Module):
        raise InputError(f"a network, tp.trace(model, example), or a torch.nn.Module is needed, got {type(net).__name__}")
    weight = next((p for p in net.parameters() if p.is_floating_point()), torch.zeros(0))
    if data is not None:
        return trace(net, first_points(data, 2, dtype=weight.dtype, device=weight.device))
    first = next((module for module in net.modules() if next(module.parameters(recurse=False), None) is not None), None)
    inputs = first.in_features if inputs is None and isinstance(first, nn.Linear) else inputs
    if inputs is None:
        raise InputError("the shape of the module's inputs is not known; trace it first: tp.trace(model, example)")
    try:
        return trace(net, torch.zeros(2, inputs, dtype=weight.dtype, device=weight.device))
    except InputError as error:
        raise InputError(f"{error}; a module of other inputs than vectors is traced first: tp.trace(model, example)") from error


def trace_checked(model: nn.Module, example: Tensor, relocate: Relocate = lambda at: at) -> PiecewiseLinearNetwork:
    """Trace a model on an example, both already checked; ``relocate`` maps the origins of ops.

    Everything that the model's code can reach is as before afterwards, also if the trace fails.
    """
    with torch.inference_mode(False), torch.no_grad():  # autograd refuses tensors created in inference mode
        one = model if isinstance(model, OneInput) else OneInput(model)
        before = one.snapshot()
        try:
            changed = without_inference_tensors(one.modules())
            return _Trace(one, example, _two_points(example), one.snapshot() if changed else before).network(relocate)
        finally:
            before.restore()


@dataclass(frozen=True)
class _Trace:
    """One trace of a model: the example, two of its points, and the model's state before."""

    model: OneInput
    example: Tensor
    points: Tensor
    before: Snapshot

    def network(self, relocate: Relocate) -> PiecewiseLinearNetwork:
        """The network, compared with the model."""
        # The model runs first: masks and grids that it makes in its first call then have values while it is exported.
        batch = probe(self.points, 2)
        wanted = self._first_run(batch)
        stateful = self.before.changed()
        with callers_settings(defaults_only=True):
            program = export(self.model, self.points)
        self.before.restore()
        check_signature(program)
        with torch.device("cpu"):  # the graph is on the CPU, whatever the default device
            points = self.points.cpu()
            graph, constants, dropped = translate(program, points, relocate)
            graph = points_first(graph, constants, points)
        net = PiecewiseLinearNetwork(graph, constants, tuple(points.shape[1:]), points.dtype, self.points.device, dropped)
        check_outputs(net, self.model, batch, wanted)
        if stateful or _is_small(net):
            self._second_run(net)
        return net

    def _first_run(self, batch: Tensor) -> Tensor:
        """The model's outputs on two points; its own error if it fails."""
        try:
            with callers_settings(defaults_only=True):
                return self.model(batch)
        except (InputError, TraceError):
            raise
        except Exception as error:
            self.before.restore()
            raise self._own_error(first_line(error, with_name=True)) from error

    def _own_error(self, failure: str) -> InputError | TraceError:
        """The error for a model that fails on two points: does it take the example itself?"""
        shape = tuple(self.example.shape)
        try:
            with callers_settings(defaults_only=True):
                self.model(self.example.clone())
        except Exception as error:
            what = f"{first_line(error, with_name=True)}{_missing_hint(error)}"
            return InputError(f"the model itself fails on the example of shape {shape}: {what}")
        return TraceError(
            f"the model works for one batch size only: it takes {len(self.example)} points, and fails on two of them "
            f"({failure}); use x.shape[0] (or -1) wherever the batch size is meant, and export programs with "
            "dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)"
        )

    def _second_run(self, net: PiecewiseLinearNetwork) -> None:
        """Compare the outputs on another batch size, from the model's state before."""
        batch = probe(self.points, 8 if _is_small(net) else 3)
        try:
            with callers_settings(defaults_only=True):
                wanted = self.model(batch)
        except Exception as error:
            failure = first_line(error, with_name=True)
            raise TraceMismatch(
                f"the model fails on a batch of {len(batch)} points, and its trace does not: {failure}"
            ) from error
        check_outputs(net, self.model, batch, wanted)


def _is_small(net: PiecewiseLinearNetwork) -> bool:
    return sum(node.units for node in net.nonlinearities) <= _FEW_UNITS


def _missing_hint(error: Exception) -> str:
    """What to do about arguments that the model's forward pass misses."""
    missing = isinstance(error, TypeError) and "required positional argument" in str(error)
    return "; hold every argument but the batch at a value: fixed={name: value}" if missing else ""


def _two_points(example: Tensor) -> Tensor:
    """The first two points; a batch of one is extended by a shifted copy (torch.export makes a batch size of 1 static)."""
    if example.shape[0] == 1:
        example = torch.cat([example, example.flip(-1) + 0.5])
    return example[:EXAMPLE_POINTS].clone()
