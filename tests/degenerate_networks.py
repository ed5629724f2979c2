"""Seeded small networks full of coincidences, each as a traced network and as layers of the rational oracle.

Units that are rounded multiples, combinations or copies of others, equal but for one last bit, weights of few bits, pruned
weights, no biases, rows and layers of any scale; every activation that is piecewise linear; dimension 1 to 4.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

import tropica as tp
from tests.oracles.cells import Affine, Bend, Largest, Layer
from tropica.network.builder import Builder, Value
from tropica.network.graph import Origin
from tropica.network.ops import activations, nonlinearities
from tropica.network.trace_checks import check_points

Weights = tuple[np.ndarray, np.ndarray]
Random = np.random.Generator


@dataclass(frozen=True)
class Degenerate:
    """A network with ``d`` inputs: as a graph and as layers. ``name`` says what is degenerate in it."""

    name: str
    d: int
    outputs: int
    net: tp.PiecewiseLinearNetwork
    layers: list[Layer]


def degenerate_network(seed: int, d: int | None = None, kind: str | None = None, activation: str | None = None) -> Degenerate:
    """The network of a seed: 1 to 3 hidden layers of 2 to 5 units, fewer where d is 3 or 4."""
    random = np.random.default_rng([seed, 21])
    d = d or int(random.integers(1, 5))
    kind = kind or KINDS[int(random.integers(len(KINDS)))]
    activation = activation or ACTIVATIONS[int(random.integers(len(ACTIVATIONS)))]
    depth, most = (int(random.integers(1, 4)), 5) if d < 3 else (int(random.integers(1, 3)), 7 - d)
    chain = _Chain(d)
    for layer in range(depth):
        weight, bias = _hidden(random, chain.width, 2 * int(random.integers(1, most // 2 + 1)) + layer % 2, kind, layer)
        chain.affine(weight, bias)
        _ACTIVATE[activation](chain, random)
    outputs = int(random.integers(1, 4))
    chain.affine(*_normal(random, chain.width, outputs))
    return Degenerate(f"{seed} {kind} {activation} d={d}", d, outputs, chain.network(), chain.layers)


class _Chain:
    """A network under construction, twice."""

    def __init__(self, d: int) -> None:
        self.builder = Builder(torch.zeros(2, d, dtype=torch.float64))
        self.value: Value = self.builder.input
        self.layers: list[Layer] = []
        self.d = d

    @property
    def width(self) -> int:
        return self.value.shape[1]

    def affine(self, weight: np.ndarray, bias: np.ndarray) -> None:
        self.layers.append(Affine(weight.tolist(), bias.tolist()))
        self.step("linear", lambda b, x: b.affine(F.linear, x, weight=torch.from_numpy(weight), bias=torch.from_numpy(bias)))

    def step(self, name: str, rule: Callable[[Builder, Value], Value], *layers: Layer) -> None:
        b = self.builder
        b.stem = f"{name}{len(b.nodes)}"
        b.origin = Origin(f"aten.{name}.default", str(len(b.nodes)))
        self.value = rule(b, self.value)
        self.layers += layers

    def network(self) -> tp.PiecewiseLinearNetwork:
        example = torch.zeros(2, self.d, dtype=torch.float64)
        graph = check_points(self.builder.graph(self.value), self.builder.constants, example)
        return tp.PiecewiseLinearNetwork(graph, self.builder.constants, (self.d,), torch.float64, torch.device("cpu"))


# ── weights ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _normal(random: Random, inputs: int, units: int) -> Weights:
    return random.standard_normal((units, inputs)), random.standard_normal(units) * 0.5


def _hidden(random: Random, inputs: int, units: int, kind: str, layer: int) -> Weights:
    weight, bias = _normal(random, inputs, units)
    name, _, number = kind.partition(" ")
    if name == "multiple":
        weight[-1], bias[-1] = weight[0] * float(number), bias[0] * float(number)
    elif name == "combination" and units > 2:
        weight[-1], bias[-1] = 0.3 * weight[0] + 0.7 * weight[1], 0.3 * bias[0] + 0.7 * bias[1]
    elif name == "ulp":
        weight[-1], bias[-1] = weight[0], bias[0]
        weight[-1, 0] = np.nextafter(weight[0, 0], math.inf)
    elif name == "copies":
        weight[-1], bias[-1] = weight[0], bias[0]
        weight[1], bias[1] = -weight[0], -bias[0]
    elif name == "bits":
        step = np.abs(weight).max() / (2 ** (int(number) - 1) - 1)
        weight, bias = np.round(weight / step) * step, np.round(bias / step) * step
    elif name == "pruned":
        weight[random.random(weight.shape) < 0.4] = 0
        bias[random.random(units) < 0.3] = 0
    elif name == "unbiased":
        bias[:] = 0
    elif name == "rows":
        scale = 10.0 ** random.choice([-12, 0, 12], units)
        weight, bias = weight * scale[:, None], bias * scale
    elif name == "scale" and layer == 0:
        weight, bias = weight * float(number), bias * float(number)
    elif name == "grid":  # hyperplanes of a lattice, many through one vertex
        weight, bias = np.round(weight), np.round(2 * bias)
    return weight, bias


KINDS = (
    "generic",
    *(f"multiple {x!r}" for x in (0.1, 1 / 3, 0.7, -0.1)),
    "combination",
    "ulp",
    "copies",
    *(f"bits {n}" for n in (3, 4, 8)),
    "pruned",
    "unbiased",
    "rows",
    "grid",
    *(f"scale {x}" for x in ("1e30", "1e-30", "1e165", "1e-165", "1e300", "1e-300")),
)


# ── activations ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _relu(chain: _Chain, random: Random) -> None:
    chain.step("relu", nonlinearities.relu, Bend())


def _leaky(chain: _Chain, random: Random) -> None:
    slope = float(random.choice([0.01, 0.5, -0.5, 1.5]))
    chain.step("leaky_relu", lambda b, x: nonlinearities.leaky_relu(b, x, slope), Bend(slope))


def _prelu(chain: _Chain, random: Random) -> None:
    slopes = random.choice([0.0, 0.25, 0.1], chain.width)
    chain.step("prelu", lambda b, x: nonlinearities.prelu(b, x, torch.from_numpy(slopes)), Bend(slopes.tolist()))


def _abs(chain: _Chain, random: Random) -> None:
    chain.step("abs", nonlinearities.absolute, Bend(-1.0))


def _clamp_min(chain: _Chain, random: Random) -> None:
    level = float(random.choice([-0.5, 0.1, 1.0]))
    chain.step("clamp_min", lambda b, x: activations.clamp_min(b, x, level), Bend(level=level))


def _hardtanh(chain: _Chain, random: Random) -> None:
    chain.step("hardtanh", activations.hardtanh, Bend(level=-1.0), Bend(1.0, 0.0, 1.0))


def _relu6(chain: _Chain, random: Random) -> None:
    chain.step("relu6", activations.relu6, Bend(), Bend(1.0, 0.0, 6.0))


def _minimum(chain: _Chain, random: Random) -> None:
    level = random.choice([-0.5, 0.0, 0.3], chain.width)
    rule = lambda b, x: activations.minimum(b, x, torch.from_numpy(level))  # noqa: E731
    chain.step("minimum", rule, Bend(1.0, 0.0, level.tolist()))


def _maximum(chain: _Chain, random: Random) -> None:
    """The largest of each value and its mirror image; a middle one with itself."""
    n = chain.width

    def rule(b: Builder, x: Value) -> Value:
        return nonlinearities.maximum(b, x, b.affine(lambda x: x.flip(1), x))

    chain.step("maximum", rule, Largest([(i, n - 1 - i) for i in range(n)]))


def _maxout(chain: _Chain, random: Random) -> None:
    n = chain.width
    size = next(k for k in (3, 2, 1) if n % k == 0)

    def rule(b: Builder, x: Value) -> Value:
        return nonlinearities.amax(b, b.affine(lambda x: x.reshape(len(x), -1, size), x), 2)

    chain.step("amax", rule, Largest([range(i, i + size) for i in range(0, n, size)]))


def _relu_pool(chain: _Chain, random: Random) -> None:
    """max(0, …) of overlapping windows of three, as relu and max-pool."""
    n = chain.width

    def rule(b: Builder, x: Value) -> Value:
        rows = b.affine(lambda x: x.reshape(len(x), 1, -1), nonlinearities.relu(b, x))
        pooled = nonlinearities.amax(b, b.affine(lambda x: F.pad(x, (0, 2)).unfold(2, 3, 1), rows), 3)
        return b.affine(lambda x: x.reshape(len(x), -1), pooled)

    zero = Affine(np.vstack([np.eye(n), np.zeros((1, n))]).tolist(), [0.0] * (n + 1))
    windows = [(n, *range(i, min(i + 3, n))) for i in range(n)]
    chain.step("relu_pool", rule, zero, Largest(windows))


def _group_sort(chain: _Chain, random: Random) -> None:
    """The pairs of a value and its mirror image, sorted: maxima, then minima."""
    n = chain.width

    def rule(b: Builder, x: Value) -> Value:
        mirrored = b.affine(lambda x: x.flip(1), x)
        parts = nonlinearities.maximum(b, x, mirrored), activations.minimum(b, x, mirrored)
        return b.affine(lambda x, y: torch.cat([x, y], 1), *parts)

    both = np.vstack([np.eye(n), -np.eye(n)])
    sign = np.diag([1.0] * n + [-1.0] * n)
    pairs = [(i, n - 1 - i) for i in range(n)] + [(n + i, 2 * n - 1 - i) for i in range(n)]
    chain.step("group_sort", rule, Affine(both.tolist(), [0.0] * 2 * n), Largest(pairs), Affine(sign.tolist(), [0.0] * 2 * n))


def _residual(chain: _Chain, random: Random) -> None:
    """x + relu(x) beside −x, concatenated."""
    n = chain.width

    def rule(b: Builder, x: Value) -> Value:
        return b.affine(lambda x, y: torch.cat([x, y], 1), b.add(x, nonlinearities.relu(b, x)), b.neg(x))

    both = np.vstack([np.eye(n), -np.eye(n)])
    bend = Bend([1.0] * n + [1.0] * n, [2.0] * n + [1.0] * n)
    chain.step("residual", rule, Affine(both.tolist(), [0.0] * 2 * n), bend)


_ACTIVATE: dict[str, Callable[[_Chain, Random], None]] = {
    "relu": _relu,
    "leaky": _leaky,
    "prelu": _prelu,
    "abs": _abs,
    "clamp_min": _clamp_min,
    "hardtanh": _hardtanh,
    "relu6": _relu6,
    "minimum": _minimum,
    "maximum": _maximum,
    "maxout": _maxout,
    "relu_pool": _relu_pool,
    "group_sort": _group_sort,
    "residual": _residual,
}
ACTIVATIONS = ("relu", "relu", "relu", *_ACTIVATE)
