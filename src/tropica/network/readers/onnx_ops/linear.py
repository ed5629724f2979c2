"""Products with constants: matrices, convolutions, batch norm with running statistics."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from tropica.network.builder import TWO_ACTIVATIONS, Builder, Refused, Value
from tropica.network.ops import linear
from tropica.network.readers.onnx_ops.registry import Call, op
from tropica.network.readers.onnx_ops.windows import SpatialWindows, strides_of
from tropica.network.readers.per_point import (
    Activation,
    Operand,
    aligned,
    bounded,
    broadcast,
    from_images,
    images,
    leading_ones,
    view,
)

_CONVOLUTIONS: tuple[Callable[..., Tensor], ...] = (F.conv1d, F.conv2d, F.conv3d)
_TRANSPOSED: tuple[Callable[..., Tensor], ...] = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)


@op("MatMul")
def matmul(b: Builder, call: Call) -> Activation:
    """The matrix product of NumPy, with one factor constant."""
    x, y = call.input(0), call.input(1)
    if isinstance(x, Activation) and isinstance(y, Activation):
        raise Refused(TWO_ACTIVATIONS)
    if x is None or y is None or not x.shape or not y.shape:
        raise Refused("it needs two factors with at least one axis")
    left = x if x.ndim > 1 else _reshaped(x, (1, *x.shape))
    right = y if y.ndim > 1 else _reshaped(y, (*y.shape, 1))
    if left.shape[-1] != right.shape[-2]:
        raise Refused(f"its factors have the shapes {tuple(x.shape)} and {tuple(y.shape)}, which do not fit")
    bounded((*_lead(left, right)[2], left.shape[-2], right.shape[-1]))
    out = _times_constant(b, left, right) if isinstance(left, Activation) else _constant_times(b, left, right)
    kept = out.shape[:-2] + out.shape[-2:-1] * (x.ndim > 1) + out.shape[-1:] * (y.ndim > 1)
    return out.reshaped(kept)


def _reshaped(x: Operand, shape: tuple[int, ...]) -> Operand:
    return x.reshaped(shape) if isinstance(x, Activation) else x.reshape(shape)


def _lead(x: Operand, y: Operand) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """The axes before the matrices: of both factors with the same number of axes, and of the product."""
    out = broadcast(x.shape[:-2], y.shape[:-2])
    padded = [(1,) * (len(out) - x.ndim + 2) + tuple(x.shape[:-2]) for x in (x, y)]
    return padded[0], padded[1], out


def _times_constant(b: Builder, x: Activation, y: Operand) -> Activation:
    """x (..., m, k) times a constant (..., k, n)."""
    assert isinstance(y, Tensor)
    lead, constant_lead, out = _lead(x, y)
    rows, columns = x.shape[-2], y.shape[-1]
    if y[..., 0, 0].numel() == 1:
        whole = (*lead, *x.shape[-2:])
        k = leading_ones(whole[:-1]) + (leading_ones(whole[:-1]) == len(whole) - 2 and rows == 1)
        weight = y.reshape(y.shape[-2:])
        return Activation(linear.matmul(b, view(b, x, whole[k:]), weight), (*out, rows, columns))
    value = view(b, x, (*lead, *x.shape[-2:]))
    return Activation(linear.matmul(b, value, y.reshape(*constant_lead, *y.shape[-2:])), (*out, rows, columns))


def _constant_times(b: Builder, x: Operand, y: Operand) -> Activation:
    """A constant (..., m, k) times y (..., k, n)."""
    assert isinstance(x, Tensor)
    assert isinstance(y, Activation)
    constant_lead, lead, out = _lead(x, y)
    shape = (*out, x.shape[-2], y.shape[-1])
    if x.ndim == 2 and y.shape[-1] == 1:  # a column for each matrix: a dense layer
        whole = (*lead, y.shape[-2])
        return Activation(linear.linear(b, view(b, y, whole[leading_ones(whole) :]), x), shape)
    value = view(b, y, (*lead, *y.shape[-2:]))
    return Activation(linear.matmul(b, x.reshape(*constant_lead, *x.shape[-2:]), value), shape)


@op("Gemm")
def gemm(b: Builder, call: Call) -> Activation:
    """α·A'B' + β·C with A or B constant, for matrices A and B, each transposed on request."""
    x, y, offset = call.input(0), call.input(1), call.input(2)
    alpha, beta = call.attribute("alpha"), call.attribute("beta")
    turned = bool(call.attribute("transA")), bool(call.attribute("transB"))
    if x is None or y is None or x.ndim != 2 or y.ndim != 2:
        raise Refused("it needs two matrices")
    if isinstance(x, Activation) and isinstance(y, Activation):
        raise Refused(TWO_ACTIVATIONS)
    left, right = ((_turned(b, z) if turn else z) for z, turn in zip((x, y), turned, strict=True))
    if left.shape[1] != right.shape[0]:
        raise Refused(f"its factors have the shapes {tuple(left.shape)} and {tuple(right.shape)}, which do not fit")
    bounded((left.shape[0], right.shape[1]))
    if isinstance(left, Activation) and isinstance(right, Tensor):
        weight = right.T if alpha == 1 else right.T.double() * alpha
        row = isinstance(offset, Tensor) and offset.numel() in (1, right.shape[1]) and offset.shape[-1:] == (offset.numel(),)
        bias = _bias(offset, beta, right.shape[1]) if row else None
        value = view(b, left, left.shape[leading_ones(left.shape) :])
        out = Activation(linear.linear(b, value, weight, bias), (left.shape[0], right.shape[1]))
        offset = None if row else offset
    elif isinstance(right, Activation):
        assert isinstance(left, Tensor)
        out = _constant_times(b, left if alpha == 1 else left.double() * alpha, right)
    else:  # C alone depends on the network's input
        assert isinstance(offset, Activation)
        assert isinstance(left, Tensor)
        return _scaled_plus(b, offset, beta, alpha * (b.tensor(left).double() @ b.tensor(right).double()))
    return out if offset is None else _plus(b, out, offset, beta)


def _scaled_plus(b: Builder, x: Activation, factor: float, offset: Tensor) -> Activation:
    """factor · x + offset for an x that broadcasts to the offset."""
    if broadcast(x.shape, offset.shape) != tuple(offset.shape):
        raise Refused(f"its C has the shape {x.shape}, which does not broadcast to {tuple(offset.shape)}")
    left, right, shape = aligned(b, x, offset)
    assert isinstance(left, Value)
    assert isinstance(right, Tensor)
    return Activation(b.shift(left if factor == 1 else b.scale(left, factor), right), shape)


def _turned(b: Builder, x: Operand) -> Operand:
    if isinstance(x, Tensor):
        return x.T
    rows, columns = x.shape
    value = x.value if 1 in x.shape else b.affine(lambda v: v.transpose(1, 2), view(b, x, x.shape))
    return Activation(value, (columns, rows))


def _bias(offset: Operand | None, beta: float, n: int) -> Tensor:
    assert isinstance(offset, Tensor)
    row = offset.reshape(-1).expand(n)
    return row if beta == 1 else row.double() * beta


def _plus(b: Builder, x: Activation, offset: Operand, beta: float) -> Activation:
    if broadcast(x.shape, offset.shape) != x.shape:
        raise Refused(f"its C has the shape {tuple(offset.shape)}, which does not broadcast to {x.shape}")
    left, right, shape = aligned(b, x, offset)
    assert isinstance(left, Value)
    if isinstance(right, Value):
        return Activation(b.add(left, right if beta == 1 else b.scale(right, beta)), shape)
    return Activation(b.shift(left, right if beta == 1 else b.tensor(right).double() * beta), shape)


def _filters(call: Call, x: Activation) -> tuple[Tensor, Tensor | None, int]:
    """The constant filter and bias of a convolution, and its number of spatial axes."""
    weight, bias = call.constant(1, "filter"), call.constant(2, "bias")
    spatial = x.ndim - 2
    if weight is None or weight.ndim != x.ndim or not 1 <= spatial <= 3:
        found = None if weight is None else tuple(weight.shape)
        raise Refused(f"it has an input {x.shape} and a filter {found}; convolutions over 1 to 3 axes are read")
    stated = call.attribute("kernel_shape")
    if stated is not None and tuple(stated) != tuple(weight.shape[2:]):
        raise Refused(f"its kernel_shape {list(stated)} is not that of its filter {tuple(weight.shape)}")
    return weight, bias, spatial


@op("Conv")
def conv(b: Builder, call: Call) -> Activation:
    """A convolution with a constant filter."""
    x = call.activation()
    weight, bias, spatial = _filters(call, x)
    windows = SpatialWindows.of(call, x.shape[2:], tuple(weight.shape[2:]), ceil=False)
    value, pads, groups = images(b, x), windows.before, call.attribute("group")
    bounded((x.shape[0], len(weight), *windows.count), (*x.shape[:2], *windows.padded))
    if windows.before != windows.after:
        value = b.affine(lambda x: F.pad(x, windows.torch_pads), value)
        pads = (0,) * spatial

    def convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return _CONVOLUTIONS[spatial - 1](x, weight, bias, windows.stride, pads, windows.dilation, groups)

    return from_images(b, b.affine(convolve, value, weight=weight, bias=bias), x.shape[0])


@op("ConvTranspose")
def conv_transpose(b: Builder, call: Call) -> Activation:
    """A transposed convolution with a constant filter: the whole of it, cut and padded to the stated size, plus the bias."""
    x = call.activation()
    weight, bias, spatial = _filters(call, x)
    stride, dilation = strides_of(call, "strides", spatial), strides_of(call, "dilations", spatial)
    cut, groups = _transposed_pads(call, x.shape[2:], tuple(weight.shape[2:]), stride, dilation), call.attribute("group")
    whole = [s * (n - 1) + d * (k - 1) + 1 for n, k, s, d in zip(x.shape[2:], weight.shape[2:], stride, dilation, strict=True)]
    after = [n + p + q for n, p, q in zip(whole, cut[-2::-2], cut[-1::-2], strict=True)]
    bounded(*((x.shape[0], weight.shape[1] * max(1, groups), *sizes) for sizes in (whole, after)))

    # Without a second entry a stride has no effect, without a second weight a dilation has none; torch's are 32-bit.
    stride = tuple(1 if n == 1 else s for n, s in zip(x.shape[2:], stride, strict=True))
    dilation = tuple(1 if k == 1 else d for k, d in zip(weight.shape[2:], dilation, strict=True))

    def convolve(x: Tensor, weight: Tensor) -> Tensor:
        return F.pad(_TRANSPOSED[spatial - 1](x, weight, None, stride, 0, 0, groups, dilation), cut)

    value = b.affine(convolve, images(b, x), weight=weight)
    if bias is not None:
        value = b.shift(value, bias.reshape(-1, *(1,) * spatial))
    return from_images(b, value, x.shape[0])


def _transposed_pads(
    call: Call, sizes: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> list[int]:
    """What is added to each end of the whole transposed convolution (negative where it is cut), in the order of F.pad."""
    spatial = len(sizes)
    extra = call.attribute("output_padding") or [0] * spatial
    pads, auto, stated = call.attribute("pads"), call.attribute("auto_pad"), call.attribute("output_shape")
    whole = [s * (n - 1) + d * (k - 1) + 1 for n, k, s, d in zip(sizes, kernel, stride, dilation, strict=True)]
    before = [0] * spatial
    total = [0] * spatial
    if stated is not None or auto in ("SAME_UPPER", "SAME_LOWER"):
        target = list(stated)[-spatial:] if stated is not None else [n * s for n, s in zip(sizes, stride, strict=True)]
        total = [w + e - t for w, e, t in zip(whole, extra, target, strict=True)]
        if auto == "NOTSET" and pads is not None:
            raise Refused("it has both output_shape and pads, which may contradict")
        before = [t // 2 if auto == "SAME_UPPER" else t - t // 2 for t in total]
    elif auto == "NOTSET" and pads is not None:
        before = list(pads[:spatial])
        total = [p + q for p, q in zip(pads[:spatial], pads[spatial:], strict=True)]
    elif auto not in ("NOTSET", "VALID"):
        raise Refused(f"its auto_pad is {auto!r}")
    after = [t - p - e for t, p, e in zip(total, before, extra, strict=True)]
    return [-n for pair in reversed(list(zip(before, after, strict=True))) for n in pair]


@op("BatchNormalization")
def batch_norm(b: Builder, call: Call) -> Activation:
    """γ (x − μ)/√(σ² + ε) + β per channel, with the running statistics."""
    call.need("training_mode", values=(0, None), why="it normalizes with the statistics of its own input; export in eval mode")
    call.need("spatial", values=(1, None), why="only statistics per channel are read")
    call.ignore("momentum")  # it changes the running statistics in training alone
    x = call.activation()
    names = ("scale", "bias", "mean", "variance")
    numbers = [call.constant(i, name) for i, name in enumerate(names, 1)]
    gamma, beta, mean, variance = numbers
    channels = (x.shape[1],) if x.ndim > 1 else ()
    if mean is None or variance is None or x.ndim < 2 or any(n is None or n.shape != channels for n in numbers):
        raise Refused(f"its statistics do not have one number for each of the channels of its input {x.shape}")
    value = images(b, x) if x.ndim > 2 else view(b, x, x.shape[1:])
    out = linear.batch_norm_eval(b, value, gamma, beta, mean, variance, 0.0, call.attribute("epsilon"))[0]
    return from_images(b, out, x.shape[0])
