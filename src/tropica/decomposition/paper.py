"""The paper's decomposition: K from the weights alone (Algorithm 3.1 and Table 1, on any graph of affine ops and
nonlinearities).

A pair (P, Q) ≥ 0 bounds the positive and the negative part of any cotangent that can arrive at a tensor. It is carried from the
output to the input:

* an affine op with Jacobian J = J⁺ − J⁻ maps (P, Q) to (P J⁺ + Q J⁻, P J⁻ + Q J⁺);
* at the output of a nonlinearity K = Q, then P ← P + Q and Q ← 0: adding K makes every cotangent nonnegative;
* a nonlinearity maps the pair by its ``jacobian_bound`` (relu: unchanged; max-pool: repeated over the window).

The pair starts at the last affine layer, N = W h + b, with the paper's constants (lines 2 to 7): Q = C⁻, the column sums of
W⁻, and P + Q = A_max, the columnwise maximum over the rows of all A⁺_i = W_i + C⁻ and A⁻ = C⁻, hence P = max(0, max_i W_i).
From the output to that layer the pass carries the s rows of the Jacobian themselves.
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


class CotangentBound(NamedTuple):
    """(P, Q): bounds on the positive and the negative part of a cotangent, each shaped like a batch of one point."""

    positive: Tensor
    negative: Tensor

    def plus(self, other: CotangentBound | None) -> CotangentBound:
        """The bound on a sum of two cotangents."""
        if other is None:
            return self
        return CotangentBound(self.positive + other.positive, self.negative + other.negative)


def paper_decomposition(net: PiecewiseLinearNetwork) -> DCDecomposition:
    """K of every nonlinearity and of the input by the (P, Q) rule, in float64.

    Raises CertificateError if K exceeds the range of float64, as in very deep networks; use the calibrated decomposition for
    these.
    """
    backward = _BackwardPass(net.to(torch.float64))
    identity = torch.eye(net.num_outputs, dtype=torch.float64, device=net.device).unsqueeze(1)
    rows = list(identity) if len(identity) > 1 or net.num_targets else [-identity[0], identity[0]]
    multipliers = backward.run(rows=rows)
    for name, k in multipliers.items():
        if not bool(torch.isfinite(k).all()):
            raise CertificateError(
                f"the paper's decomposition overflows float64 at nonlinearity {name}: its bound grows with every layer; "
                "use method='calibrated', which keeps the signs of the weights"
            )
    input_multiplier = multipliers.pop(INPUT)
    return DCDecomposition(net, "paper", multipliers, input_multiplier, backward.constant)


def bound_on_raises(net: PiecewiseLinearNetwork, raised: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Bound the raises of K that any point can require at all nonlinearities after raises of K at some of them.

    A cotangent g_u at an earlier nonlinearity u changes by Σ_v J_vuᵀ ΔK_v. The (P, Q) rule, started with P = ΔK_v at every
    nonlinearity v instead of the output, bounds its negative part by Q_u. K_u + Q_u compensates for this, and is itself a raise
    by Q_u.

    Args:
        net: the network.
        raised: ΔK ≥ 0 by the name of the nonlinearity.

    Returns:
        Q by the name of the nonlinearity, in float64.
    """
    multipliers = _BackwardPass(net.to(torch.float64)).run(raised=raised)
    del multipliers[INPUT]
    return multipliers


class _BackwardPass:
    """One backward pass of bounds over the graph, with the sum of the bounds that have arrived at each tensor."""

    def __init__(self, net: PiecewiseLinearNetwork) -> None:
        self.net = net
        self.shapes = net.shapes
        self.bounds: dict[str, CotangentBound] = {}
        self.rows: dict[str, list[Tensor]] = {}
        self.constant = 0.0

    def run(self, *, rows: Sequence[Tensor] = (), raised: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Compute K by the name of the nonlinearity, and K of the input under INPUT.

        Args:
            rows: the Jacobian's rows at the output.
            raised: P at the outputs of nonlinearities, by name.
        """
        if rows:
            self.rows[self.net.graph.output] = list(rows)
        multipliers: dict[str, Tensor] = {}
        for node in reversed(self.net.graph.nodes):
            if isinstance(node, NonlinearityNode):
                arrived = self._arrived(node.name)
                if raised and node.name in raised:
                    zero = self._zeros(node.name)
                    arrived = arrived.plus(CotangentBound(raised[node.name].to(zero).reshape(zero.shape), zero))
                multipliers[node.name] = self._through_nonlinearity(node, arrived)
            elif isinstance(node, AffineNode):
                self._rows_through(node, self.rows.pop(node.name, []))
                self._bound_through(node, self.bounds.pop(node.name, None))
        multipliers[INPUT] = self._arrived(INPUT).negative[0]
        return multipliers

    def _zeros(self, name: str) -> Tensor:
        return torch.zeros(self.shapes[name], dtype=torch.float64, device=self.net.device)

    def _arrived(self, name: str) -> CotangentBound:
        """The sum of the bounds that have arrived at a tensor."""
        return _initial_bound(self.rows.pop(name, []), self._zeros(name)).plus(self.bounds.pop(name, None))

    def _add(self, name: str, bound: CotangentBound) -> None:
        self.bounds[name] = bound.plus(self.bounds.get(name))

    def _origin(self, node: Node) -> list[Tensor]:
        """Zero inputs of the node."""
        return [self._zeros(name) for name in node.inputs]

    def _through_nonlinearity(self, node: NonlinearityNode, bound: CotangentBound) -> Tensor:
        """Set K = Q, and carry P + Q through the nonlinearity."""
        products = vjp(node.op.jacobian_bound, self._origin(node), bound.positive + bound.negative)
        for name, p in zip(node.inputs, products, strict=True):
            self._add(name, CotangentBound(p, p if node.op.both_signs else torch.zeros_like(p)))
        return bound.negative.reshape(node.unit_shape)

    def _rows_through(self, node: AffineNode, rows: list[Tensor]) -> None:
        """Carry the rows of the Jacobian through a node; at the input of the last affine layer they become the first bound.

        c⁻ gains Σ_i (b_i)⁻ there.
        """
        if not rows:
            return
        offset = node.apply(self._origin(node), self.net.constants)  # c of the affine op J x + c
        self.constant += sum(max(0.0, -float((row * offset).sum())) for row in rows)
        products = [vjp(lambda *z: node.apply(z, self.net.constants), self._origin(node), row) for row in rows]
        for name, arriving in zip(node.inputs, zip(*products, strict=True), strict=True):
            if node.weighted:
                self._add(name, _initial_bound(arriving, self._zeros(name)))
            elif name in self.rows:
                self.rows[name] = [a + b for a, b in zip(self.rows[name], arriving, strict=True)]
            else:
                self.rows[name] = list(arriving)

    def _bound_through(self, node: AffineNode, bound: CotangentBound | None) -> None:
        """Map (P, Q) to (P J⁺ + Q J⁻, P J⁻ + Q J⁺). Adding Q at the output of an op J x + c adds ⟨Q, c⟩ to F⁻."""
        if bound is None:
            return
        origin = self._origin(node)
        self.constant += float((bound.negative * node.apply(origin, self.net.constants)).sum())
        plus, minus = (list(zip(*(vjp(fn, origin, part) for part in bound), strict=True)) for fn in self._parts(node))
        signs = node.signs or (1,) * len(origin)
        for name, sign, (p_plus, q_plus), (p_minus, q_minus) in zip(node.inputs, signs, plus, minus, strict=True):
            through = CotangentBound(p_plus + q_minus, p_minus + q_plus)
            self._add(name, through if sign > 0 else CotangentBound(-through.negative, -through.positive))

    def _parts(self, node: AffineNode) -> tuple[Callable[..., Tensor], Callable[..., Tensor]]:
        """The op with Jacobian J⁺ and the op with J⁻; without a weight these are the op itself and 0."""
        roles = node.roles(self.net.constants)
        if not node.weighted:
            return (lambda *z: node.fn(*z, **roles)), (lambda *z: node.fn(*z, **roles).detach())
        weight = roles["weight"]
        positive, negative = ({**roles, "weight": w} for w in (weight.clamp(min=0), (-weight).clamp(min=0)))
        return (lambda *z: node.fn(*z, **positive)), (lambda *z: node.fn(*z, **negative))


def _initial_bound(rows: Sequence[Tensor], zero: Tensor) -> CotangentBound:
    """The bound that Algorithm 3.1 starts from: Q = Σ_i J_i⁻ (its C⁻) and P = max(0, max_i J_i) (its A_max − C⁻)."""
    if not rows:
        return CotangentBound(zero, zero)
    stacked = torch.stack(list(rows))
    return CotangentBound(stacked.amax(0).clamp(min=0), (-stacked).clamp(min=0).sum(0))


def vjp(fn: Callable[..., Tensor], inputs: Sequence[Tensor], cotangent: Tensor) -> Sequence[Tensor]:
    """The vector-Jacobian products of a function at some inputs: one tensor for each input."""
    leaves = [z.detach().requires_grad_() for z in inputs]
    with torch.enable_grad():
        out = fn(*leaves)
    if not out.requires_grad:
        return [torch.zeros_like(z) for z in leaves]
    return torch.autograd.grad(out, leaves, cotangent, allow_unused=True, materialize_grads=True)
