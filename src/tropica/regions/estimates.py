"""Estimates, for networks with more cells than can be enumerated: by sampled points, by random segments, by integral geometry.

Every result is an :class:`Estimate`, with its standard error; none is a bound, and none is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tropica.data.batches import Data, as_batches
from tropica.errors import InputError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import as_network
from tropica.regions.domains.constructors import Box, Segment
from tropica.regions.streams import count_cells
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.html import HtmlRepr

BATCH = 1024
"""Points whose patterns are computed at a time."""


@dataclass(frozen=True)
class Estimate(HtmlRepr):
    """An estimated number.

    Attributes:
        value: the estimate.
        standard_error: of the sampling alone, not of the model behind a formula; NaN where one sample is all there is.
        samples: points or segments.
        what: what is estimated, with its unit.
        at_least: what was really met, a lower bound that is certain; None where there is none.

    >>> import tropica as tp
    >>> net = tp.from_layers([([[1.0], [-1.0]], None), ([[1.0, 1.0]], None)])  # |x|
    >>> found = tp.estimate_density(net, tp.Box(-2, 2, d=1), segments=5)
    >>> found, found.value
    (estimate of breakpoints per unit length: 0.25 ± 0 (5 samples), 0.25)
    """

    value: float
    standard_error: float
    samples: int
    what: str
    at_least: int | None = None

    def __repr__(self) -> str:
        met = "" if self.at_least is None else f", {self.at_least:,} met"
        return f"estimate of {self.what}: {self.value:.6g} ± {self.standard_error:.2g} ({self.samples:,} samples{met})"


@own_settings()
def estimate_patterns(
    net: PiecewiseLinearNetwork | torch.nn.Module, where: Data | Box, *, samples: int = 10_000, seed: int = 0
) -> Estimate:
    """The number of activation cells, from how often points that are drawn at random meet the same ones (Chao1).

    With S cells met, f₁ of them by one point only and f₂ by two, the estimate is S + f₁²/(2 f₂), or S + f₁(f₁ − 1)/2
    where f₂ = 0; its variance is f₂ (r²/2 + r³ + r⁴/4), r = f₁/f₂, or f₁(f₁ − 1)/2 + f₁(2 f₁ − 1)²/4 − f₁⁴/(4·estimate).
    Cells too small to be met pull the truth up, not the estimate: it is low on average. ``at_least`` is S.

    Args:
        net: a network or a module.
        where: a box, from which ``samples`` points are drawn uniformly; or data, whose points are the sample.
        samples: points drawn from a box.
        seed: of the draw.

    Raises:
        InputError: too few samples, or a box or data of another shape.

    Source: Chao, Scandinavian Journal of Statistics 11 (1984); variance: Chao, Biometrics 43 (1987).

    >>> import torch, tropica as tp
    >>> from tropica.regions.domains.constructors import Box
    >>> net = tp.trace(torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU()).eval(), torch.zeros(2, 2))
    >>> found = estimate_patterns(net, Box(-5, 5, d=2), samples=2000)
    >>> found.value >= found.at_least, found.at_least <= 7
    (True, True)
    """
    _whole(samples, "samples", 2)
    net = _network(net, where)
    counts: dict[bytes, int] = {}
    points = 0
    for batch in _points(net, where, samples, seed):
        rows, times = np.unique(net.activation_pattern(batch).numpy(), axis=0, return_counts=True)
        for row, count in zip(rows, times.tolist(), strict=True):
            counts[row.tobytes()] = counts.get(row.tobytes(), 0) + count
        points += len(batch)
    met = len(counts)
    once, twice = (sum(count == k for count in counts.values()) for k in (1, 2))
    if twice:
        ratio = once / twice
        value = met + once**2 / (2 * twice)
        variance = twice * (ratio**2 / 2 + ratio**3 + ratio**4 / 4)
    else:
        value = met + once * (once - 1) / 2
        variance = once * (once - 1) / 2 + once * (2 * once - 1) ** 2 / 4 - once**4 / (4 * value)
    return Estimate(value, math.sqrt(max(variance, 0.0)), points, "activation cells (Chao1)", met)


@own_settings()
def estimate_density(
    net: PiecewiseLinearNetwork | torch.nn.Module, where: Data | Box, *, segments: int = 100, seed: int = 0
) -> Estimate:
    """Breakpoints per unit length along random segments: their mean, with its standard error over segments.

    A breakpoint is a change of the activation pattern of the network as written (``simplify=False`` of `linear_regions`).

    In a box a segment is the chord through a uniform point in a uniform direction. The mean of breakpoints/length over
    such chords is without bias the density λ of breakpoints along isotropic lines: a chord is drawn in proportion to its
    length. In data a segment goes between two points drawn at random.

    Args:
        net: a network or a module.
        where: a box, or data of two points or more.
        segments: how many.
        seed: of the draw.

    Raises:
        InputError: too few segments or points, or a box or data of another shape.

    >>> import torch, tropica as tp
    >>> from tropica.regions.domains.constructors import Box
    >>> model = torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1)).eval()
    >>> model[0].weight.data, model[0].bias.data = torch.tensor([[1.0], [1.0]]), torch.tensor([0.25, -0.25])
    >>> estimate_density(tp.trace(model, torch.zeros(2, 1)), Box(-2, 2, d=1), segments=5)  # 2 breakpoints in a length of 4
    estimate of breakpoints per unit length: 0.5 ± 0 (5 samples)
    """
    densities = _densities(_network(net, where), where, segments, seed)
    return Estimate(float(densities.mean()), _standard_error(densities), segments, "breakpoints per unit length")


@own_settings()
def estimate_regions(
    net: PiecewiseLinearNetwork | torch.nn.Module, box: Box, *, segments: int = 100, seed: int = 0
) -> Estimate:
    """The number of activation cells in a box, from the density λ of breakpoints along random lines.

        cells ≈ Σ_j κ_j (λ/2)^j V_j,    j = 0 … d,

    with κ_j the volume of the unit ball in R^j and V_j the j-th elementary symmetric polynomial of the box's sides. This is
    the expected number of cells in the box of an isotropic, stationary Poisson process of hyperplanes with the same λ; by
    Crofton's formula λ is 2 κ_{d−1}/(d κ_d) times the hyperplanes' area per unit volume. The j-th summand counts the places
    where j of them meet, so the last one is the order λ^d that Hanin and Rolnick prove for the expected number of
    activation regions per unit volume, (T·neurons)^d/d! up to a factor. What is assumed: that the breakpoint surfaces cross
    as often as independent hyperplanes, evenly over the box and in all directions. In one dimension the formula is exact,
    1 + breakpoints; in more it is a guide to the order of magnitude, and the standard error says nothing of the assumption.

    Args:
        net: a network or a module.
        box: of the network's whole input space.
        segments: random chords to measure λ on, see :func:`estimate_density`.
        seed: of the draw.

    Returns:
        The estimate, infinite where it is more than float64 holds; the standard error is the derivative times λ's.

    Raises:
        InputError: too few segments, or a box of another dimension.

    Source: Hanin and Rolnick, Deep ReLU Networks Have Surprisingly Few Activation Patterns, NeurIPS 2019;
    Schneider and Weil, Stochastic and Integral Geometry (2008), section 10.3.

    >>> import torch, tropica as tp
    >>> from tropica.regions.domains.constructors import Box
    >>> model = torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1)).eval()
    >>> model[0].weight.data, model[0].bias.data = torch.tensor([[1.0], [1.0]]), torch.tensor([0.25, -0.25])
    >>> estimate_regions(tp.trace(model, torch.zeros(2, 1)), Box(-2, 2, d=1), segments=5)  # 2 breakpoints, 3 cells
    estimate of activation cells in the box: 3 ± 0 (5 samples)
    """
    if not isinstance(box, Box):
        raise InputError(f"regions are estimated in a Box, got {type(box).__name__}; for data there is estimate_patterns")
    densities = _densities(_network(net, box), box, segments, seed)
    density = float(densities.mean())
    value, slope = _cells(density, box.hi - box.lo)
    error = _standard_error(densities)
    spread = 0.0 if error == 0 else slope * error
    return Estimate(value, spread, segments, "activation cells in the box")


def _network(net: PiecewiseLinearNetwork | torch.nn.Module, where: Data | Box) -> PiecewiseLinearNetwork:
    """A network, or a module traced on points of the box or of the data."""
    return as_network(net, inputs=where.input_size) if isinstance(where, Box) else as_network(net, where)


def _cells(density: float, sides: np.ndarray) -> tuple[float, float]:
    """Σ κ_j (λ/2)^j V_j, and its derivative with respect to λ."""
    if density == 0:
        return 1.0, float(sides.sum())
    with np.errstate(over="ignore"):
        value, slope = np.exp(log_cells(density, sides))
    return float(value), float(slope)


def log_cells(density: float, sides: np.ndarray) -> tuple[float, float]:
    """Natural logarithms of the estimate of :func:`estimate_regions`, Σ κ_j (λ/2)^j V_j, and of its derivative in λ.

    For networks whose estimate is more than float64 holds.

    Args:
        density: λ, 0 or more.
        sides: of the box, (d,).

    >>> np.exp(log_cells(0.5, np.array([4.0]))).round(9).tolist()  # 1 + 0.5·4 cells, 4 more for each unit of λ
    [3.0, 4.0]
    """
    if density == 0:
        return 0.0, math.log(sides.sum())
    # log of e_j((λ/2)·sides), one side after the other; sums of positive numbers lose nothing.
    logs = np.full(len(sides) + 1, -np.inf)
    logs[0] = 0.0
    for log_side in np.log(sides * density / 2):
        logs[1:] = np.logaddexp(logs[1:], logs[:-1] + log_side)
    orders = np.arange(len(logs))
    logs += [j / 2 * math.log(math.pi) - math.lgamma(j / 2 + 1) for j in orders.tolist()]
    slope = np.logaddexp.reduce((logs + np.log(np.maximum(orders, 1)))[1:]) - math.log(density)
    return float(np.logaddexp.reduce(logs)), float(slope)


def _densities(net: PiecewiseLinearNetwork, where: Data | Box, segments: int, seed: int) -> np.ndarray:
    """Breakpoints per unit length on each segment."""
    _whole(segments, "segments", 2)
    found: list[float] = []
    for a, b in _segments(net, where, segments, np.random.default_rng(seed)):
        segment = Segment(a, b)
        found.append((count_cells(net, segment, simplify=False) - 1) / segment.volume_scale)
    return np.array(found)


def _segments(
    net: PiecewiseLinearNetwork, where: Data | Box, segments: int, random: np.random.Generator
) -> list[tuple[np.ndarray, np.ndarray]]:
    if isinstance(where, Box):
        where.check_input(net.input_shape)
        return [_chord(where, random) for _ in range(segments)]
    shape, device = net.input_shape, net.device
    batches = as_batches(where, BATCH, dtype=torch.float64, device=device, shape=shape)
    points = torch.unique(torch.cat([batch.flatten(1).cpu() for batch in batches]), dim=0).numpy()
    if len(points) < 2:
        raise InputError(f"segments go between two different points of the data; found {len(points)}")
    pairs = [random.choice(len(points), 2, replace=False) for _ in range(segments)]
    return [(points[i], points[j]) for i, j in pairs]


def _chord(box: Box, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The chord through a uniform point in a uniform direction."""
    point, direction = random.uniform(box.lo, box.hi), random.standard_normal(box.dimension)
    direction /= np.linalg.norm(direction)
    with np.errstate(divide="ignore"):
        low, high = (box.lo - point) / direction, (box.hi - point) / direction
    first, last = np.minimum(low, high).max(), np.maximum(low, high).min()
    return np.clip(point + first * direction, box.lo, box.hi), np.clip(point + last * direction, box.lo, box.hi)


def _points(net: PiecewiseLinearNetwork, where: Data | Box, samples: int, seed: int) -> list[Tensor]:
    if not isinstance(where, Box):
        return list(as_batches(where, BATCH, dtype=net.dtype, device=net.device, shape=net.input_shape))
    where.check_input(net.input_shape)
    drawn = np.random.default_rng(seed).uniform(where.lo, where.hi, (samples, where.dimension))
    points = torch.from_numpy(drawn).reshape(samples, *net.input_shape).to(net.device, net.dtype)
    return list(points.split(BATCH))


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values)))


def _whole(number: int, name: str, least: int) -> None:
    if isinstance(number, bool) or not isinstance(number, int) or number < least:
        raise InputError(f"{name} must be a whole number, {least} or more; found {number!r}")
