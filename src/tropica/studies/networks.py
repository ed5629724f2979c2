"""The networks of the TropEx paper by name.

All networks are built from `torch.nn` modules, with biases and without a softmax. Weights are He-uniform, biases are 0. Layers
are named by kind and number (`conv1`, `dense2`), as `tp.extract(..., at="dense2")` takes them.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from tropica.errors import InputError
from tropica.studies.architectures import CHAINS, COLOR_CHAINS, MODELS

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky": lambda: nn.LeakyReLU(0.3),  # the default of Keras
}


def build(
    name: str,
    input_shape: Sequence[int],
    num_classes: int = 10,
    *,
    seed: int | None = None,
    activation: Literal["relu", "leaky"] = "relu",
) -> nn.Sequential:
    """An untrained network of `MODELS` in eval mode, on the CPU, in torch's default dtype.

    Args:
        name: a key of `MODELS`.
        input_shape: the shape of one point: any shape for dense networks, which flatten it; (channels, height, width) or
            (channels, length) for the others, whose convolutions and pools have the dimension of the input.
        num_classes: the number of outputs.
        seed: the seed of the weights; None draws them from torch's global generator, which a seed leaves untouched.
        activation: `relu`, or `leaky` for LeakyReLU(0.3).

    Raises:
        InputError: an unknown name or activation, or an input shape that the network cannot take.

    >>> build("fcn4", (1, 28, 28), seed=0)(torch.zeros(5, 1, 28, 28)).shape
    torch.Size([5, 10])
    """
    model = _on_meta_device(name, tuple(input_shape), num_classes, activation).to_empty(device="cpu")
    _initialize(model, None if seed is None else torch.Generator().manual_seed(seed))
    return model.eval()


def check_model(name: str, input_shape: Sequence[int], num_classes: int = 10) -> None:
    """Raise the InputError that `build` would raise, without allocating weights."""
    _on_meta_device(name, tuple(input_shape), num_classes, "relu")


def family(name: str) -> str:
    """The paper's family of a network of `MODELS`: "FCN" or "CNN".

    >>> family("wide"), family("narrow")
    ('FCN', 'CNN')
    """
    return "FCN" if name.startswith("fcn") or name == "wide" else "CNN"


def _on_meta_device(name: str, shape: tuple[int, ...], num_classes: int, activation: str) -> nn.Sequential:
    """The layers on the meta device, which avoids the cost of torch's own initialization."""
    if name not in MODELS:
        raise InputError(f"there is no model {name!r}; there are {', '.join(MODELS)}")
    if activation not in ACTIVATIONS:
        raise InputError(f"the activation must be one of {', '.join(ACTIVATIONS)}; found {activation!r}")
    if not shape or not all(isinstance(size, int) and size > 0 for size in (*shape, num_classes)):
        raise InputError(f"input_shape and num_classes must be whole numbers, 1 or more; found {shape} and {num_classes!r}")
    with torch.device("meta"):
        layers = _Layers(torch.empty(2, *shape), activation)
        try:
            if name in _ARCHITECTURES:
                _ARCHITECTURES[name](layers, num_classes)
            else:
                layers.chain(_chain_for(name, shape)).flatten_once().dense(num_classes)
        except RuntimeError as error:
            raise InputError(f"an input of shape {shape} is too small for the model {name!r}: {error}") from error
    return layers.sequential()


def _chain_for(name: str, shape: tuple[int, ...]) -> str:
    color = {"fcn4": len(shape) == 3 and shape[0] == 3, "conv": shape[0] != 1}
    return COLOR_CHAINS[name] if color.get(name) else CHAINS[name]


def initialize_as_keras(model: nn.Sequential, *, he_last: bool, seed: int) -> None:
    """Draw the weights as the authors' scripts do: Glorot uniform for dense layers, He uniform for convolutions; biases are 0.

    Args:
        model: a network of `MODELS`; changed in place.
        he_last: the last layer's weights are He uniform as well.
        seed: the seed of the weights.
    """
    generator = torch.Generator().manual_seed(seed)
    layers = [m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv1d, nn.Conv2d))]
    for layer in layers:
        if isinstance(layer, nn.Linear) and not (he_last and layer is layers[-1]):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
        else:
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)


def _initialize(model: nn.Module, generator: torch.Generator | None) -> None:
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d)):
            nn.init.kaiming_uniform_(module.weight, nonlinearity="relu", generator=generator)
            assert module.bias is not None
            nn.init.zeros_(module.bias)
        elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.reset_parameters()


class Residual(nn.Module):
    """The sum shortcut(x) + body(x)."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.body(x)


class _Layers:
    """A chain of named layers under construction; an example passes through it, which gives each layer its input size."""

    def __init__(self, example: Tensor, activation: str) -> None:
        self.example, self.activation = example, activation
        self.modules: OrderedDict[str, nn.Module] = OrderedDict()
        self.counts: Counter[str] = Counter()

    def sequential(self) -> nn.Sequential:
        return nn.Sequential(self.modules)

    def branch(self) -> _Layers:
        """An empty chain on the output of this chain."""
        return _Layers(self.example, self.activation)

    def add(self, kind: str, module: nn.Module) -> _Layers:
        self.counts[kind] += 1
        self.modules[f"{kind}{self.counts[kind]}"] = module
        self.example = module(self.example)
        return self

    def of_dimension(self, one: type[nn.Module], two: type[nn.Module]) -> type[nn.Module]:
        """The class of a layer for signals or for images, according to the example."""
        if self.example.ndim not in (3, 4):
            found = tuple(self.example.shape[1:])
            raise InputError(f"this model takes (channels, height, width) or (channels, length); found {found}")
        return one if self.example.ndim == 3 else two

    def chain(self, layers: str) -> _Layers:
        """Layers in the notation of `MODELS`."""
        for layer in layers.split():
            if layer == "MP":
                self.add("pool", self.of_dimension(nn.MaxPool1d, nn.MaxPool2d)(2))
            elif layer == "AP":
                self.add("pool", self.of_dimension(nn.AvgPool1d, nn.AvgPool2d)(2))
            elif layer[0] == "D":
                self.flatten_once()
                self.dense(self.example.shape[1] if layer == "D*" else int(layer[1:])).act()
            else:
                width, _, stride = layer[1:].partition("/")
                self.conv(int(width), stride=int(stride or 1))
                (self.norm() if layer[0] == "B" else self).act()
        return self

    def conv(self, width: int, *, size: int = 3, stride: int = 1) -> _Layers:
        kind = self.of_dimension(nn.Conv1d, nn.Conv2d)
        return self.add("conv", kind(self.example.shape[1], width, size, stride=stride, padding=size // 2))

    def norm(self) -> _Layers:
        return self.add("norm", self.of_dimension(nn.BatchNorm1d, nn.BatchNorm2d)(self.example.shape[1]))

    def act(self) -> _Layers:
        return self.add("act", ACTIVATIONS[self.activation]())

    def global_average(self) -> _Layers:
        return self.add("average", self.of_dimension(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)(1)).flatten_once()

    def flatten_once(self) -> _Layers:
        return self if "flatten1" in self.modules else self.add("flatten", nn.Flatten())

    def dense(self, width: int) -> _Layers:
        return self.add("dense", nn.Linear(self.example.shape[1], width))


def _allcnn(layers: _Layers, num_classes: int) -> None:
    layers.chain("C96 C96 C96/2 C192 C192 C192/2 C192 C192").conv(num_classes, size=1).global_average()


def _resnet_v1(layers: _Layers, num_classes: int, n: int = 3) -> None:
    """6n + 2 layers with weights: conv-norm-act, then 3 stages of n blocks, with the activation after the sum."""
    layers.conv(16).norm().act()
    for stage, width in enumerate((16, 32, 64)):
        for block in range(n):
            stride = 2 if stage and not block else 1
            body = layers.branch().conv(width, stride=stride).norm().act().conv(width).norm()
            shortcut = layers.branch().conv(width, size=1, stride=stride) if stride == 2 else layers.branch()
            layers.add("block", Residual(body.sequential(), shortcut.sequential())).act()
    layers.global_average().dense(num_classes)


def _resnet_v2(layers: _Layers, num_classes: int, n: int = 3) -> None:
    """9n + 2 layers with weights: 3 stages of n bottlenecks, with norm and activation before each convolution."""
    layers.conv(16).norm().act()
    for stage, (inner, outer) in enumerate(((16, 64), (64, 128), (128, 256))):
        for block in range(n):
            stride = 2 if stage and not block else 1
            body, shortcut = layers.branch(), layers.branch()
            if stage or block:  # the input of the very first block has been normalized and activated
                body.norm().act()
            body.conv(inner, size=1, stride=stride).norm().act().conv(inner).norm().act().conv(outer, size=1)
            if not block:
                shortcut.conv(outer, size=1, stride=stride)
            layers.add("block", Residual(body.sequential(), shortcut.sequential()))
    layers.norm().act().global_average().dense(num_classes)


_ARCHITECTURES: Mapping[str, Callable[[_Layers, int], None]] = {
    "allcnn": _allcnn,
    "resnet-v1": _resnet_v1,
    "resnet-v2": _resnet_v2,
}
