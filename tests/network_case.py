"""`Case`, a test network, and constructors for the rows of the list in `tests.networks`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from tests.network_modules import Apply, Factory, Shape, WithConstant, build, stem, with_tail

Change = Callable[[nn.Module], object]

VECTOR: Shape = (5,)
"""Inputs (B, 5); the operation in `around` sees (B, 8)."""
SEQUENCE: Shape = (2, 9)
"""Inputs (B, 2, 9); the operation in `around` sees (B, 4, 9)."""
IMAGE: Shape = (2, 6, 6)
"""Inputs (B, 2, 6, 6); the operation in `around` sees (B, 4, 6, 6)."""
VOLUME: Shape = (1, 4, 4, 4)
"""Inputs (B, 1, 4, 4, 4); the operation in `around` sees (B, 4, 4, 4, 4)."""


@dataclass(frozen=True)
class Case:
    """A recipe for a network (B, *input_shape) -> (B, s).

    `make(seed)` returns a module in eval mode and leaves the global random state unchanged.
    """

    name: str
    make: Callable[[int], nn.Module] = field(repr=False)
    input_shape: Shape
    tags: frozenset[str] = frozenset()

    def inputs(self, n: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
        """Standard normal points (n, *input_shape): the same numbers in every dtype, rounded to it."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(n, *self.input_shape, generator=generator, dtype=torch.float64).to(dtype)


def case(name: str, shape: Shape, tags: str, factory: Factory, *after: Change) -> Case:
    """A case from a factory; each of `after` changes the initialized network, and `tags` is a space-separated string."""
    return Case(name, lambda seed: build(factory, seed, *after), shape, frozenset(tags.split()))


def chain(name: str, shape: Shape, tags: str, layers: Callable[[], list[nn.Module]], *after: Change) -> Case:
    """A chain of layers, followed by a hidden ReLU layer and an output layer."""
    return case(name, shape, tags, lambda: with_tail(layers(), shape), *after)


def around(name: str, shape: Shape, tags: str, op: Factory, *after: Change) -> Case:
    """One operation between a first and a hidden layer. Only an affine operation follows a ReLU."""

    before = [nn.ReLU] if "affine" in tags.split() else []
    return chain(name, shape, tags, lambda: [stem(shape), *(nonlinearity() for nonlinearity in before), op()], *after)


def function(name: str, shape: Shape, tags: str, op: Callable[[Tensor], Tensor]) -> Case:
    """`around` a function of one activation."""
    return around(name, shape, tags, lambda: Apply(name, op))


def constant(name: str, shape: Shape, tags: str, op: Callable, of: Shape, positive: bool = False) -> Case:
    """`around` a function of one activation and one random constant of shape `of`."""
    return around(name, shape, tags, lambda: WithConstant(name, op, of, positive))
