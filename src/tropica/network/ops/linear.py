"""Products with constants: matrices, convolutions, batch norm in eval mode."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tropica.network.builder import TWO_ACTIVATIONS, Builder, Operand, Refused, Value, activation_first
from tropica.network.ops.registry import aten, op


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return F.linear(x, weight, bias)


def _right(x: Tensor, weight: Tensor) -> Tensor:
    return torch.matmul(x, weight)


def _left(x: Tensor, weight: Tensor) -> Tensor:
    return torch.matmul(weight, x)


@op("linear.default")
def linear(b: Builder, x: Operand, weight: Operand, bias: Tensor | Value | None = None) -> Value:
    """x Wᵀ + b."""
    if not isinstance(x, Value) or not isinstance(weight, Tensor) or isinstance(bias, Value):
        raise Refused(TWO_ACTIVATIONS)
    return b.affine(_linear, x, weight=weight, bias=bias)


@op("matmul.default", "mm.default", "bmm.default", "mv.default")
def matmul(b: Builder, x: Operand, y: Operand) -> Value:
    """The matrix product x y with one of the two constant."""
    if isinstance(x, Value) and isinstance(y, Tensor):
        return b.affine(_right, x, weight=y)
    if isinstance(x, Tensor) and isinstance(y, Value):
        return b.affine(_left, y, weight=x)
    raise Refused(TWO_ACTIVATIONS)


@op("addmm.default", "baddbmm.default")
def addmm(b: Builder, offset: Operand, x: Operand, y: Operand, *, beta: float = 1, alpha: float = 1) -> Value:
    """β·offset + α·(x y)."""
    product = matmul(b, x, y)
    if alpha != 1:
        product = b.scale(product, alpha)
    if isinstance(offset, Value):
        return b.add(product, offset if beta == 1 else b.scale(offset, beta))
    return b.shift(product, b.tensor(offset) if beta == 1 else b.tensor(offset).double() * beta)


@op("einsum.default")
def einsum(b: Builder, equation: str, operands: list[Operand], path: object = None) -> Value:
    """An Einstein sum of one activation with constants; several constants are multiplied together first, in float64."""
    at = [i for i, operand in enumerate(operands) if isinstance(operand, Value)]
    if len(at) > 1:
        raise Refused(TWO_ACTIVATIONS)
    activation, constants = (
        operands[at[0]],
        [b.tensor(c) for i, c in enumerate(operands) if i != at[0] and not isinstance(c, Value)],
    )
    assert isinstance(activation, Value)
    if len(constants) > 1:
        equation, product = _product(equation, at[0], constants)
        return b.affine(lambda x, weight: torch.einsum(equation, x, weight), activation, weight=product)

    def contract(x: Tensor, weight: Tensor | None = None) -> Tensor:
        return torch.einsum(equation, *(x if i == at[0] else weight for i in range(len(operands))))

    return b.affine(contract, activation, weight=constants[0] if constants else None)


def _product(equation: str, at: int, constants: list[Tensor]) -> tuple[str, Tensor]:
    """The product of the constants of an Einstein sum, and the equation of the activation with the product."""
    left, arrow, out = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if "." in left:
        raise Refused("this einsum has several constants and an ellipsis; write out the dimensions")
    if not arrow:
        out = "".join(sorted(label for label in set(left) - {","} if left.count(label) == 1))
    others = [term for i, term in enumerate(terms) if i != at]
    labels = "".join(dict.fromkeys(label for label in "".join(others) if label in terms[at] + out))
    product = torch.einsum(f"{','.join(others)}->{labels}", *(c.double() for c in constants))
    return f"{terms[at]},{labels}->{out}", product


@op("addcmul.default")
def addcmul(b: Builder, offset: Operand, x: Operand, y: Operand, *, value: float = 1) -> Value:
    """offset + value·x·y with one of x and y constant, or both."""
    if not isinstance(x, Value) and not isinstance(y, Value) and isinstance(offset, Value):
        return b.shift(offset, b.tensor(x).double() * b.tensor(y).double() * value)
    activation, factor = activation_first(x, y)
    product = b.scale(activation, factor if value == 1 else b.tensor(factor).double() * value)
    return b.add(product, offset) if isinstance(offset, Value) else b.shift(product, offset)


def _scale_shift(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.addcmul(bias, x, weight)


@op("_native_batch_norm_legit_no_training.default")
def batch_norm_eval(
    b: Builder,
    x: Value,
    gamma: Tensor | None,
    beta: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    momentum: float,
    eps: float,
) -> tuple[Value, None, None]:
    """s·x + t with s = γ/√(σ² + ε) and t = β − s·μ, per channel; s and t are computed in float64."""
    s = torch.rsqrt(variance.double() + eps)
    if gamma is not None:
        s = s * gamma.double()
    t = -s * mean.double()
    if beta is not None:
        t = t + beta.double()
    per_channel = (1, -1) + (1,) * (x.ndim - 2)
    return b.affine(_scale_shift, x, weight=s.view(per_channel), bias=t.view(per_channel)), None, None


@op("batch_norm.default", "instance_norm.default")
def batch_norm(
    b: Builder,
    x: Value,
    gamma: Tensor | None,
    beta: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn: bool = False,
) -> Value:
    """Batch norm, or instance norm with running statistics, in eval mode."""
    if training or mean is None or variance is None:
        raise Refused("it normalizes with the statistics of its own input; only running statistics (eval mode) are affine")
    return batch_norm_eval(b, x, gamma, beta, mean, variance, momentum, eps)[0]


CONVOLUTIONS = (
    "conv1d.default",
    "conv1d.padding",
    "conv2d.default",
    "conv2d.padding",
    "conv3d.default",
    "conv3d.padding",
    "conv_transpose1d.default",
    "conv_transpose2d.input",
    "conv_transpose3d.input",
    "convolution.default",
)


def _convolution(name: str) -> None:
    function = aten(name)

    @op(name)
    def rule(b: Builder, x: Value | Tensor, weight: Tensor | Value, bias: Tensor | None = None, *settings: Any) -> Value:
        if not isinstance(x, Value) or not isinstance(weight, Tensor) or isinstance(bias, Value):
            raise Refused("its filter depends on the input; a constant filter is needed")

        def convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
            return function(x, weight, bias, *settings)

        return b.affine(convolve, x, weight=weight, bias=bias)


for _name in CONVOLUTIONS:
    _convolution(_name)
