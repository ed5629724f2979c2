"""Convolutional ReLU networks as Xiong et al. 2020 define them: convolutions and ReLUs, without padding or pooling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tropica.bounds.architecture import integer
from tropica.bounds.windows import WindowAxis
from tropica.errors import InputError


@dataclass(frozen=True)
class Conv:
    """A convolution without padding, followed by a ReLU.

    Attributes:
        filters: the number of output channels.
        kernel, stride: the sizes along each spatial dimension, or one size for all dimensions.

    Raises:
        InputError: a size that is not a whole number of 1 or more.

    >>> import tropica as tp
    >>> net = tp.bounds.ConvNet((1, 3, 3), (tp.bounds.Conv(filters=2, kernel=(2, 2)),))
    >>> net
    ConvNet(input_shape=(1, 3, 3), layers=(Conv(filters=2, kernel=(2, 2), stride=1),))
    >>> tp.bounds.xiong2020_one_layer(net)
    256
    """

    filters: int
    kernel: int | Sequence[int]
    stride: int | Sequence[int] = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "filters", integer(self.filters, "the number of filters"))
        for name in ("kernel", "stride"):
            given = getattr(self, name)
            if isinstance(given, Sequence) and not isinstance(given, str):
                checked = tuple(integer(size, f"each size of a {name}") for size in given)
            else:
                checked = integer(given, f"the size of a {name}")
            object.__setattr__(self, name, checked)

    def axes(self, spatial: Sequence[int]) -> list[WindowAxis]:
        """The windows along each axis of an input with these spatial sizes.

        Raises:
            InputError: the kernel does not fit the input, or has another number of dimensions.
        """
        kernel, stride = ((sizes,) * len(spatial) if isinstance(sizes, int) else sizes for sizes in (self.kernel, self.stride))
        if len(kernel) != len(spatial) or len(stride) != len(spatial):
            raise InputError(f"kernel and stride of {self} must be one number or {len(spatial)} each; the input is {spatial}")
        if any(f > n for f, n in zip(kernel, spatial, strict=True)):
            raise InputError(f"the kernel of {self} does not fit into {spatial}: there is no padding")
        return [WindowAxis((n - f) // s + 1, f, s) for n, f, s in zip(spatial, kernel, stride, strict=True)]


@dataclass(frozen=True)
class ConvNet:
    """Convolutions on an input (channels, *spatial), each followed by a ReLU; a linear output may follow the last.

    Attributes:
        input_shape: (channels, *spatial), with one spatial dimension or more.
        layers: the convolutions, one or more.

    Raises:
        InputError: an invalid shape, no convolution, or a kernel that does not fit its input.

    >>> ConvNet((1, 5), [Conv(2, kernel=2)]).shapes
    ((1, 5), (2, 4))
    """

    input_shape: Sequence[int]
    layers: Sequence[Conv]

    def __post_init__(self) -> None:
        if not isinstance(self.input_shape, Sequence) or len(self.input_shape) < 2:
            raise InputError(f"input_shape is (channels, *spatial), two numbers or more; found {self.input_shape!r}")
        shape = tuple(integer(size, f"entry {i} of input_shape") for i, size in enumerate(self.input_shape))
        if not isinstance(self.layers, Sequence) or not self.layers or not all(isinstance(c, Conv) for c in self.layers):
            raise InputError(f"layers is a sequence of one Conv or more; found {self.layers!r}")
        _shapes(shape, self.layers)  # raises InputError if a kernel does not fit
        object.__setattr__(self, "input_shape", shape)
        object.__setattr__(self, "layers", tuple(self.layers))

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """(channels, *spatial) of the input and of each layer's output."""
        return _shapes(tuple(self.input_shape), self.layers)

    @property
    def widths(self) -> tuple[int, ...]:
        """The numbers of units of the input and of each layer; upper bounds for dense networks of these widths hold too.

        >>> ConvNet((1, 5), [Conv(2, kernel=2)]).widths
        (5, 8)
        """
        return tuple(math.prod(shape) for shape in self.shapes)


def _shapes(shape: tuple[int, ...], layers: Sequence[Conv]) -> tuple[tuple[int, ...], ...]:
    """The input shape, and the shape of each layer's output."""
    found = [shape]
    for conv in layers:
        found.append((conv.filters, *(axis.count for axis in conv.axes(found[-1][1:]))))
    return tuple(found)
