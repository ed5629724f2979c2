"""Signs in exact rational arithmetic: float64 weights are rationals, and so are the corners of a domain.

A vertex is where one function vanishes on an edge: a + f(a)/(f(a) − f(b)) · (b − a), a and b being vertices themselves. So its
coordinates are rational numbers, and a forward pass in integers (numerators over one common denominator) gives every function's
exact value there. This is slow (milliseconds a vertex for a few thousand weights) and done only where floating point cannot
tell, each place once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from scipy.sparse import csr_array

from tropica.exact.dyadic import decode
from tropica.network.graph import INPUT, AffineNode, Node, NonlinearityNode
from tropica.network.nonlinearities import Abs, ClampMin, LeakyRelu, Maximum, PRelu, Relu
from tropica.regions.functions import Folded, Numbering
from tropica.regions.state import State

LARGEST = 2_000_000
"""Weights (nonzero entries of the affine ops, as matrices) up to which a network is evaluated exactly."""

Sparse = tuple[np.ndarray, np.ndarray, np.ndarray]
"""A matrix by rows: where each starts, columns, integer entries."""


class TooLarge(Exception):
    """The network has too many weights to be evaluated in exact arithmetic."""


@dataclass(frozen=True)
class Rationals:
    """A vector of rationals: integers ``top`` over one positive integer ``bottom``."""

    top: np.ndarray
    bottom: int

    @classmethod
    def floats(cls, numbers: np.ndarray) -> Rationals:
        """From float64, exactly: all over one power of two."""
        top, places = decode(numbers.ravel())
        return cls(top.astype(object), 1 << places)

    def lowest(self) -> Rationals:
        """In lowest terms."""
        divisor = math.gcd(self.bottom, *self.top.tolist())
        return self if divisor == 1 else Rationals(self.top // divisor, self.bottom // divisor)

    def over(self, bottom: int) -> np.ndarray:
        """The numerators over a multiple of the denominator."""
        return self.top * (bottom // self.bottom)

    def __getitem__(self, i: int) -> Fraction:
        return Fraction(self.top[i], self.bottom)


class Exact:
    """Exact values of a network's functions at the vertices of a complex.

    Args:
        folded: the network.
        state: the complex, with the ``parents`` of each vertex.
        functions: by constraint, (bend, turn, unit): which function it is the zero set of.
        base: where the complex is some cells of another one, that one, and the numbers there of the first vertices here.
    """

    def __init__(
        self, folded: Folded, state: State, functions: Numbering, base: tuple[Exact, np.ndarray] | None = None
    ) -> None:
        self.folded, self.state, self.functions, self.base = folded, state, functions, base
        self._matrices: dict[str, tuple[list[Sparse], int, Rationals]] = {}
        self._points: dict[int, Rationals] = {}
        self._values: dict[int, list[dict[str, Rationals]]] = {}

    def value(self, vertex: int, function: tuple[int, int, int]) -> Fraction:
        """The value of a function at a vertex."""
        bend, turn, unit = function
        place = int(self.state.vertices["place"][vertex])
        point = self.point(vertex)  # first: it may take values at other vertices of the same place, which belong here
        stages = self._values.setdefault(place, [])
        while len(stages) <= bend:
            self._advance(point, stages)
        nonlinearity = self.folded.bends[bend].nonlinearity
        inputs = [stages[bend][name] for name in nonlinearity.inputs]
        if turn:
            table = self._table(bend)
            places = [int(i) for i in table[unit] if i >= 0]
            return max(inputs[0][i] for i in places[:turn]) - inputs[0][places[turn]]
        return self._functions(nonlinearity, inputs, point[self.state.d])[unit]

    def _functions(self, nonlinearity: NonlinearityNode, inputs: list[Rationals], scale: Fraction) -> Rationals:
        """The functions of a nonlinearity of two choices."""
        z = inputs[0]
        if isinstance(nonlinearity.op, ClampMin):
            level = self._constant(nonlinearity, "level", len(z.top))
            bottom = math.lcm(z.bottom, level.bottom * scale.denominator)
            return Rationals(
                z.over(bottom) - level.top * scale.numerator * (bottom // (level.bottom * scale.denominator)), bottom
            )
        if isinstance(nonlinearity.op, Maximum):
            bottom = math.lcm(z.bottom, inputs[1].bottom)
            return Rationals(z.over(bottom) - inputs[1].over(bottom), bottom)
        return z

    def choices(self, vertices: list[int]) -> list[np.ndarray]:
        """In the middle of some vertices, a bend each: the signs of its functions, or the winning entries of its input."""
        points = [self.point(v) for v in vertices]
        bottom = math.lcm(*(point.bottom for point in points))
        middle = Rationals(np.sum([point.over(bottom) for point in points], axis=0), bottom).lowest()
        stages: list[dict[str, Rationals]] = []
        found: list[np.ndarray] = []
        for bend in self.folded.bends:
            self._advance(middle, stages)
            inputs, scale = [stages[-1][name] for name in bend.nonlinearity.inputs], middle[self.state.d]
            if self.folded.options[len(stages) - 1] is not None:
                found.append(self._choice(bend.nonlinearity, len(stages) - 1, inputs, scale))
            else:
                found.append(np.sign(self._functions(bend.nonlinearity, inputs, scale).top.astype(object)).astype(np.int8))
        return found

    def point(self, vertex: int) -> Rationals:
        """Homogeneous coordinates (d + 1,) of a vertex."""
        vertices = self.state.vertices
        stack = [vertex]
        while stack:
            v = stack[-1]
            place = int(vertices["place"][v])
            if place in self._points:
                stack.pop()
                continue
            a, b = (int(p) for p in vertices["parents"][v])
            if a < 0:
                if self.base is not None and v < len(self.base[1]):
                    self._points[place] = self.base[0].point(int(self.base[1][v]))
                else:
                    self._points[place] = Rationals.floats(vertices["at"][v])
                continue
            missing = [p for p in (a, b) if int(vertices["place"][p]) not in self._points]
            if missing:
                stack += missing
                continue
            self._points[place] = self._between(a, b, self.functions[int(vertices["on"][v, -1])])
        return self._points[int(vertices["place"][vertex])]

    def _between(self, a: int, b: int, function: tuple[int, int, int]) -> Rationals:
        above, below = self.value(a, function), self.value(b, function)
        start, end = self.point(a), self.point(b)
        share = above / (above - below)
        bottom = math.lcm(start.bottom, end.bottom)
        first, last = start.over(bottom), end.over(bottom)
        top = first * share.denominator + (last - first) * share.numerator
        return Rationals(top, bottom * share.denominator).lowest()

    def _advance(self, point: Rationals, stages: list[dict[str, Rationals]]) -> None:
        """From the values in front of one bend, the last of ``stages``, to those in front of the next."""
        folded, number = self.folded, len(stages)
        scale = point[self.state.d]
        if number == 0:
            values = {INPUT: self._input(point)}
        else:
            last = folded.bends[number - 1].nonlinearity
            values = dict(stages[-1])
            inputs = [values[name] for name in last.inputs]
            values[last.name] = self._piece(last, self._choice(last, number - 1, inputs, scale), inputs, scale)
        for node in folded.bends[number].before:
            assert isinstance(node, AffineNode)
            values[node.name] = self._affine(node, [values[name] for name in node.inputs], scale)
        stages.append({name: values[name] for name in folded.bends[number].alive})

    def _input(self, point: Rationals) -> Rationals:
        origin, basis = self.folded.origin.numpy(), self.folded.basis.numpy()
        d = self.state.d
        fixed = np.concatenate([basis, origin[None]])  # (d + 1, n)
        exact = Rationals.floats(fixed.ravel())
        matrix = exact.top.reshape(fixed.shape)
        return Rationals(point.top[: d + 1] @ matrix, exact.bottom * point.bottom).lowest()

    def _choice(self, nonlinearity: NonlinearityNode, bend: int, inputs: list[Rationals], scale: Fraction) -> np.ndarray:
        """Which piece each unit takes: for a pool the entry of its input, else whether it is the first of the two."""
        z = inputs[0]
        if isinstance(nonlinearity.op, (Relu, Abs, LeakyRelu, PRelu, ClampMin, Maximum)):
            return self._functions(nonlinearity, inputs, scale).top > 0
        rows = self._table(bend).tolist()
        return np.array([max((i for i in row if i >= 0), key=lambda i: z.top[i]) for row in rows])

    def _table(self, bend: int) -> torch.Tensor:
        """The windows of a tournament."""
        options = self.folded.options[bend]
        assert options is not None
        return options.table

    def _piece(self, nonlinearity: NonlinearityNode, choice: np.ndarray, inputs: list[Rationals], scale: Fraction) -> Rationals:
        """The pieces that the units take."""
        z = inputs[0]
        if isinstance(nonlinearity.op, Relu):
            return Rationals(np.where(choice, z.top, 0), z.bottom)
        if isinstance(nonlinearity.op, Abs):
            return Rationals(np.where(choice, z.top, -z.top), z.bottom)
        if isinstance(nonlinearity.op, (LeakyRelu, PRelu)):
            slopes = self._slopes(nonlinearity, len(z.top))
            return Rationals(np.where(choice, z.top * slopes.bottom, z.top * slopes.top), z.bottom * slopes.bottom).lowest()
        if isinstance(nonlinearity.op, ClampMin):
            level = self._constant(nonlinearity, "level", len(z.top))
            bottom = math.lcm(z.bottom, level.bottom * scale.denominator)
            floor = level.top * scale.numerator * (bottom // (level.bottom * scale.denominator))
            return Rationals(np.where(choice, z.over(bottom), floor), bottom)
        if isinstance(nonlinearity.op, Maximum):
            bottom = math.lcm(z.bottom, inputs[1].bottom)
            return Rationals(np.where(choice, z.over(bottom), inputs[1].over(bottom)), bottom)
        return Rationals(z.top[choice], z.bottom)

    def map(self, point: np.ndarray) -> tuple[int, ...]:
        """The affine map at a point (d,) inside a cell, in homogeneous coordinates: numerators of its s · (d + 1) coefficients,
        and their denominator.

        Pieces are chosen by floating point, which a point well inside a cell allows.
        """
        folded, d = self.folded, self.state.d
        with torch.no_grad():
            x = folded.inputs(torch.from_numpy(np.append(point, 1.0)[None]))
            floats = folded.net.graph.evaluate(x, folded.net.constants, keep=folded.net.graph.names)
        choices: dict[str, np.ndarray] = {}
        for number, bend in enumerate(bend for bend in folded.bends if bend.nonlinearity.name in floats):
            inputs = [Rationals.floats(floats[name].numpy().ravel()) for name in bend.nonlinearity.inputs]
            choices[bend.nonlinearity.name] = self._choice(bend.nonlinearity, number, inputs, Fraction(1))
        columns: list[Rationals] = []
        for column in range(d + 1):
            scale = Fraction(int(column == d))
            unit = np.array([int(i == column) for i in range(d + 1)], dtype=object)
            values = {INPUT: self._input(Rationals(unit, 1))}
            for node in folded.net.graph.nodes:
                inputs = [values[name] for name in node.inputs]
                if isinstance(node, NonlinearityNode):
                    values[node.name] = self._piece(node, choices[node.name], inputs, scale)
                else:
                    assert isinstance(node, AffineNode)
                    values[node.name] = self._affine(node, inputs, scale)
            columns.append(values[folded.net.graph.output])
        bottom = math.lcm(*(column.bottom for column in columns))
        whole = Rationals(np.concatenate([column.over(bottom) for column in columns]), bottom).lowest()
        return (*whole.top.tolist(), whole.bottom)

    def _slopes(self, nonlinearity: NonlinearityNode, size: int) -> Rationals:
        if isinstance(nonlinearity.op, LeakyRelu):
            return Rationals.floats(np.full(size, nonlinearity.op.slope))
        example = torch.full((1, *self._shape(nonlinearity)), -1.0, dtype=torch.float64)
        return Rationals.floats(-nonlinearity.apply([example], self.folded.net.constants).numpy().ravel())

    def _constant(self, nonlinearity: NonlinearityNode, role: str, size: int) -> Rationals:
        level = nonlinearity.roles(self.folded.net.constants)[role]
        return Rationals.floats(torch.broadcast_to(level, (1, *self._shape(nonlinearity))).numpy().ravel())

    def _shape(self, nonlinearity: NonlinearityNode) -> tuple[int, ...]:
        return self.folded.shapes[nonlinearity.inputs[0]]

    def _affine(self, node: Node, inputs: list[Rationals], scale: Fraction) -> Rationals:
        if node.name not in self._matrices:
            self._matrices[node.name] = self._taken_apart(node)
        matrices, shift, offset = self._matrices[node.name]
        bottom = math.lcm(*(z.bottom for z in inputs))
        total = np.zeros(len(offset.top), dtype=object)
        for matrix, z in zip(matrices, inputs, strict=True):
            total += _product(matrix, z.over(bottom))
        whole = math.lcm(bottom << shift, offset.bottom * scale.denominator)
        added = offset.top * scale.numerator * (whole // (offset.bottom * scale.denominator))
        return Rationals(total * (whole // (bottom << shift)) + added, whole).lowest()

    def _taken_apart(self, node: Node) -> tuple[list[Sparse], int, Rationals]:
        """An affine op as integer matrices over 2^shift, one an input, and its offset: entries as float64 has them."""
        constants, shapes = self.folded.net.constants, self.folded.shapes
        zeros = [torch.zeros(1, *shapes[name], dtype=torch.float64) for name in node.inputs]
        offset = node.apply(zeros, constants)
        out = offset.numel()
        if out * sum(z.numel() for z in zeros) > 64 * LARGEST:
            raise TooLarge
        leaves = [z.expand(out, *z.shape[1:]).clone().requires_grad_() for z in zeros]
        with torch.enable_grad():
            result = node.apply(leaves, constants)
            seeds = torch.eye(out, dtype=torch.float64).reshape(result.shape)
            rows = torch.autograd.grad(result, leaves, seeds, allow_unused=True, materialize_grads=True)
        dense = [row.reshape(out, z.numel()).numpy() for row, z in zip(rows, zeros, strict=True)]
        if sum(int(np.count_nonzero(m)) for m in dense) > LARGEST:
            raise TooLarge
        exact = Rationals.floats(np.concatenate([m[m != 0] for m in dense]))
        matrices: list[Sparse] = []
        first = 0
        for m in dense:
            pattern = csr_array(m != 0)
            pattern.sort_indices()
            numbers = exact.top[first : first + pattern.nnz]
            first += pattern.nnz
            matrices.append((pattern.indptr, pattern.indices, numbers))
        return matrices, exact.bottom.bit_length() - 1, Rationals.floats(offset.numpy().ravel())


def _product(matrix: Sparse, vector: np.ndarray) -> np.ndarray:
    """A sparse integer matrix times an integer vector."""
    starts, columns, entries = matrix
    out = np.zeros(len(starts) - 1, dtype=object)
    filled = np.flatnonzero(starts[1:] > starts[:-1])
    if len(filled):
        out[filled] = np.add.reduceat(entries * vector[columns], starts[filled])
    return out
