"""Deep networks of the literature, for 32 or 64 pixels: ResNet-18, ResNet-50, VGG-16-BN, DenseNet-121 and MobileNetV2-like."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs)]


class Residual(nn.Module):
    """relu(body(x) + shortcut(x)), or without the relu."""

    def __init__(self, body: nn.Module, shortcut: nn.Module, relu: bool = True) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut
        self.relu = nn.ReLU() if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.body(x) + self.shortcut(x))


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    same = inputs == outputs and stride == 1
    return nn.Identity() if same else nn.Sequential(*conv_bn(inputs, outputs, 1, stride))


def basic(inputs: int, width: int, stride: int) -> nn.Module:
    body = nn.Sequential(*conv_bn(inputs, width, 3, stride), nn.ReLU(), *conv_bn(width, width, 3))
    return Residual(body, _shortcut(inputs, width, stride))


def _bottleneck(inputs: int, width: int, stride: int) -> nn.Module:
    body = nn.Sequential(
        *conv_bn(inputs, width, 1),
        nn.ReLU(),
        *conv_bn(width, width, 3, stride),
        nn.ReLU(),
        *conv_bn(width, 4 * width, 1),
    )
    return Residual(body, _shortcut(inputs, 4 * width, stride))


def _resnet(block: Callable[[int, int, int], nn.Module], blocks: tuple[int, ...], expansion: int) -> nn.Module:
    layers: list[nn.Module] = [*conv_bn(3, 64, 3), nn.ReLU()]
    inputs = 64
    for stage, count in enumerate(blocks):
        width = 64 * 2**stage
        for i in range(count):
            layers.append(block(inputs, width, 2 if stage and not i else 1))
            inputs = width * expansion
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10))


def resnet18() -> nn.Module:
    """ResNet-18 with a 3×3 stem (17 relus)."""
    return _resnet(basic, (2, 2, 2, 2), 1)


def resnet50() -> nn.Module:
    """ResNet-50 with a 3×3 stem (49 relus)."""
    return _resnet(_bottleneck, (3, 4, 6, 3), 4)


def vgg16_bn() -> nn.Module:
    """VGG-16 with batch norm (13 convolutions, 5 max-pools) and one linear layer behind an average over the pixels."""
    layers: list[nn.Module] = []
    inputs = 3
    for width, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            layers += [*conv_bn(inputs, width, 3), nn.ReLU()]
            inputs = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


class DenseLayer(nn.Module):
    """x ↦ [x, conv3(relu(bn(conv1(relu(bn(x))))))]."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.ReLU(),
            nn.Conv2d(inputs, 4 * growth, 1, bias=False),
            nn.BatchNorm2d(4 * growth),
            nn.ReLU(),
            nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.body(x)], 1)


def densenet121() -> nn.Module:
    """DenseNet-121 with a 3×3 stem (120 relus)."""
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, padding=1, bias=False)]
    width = 64
    for stage, count in enumerate((6, 12, 24, 16)):
        if stage:
            layers += [nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, width // 2, 1, bias=False), nn.AvgPool2d(2)]
            width //= 2
        for _ in range(count):
            layers.append(DenseLayer(width, 32))
            width += 32
    return nn.Sequential(*layers, nn.BatchNorm2d(width), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


def _inverted(inputs: int, outputs: int, stride: int, expansion: int) -> nn.Module:
    hidden = inputs * expansion
    body: list[nn.Module] = [*conv_bn(inputs, hidden, 1), nn.ReLU6()] if expansion > 1 else []
    body += [*conv_bn(hidden, hidden, 3, stride, hidden), nn.ReLU6(), *conv_bn(hidden, outputs, 1)]
    layers = nn.Sequential(*body)
    return Residual(layers, nn.Identity(), relu=False) if stride == 1 and inputs == outputs else layers


def mobilenet_v2() -> nn.Module:
    """MobileNetV2 with strides for 32 pixels (35 relu6, 70 nonlinearities)."""
    layers: list[nn.Module] = [*conv_bn(3, 32, 3), nn.ReLU6()]
    inputs = 32
    stages = ((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for expansion, outputs, count, stride in stages:
        for i in range(count):
            layers.append(_inverted(inputs, outputs, stride if i == 0 else 1, expansion))
            inputs = outputs
    layers += [*conv_bn(inputs, 1280, 1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 10)]
    return nn.Sequential(*layers)


DEEP: dict[str, Callable[[], nn.Module]] = {
    "ResNet-18": resnet18,
    "VGG-16-BN": vgg16_bn,
    "ResNet-50": resnet50,
    "MobileNetV2": mobilenet_v2,
    "DenseNet-121": densenet121,
}


def initial(name: str, seed: int = 0) -> nn.Module:
    """A deep network in eval mode with He-normal weights (fan out) and batch norms as PyTorch initializes them."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = DEEP[name]()
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return model.eval().requires_grad_(False)


def prepared(name: str, images: Tensor, seed: int = 0) -> nn.Module:
    """The network of :func:`initial` with batch-norm statistics of the images; its gradients then explode with depth."""
    model = initial(name, seed).train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # a plain average over the batches
    with torch.no_grad():
        for batch in images.split(64):
            model(batch)
    return model.eval()
