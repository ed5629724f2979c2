"""``PiecewiseLinearNetwork``: a traced network."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from tropica.errors import InputError
from tropica.network.builder import cast
from tropica.network.graph import INPUT, Graph, Nonlinearities, NonlinearityNode
from tropica.network.patterns import pack_patterns
from tropica.network.point_signs import PointSigns
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.html import html_table

Floating = Literal["exact", "model"]
TASKS = ("classification", "regression")


@dataclass(frozen=True, eq=False, repr=False)
class AffineMap:
    """Affine maps x ↦ W x + b, one for each of B points: ``weight`` (B, s, *input), ``bias`` (B, s) in float64.

    >>> import torch, tropica as tp
    >>> net = tp.from_layers([([[1.0], [-1.0]], None), ([[1.0, 1.0]], None)])  # |x|
    >>> x = torch.tensor([[-2.0], [3.0]], dtype=torch.float64)
    >>> found = net.local_map(x)
    >>> found.weight.flatten().tolist(), bool((found(x) == net(x)).all())
    ([-1.0, 1.0], True)
    """

    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Evaluate each map at its own point: x (B, *input) to (B, s), in float64."""
        weight = self.weight.double().flatten(2)
        return (weight @ x.double().flatten(1).unsqueeze(2)).squeeze(2) + self.bias

    def __len__(self) -> int:
        return len(self.bias)

    def __repr__(self) -> str:
        return f"AffineMap({len(self):,} points, {_times(self.weight.shape[2:])} → {self.bias.shape[1]}, {self.weight.dtype})"

    def _repr_html_(self) -> str:
        facts: dict[str, object] = {
            "points": f"{len(self):,}",
            "input": _times(self.weight.shape[2:]),
            "outputs": self.bias.shape[1],
        }
        for name, numbers in (("weight", self.weight), ("bias", self.bias)):
            facts[name] = f"{float(numbers.min()):.4g} … {float(numbers.max()):.4g}" if numbers.numel() else "empty"
        return html_table("Affine maps", facts)


class PiecewiseLinearNetwork:
    """A piecewise-linear network: a graph of affine ops and nonlinearities.

    :func:`tropica.trace` and :func:`tropica.load_network` return such a network. Its weights are copies of the model's. The
    constants computed from weights (the scale of batch norm, weight norm) are stored in float64, so that
    ``net.to(torch.float64)`` is exact.

    Attributes:
        graph: the nodes, in topological order.
        constants: tensors by the names that the nodes use, in ``dtype`` on ``device``.
        input_shape: shape of one point.
        dtype, device: dtype and device of a batch x and of ``net(x)``.
        dropped: the final op that is left out of the graph ("softmax", "log_softmax", "sigmoid", "log_sigmoid"), or None.
        task: "classification" if the label of a point is what is asked for, "regression" if all outputs are.

    >>> import torch, tropica as tp
    >>> net = tp.from_layers([([[1.0], [-1.0]], None), ([[1.0, 1.0]], None)])  # |x|
    >>> net
    PiecewiseLinearNetwork(1 → 1, 1 nonlinearities with 2 units, torch.float64)
    >>> net(torch.tensor([[-2.0]], dtype=torch.float64)).item(), net.num_outputs, net.input_shape
    (2.0, 1, (1,))
    """

    def __init__(
        self,
        graph: Graph,
        constants: Mapping[str, Tensor],
        input_shape: tuple[int, ...],
        dtype: torch.dtype,
        device: torch.device,
        dropped: str | None = None,
        task: str = "classification",
    ) -> None:
        self.graph = graph
        self.input_shape = input_shape
        self.dtype = dtype
        self.device = torch.empty(0, device=device).device  # "cuda" becomes "cuda:0", as a tensor's device is
        self.dropped, self.task = dropped, task
        self._exact = dict(constants)
        self.constants = {name: cast(c, dtype).to(self.device) for name, c in constants.items()}

    # ── evaluation ────────────────────────────────────────────────────────────────────────────────────────────────────

    @own_settings(gradients=None)
    def __call__(self, x: Tensor) -> Tensor:
        """Logits (B, s) of a batch (B, *input) in the network's dtype; differentiable with respect to x."""
        return self.graph.evaluate(self.check_input(x), self.constants)

    def scores(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes): the logits, or (−z, z) for a network of one logit z; in regression the outputs."""
        return self.as_scores(self(x))

    def as_scores(self, logits: Tensor) -> Tensor:
        """Scores (B, num_classes) of given logits (B, s), as in :meth:`scores`."""
        return torch.cat([-logits, logits], 1) if self.num_outputs == 1 and not self.num_targets else logits

    @own_settings()
    def predict(self, x: Tensor, *, smallest: bool = False) -> Tensor:
        """Labels (B,): the argmax of the scores, the lowest label at a tie. For one logit: 1 where the logit is positive.

        With ``smallest`` the argmin, again the lowest label at a tie: outputs that are costs, as in ACAS Xu. In regression the
        outputs (B, s).
        """
        if self.num_targets and smallest:
            raise InputError("smallest= picks a label; in regression there are none")
        with torch.no_grad():
            scores = self.scores(x)
            if self.num_targets:
                return scores
            return scores.argmin(1) if smallest else scores.argmax(1)

    def check_input(self, x: Tensor) -> Tensor:
        """Check a batch and return it; raise InputError if its type, shape, dtype or device is not the network's."""
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

    # ── structure and local maps ──────────────────────────────────────────────────────────────────────────────────────

    @property
    def nonlinearities(self) -> Nonlinearities:
        """The nonlinearities in forward order, each with ``name``, module ``path``, ``op``, ``unit_shape`` and ``units``."""
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
        """Shape of one point's output: (s,), or the shape of the inner tensor for the head of a cut network."""
        return tuple(self.shapes[self.graph.output][1:])

    @property
    def num_outputs(self) -> int:
        """Number of logits s."""
        return math.prod(self.output_shape)

    @property
    def num_classes(self) -> int:
        """The number of labels (s, or 2 for a network of one logit; in regression s)."""
        return self.num_targets or max(self.num_outputs, 2)

    @property
    def num_targets(self) -> int:
        """Number of outputs that a point has a term of: s in regression, 0 in classification (the label's only)."""
        return self.num_outputs if self.task == "regression" else 0

    @own_settings()
    def local_map(self, x: Tensor) -> AffineMap:
        """Affine map of each point's linear region: N(x) = W x + b on the region.

        Args:
            x: points (B, *input).

        Returns:
            AffineMap with weight ∂N/∂x (B, s, *input) in the network's dtype and bias N(x) − W x (B, s) in float64. On a
            boundary between regions the weight is PyTorch's subgradient (0 at 0 for relu).

        Raises:
            InputError: the type, shape, dtype or device of the batch is not the network's.

        >>> import torch, tropica as tp
        >>> net = tp.trace(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU()).eval(), torch.zeros(2, 2))
        >>> x = torch.randn(5, 2)
        >>> bool(torch.allclose(net.local_map(x)(x), net(x).double(), atol=1e-6))
        True
        """
        x = self.check_input(x).detach().clone().requires_grad_()
        logits = self.graph.evaluate(x, self.constants).flatten(1)
        # One backward pass for each logit: is_grads_batched takes s times the memory and is no faster.
        weight = torch.stack([_input_gradient(logits, i, x) for i in range(logits.shape[1])], 1)
        x, logits = x.detach().double(), logits.detach().double()
        return AffineMap(weight, logits - torch.einsum("bsd,bd->bs", weight.double().flatten(2), x.flatten(1)))

    @own_settings()
    def activation_pattern(self, x: Tensor, *, floating: Floating = "exact") -> Tensor:
        """Activation pattern of each point as packed bits, uint8 (B, bytes): the active piece of every unit.

        Two points have equal rows if and only if the active pieces of all units are equal. A unit with n pieces takes
        ⌈log₂ n⌉ bits: one for relu-like units, and the position in the window for max-pooling.

        Args:
            x: points (B, *input).
            floating: "exact" for the network of real numbers that the weights stand for (those of ``net.to(torch.float64)``):
                a unit that is exactly 0 takes its lower piece, a window's tie its first input, as on cells. "model" for what
                the network's own arithmetic in its dtype finds, rounding included, with PyTorch's slopes at ties.

        Raises:
            InputError: the batch does not fit, or an exact pattern is asked at a NaN or an infinity.

        >>> import torch, tropica as tp
        >>> net = tp.trace(torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU()).eval(), torch.zeros(2, 2))
        >>> net.activation_pattern(torch.randn(5, 2)).shape
        torch.Size([5, 1])
        """
        return pack_patterns(self.active_pieces(x, floating=floating), len(x)).cpu()

    @own_settings()
    def active_pieces(self, x: Tensor, *, floating: Floating = "exact") -> list[tuple[NonlinearityNode, Tensor, int]]:
        """For each nonlinearity: its node, the index of every unit's active piece (B, *unit_shape), the number of pieces.

        ``floating`` is that of :meth:`activation_pattern`.
        """
        x = self.check_input(x)
        if floating == "exact":
            if not bool(torch.isfinite(x).all()):
                raise InputError("an exact pattern needs finite points; the batch has a NaN or an infinity")
            return [(found.node, found.piece, found.num_pieces) for found in self.signs(x.detach().double())]
        if floating != "model":
            raise InputError(f'floating must be "exact" or "model"; found {floating!r}')
        pieces: list[tuple[NonlinearityNode, Tensor, int]] = []

        def visit(node: NonlinearityNode, inputs: tuple[Tensor, ...], out: Tensor) -> None:
            piece = node.op.active_piece(*inputs, **node.roles(self.constants))
            pieces.append((node, node.per_point(piece, len(x)), node.op.num_pieces(*(z.shape for z in inputs))))

        with torch.no_grad():
            self.graph.evaluate(x, self.constants, visit=visit)
        return pieces

    @cached_property
    def signs(self) -> PointSigns:
        """The predicate that decides the active piece of every unit at a point, exactly."""
        net = self.to(torch.float64)
        return PointSigns(net.graph, net.constants, net.shapes)

    # ── conversion and cutting ────────────────────────────────────────────────────────────────────────────────────────

    @own_settings()
    def to(self, target: torch.dtype | torch.device | str) -> PiecewiseLinearNetwork:
        """Convert the network to another dtype or device; return the network itself if neither changes.

        Raises:
            InputError: the dtype is neither float32 nor float64.
        """
        dtype = target if isinstance(target, torch.dtype) else self.dtype
        device = self.device if isinstance(target, torch.dtype) else torch.device(target)
        if dtype not in (torch.float32, torch.float64):
            raise InputError(f"a network runs in float32 or float64, not {dtype}")
        if (dtype, device) == (self.dtype, self.device):
            return self
        return PiecewiseLinearNetwork(self.graph, self._exact, self.input_shape, dtype, device, self.dropped, self.task)

    def for_task(self, task: str) -> PiecewiseLinearNetwork:
        """The same network for another task: "classification" or "regression".

        Raises InputError for another name, and for regression with outputs that are not piecewise linear.
        """
        if task not in TASKS:
            raise InputError(f"task must be one of {', '.join(map(repr, TASKS))}; got {task!r}")
        if task == "regression" and self.dropped:
            raise InputError(
                f"the network ends in a {self.dropped}, which is not piecewise linear, so its outputs cannot be regressed; "
                "trace the model without it"
            )
        about = (self._exact, self.input_shape, self.dtype, self.device, self.dropped, task)
        return self if task == self.task else PiecewiseLinearNetwork(self.graph, *about)

    @own_settings()
    def cut(self, at: str) -> tuple[PiecewiseLinearNetwork, PiecewiseLinearNetwork]:
        """Cut the network in two at an inner tensor: N = tail ∘ head.

        Args:
            at: a module path ("features.3": its output), or the name of a node or nonlinearity (``net.nonlinearities``).

        Returns:
            The head, which computes the inner tensor (B, *inner), and the tail, which takes the inner tensor.

        Raises:
            InputError: no node or module has that name, the tensor does not separate the input from the output (a skip
                connection goes around it), or the tensor's first dimension is not the batch.

        >>> import torch, tropica as tp
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
        >>> net, x = tp.trace(model, torch.zeros(2, 4)), torch.randn(5, 4)
        >>> head, tail = net.cut("1")
        >>> head(x).shape, bool(torch.allclose(tail(head(x)), net(x)))
        (torch.Size([5, 8]), True)
        """
        name = self.find(at)
        tail = self.graph.between(name, self.graph.output)
        around = sorted({i for node in tail.nodes for i in node.inputs} - {node.name for node in tail.nodes} - {name})
        if around or not tail.nodes:
            what = f"{', '.join(around)} goes around it" if around else "it is the output"
            raise InputError(
                f"the network cannot be cut at {at!r}: {what}; choose a tensor on every path from the input to the output"
            )
        # In the tail the cut tensor takes the place of the input.
        nodes = (replace(node, inputs=tuple(INPUT if i == name else i for i in node.inputs)) for node in tail.nodes)
        head = self._part(self.graph.between(INPUT, name), self.input_shape, None)
        with torch.no_grad():
            inner, again = (head(torch.zeros(n, *self.input_shape, dtype=self.dtype, device=self.device)).shape for n in (2, 3))
        if (*inner, *again) != (2, *inner[1:], 3, *inner[1:]):
            raise InputError(f"the network cannot be cut at {at!r}: the batch is not the first dimension there, {tuple(inner)}")
        return head, self._part(Graph(tuple(nodes), tail.output), tuple(inner[1:]), self.dropped).for_task(self.task)

    @own_settings()
    def upto(self, at: str) -> PiecewiseLinearNetwork:
        """The network that ends at an inner tensor: its outputs are the tensor's numbers.

        Args:
            at: as for :meth:`cut`; here paths may go around the tensor.

        Raises:
            InputError: no node or module has that name.
        """
        name = self.find(at)
        return self if name == self.graph.output else self._part(Graph(self.graph.nodes, name).pruned(), self.input_shape, None)

    def _part(self, graph: Graph, input_shape: tuple[int, ...], dropped: str | None) -> PiecewiseLinearNetwork:
        used = {name for node in graph.nodes for name in node.constants.values()}
        constants = {name: c for name, c in self._exact.items() if name in used}
        return PiecewiseLinearNetwork(graph, constants, input_shape, self.dtype, self.device, dropped)

    def find(self, at: str) -> str:
        """Name of the node called ``at``, or of the last node inside the module with that path."""
        if any(node.name == at for node in self.graph.nodes):
            return at
        inside = [n.name for n in self.graph.nodes if n.origin.path == at or n.origin.path.startswith(f"{at}.")]
        if not inside or not at:
            paths = dict.fromkeys(n.origin.path or n.name for n in self.graph.nodes)
            raise InputError(f"nothing in the network is called {at!r}; there are: {', '.join(paths)}")
        return inside[-1]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the graph and the weights, equal in all processes."""
        task = () if self.task == "classification" else (self.task,)
        digest = hashlib.sha256(repr((self.input_shape, self.dropped, self.graph.output, *task)).encode())
        for node in self.graph.nodes:
            digest.update(repr((node.name, node.inputs, dict(node.constants), node.signature)).encode())
        for name in sorted(self._exact):
            tensor = self._exact[name].detach().cpu().contiguous()
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def __repr__(self) -> str:
        units = sum(node.units for node in self.nonlinearities)
        head = f", {self.dropped} dropped" if self.dropped else ""
        nonlinearities = f"{len(self.nonlinearities)} nonlinearities with {units:,} units"
        return f"PiecewiseLinearNetwork({_times(self.input_shape)} → {self.num_outputs}, {nonlinearities}, {self.dtype}{head})"

    def _repr_html_(self) -> str:
        facts: dict[str, object] = {"input": _times(self.input_shape), "outputs": self.num_outputs, "dtype": self.dtype}
        if self.dropped:
            facts["dropped"] = f"a final {self.dropped}"
        for node in self.nonlinearities:
            path = f" in module {node.path}" if node.path else ""
            facts[node.name] = f"{node.op.name}{path}: {node.units:,} units ({_times(node.unit_shape)})"
        return html_table("Piecewise-linear network", facts)


def _times(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))


def _input_gradient(logits: Tensor, i: int, x: Tensor) -> Tensor:
    """∂(logit i)/∂x at each point; 0 where the logits do not depend on x."""
    if not logits.requires_grad:
        return torch.zeros_like(x)
    total = logits[:, i].sum()
    return torch.autograd.grad(total, x, retain_graph=True, allow_unused=True, materialize_grads=True)[0].detach()
