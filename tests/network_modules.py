"""Building blocks for test networks, and a seeded initialization that leaves the global random state unchanged."""

from __future__ import annotations

from collections.abc import Callable
from math import prod, sqrt

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

Factory = Callable[[], nn.Module]
Shape = tuple[int, ...]


class Apply(nn.Module):
    """x -> function(x), with a name for reprs."""

    def __init__(self, name: str, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.name, self.function = name, function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)

    def extra_repr(self) -> str:
        return self.name


class WithConstant(nn.Module):
    """x -> function(x, constant) for a random constant tensor (a buffer), N(0, 1) unless positive, then U(0.5, 1.5)."""

    constant: Tensor

    def __init__(self, name: str, function: Callable, shape: Shape, positive: bool = False) -> None:
        super().__init__()
        self.name, self.function = name, function
        self.register_buffer("constant", torch.rand(shape) + 0.5 if positive else torch.randn(shape))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, self.constant)

    def extra_repr(self) -> str:
        return self.name


class Residual(nn.Module):
    """x -> skip(x) + body(x); without `skip`, x + body(x)."""

    def __init__(self, body: nn.Module, skip: nn.Module | None = None) -> None:
        super().__init__()
        self.body, self.skip = body, skip or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.skip(x) + self.body(x)


class Join(nn.Module):
    """x -> combine([branch(x) for each branch])."""

    def __init__(self, name: str, combine: Callable[[list[Tensor]], Tensor], *branches: nn.Module) -> None:
        super().__init__()
        self.name, self.combine, self.branches = name, combine, nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return self.combine([branch(x) for branch in self.branches])

    def extra_repr(self) -> str:
        return self.name


class Headed(nn.Module):
    """x -> head(body(x)): a body that returns logits, and a head that preserves their argmax."""

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body, self.head = body, head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


def logits_of(model: nn.Module) -> nn.Module:
    """`model` without the head of a `Headed`."""
    return model.body if isinstance(model, Headed) else model


def join_cat(*branches: nn.Module) -> Join:
    """Concatenation of branches along the features or channels."""
    return Join("cat", lambda parts: torch.cat(parts, 1), *branches)


def prelu(*slopes: float) -> nn.PReLU:
    """One slope per channel."""
    layer = nn.PReLU(len(slopes))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(slopes))
    return layer


def channel_shuffle(groups: int) -> Apply:
    """(B, g c, H, W) -> the same channels in the order of ShuffleNet."""

    def shuffle(x: Tensor) -> Tensor:
        batch, channels, rows, columns = x.shape
        split = x.view(batch, groups, channels // groups, rows, columns)
        return split.transpose(1, 2).contiguous().view(batch, channels, rows, columns)

    return Apply(f"channel_shuffle({groups})", shuffle)


def stem(shape: Shape) -> nn.Module:
    """The first layer over data of this shape: 8 features, or 4 channels of the same size."""
    first = [nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d][len(shape) - 1]
    return first(shape[0], 8) if first is nn.Linear else first(shape[0], 4, 3, padding=1)


def output_shape(module: nn.Module, shape: Shape) -> Shape:
    """The shape of a module's output for inputs of this shape, without the batch axis; the module is in eval mode."""
    with torch.no_grad():
        return tuple(module.eval()(torch.zeros(2, *shape)).shape[1:])


def with_tail(body: list[nn.Module], shape: Shape, hidden: int = 5, logits: int = 3) -> nn.Sequential:
    """`body`, a hidden ReLU layer and logits."""
    features = prod(output_shape(nn.Sequential(*body), shape))
    return nn.Sequential(*body, nn.Flatten(), nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, logits))


def build(factory: Factory, seed: int, *after: Callable[[nn.Module], object]) -> nn.Module:
    """The factory's module, initialized from `seed`, changed in place by each of `after`, in eval mode."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.default_generator.manual_seed(seed)
        model = factory()
        initialize(model)
        for change in after:
            change(model)
    return model.eval()


def initialize(model: nn.Module) -> None:
    """Initialize weights as He et al., biases not to zero, and batch norm as after training (gamma > 0)."""
    for module in model.modules():
        if parametrize.is_parametrized(module):
            _double_norms(module)
        elif isinstance(module, nn.Linear | nn.modules.conv._ConvNd):
            nn.init.normal_(module.weight, std=sqrt(2.0 / _fan_in(module)))
            if module.bias is not None:
                nn.init.normal_(module.bias, std=0.3)
        elif isinstance(module, nn.modules.batchnorm._BatchNorm):
            _initialize_batch_norm(module)


def _double_norms(module: nn.Module) -> None:
    """Double the norms of weight norm, whose initial values would make the outputs small."""
    for name, parameter in module.named_parameters():
        if name.endswith("original0"):
            parameter.mul_(2.0)


def _fan_in(module: nn.Linear | nn.modules.conv._ConvNd) -> float:
    """The number of inputs of an output; the average number for a transposed convolution with a stride."""
    if isinstance(module, nn.Linear):
        return module.in_features
    seen = module.in_channels // module.groups * prod(module.kernel_size)
    return seen / prod(module.stride) if module.transposed else seen


def _initialize_batch_norm(module: nn.modules.batchnorm._BatchNorm) -> None:
    if module.running_mean is not None and module.running_var is not None:
        nn.init.normal_(module.running_mean, std=0.3)
        nn.init.uniform_(module.running_var, 0.5, 1.5)
    if module.affine:
        nn.init.uniform_(module.weight, 0.5, 1.5)
        nn.init.normal_(module.bias, std=0.3)


def negate_some_gammas(model: nn.Module) -> None:
    """Every other gamma of every batch norm becomes negative."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.weight[::2] *= -1


def zero_biases(model: nn.Module) -> None:
    """All regions become cones with their apex at the origin."""
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.zero_()


def duplicate_neurons(model: nn.Module) -> None:
    """In each Linear layer but the last, the second half of the neurons repeats the first."""
    for layer in _hidden(model):
        half = layer.out_features // 2
        layer.weight[half : 2 * half] = layer.weight[:half]
        layer.bias[half : 2 * half] = layer.bias[:half]


def kill_neurons(model: nn.Module) -> None:
    """Each hidden layer: the first neuron is never active, the second always is, the third is exactly zero."""
    for layer in _hidden(model):
        layer.bias[0], layer.bias[1] = -1e3, 1e3
        layer.weight[2], layer.bias[2] = 0.0, 0.0


def zero_first_weights(model: nn.Module) -> None:
    """The first Linear layer ignores its input: the network is constant."""
    _hidden(model)[0].weight.zero_()


def _hidden(model: nn.Module) -> list[nn.Linear]:
    return [module for module in model.modules() if isinstance(module, nn.Linear)][:-1]
