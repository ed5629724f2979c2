"""The networks of the TropEx paper by name, and (from :mod:`tropica.training`) the training of them.

All are plain ReLU networks of `torch.nn` modules: he-uniform weights, biases everywhere and zero at first, logits as
outputs (no softmax), and layers named by kind and number (`conv1`, `dense2`), as `at=` takes them.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from tropica.errors import InputError
from tropica.studies.training.loop import train as train

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky": lambda: nn.LeakyReLU(0.3),  # the default of Keras
}


def build(
    name: str,
    input_shape: Sequence[int],
    classes: int = 10,
    *,
    seed: int | None = None,
    activation: Literal["relu", "leaky"] = "relu",
) -> nn.Sequential:
    """A network of `MODELS`, untrained, in eval mode, on the CPU, in torch's default dtype.

    Args:
        name: a key of `MODELS`.
        input_shape: of one point: any for the `fcn` family and `wide`, which flatten it; (channels, height, width) or
            (channels, length) for the others, where convolutions and pools have as many dimensions as the input.
        classes: the number of outputs.
        seed: of the weights; None draws them from torch's global generator. With a seed that generator is untouched.
        activation: `relu`, or `leaky` for LeakyReLU(0.3).

    Raises:
        InputError: an unknown name or activation, or an input the network cannot take.

    >>> build("fcn4", (1, 28, 28), seed=0)(torch.zeros(5, 1, 28, 28)).shape
    torch.Size([5, 10])
    """
    model = _without_memory(name, tuple(input_shape), classes, activation).to_empty(device="cpu")
    _initialize(model, None if seed is None else torch.Generator().manual_seed(seed))
    return model.eval()


def check_model(name: str, input_shape: Sequence[int], classes: int = 10) -> None:
    """Raise the InputError that `build` would raise, at no cost."""
    _without_memory(name, tuple(input_shape), classes, "relu")


def family(name: str) -> str:
    """What the paper calls a network of `MODELS`: "FCN" or "CNN".

    >>> family("wide"), family("narrow")
    ('FCN', 'CNN')
    """
    return "FCN" if name.startswith("fcn") or name == "wide" else "CNN"


def _without_memory(name: str, shape: tuple[int, ...], classes: int, activation: str) -> nn.Sequential:
    """The layers on the meta device: built so, and filled once, they spare torch's own initial weights."""
    if name not in _RECIPES:
        raise InputError(f"there is no model {name!r}; there are {', '.join(_RECIPES)}")
    if activation not in ACTIVATIONS:
        raise InputError(f"the activation must be one of {', '.join(ACTIVATIONS)}; found {activation!r}")
    if not shape or not all(isinstance(size, int) and size > 0 for size in (*shape, classes)):
        raise InputError(f"input_shape and classes must be whole numbers, 1 or more; found {shape} and {classes!r}")
    with torch.device("meta"):
        layers = _Layers(torch.empty(2, *shape), activation)
        try:
            _RECIPES[name][1](layers, classes)
        except RuntimeError as error:
            raise InputError(f"an input of shape {shape} is too small for the model {name!r}: {error}") from error
    return layers.sequential()


def _initialize(model: nn.Module, generator: torch.Generator | None) -> None:
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d)):
            nn.init.kaiming_uniform_(module.weight, nonlinearity="relu", generator=generator)
            assert module.bias is not None
            nn.init.zeros_(module.bias)
        elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.reset_parameters()


class Residual(nn.Module):
    """shortcut(x) + body(x)."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.body(x)


class _Layers:
    """A chain of named layers in the making; an example runs along, so that each layer knows what it is given."""

    def __init__(self, example: Tensor, activation: str) -> None:
        self.example, self.activation = example, activation
        self.modules: OrderedDict[str, nn.Module] = OrderedDict()
        self.counts: Counter[str] = Counter()

    def sequential(self) -> nn.Sequential:
        return nn.Sequential(self.modules)

    def branch(self) -> _Layers:
        """An empty chain that starts where this one stands."""
        return _Layers(self.example, self.activation)

    def add(self, kind: str, module: nn.Module) -> _Layers:
        self.counts[kind] += 1
        self.modules[f"{kind}{self.counts[kind]}"] = module
        self.example = module(self.example)
        return self

    def of_dimension(self, one: type[nn.Module], two: type[nn.Module]) -> type[nn.Module]:
        """The kind of layer for signals or for images."""
        if self.example.ndim not in (3, 4):
            found = tuple(self.example.shape[1:])
            raise InputError(f"this model takes (channels, height, width) or (channels, length); found {found}")
        return one if self.example.ndim == 3 else two

    def conv(self, width: int, *, size: int = 3, stride: int = 1) -> _Layers:
        kind = self.of_dimension(nn.Conv1d, nn.Conv2d)
        return self.add("conv", kind(self.example.shape[1], width, size, stride=stride, padding=size // 2))

    def norm(self) -> _Layers:
        return self.add("norm", self.of_dimension(nn.BatchNorm1d, nn.BatchNorm2d)(self.example.shape[1]))

    def act(self) -> _Layers:
        return self.add("act", ACTIVATIONS[self.activation]())

    def max_pool(self) -> _Layers:
        return self.add("pool", self.of_dimension(nn.MaxPool1d, nn.MaxPool2d)(2))

    def average_pool(self) -> _Layers:
        return self.add("pool", self.of_dimension(nn.AvgPool1d, nn.AvgPool2d)(2))

    def global_average(self) -> _Layers:
        return self.add("average", self.of_dimension(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)(1)).flatten()

    def flatten(self) -> _Layers:
        return self.add("flatten", nn.Flatten())

    def dense(self, width: int) -> _Layers:
        return self.add("dense", nn.Linear(self.example.shape[1], width))

    def head(self, hidden: Sequence[int], classes: int) -> _Layers:
        """Flatten, hidden dense layers, logits."""
        self.flatten()
        for width in hidden:
            self.dense(width).act()
        return self.dense(classes)


_Recipe: TypeAlias = Callable[[_Layers, int], object]


def _dense(*hidden: int) -> _Recipe:
    return lambda layers, classes: layers.head(hidden, classes)


def _fcn2(layers: _Layers, classes: int) -> None:
    layers.head([layers.example[0].numel()], classes)


def _fcn4(layers: _Layers, classes: int) -> None:
    color = layers.example.ndim == 4 and layers.example.shape[1] == 3
    hidden = (400, 120) if color else (200, 80)
    layers.head([layers.example[0].numel(), *hidden], classes)


def _conv(layers: _Layers, classes: int) -> None:
    if layers.example.shape[1] == 1:
        layers.conv(32).act().max_pool().conv(64).act().conv(64).act().max_pool().head([64], classes)
    else:
        _standard(layers, classes)


def _conv_small(layers: _Layers, classes: int) -> None:
    layers.conv(8).act().max_pool().conv(16).act().max_pool().head([32], classes)


def _vgg(widths: Sequence[int], *, reduce: Literal["max", "average", "stride"] | None, norm: bool = False) -> _Recipe:
    """Blocks of two convolutions, each block but for `reduce=None` halving the image, then D128."""

    def make(layers: _Layers, classes: int) -> None:
        for width in widths:
            for stride in (1, 2 if reduce == "stride" else 1):
                layers.conv(width, stride=stride)
                (layers.norm() if norm else layers).act()
            if reduce == "max":
                layers.max_pool()
            elif reduce == "average":
                layers.average_pool()
        layers.head([128], classes)

    return make


_standard = _vgg((32, 64, 128), reduce="max")


def _allcnn(layers: _Layers, classes: int) -> None:
    for width, stride in ((96, 1), (96, 1), (96, 2), (192, 1), (192, 1), (192, 2), (192, 1), (192, 1)):
        layers.conv(width, stride=stride).act()
    layers.conv(classes, size=1).global_average()


def _resnet_v1(layers: _Layers, classes: int, n: int = 3) -> None:
    """6n + 2 layers with weights: conv-norm-act, then 3 stages of n blocks, the activation after the sum."""
    layers.conv(16).norm().act()
    for stage, width in enumerate((16, 32, 64)):
        for block in range(n):
            stride = 2 if stage and not block else 1
            body = layers.branch().conv(width, stride=stride).norm().act().conv(width).norm()
            shortcut = layers.branch().conv(width, size=1, stride=stride) if stride == 2 else layers.branch()
            layers.add("block", Residual(body.sequential(), shortcut.sequential())).act()
    layers.global_average().dense(classes)


def _resnet_v2(layers: _Layers, classes: int, n: int = 3) -> None:
    """9n + 2 layers with weights: 3 stages of n bottlenecks, norm and activation before each convolution."""
    layers.conv(16).norm().act()
    for stage, (inner, outer) in enumerate(((16, 64), (64, 128), (128, 256))):
        for block in range(n):
            stride = 2 if stage and not block else 1
            body, shortcut = layers.branch(), layers.branch()
            if stage or block:  # what enters the very first block is normed and activated already
                body.norm().act()
            body.conv(inner, size=1, stride=stride).norm().act().conv(inner).norm().act().conv(outer, size=1)
            if not block:
                shortcut.conv(outer, size=1, stride=stride)
            layers.add("block", Residual(body.sequential(), shortcut.sequential()))
    layers.norm().act().global_average().dense(classes)


_RECIPES: dict[str, tuple[str, _Recipe]] = {
    "fcn2": ("dense: as many units as inputs", _fcn2),
    "fcn4": ("dense: as many units as inputs, then 200, 80 (400, 120 for color images)", _fcn4),
    "fcn6": ("dense: 2500, 2000, 1500, 1000, 500", _dense(2500, 2000, 1500, 1000, 500)),
    "fcn8": ("dense: 4096, 3072, 2048, 1024, 512, 256, 128", _dense(4096, 3072, 2048, 1024, 512, 256, 128)),
    "wide": ("dense: eight of 4096, then 128", _dense(*[4096] * 8, 128)),
    "conv": (
        "one channel: C32 MP C64 C64 MP D64; else the paper's Standard VGG: 2×C32 MP 2×C64 MP 2×C128 MP D128",
        _conv,
    ),
    "narrow": ("VGG with few channels: 2×C4 MP 2×C16 MP 2×C64 MP D128", _vgg((4, 16, 64), reduce="max")),
    "narrow-strides": (
        "narrow, the second convolution of each block with stride 2 in place of the pool",
        _vgg((4, 16, 64), reduce="stride"),
    ),
    "conv-batchnorm": (
        "Standard VGG, batch norm after each convolution",
        _vgg((32, 64, 128), reduce="max", norm=True),
    ),
    "conv-avgpool": ("Standard VGG, average pools", _vgg((32, 64, 128), reduce="average")),
    "conv-nopool": ("Standard VGG without pools", _vgg((32, 64, 128), reduce=None)),
    "allcnn": ("AllCNN-C: 3×C96 (last /2), 3×C192 (last /2), 2×C192, 1×1 convolution, global average", _allcnn),
    "resnet-v1": ("ResNet-20: 3 stages of 3 blocks of two convolutions", _resnet_v1),
    "resnet-v2": ("ResNet-29: 3 stages of 3 pre-activated bottlenecks", _resnet_v2),
    "fcn-small": ("dense: 64, 32 (for 8 × 8 digits and short signals)", _dense(64, 32)),
    "conv-small": ("C8 MP C16 MP D32 (for 8 × 8 digits and short signals)", _conv_small),
}

MODELS: Mapping[str, str] = MappingProxyType({name: about for name, (about, _) in _RECIPES.items()})
"""The names that `build` takes, each with one line about its layers (C: 3×3 convolution, MP: max-pool, D: dense)."""
