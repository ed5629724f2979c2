"""What a walk along a segment needs to know of a network: the batch in every value, affine ops as linear parts with bounds.

The walk carries every value as rows, one an interval, so each tensor of the graph is read as (rows, units) and back. An
affine op x ↦ J x + c is used in three ways: on intercepts as it is, on slopes without c, and as |J| on error bounds
(nodes keep their weights' signs apart for this, see :class:`~tropica.network.graph.AffineNode`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from tropica.errors import InputError
from tropica.network.graph import INPUT, AffineNode, NonlinearityNode
from tropica.network.network import PiecewiseLinearNetwork
from tropica.regions.segments.nonlinearities import NonlinearityForm, Threshold, Window, nonlinearity_form

UNIT = 2.0**-53
"""Half a unit in the last place of 1: the relative error of one float64 operation."""


def gamma(terms: int) -> float:
    """γ = k u / (1 − k u): the relative error of a sum of ``terms`` products in any order (k = terms + 2)."""
    k = (terms + 2) * UNIT
    return k / (1 - k)


def split_bits(x: Tensor, bits: int) -> tuple[Tensor, Tensor, float, float]:
    """x as whole multiples, at most 2^bits, of a power of two, and the rest; the largest |x|, and that power."""
    most = float(x.abs().max())
    unit = 2.0 ** (math.frexp(most)[1] - bits) if most else 1.0
    whole = (x / unit).round() * unit
    return whole, x - whole, most, unit


@dataclass(frozen=True)
class Layout:
    """Where a tensor of the graph holds the batch: ``shape`` for one point, ``axis`` the dimension of the points (or None)."""

    shape: tuple[int, ...]
    axis: int | None

    @property
    def units(self) -> int:
        """Numbers of one point."""
        return math.prod(self.shape)

    def split(self, value: Tensor) -> Tensor:
        """A tensor of the graph as (points, units)."""
        if self.axis is None:
            return value.reshape(1, -1)
        moved = value.movedim(self.axis, 0)
        return moved.reshape(moved.shape[0] // self.shape[self.axis], -1)

    def join(self, rows: Tensor) -> Tensor:
        """Rows (points, units) as a tensor of the graph."""
        if self.axis is None:
            return rows[0].reshape(self.shape)
        times = self.shape[self.axis]
        rest = self.shape[: self.axis] + self.shape[self.axis + 1 :]
        return rows.reshape(len(rows) * times, *rest).movedim(0, self.axis)


@dataclass(frozen=True)
class AffineStep:
    """An affine node on rows.

    Attributes:
        node, inputs, output: the node, and the layouts of what it reads and gives.
        constants: its constants; ``silent``: the same with a bias of zero; ``size``: with |weight| as well.
        rest: what it gives for zeros and a bias of zero (a padding's value), None where that is zero.
        constant: what it gives for zeros, (units,).
        terms: the largest number of products that are added up for one output.
    """

    node: AffineNode
    inputs: tuple[Layout, ...]
    output: Layout
    constants: dict[str, Tensor]
    silent: dict[str, Tensor]
    rest: Tensor | None
    constant: Tensor
    terms: int

    def intercepts(self, rows: Sequence[Tensor]) -> Tensor:
        """J x + c."""
        return self._run(rows, self.constants)

    def slopes(self, rows: Sequence[Tensor]) -> Tensor:
        """J x."""
        out = self._run(rows, self.silent)
        return out if self.rest is None else out - self.rest

    def sizes(self, rows: Sequence[Tensor]) -> Tensor:
        """|J| x."""
        signs = self.node.signs or (1,) * len(rows)
        turned = [x if sign > 0 else -x for x, sign in zip(rows, signs, strict=True)]
        out = self._run(turned, self._absolute)
        return out if self.rest is None else out - self.rest

    @property
    def short(self) -> bool:
        """Can :meth:`sharply` do it?"""
        return self.node.weighted and len(self.inputs) == 1 and self.rest is None

    def sharply(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """J x for a few rows, and bounds on its errors that are some units in the last place, not as many as there are terms.

        Weights and rows are split into whole multiples of powers of two, of few enough bits that their products add up exactly,
        and small rests, whose products are rounded (Ozaki, Ogita, Oishi, Rump, Numerical Algorithms 59, 2012).
        """
        weight, rest, size, unit = self._parts
        first, last, most, least = split_bits(rows, self._bits)
        exact = self._run([first], {**self.silent, "weight": weight})
        whole = exact / (unit * least)
        if not bool((whole == whole.round()).all()):  # there is something else in it than sums of products
            return self.slopes([rows]), 2 * gamma(self.terms) * self.sizes([rows.abs()])
        small = self._run([last], {**self.silent, "weight": weight}) + self._run([rows], {**self.silent, "weight": rest})
        out = exact + small
        rounding = gamma(self.terms) * self.terms * (size * least + unit * most)
        return out, rounding + 2 * UNIT * (small.abs() + out.abs())

    @property
    def _bits(self) -> int:
        return (52 - math.ceil(math.log2(self.terms + 1))) // 2

    @cached_property
    def _parts(self) -> tuple[Tensor, Tensor, float, float]:
        return split_bits(self.constants["weight"], self._bits)

    @cached_property
    def _absolute(self) -> dict[str, Tensor]:
        return {role: c.abs() if role == "weight" else c for role, c in self.silent.items()}

    def _run(self, rows: Sequence[Tensor], constants: dict[str, Tensor]) -> Tensor:
        joined = [layout.join(x) for layout, x in zip(self.inputs, rows, strict=True)]
        out = self.output.split(self.node.fn(*joined, **constants))
        return out if len(out) == len(rows[0]) else out.expand(len(rows[0]), -1)

    @property
    def copies(self) -> bool:
        """Does it only put numbers in other places?"""
        return not self.node.weighted and self.terms <= 1 and not bool(self.constant.any())

    @property
    def dense(self) -> bool:
        """Is it x Wᵀ + b on vectors?"""
        plain = self.node.origin.op.split(".")[1:2] == ["linear"] and "weight" in self.constants
        return plain and len(self.inputs) == 1 and self.inputs[0].axis == 0 and self.inputs[0].shape[:-1] == (1,)

    @cached_property
    def columns(self) -> Tensor:
        """Wᵀ, (inputs, outputs), of a dense layer: a unit's weights side by side."""
        return self.constants["weight"].T.contiguous()


@dataclass(frozen=True, eq=False)
class Plan:
    """A network in float64 on the CPU, its values' layouts and its nodes as steps."""

    net: PiecewiseLinearNetwork
    layouts: dict[str, Layout]
    steps: dict[str, AffineStep | NonlinearityForm] = field(default_factory=dict)

    @cached_property
    def widths(self) -> list[int]:
        """For each node, the largest value from it on to the next nonlinearity but one, in units."""
        nodes = self.net.graph.nodes
        found: list[int] = []
        for at in range(len(nodes)):
            nonlinearities, widest = 0, 1
            for node in nodes[at:]:
                widest = max(widest, self.layouts[node.name].units)
                nonlinearities += isinstance(node, NonlinearityNode)
                if nonlinearities > 1:
                    break
            found.append(widest)
        return found

    @cached_property
    def fused(self) -> dict[int, int]:
        """Relus whose output only the maximum of windows behind them reads: their numbers, and those of the windows."""
        nodes = self.net.graph.nodes
        found: dict[int, int] = {}
        for i, (node, behind) in enumerate(pairwise(nodes)):
            form = self.steps[node.name]
            readers = [n.name for n in nodes if node.name in n.inputs]
            plain = isinstance(form, Threshold) and form.is_relu
            alone = readers == [behind.name] and behind.inputs == (node.name,) and node.name != self.net.graph.output
            if plain and alone and isinstance(self.steps[behind.name], Window):
                found[i] = i + 1
        return found

    @cached_property
    def dead(self) -> list[tuple[str, ...]]:
        """For each node, the values that nobody reads after it."""
        return self.net.graph.last_uses()


_PLANS: WeakKeyDictionary[PiecewiseLinearNetwork, Plan] = WeakKeyDictionary()


def plan_of(net: PiecewiseLinearNetwork) -> Plan:
    """The plan of a network, made at its first use and kept as long as the network."""
    if net not in _PLANS:
        with torch.no_grad():
            _PLANS[net] = _plan(net)
    return _PLANS[net]


def _plan(net: PiecewiseLinearNetwork) -> Plan:
    # The plan must not hold the network that it is kept for.
    found = net.to("cpu").to(torch.float64)
    if found is net:
        found = PiecewiseLinearNetwork(net.graph, net._exact, net.input_shape, net.dtype, net.device, net.dropped)
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(2, *net.input_shape, generator=generator, dtype=torch.float64)
    one, two = (net.graph.evaluate(points[:n], found.constants, keep=net.graph.names) for n in (1, 2))
    layouts = {name: _layout(name, one[name], two[name]) for name in one}
    plan = Plan(found, layouts)
    for node in net.graph.nodes:
        inputs = tuple(layouts[name] for name in node.inputs)
        roles = node.roles(found.constants)
        if isinstance(node, NonlinearityNode):
            plan.steps[node.name] = nonlinearity_form(node.op, [x.shape for x in inputs], layouts[node.name].shape, roles)
        else:
            plan.steps[node.name] = _affine_step(cast("AffineNode", node), inputs, layouts[node.name], roles)
    return plan


def _layout(name: str, one: Tensor, two: Tensor) -> Layout:
    axes = [d for d, (n, m) in enumerate(zip(one.shape, two.shape, strict=True)) if n != m]
    layout = Layout(tuple(one.shape), axes[0] if axes else None)
    if layout.axis is not None and layout.shape[layout.axis] > 1:
        first, again = layout.split(one)[0], layout.split(two)[0]
        if len(axes) > 1 or not torch.allclose(first, again, rtol=1e-9, atol=1e-9 * float(first.abs().max() + 1e-300)):
            raise InputError(
                f"the value {name!r} of this network holds the points of a batch in an order that is not known here"
            )
    return layout


def _affine_step(node: AffineNode, inputs: tuple[Layout, ...], output: Layout, constants: dict[str, Tensor]) -> AffineStep:
    silent = {role: torch.zeros_like(c) if role == "bias" else c for role, c in constants.items()}
    zeros = [torch.zeros(1, x.units, dtype=torch.float64) for x in inputs]
    step = AffineStep(node, inputs, output, constants, silent, None, zeros[0], 0)
    constant, rest = step.intercepts(zeros)[0], step._run(zeros, silent)[0]
    if not bool(rest.any()):
        rest = None
    units = sum(x.units for x in inputs)
    step = AffineStep(node, inputs, output, constants, silent, rest, constant, units)
    ones = [torch.ones(1, x.units, dtype=torch.float64) for x in inputs]
    if node.weighted:
        pure = {role: torch.ones_like(c) if role == "weight" else c for role, c in silent.items()}
        count = float((step._run(ones, pure) - (0 if rest is None else rest)).max())
    else:  # J ≥ 0; where its entries are whole numbers, J 1 bounds how many there are
        generator = torch.Generator().manual_seed(1)
        whole = [torch.randint(1, 2**20, x.shape, generator=generator).double() for x in ones]
        signs = node.signs or (1,) * len(whole)
        out = step.slopes(whole)
        count = float(step.sizes(ones).max()) if bool((out == out.round()).all()) and len(signs) else units
    return AffineStep(node, inputs, output, constants, silent, rest, constant, min(units, math.ceil(count)))


__all__ = ["INPUT", "UNIT", "AffineStep", "Layout", "Plan", "gamma", "plan_of"]
