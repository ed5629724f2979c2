"""Final ops that keep the order of the scores: they are dropped, and named in ``net.dropped``."""

from __future__ import annotations

from dataclasses import replace

from tropica.network.builder import Builder, Refused
from tropica.network.readers.onnx_ops.registry import Call, op
from tropica.network.readers.per_point import Activation, axis_of

_COERCED = 13
"""Softmax before this version joins the axes from ``axis`` on."""


def _softmax(name: str, head: str) -> None:
    @op(name)
    def rule(b: Builder, call: Call) -> Activation:
        x = call.activation()
        axis = axis_of(call.attribute("axis"), x.ndim)
        sizes = x.shape[axis:] if call.version < _COERCED else x.shape[axis : axis + 1]
        over = 1
        for n in sizes:
            over *= n
        if over != x.numel:
            raise Refused(
                f"it is smooth; it is dropped as the last op over all outputs, and this one is over {over} of {x.numel}"
            )
        return replace(x, head=head)


_softmax("Softmax", "softmax")
_softmax("LogSoftmax", "log_softmax")


@op("Sigmoid")
def sigmoid(b: Builder, call: Call) -> Activation:
    """The sigmoid of each output, which keeps their order."""
    return replace(call.activation(), head="sigmoid")
