"""The predicate: the active piece of every unit at a point, exactly.

The network is that of float64: its weights are rational numbers, and so are the coordinates of a point. Each unit's piece is
decided by a filter, a forward pass in float64 with a proven error bound. Points with a unit that the filter does not decide go
through the network again in longer and longer numbers, which are exact in the end. Where several pieces are equal, the first
one is active: a threshold unit at 0 takes its lower piece, a window its first largest input. This is the convention of cells:
a unit that is 0 on a whole cell takes its lower piece there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from tropica.network.graph import INPUT, AffineNode, Graph, Node, NonlinearityNode
from tropica.network.linear_parts import LinearPart
from tropica.network.nonlinearities import Abs, ClampMin, LeakyRelu, Maximum, PRelu, Relu
from tropica.network.numbers import Choice, Enclosed, Long, N


@dataclass(frozen=True)
class SignSettings:
    """Sizes of the predicate's blocks: numbers in memory at a time, limbs kept in the first long pass, their growth."""

    numbers: int = 2**24
    limbs: int = 8
    growth: int = 4


DEFAULT_SETTINGS = SignSettings()


@dataclass(frozen=True, eq=False)
class UnitPieces:
    """The units of one nonlinearity at B points.

    Attributes:
        node: the nonlinearity.
        piece: the active piece of each unit (B, *unit_shape).
        num_pieces: how many pieces a unit has.
        attaining: which pieces (pieces, B, *unit_shape) attain the maximum, where asked for.
    """

    node: NonlinearityNode
    piece: Tensor
    num_pieces: int
    attaining: Tensor | None = None


class PointSigns:
    """The predicate for one network.

    Args:
        graph: the network.
        constants: its constants, in float64.
        shapes: the shape of every value for one point.
        settings: sizes of blocks.
    """

    def __init__(
        self,
        graph: Graph,
        constants: dict[str, Tensor],
        shapes: dict[str, torch.Size],
        settings: SignSettings = DEFAULT_SETTINGS,
    ) -> None:
        self.graph, self.constants, self.shapes, self.settings = graph, constants, shapes, settings
        self._parts = {
            node.name: LinearPart(node, constants, tuple(shapes[name] for name in node.inputs))
            for node in graph.nodes
            if isinstance(node, AffineNode)
        }

    @cached_property
    def bits(self) -> int:
        """Binary digits in a limb, so that every op of the network is exact on limbs."""
        return min((part.bits for part in self._parts.values()), default=24)

    def __call__(self, x: Tensor, *, ties: bool = False) -> list[UnitPieces]:
        """The active pieces at points x (B, *input) in float64.

        Args:
            x: the points, finite.
            ties: also return which pieces attain the maximum.
        """
        with plain_arithmetic():
            size = self._block(2)
            blocks = [self._filtered(block, ties) for block in x.split(size)] if len(x) else [self._filtered(x, ties)]
        return [_joined(parts) for parts in zip(*blocks, strict=True)]

    def filtered(self, x: Enclosed) -> tuple[list[UnitPieces], Tensor]:
        """The pieces at points known up to an error (B, *input), with those that attain the maximum, and at which points (B,)
        all of them are proven."""
        with plain_arithmetic():
            return self._pass(x, Enclosed.affine, len(x.value), ties=True)

    def _block(self, copies: int) -> int:
        """The number of points in a block of which ``copies`` float64 of every value are in memory."""
        numbers = sum(shape.numel() for shape in self.shapes.values())
        return max(1, self.settings.numbers // (copies * max(numbers, 1)))

    def _filtered(self, x: Tensor, ties: bool) -> list[UnitPieces]:
        """The pieces at some points: by the filter, and where it does not decide by long numbers."""
        found, proven = self._pass(Enclosed.exact(x), Enclosed.affine, len(x), ties)
        keep = self.settings.limbs
        while not bool(proven.all()):
            rows = torch.nonzero(~proven).squeeze(1)
            for some in rows.split(self._block(4 * keep)):
                long = Long.exact(x[some], self.bits, keep)
                better, certain = self._pass(long, Long.affine, len(some), ties)
                for old, new in zip(found, better, strict=True):
                    old.piece[some] = new.piece
                    if old.attaining is not None and new.attaining is not None:
                        old.attaining[:, some] = new.attaining
                proven[some] = certain
            keep *= self.settings.growth
        return found

    def _pass(
        self, x: N, affine: Callable[[LinearPart, Sequence[N]], N], points: int, ties: bool
    ) -> tuple[list[UnitPieces], Tensor]:
        """One pass over the network: the pieces, and at which points all of them are proven."""
        found: list[UnitPieces] = []
        proven = torch.ones(points, dtype=torch.bool, device=self._device)

        def step(node: Node, inputs: Sequence[N]) -> N:
            if len(found) == len(self.graph.nonlinearities):
                return inputs[0]  # no nonlinearity reads what comes now
            if not isinstance(node, NonlinearityNode):
                return affine(self._parts[node.name], inputs)
            choice, value = self._chosen(node, inputs)
            count = node.op.num_pieces(*(self.shapes[name] for name in node.inputs))
            piece = node.per_point(choice.piece, points).clone()
            attaining = None
            if ties:
                attaining = choice.attaining.reshape(len(choice.attaining), points, *node.unit_shape).clone()
            found.append(UnitPieces(node, piece, count, attaining))
            proven.logical_and_(choice.proven.reshape(points, node.units).all(1))
            return value

        self.graph.interpret({INPUT: x}, step)
        return found, proven

    @property
    def _device(self) -> torch.device:
        return next(iter(self.constants.values())).device if self.constants else torch.device("cpu")

    def _chosen(self, node: NonlinearityNode, inputs: Sequence[N]) -> tuple[Choice, N]:
        """The active pieces of a nonlinearity, and its output."""
        z, op, roles = inputs[0], node.op, node.roles(self.constants)
        match op:
            case Relu():
                choice = z.above(z.constant(0.0))
                return choice, z.select(choice.piece, z.constant(0.0))
            case LeakyRelu() | PRelu():
                choice = z.above(z.constant(0.0))
                slope = -node.apply([-torch.ones(z.shape, dtype=torch.float64, device=self._device)], self.constants)
                value = z.select(choice.piece, z.times(slope))
                return choice.where(slope != 1), value
            case Abs():
                choice = z.above(z.constant(0.0))
                return choice, z.select(choice.piece, z.negated())
            case ClampMin():
                level = z.constant(roles["level"])
                choice = z.above(level)
                return choice, z.select(choice.piece, level)
            case Maximum():
                shape = torch.broadcast_shapes(inputs[0].shape, inputs[1].shape)
                first, second = (number.expand(shape) for number in inputs)
                choice = second.above(first)
                return choice, second.select(choice.piece, first)
            case _:
                windows, exists = z.windows(op)
                choice = windows.largest(exists)
                return choice, windows.taken(choice.piece)


def _joined(blocks: Sequence[UnitPieces]) -> UnitPieces:
    """The pieces of one nonlinearity at the points of several blocks."""
    first = blocks[0]
    attaining = None if first.attaining is None else torch.cat([b.attaining for b in blocks if b.attaining is not None], 1)
    return UnitPieces(first.node, torch.cat([b.piece for b in blocks]), first.num_pieces, attaining)


@contextmanager
def plain_arithmetic() -> Iterator[None]:
    """Float64 as IEEE has it, and no record for autograd: convolutions by sums of products, without transforms."""
    with torch.inference_mode(False), torch.no_grad(), torch.backends.cudnn.flags(enabled=False):
        yield
