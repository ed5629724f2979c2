"""The paper's decomposition: K from the weights alone (Algorithm 3.1 and Table 1, on any graph of affine ops and nonlinearities).

A pair (P, Q) ≥ 0 bounds the positive and the negative part of any cotangent that can arrive at a tensor. It travels from the
output to the input:

* an affine op with Jacobian J = J⁺ − J⁻ maps (P, Q) to (P J⁺ + Q J⁻, P J⁻ + Q J⁺);
* at a nonlinearity's output K = Q, then P ← P + Q and Q ← 0: adding K makes every cotangent nonnegative;
* through a nonlinearity it passes as the nonlinearity's ``envelope`` says (relu: unchanged; max-pool: repeated over the window).

The pair starts at the last affine layer, N = W h + b, with the paper's constants (lines 2 to 7): Q = C⁻, the column sums of
W⁻, and P + Q = A_max, the columnwise maximum over the rows of all A⁺_i = W_i + C⁻ and A⁻ = C⁻, hence P = max(0, max_i W_i).
From the output to that layer the s rows of the Jacobian are carried as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.errors import CertificateError
from tropica.network.graph import INPUT, AffineNode, Node, NonlinearityNode
from tropica.network.network import PiecewiseLinearNetwork


class Bound(NamedTuple):
    """(P, Q): bounds on the positive and on the negative part of a cotangent, each shaped like a batch of one point."""

    positive: Tensor
    negative: Tensor

    def plus(self, other: Bound | None) -> Bound:
        """The bound on a sum of two cotangents."""
        return self if other is None else Bound(self.positive + other.positive, self.negative + other.negative)


def paper_decomposition(net: PiecewiseLinearNetwork) -> DCDecomposition:
    """K for every nonlinearity and for the input, by the (P, Q) rule, in float64.

    Raises CertificateError where K leaves float64's range (very deep networks: use the calibrated decomposition there).
    """
    sweep = _Sweep(net.to(torch.float64))
    weights = sweep.from_output()
    for name, k in weights.items():
        if not bool(torch.isfinite(k).all()):
            raise CertificateError(
                f"the paper's decomposition overflows float64 at nonlinearity {name}: its bound grows with every layer; "
                "use method='calibrated', which keeps the signs of the weights"
            )
    input_multiplier = weights.pop(INPUT)
    return DCDecomposition(net, "paper", weights, input_multiplier, sweep.constant)


def allowance(net: PiecewiseLinearNetwork, raised: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """How much each K must still grow, at the most, once those of some nonlinearities were raised, whatever the point.

    A cotangent g_u at an earlier nonlinearity u changes by Σ_v J_vuᵀ ΔK_v. The (P, Q) rule, started with P = ΔK_v at every nonlinearity v in
    place of the output, bounds its negative part by Q_u; K_u + Q_u makes up for that, and is a raise by Q_u in turn.

    Args:
        net: the network.
        raised: ΔK ≥ 0 by nonlinearity name.

    Returns:
        Q by nonlinearity name, in float64.
    """
    weights = _Sweep(net.to(torch.float64), raised).run()
    del weights[INPUT]
    return weights


class _Sweep:
    """One backward sweep over the graph, with what has arrived so far at each tensor."""

    def __init__(self, net: PiecewiseLinearNetwork, raised: Mapping[str, Tensor] | None = None) -> None:
        self.net = net
        self.raised = raised or {}
        self.values = {name: torch.zeros(shape, dtype=torch.float64, device=net.device) for name, shape in net.shapes.items()}
        self.bounds: dict[str, Bound] = {}
        self.rows: dict[str, list[Tensor]] = {}
        self.constant = 0.0

    def from_output(self) -> dict[str, Tensor]:
        """K as the paper has it: the sweep starts with all labels' rows at the output."""
        unit = torch.eye(self.net.num_outputs, dtype=torch.float64, device=self.net.device).unsqueeze(1)
        self.rows[self.net.graph.output] = list(unit) if len(unit) > 1 else [-unit[0], unit[0]]
        return self.run()

    def run(self) -> dict[str, Tensor]:
        """K by nonlinearity name, and under INPUT that of the input."""
        weights: dict[str, Tensor] = {}
        for node in reversed(self.net.graph.nodes):
            if isinstance(node, NonlinearityNode):
                weights[node.name] = self._nonlinearity(node, self._arrived(node.name))
            elif isinstance(node, AffineNode):
                self._rows_through(node, self.rows.pop(node.name, []))
                self._bound_through(node, self.bounds.pop(node.name, None))
        weights[INPUT] = self._arrived(INPUT).negative[0]
        return weights

    def _arrived(self, name: str) -> Bound:
        """All that has arrived at a tensor, as one bound."""
        zero = torch.zeros_like(self.values[name])
        found = _start(self.rows.pop(name, []), zero).plus(self.bounds.pop(name, None))
        if name in self.raised:
            found = found.plus(Bound(self.raised[name].to(zero).reshape(zero.shape), zero))
        return found

    def _give(self, name: str, bound: Bound) -> None:
        self.bounds[name] = bound.plus(self.bounds.get(name))

    def _inputs(self, node: Node) -> list[Tensor]:
        return [self.values[name] for name in node.inputs]

    def _offset(self, node: Node) -> Tensor:
        """c of the affine op J x + c."""
        return node.apply([torch.zeros_like(z) for z in self._inputs(node)], self.net.constants)

    def _nonlinearity(self, node: NonlinearityNode, bound: Bound) -> Tensor:
        """K = Q; P + Q goes on through the nonlinearity."""
        raised = bound.positive + bound.negative
        for name, p in zip(node.inputs, pull(node.op.jacobian_bound, self._inputs(node), raised), strict=True):
            self._give(name, Bound(p, p if node.op.both_signs else torch.zeros_like(p)))
        return bound.negative.reshape(node.unit_shape)

    def _rows_through(self, node: AffineNode, rows: list[Tensor]) -> None:
        """The Jacobian's rows, up to the last affine layer, at whose input the bound starts; c⁻ gains Σ_i (b_i)⁻ there."""
        if not rows:
            return
        offset = self._offset(node)
        self.constant += sum(max(0.0, -float((row * offset).sum())) for row in rows)
        pulled = [pull(lambda *z: node.apply(z, self.net.constants), self._inputs(node), row) for row in rows]
        for name, arriving in zip(node.inputs, zip(*pulled, strict=True), strict=True):
            if node.weighted:
                self._give(name, _start(arriving, torch.zeros_like(self.values[name])))
            elif name in self.rows:
                self.rows[name] = [a + b for a, b in zip(self.rows[name], arriving, strict=True)]
            else:
                self.rows[name] = list(arriving)

    def _bound_through(self, node: AffineNode, bound: Bound | None) -> None:
        """(P, Q) ↦ (P J⁺ + Q J⁻, P J⁻ + Q J⁺). Adding Q to an op's output adds ⟨Q, c⟩ to F⁻."""
        if bound is None:
            return
        self.constant += float((bound.negative * self._offset(node)).sum())
        inputs = self._inputs(node)
        plus, minus = (list(zip(*(pull(fn, inputs, part) for part in bound), strict=True)) for fn in self._parts(node))
        signs = node.signs or (1,) * len(inputs)
        for name, sign, (p_plus, q_plus), (p_minus, q_minus) in zip(node.inputs, signs, plus, minus, strict=True):
            through = Bound(p_plus + q_minus, p_minus + q_plus)
            self._give(name, through if sign > 0 else Bound(-through.negative, -through.positive))

    def _parts(self, node: AffineNode) -> tuple[Callable[..., Tensor], Callable[..., Tensor]]:
        """The op with Jacobian J⁺ and the op with J⁻ (without weight: the op itself, and nothing)."""
        roles = node.roles(self.net.constants)
        if not node.weighted:
            return (lambda *z: node.fn(*z, **roles)), (lambda *z: node.fn(*z, **roles).detach())
        weight = roles["weight"]
        positive, negative = ({**roles, "weight": w} for w in (weight.clamp(min=0), (-weight).clamp(min=0)))
        return (lambda *z: node.fn(*z, **positive)), (lambda *z: node.fn(*z, **negative))


def _start(rows: Sequence[Tensor], zero: Tensor) -> Bound:
    """The bound from which Algorithm 3.1 starts: Q = Σ_i J_i⁻ (its C⁻) and P = max(0, max_i J_i) (its A_max − C⁻)."""
    if not rows:
        return Bound(zero, zero)
    stacked = torch.stack(list(rows))
    return Bound(stacked.amax(0).clamp(min=0), (-stacked).clamp(min=0).sum(0))


def pull(fn: Callable[..., Tensor], inputs: Sequence[Tensor], cotangent: Tensor) -> Sequence[Tensor]:
    """Pull a cotangent back through a function that is affine in its inputs: one tensor an input."""
    leaves = [z.detach().requires_grad_() for z in inputs]
    with torch.enable_grad():
        out = fn(*leaves)
    if not out.requires_grad:
        return [torch.zeros_like(z) for z in leaves]
    return torch.autograd.grad(out, leaves, cotangent, allow_unused=True, materialize_grads=True)
