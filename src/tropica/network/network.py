"""``PiecewiseLinearNetwork``: a traced network that can be run, differentiated, cut and read."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from tropica.errors import InputError
from tropica.network.builder import cast
from tropica.network.graph import INPUT, Graph, NonlinearityNode
from tropica.network.patterns import pack_patterns


@dataclass(frozen=True)
class AffineMap:
    """x ↦ W x + b, one for each of B points: ``weight`` (B, s, *input), ``bias`` (B, s) in float64."""

    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Each map at its own point: x (B, *input) to (B, s), in float64."""
        weight = self.weight.double().flatten(2)
        return (weight @ x.double().flatten(1).unsqueeze(2)).squeeze(2) + self.bias

    def __len__(self) -> int:
        return len(self.bias)


class PiecewiseLinearNetwork:
    """A network as a graph of affine ops and nonlinearities (design: every nonlinearity output is a maximum of affine functions).

    Made by :func:`tropica.trace` and :func:`tropica.load_network`. The weights are copies; constants that were computed from
    weights (batch norm's scale, weight norm) are kept in float64, so that ``net.to(torch.float64)`` is as exact as tracing
    the model in float64.

    Attributes:
        graph: the nodes, in topological order.
        constants: the weights that the nodes name, in ``dtype`` on ``device``.
        input_shape: shape of one point.
        dtype, device: what ``net(x)`` takes and gives.
        dropped: the final op that was left out of the graph ("softmax", "log_softmax", "sigmoid"), or None.
    """

    def __init__(
        self,
        graph: Graph,
        constants: Mapping[str, Tensor],
        input_shape: tuple[int, ...],
        dtype: torch.dtype,
        device: torch.device,
        dropped: str | None = None,
    ) -> None:
        self.graph = graph
        self.input_shape = input_shape
        self.dtype = dtype
        self.device = torch.empty(0, device=device).device  # "cuda" becomes "cuda:0", as tensors say it
        self.dropped = dropped
        self._exact = dict(constants)
        with torch.inference_mode(False):  # they must be able to stand on a tape
            self.constants = {name: cast(c, dtype).to(self.device) for name, c in constants.items()}

    # ── running ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def __call__(self, x: Tensor) -> Tensor:
        """Logits (B, s) of a batch (B, *input) in the network's dtype; differentiable with respect to x."""
        return self.graph.evaluate(self.check_input(x), self.constants)

    def scores(self, x: Tensor) -> Tensor:
        """One score a label: the logits; for a network of one logit z the two scores (−z, z)."""
        return self.as_scores(self(x))

    def as_scores(self, logits: Tensor) -> Tensor:
        """Logits (B, s) as scores (B, labels)."""
        return torch.cat([-logits, logits], 1) if self.num_outputs == 1 else logits

    def predict(self, x: Tensor) -> Tensor:
        """Labels (B,): the argmax of the scores, the lowest label at a tie. For one logit: 1 where it is positive."""
        with torch.no_grad():
            return self.scores(x).argmax(1)

    def check_input(self, x: Tensor) -> Tensor:
        """The batch itself, or an InputError that says what is wrong with its type, shape or dtype."""
        if not isinstance(x, Tensor):
            raise InputError(f"a batch must be a torch.Tensor, got {type(x).__name__}")
        if tuple(x.shape[1:]) != self.input_shape or x.ndim != len(self.input_shape) + 1:
            wanted = ", ".join(map(str, ("B", *self.input_shape)))
            raise InputError(f"the batch has shape {tuple(x.shape)}; this network takes ({wanted})")
        if x.dtype != self.dtype:
            raise InputError(
                f"the batch is {x.dtype}; this network is {self.dtype} (use x.to(net.dtype), or net.to({x.dtype}))"
            )
        if x.device != self.device:
            raise InputError(f"the batch is on {x.device}; this network is on {self.device}")
        return x

    # ── reading ────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def nonlinearities(self) -> tuple[NonlinearityNode, ...]:
        """The nonlinearities in forward order: name, path (module), kind, unit_shape, units."""
        return self.graph.nonlinearities

    @cached_property
    def shapes(self) -> dict[str, torch.Size]:
        """Shape of every value in the graph, by name, for a batch of one point."""
        x = torch.zeros(1, *self.input_shape, dtype=self.dtype, device=self.device)
        with torch.no_grad():
            values = self.graph.evaluate(x, self.constants, keep=self.graph.names)
        return {name: value.shape for name, value in values.items()}

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of one point's output: (s,), or that of the inner tensor for the first part of a cut network."""
        return tuple(self.shapes[self.graph.output][1:])

    @property
    def num_outputs(self) -> int:
        """Number of logits s."""
        return math.prod(self.output_shape)

    @property
    def num_classes(self) -> int:
        """Number of labels: s, or two for a network of one logit."""
        return max(self.num_outputs, 2)

    def local_map(self, x: Tensor) -> AffineMap:
        """The affine map that the network is on each point's linear region, N(x) = W x + b there.

        Args:
            x: points (B, *input).

        Returns:
            AffineMap with weight ∂N/∂x (B, s, *input) in the network's dtype and bias N(x) − W x (B, s) in float64. On the
            border of regions the slopes are PyTorch's subgradient (0 at 0 for relu).

        Raises:
            InputError: the batch has another shape or dtype, or is on another device.

        >>> import torch, tropica as tp
        >>> net = tp.trace(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU()).eval(), torch.zeros(2, 2))
        >>> x = torch.randn(5, 2)
        >>> bool(torch.allclose(net.local_map(x)(x), net(x).double(), atol=1e-6))
        True
        """
        # Whatever mode the caller is in, a tape is needed here, and tensors that may stand on one.
        with torch.inference_mode(False), torch.enable_grad():
            x = self.check_input(x).detach().clone().requires_grad_()
            logits = self.graph.evaluate(x, self.constants).flatten(1)
            # One backward pass a logit. All at once (is_grads_batched) takes s times the memory, and no less time.
            weight = torch.stack([_input_gradient(logits, i, x) for i in range(logits.shape[1])], 1)
        x, logits = x.detach().double(), logits.detach().double()
        return AffineMap(weight, logits - torch.einsum("bsd,bd->bs", weight.double().flatten(2), x.flatten(1)))

    def activation_pattern(self, x: Tensor) -> Tensor:
        """Which affine piece won at every unit of every nonlinearity, as packed bits: uint8 (B, bytes).

        Two points have equal rows exactly where they lie in the same activation cell. A relu-like unit takes one bit, a unit
        that is the maximum of n values ⌈log₂ n⌉ bits (max-pooling's choice in its window).

        >>> import torch, tropica as tp
        >>> net = tp.trace(torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU()).eval(), torch.zeros(2, 2))
        >>> net.activation_pattern(torch.randn(5, 2)).shape
        torch.Size([5, 1])
        """
        return pack_patterns(self.active_pieces(x), len(x)).cpu()

    def active_pieces(self, x: Tensor) -> list[tuple[NonlinearityNode, Tensor, int]]:
        """For each nonlinearity the winning piece of every unit (B, *unit_shape) and the number of pieces."""
        found: list[tuple[NonlinearityNode, Tensor, int]] = []

        def visit(nonlinearity: NonlinearityNode, inputs: tuple[Tensor, ...], out: Tensor) -> None:
            choice = nonlinearity.op.active_piece(*inputs, **nonlinearity.roles(self.constants))
            options = nonlinearity.op.num_pieces(*(z.shape for z in inputs))
            found.append((nonlinearity, nonlinearity.per_point(choice, len(x)), options))

        with torch.no_grad():
            self.graph.evaluate(self.check_input(x), self.constants, visit=visit)
        return found

    # ── remaking ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def to(self, target: torch.dtype | torch.device | str) -> PiecewiseLinearNetwork:
        """The same network in another dtype (float32 or float64) or on another device; itself where nothing changes.

        Raises:
            InputError: any other dtype.
        """
        dtype = target if isinstance(target, torch.dtype) else self.dtype
        device = self.device if isinstance(target, torch.dtype) else torch.device(target)
        if dtype not in (torch.float32, torch.float64):
            raise InputError(f"a network runs in float32 or float64, not {dtype}")
        if (dtype, device) == (self.dtype, self.device):
            return self
        return PiecewiseLinearNetwork(self.graph, self._exact, self.input_shape, dtype, device, self.dropped)

    def cut(self, at: str) -> tuple[PiecewiseLinearNetwork, PiecewiseLinearNetwork]:
        """Cut the network in two at an inner tensor: N = tail ∘ head.

        Args:
            at: a module path ("features.3": its output), or the name of a node or nonlinearity (``net.nonlinearities``).

        Returns:
            The head, which gives the inner tensor (B, *inner), and the tail, which takes it.

        Raises:
            InputError: nothing bears this name, the tensor does not separate input from output (a skip connection goes
                around it), or the batch is not its first dimension.

        >>> import torch, tropica as tp
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
        >>> net, x = tp.trace(model, torch.zeros(2, 4)), torch.randn(5, 4)
        >>> head, tail = net.cut("1")
        >>> head(x).shape, bool(torch.allclose(tail(head(x)), net(x)))
        (torch.Size([5, 8]), True)
        """
        name = self._find(at)
        tail = self.graph.between(name, self.graph.output)
        around = sorted({i for node in tail.nodes for i in node.inputs} - {node.name for node in tail.nodes} - {name})
        if around or not tail.nodes:
            what = f"{', '.join(around)} goes around it" if around else "it is the output"
            raise InputError(f"the network cannot be cut at {at!r}: {what}; choose a tensor that everything passes through")
        # The tail's graph reads the cut tensor where it read the input.
        nodes = (replace(node, inputs=tuple(INPUT if i == name else i for i in node.inputs)) for node in tail.nodes)
        head = self._part(self.graph.between(INPUT, name), self.input_shape, None)
        with torch.no_grad():
            inner, again = (head(torch.zeros(n, *self.input_shape, dtype=self.dtype, device=self.device)).shape for n in (2, 3))
        if (*inner, *again) != (2, *inner[1:], 3, *inner[1:]):
            raise InputError(f"the network cannot be cut at {at!r}: the batch is not the first dimension there, {tuple(inner)}")
        return head, self._part(Graph(tuple(nodes), tail.output), tuple(inner[1:]), self.dropped)

    def _part(self, graph: Graph, input_shape: tuple[int, ...], dropped: str | None) -> PiecewiseLinearNetwork:
        used = {name for node in graph.nodes for name in node.constants.values()}
        constants = {name: c for name, c in self._exact.items() if name in used}
        return PiecewiseLinearNetwork(graph, constants, input_shape, self.dtype, self.device, dropped)

    def _find(self, at: str) -> str:
        """The node of that name, or the last node inside the module of that path."""
        if any(node.name == at for node in self.graph.nodes):
            return at
        inside = [n.name for n in self.graph.nodes if n.origin.path == at or n.origin.path.startswith(f"{at}.")]
        if not inside or not at:
            paths = dict.fromkeys(n.origin.path or n.name for n in self.graph.nodes)
            raise InputError(f"nothing in the network is called {at!r}; there are: {', '.join(paths)}")
        return inside[-1]

    @cached_property
    def fingerprint(self) -> str:
        """A digest of graph and weights, the same in every process: equal networks compute the same in the same way."""
        digest = hashlib.sha256(repr((self.input_shape, self.dropped, self.graph.output)).encode())
        for node in self.graph.nodes:
            digest.update(repr((node.name, node.inputs, dict(node.constants), node.signature)).encode())
        for name in sorted(self._exact):
            tensor = self._exact[name].detach().cpu().contiguous()
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.input_shape))
        units = sum(k.units for k in self.nonlinearities)
        head = f", {self.dropped} dropped" if self.dropped else ""
        nonlinearities = f"{len(self.nonlinearities)} nonlinearities with {units:,} units"
        return f"PiecewiseLinearNetwork({shape} → {self.num_outputs}, {nonlinearities}, {self.dtype}{head})"


def _input_gradient(logits: Tensor, i: int, x: Tensor) -> Tensor:
    """∂(logit i)/∂x of each point; zero where the logits do not depend on x."""
    if not logits.requires_grad:
        return torch.zeros_like(x)
    total = logits[:, i].sum()
    return torch.autograd.grad(total, x, retain_graph=True, allow_unused=True, materialize_grads=True)[0].detach()
