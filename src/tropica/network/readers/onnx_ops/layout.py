"""Layout: reshapes, slices, concatenation. Reshapes make no node: an activation's shape is stated beside its entries."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tropica.network.builder import BatchSize, Builder, Refused, Value
from tropica.network.ops import layout
from tropica.network.readers.onnx_ops.arithmetic import operands
from tropica.network.readers.onnx_ops.registry import Call, op
from tropica.network.readers.per_point import (
    Activation,
    Operand,
    axis_of,
    bounded,
    broadcast,
    from_images,
    images,
    leading_ones,
    stripped,
    take,
    view,
)


@op("Identity")
def identity(b: Builder, call: Call) -> Activation:
    """The input."""
    return call.activation()


@op("Dropout")
def dropout(b: Builder, call: Call) -> tuple[Activation, None]:
    """The input: nothing is dropped in inference."""
    training = call.constant(2, "training_mode")
    if training is not None and bool(training):
        raise Refused("it drops units at random (training_mode is true); export the model in eval mode")
    call.ignore("seed", "ratio")  # of training
    return call.activation(), None


@op("Reshape")
def reshape(b: Builder, call: Call) -> Activation:
    """The same entries in another shape; 0 keeps a size, −1 is what is left."""
    x, shape = call.activation(), call.integers(1, "shape")
    if shape is None:
        raise Refused("it has no shape")
    keeps = not call.attribute("allowzero")
    try:
        sizes = [x.shape[i] if n == 0 and keeps else n for i, n in enumerate(shape)]
    except IndexError:
        raise Refused(f"its shape {shape} keeps an axis that its input {x.shape} does not have") from None
    if sizes.count(-1) > 1 or min([*sizes, 0]) < -1:
        raise Refused(f"its shape is {shape}")
    rest = math.prod(n for n in sizes if n != -1)
    return x.reshaped([x.numel // rest if n == -1 and rest else n for n in sizes])


@op("Flatten")
def flatten(b: Builder, call: Call) -> Activation:
    """A matrix: the axes before ``axis``, and the others."""
    x, axis = call.activation(), call.attribute("axis")
    if not -x.ndim <= axis <= x.ndim:
        raise Refused(f"its axis is {axis}, its input {x.shape}")
    at = axis % x.ndim if axis < 0 else axis
    return x.reshaped((math.prod(x.shape[:at]), math.prod(x.shape[at:])))


@op("Squeeze")
def squeeze(b: Builder, call: Call) -> Activation:
    """Axes of size 1 left out."""
    x, axes = call.activation(), call.integers(1, "list of axes", "axes")
    dims = [d for d, n in enumerate(x.shape) if n == 1] if axes is None else [axis_of(a, x.ndim) for a in axes]
    return x.reshaped([n for d, n in enumerate(x.shape) if d not in dims])


@op("Unsqueeze")
def unsqueeze(b: Builder, call: Call) -> Activation:
    """Axes of size 1 added."""
    x, axes = call.activation(), call.integers(1, "list of axes", "axes")
    ndim = x.ndim + len(axes or ())
    dims = {axis_of(a, ndim) for a in axes or ()}
    if len(dims) != ndim - x.ndim:
        raise Refused(f"its axes are {axes}")
    sizes = iter(x.shape)
    return x.reshaped([1 if d in dims else next(sizes) for d in range(ndim)])


@op("Transpose")
def transpose(b: Builder, call: Call) -> Activation:
    """The axes in another order."""
    x, perm = call.activation(), call.attribute("perm")
    order = list(range(x.ndim))[::-1] if perm is None else list(perm)
    if sorted(order) != list(range(x.ndim)):
        raise Refused(f"its perm is {order}, its input {x.shape}")
    out = tuple(x.shape[d] for d in order)
    long = [d for d in order if x.shape[d] > 1]
    if long == sorted(long):
        return x.reshaped(out)
    touched = [d for i, d in enumerate(order) if i != d]
    value, k = stripped(b, x, touched)
    dims = [0, *(d - k + 1 for d in order[k:])]
    return Activation(b.affine(lambda x: x.permute(dims), value), out)


@op("Expand")
def expand(b: Builder, call: Call) -> Activation:
    """Axes of size 1 repeated."""
    x, shape = call.activation(), call.integers(1, "shape")
    if shape is None or min([*shape, 1]) < 1:
        raise Refused(f"its shape is {shape}")
    out = broadcast(x.shape, shape)
    whole = (1,) * (len(out) - x.ndim) + x.shape
    k = leading_ones(whole, [d for d, n in enumerate(out) if n != whole[d]])
    if whole[k:] == out[k:]:
        return x.reshaped(out)
    return Activation(b.affine(lambda x: x.expand(-1, *out[k:]), view(b, x, whole[k:])), out)


@op("Concat")
def concat(b: Builder, call: Call) -> Activation:
    """Tensors joined along an axis."""
    parts = operands(call)
    axis = axis_of(call.attribute("axis"), parts[0].ndim)
    shapes = {(*x.shape[:axis], *x.shape[axis + 1 :]) for x in parts}
    if len(shapes) != 1 or any(x.ndim != parts[0].ndim for x in parts):
        raise Refused(f"its inputs have the shapes {', '.join(str(tuple(x.shape)) for x in parts)}, which do not fit")
    first = tuple(parts[0].shape)
    k = leading_ones(first, [axis])
    values = [_for_each_point(b, x, k) for x in parts if 0 not in x.shape]
    out = (*first[:axis], sum(x.shape[axis] for x in parts), *first[axis + 1 :])
    bounded(out)
    return Activation(layout.cat(b, values, axis - k + 1), out)


def _for_each_point(b: Builder, x: Operand, k: int) -> Value:
    if isinstance(x, Activation):
        return view(b, x, x.shape[k:])
    return b.for_each_point(x.reshape(x.shape[k:]), [BatchSize(), *x.shape[k:]])


@op("Split")
def split(b: Builder, call: Call) -> list[Activation]:
    """Slices along an axis: of stated sizes, else ``num_outputs`` or as many as there are outputs, the last one smaller."""
    x = call.activation()
    axis = axis_of(call.attribute("axis"), x.ndim)
    sizes, full = call.integers(1, "list of sizes", "split"), x.shape[axis]
    if sizes is None:
        count = call.attribute("num_outputs") or call.outputs
        size = -(-full // count)
        sizes = [min(size, full - start) for start in range(0, full, size)]
        if len(sizes) != count or ("num_outputs" not in call.defaults and full % count):
            raise Refused(f"it splits {full} entries into {count} parts")
    if sum(sizes) != full or min(sizes) < 1 or len(sizes) != call.outputs:
        raise Refused(f"it splits {full} entries into {sizes}, for {call.outputs} outputs")
    value, k = stripped(b, x, [axis])
    parts = layout.split_with_sizes(b, value, sizes, axis - k + 1)
    return [Activation(part, (*x.shape[:axis], size, *x.shape[axis + 1 :])) for part, size in zip(parts, sizes, strict=True)]


@op("Slice")
def slice_(b: Builder, call: Call) -> Activation:
    """Every step-th entry of [start, end) along axes."""
    x = call.activation()
    starts, ends = call.integers(1, "list of starts", "starts"), call.integers(2, "list of ends", "ends")
    axes, steps = call.integers(3, "list of axes", "axes"), call.integers(4, "list of steps")
    if starts is None or ends is None:
        raise Refused("it has no starts or no ends")
    dims = [axis_of(a, x.ndim) for a in (range(len(starts)) if axes is None else axes)]
    steps = [1] * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(dims) == len(steps) or 0 in steps or len(set(dims)) != len(dims):
        raise Refused(f"its starts are {starts}, ends {ends}, axes {dims}, steps {steps}")
    picked = {d: range(x.shape[d])[s:e:t] for d, s, e, t in zip(dims, starts, ends, steps, strict=True)}
    picked = {d: kept for d, kept in picked.items() if kept != range(x.shape[d])}
    value, k = stripped(b, x, list(picked))
    for d, kept in picked.items():
        if kept.step > 0:
            value = layout.slice_(b, value, d - k + 1, kept.start, kept.stop, kept.step)
        else:
            value = take(b, value, d - k + 1, torch.tensor(list(kept), dtype=torch.int64))
    return Activation(value, tuple(len(picked[d]) if d in picked else n for d, n in enumerate(x.shape)))


@op("Gather")
def gather(b: Builder, call: Call) -> Activation:
    """Entries of one axis by a constant index."""
    x, index = call.input(0), call.constant(1, "index")
    if not isinstance(x, Activation) or index is None:
        raise Refused("its index depends on the network's input; a constant is needed")
    axis = axis_of(call.attribute("axis"), x.ndim)
    size, flat = x.shape[axis], index.flatten().long()
    if flat.numel() and not (-size <= int(flat.min()) and int(flat.max()) < size):
        raise Refused(f"its index leaves the {size} entries of its axis")
    value, k = stripped(b, x, [axis])
    out = (*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])
    bounded(out)
    return Activation(take(b, value, axis - k + 1, flat % size), out)


@op("DepthToSpace")
def depth_to_space(b: Builder, call: Call) -> Activation:
    """Channels moved into blocks of positions: in the mode DCR the block comes first among the channels, in CRD last."""
    x, size = call.activation(), call.attribute("blocksize")
    mode = call.attribute("mode") or "DCR"
    if x.ndim != 4 or size < 1 or x.shape[1] % size**2 or mode not in ("DCR", "CRD"):
        raise Refused(f"its input has the shape {x.shape}, its blocksize is {size}, its mode {mode!r}")
    n, c, h, w = x.shape
    depth = c // size**2
    sizes, order = ((size, size, depth), (3, 4, 1, 5, 2)) if mode == "DCR" else ((depth, size, size), (1, 4, 2, 5, 3))

    def move(x: Tensor) -> Tensor:
        return x.reshape(-1, *sizes, h, w).permute(0, *order).reshape(-1, depth, h * size, w * size)

    return from_images(b, b.affine(move, images(b, x)), n)


@op("SpaceToDepth")
def space_to_depth(b: Builder, call: Call) -> Activation:
    """Blocks of positions moved into channels, the inverse of DepthToSpace in the mode DCR."""
    x, size = call.activation(), call.attribute("blocksize")
    mode = call.attribute("mode") or "DCR"
    if x.ndim != 4 or size < 1 or x.shape[2] % size or x.shape[3] % size or mode != "DCR":
        raise Refused(f"its input has the shape {x.shape}, its blocksize is {size}, its mode {mode!r}")
    n, c, h, w = x.shape

    def move(x: Tensor) -> Tensor:
        blocks = x.reshape(-1, c, h // size, size, w // size, size).permute(0, 3, 5, 1, 2, 4)
        return blocks.reshape(-1, c * size**2, h // size, w // size)

    return from_images(b, b.affine(move, images(b, x)), n)


@op("Cast")
def cast(b: Builder, call: Call) -> Activation:
    """A conversion to the activation's own type, the identity."""
    from onnx.helper import tensor_dtype_to_np_dtype

    call.ignore("saturate", "round_mode")  # of conversions to 8 bits and less
    x, name = call.activation(), str(tensor_dtype_to_np_dtype(call.attribute("to")))
    own = str(x.value.example.dtype).removeprefix("torch.")
    if name != own:
        raise Refused(f"it converts {own} to {name}; activations keep one type throughout")
    return x


@op("Shape")
def shape(b: Builder, call: Call) -> Tensor:
    """The shape for one point, a constant."""
    x = call.activation()
    start, end = call.attribute("start") or 0, call.attribute("end")
    return torch.tensor(x.shape[start:end], dtype=torch.int64)
