"""Appendix E.8: how many regions there are in practice, estimated, beside what is proven of their number."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from tropica.bounds.architecture import NotCovered
from tropica.bounds.convolution import Conv, ConvNet
from tropica.bounds.logs import log10, serra2018_log10
from tropica.bounds.lower import montufar2014, serra2018_lower
from tropica.bounds.maxout import montufar2022
from tropica.bounds.upper import montufar2017
from tropica.bounds.xiong import xiong2020_one_layer
from tropica.errors import InputError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.plots import grouped_means, style
from tropica.regions.domains import Box, Segment
from tropica.regions.estimates import Estimate, estimate_density, estimate_patterns, log_cells
from tropica.regions.segments.complex import segment_regions
from tropica.studies.case import Case
from tropica.studies.study import Measured, Results, Row, Study, Table, by_family, spread

PAIRS = 30
"""Segments of each kind, and random chords, of small networks."""
FEWEST = 4
"""And of large ones."""
UNITS = 60_000
"""Units times segments of a kind, between these limits: a large convolutional network takes half a minute a segment."""
SAMPLES = 2000
"""Random points of the cube."""
PLACES = ("same class", "different classes")
CUBE = "the cube"
LAYERS = "layer by layer (Montúfar 2022)"
UNBOUNDED = "no theorem"


def segments_of(net: PiecewiseLinearNetwork) -> int:
    """How many segments of a kind."""
    return max(FEWEST, min(PAIRS, UNITS // sum(nonlinearity.units for nonlinearity in net.nonlinearities)))


def pairs(labels: Tensor, x: Tensor, same: bool, number: int, generator: torch.Generator) -> list[tuple[int, int]]:
    """Pairs of different points, of one class or of two, drawn with replacement; none where there are none.

    >>> pairs(torch.tensor([0, 1]), torch.eye(2), True, 5, torch.Generator())
    []
    """
    found: list[tuple[int, int]] = []
    for i in torch.randperm(len(labels), generator=generator).repeat(number).tolist():
        fits = ((labels == labels[i]) == same) & (x != x[i]).flatten(1).any(1)
        others = fits.nonzero().flatten()
        if len(others):
            found.append((i, int(others[torch.randint(len(others), (1,), generator=generator)])))
        if len(found) == number:
            break
    return found


def measure(case: Case) -> Measured:
    """A row a quantity and place."""
    rows: list[Row] = []
    generator = torch.Generator().manual_seed(case.run.seed)
    step = case.step("segments")
    number = segments_of(case.net)
    for place in PLACES:
        chosen = pairs(case.truth, case.test.inputs, place == PLACES[0], number, generator)
        rows += _segments(case.net, case.test.inputs, chosen, place, step)
    values = case.points.inputs
    cube = Box(float(values.min()), float(values.max()), d=values[0].numel())
    density = estimate_density(case.net, cube, segments=number, seed=case.run.seed)
    rows.append(_row("breakpoints per unit length", CUBE, density))
    rows.append(_crofton(density, cube))
    drawn = estimate_patterns(case.net, cube, samples=SAMPLES, seed=case.run.seed)
    rows.append(_row("cells, Chao1", CUBE, drawn))
    rows.append(_row("cells, Chao1", "training points", estimate_patterns(case.net, values)))
    rows += [{"quantity": f"{kind} bound", "place": name, "log10": value} for name, kind, value in proven(case)]
    return Measured(rows)


def _segments(
    net: PiecewiseLinearNetwork, x: Tensor, chosen: list[tuple[int, int]], place: str, step: Callable[..., object] | bool
) -> list[Row]:
    """Cells, linear regions and breakpoints per unit length: means over segments with their standard errors."""
    counts = np.zeros((len(chosen), 3))
    for k, (i, j) in enumerate(chosen):
        found = segment_regions(net, Segment(x[i], x[j]))
        counts[k] = len(found.cells), len(found.regions), (len(found.cells) - 1) / found.volume
        if callable(step):
            step(k + 1, len(chosen), "")
    rows = []
    for quantity, column in zip(("cells a segment", "regions a segment", "breakpoints per unit length"), counts.T, strict=True):
        mean = float(column.mean()) if len(column) else math.nan
        error = float(column.std(ddof=1) / math.sqrt(len(column))) if len(column) > 1 else math.nan
        rows.append(_row(quantity, place, Estimate(mean, error, len(column), quantity)))
    return rows


def _row(quantity: str, place: str, found: Estimate) -> Row:
    """An estimate with its standard error, and both as decimal logarithms."""
    value, error = found.value, found.standard_error
    known = math.isfinite(value)
    row: Row = {"quantity": quantity, "place": place, "value": value if known else None}
    row["standard_error"] = error if math.isfinite(error) else None
    row["samples"] = found.samples
    row["met"] = found.at_least
    row["log10"] = math.log10(value) if known and value > 0 else None
    row["log10_error"] = error / value / math.log(10) if known and value > 0 and math.isfinite(error) else None
    return row


def _crofton(density: Estimate, cube: Box) -> Row:
    """The number of cells in the cube that breakpoints so dense stand for: :func:`tropica.estimate_regions`, as a logarithm."""
    value, slope = log_cells(density.value, cube.hi - cube.lo)
    row: Row = {"quantity": "cells, by integral geometry", "place": CUBE, "samples": density.samples}
    row["log10"] = value / math.log(10)
    row["log10_error"] = density.standard_error * math.exp(slope - value) / math.log(10)
    return row


def proven(case: Case) -> list[tuple[str, str, float | None]]:
    """Published bounds as (name, upper or lower, log10), with None where a theorem does not cover the network."""
    net = case.net
    found = [(LAYERS, "upper", log10(math.prod(_layers(net))))]
    if case.family == "FCN":
        dense: dict[str, tuple[str, Callable[[Any], float]]] = {
            "Serra 2018, Theorem 1": ("upper", serra2018_log10),
            "Montúfar 2017": ("upper", lambda net: log10(montufar2017(net))),
            "Montúfar 2014": ("lower", lambda net: log10(montufar2014(net))),
            "Serra 2018, Theorem 6": ("lower", lambda net: log10(serra2018_lower(net))),
        }
        return found + [(name, kind, _or_none(bound, net)) for name, (kind, bound) in dense.items()]
    return [*found, ("first layer of Xiong 2020", "upper", _or_none(lambda net: xiong_first(case.run.load(), net), net))]


def _or_none(bound: Callable[[Any], float], net: PiecewiseLinearNetwork) -> float | None:
    try:
        return bound(net)
    except InputError:  # NotCovered, or not a chain of dense layers
        return None


def _layers(net: PiecewiseLinearNetwork) -> list[int]:
    """For each nonlinearity the most regions that it can cut one cell of those before it into.

    Inside such a cell the nonlinearity sees an affine image of the input space, of dimension d at most, and its u units are maxima of
    k affine functions: Σ_{j ≤ d} C(u, j) (k − 1)^j regions, whatever the weights are, those of a convolution included. Leaky
    units are of rank 2, max-pools of the rank of their windows. Holds for any graph, with branches, too.
    """
    inputs = math.prod(net.input_shape)
    choices = net.active_pieces(torch.zeros(1, *net.input_shape, dtype=net.dtype))
    return [montufar2022((inputs, nonlinearity.units), rank=options) for nonlinearity, _, options in choices]


def xiong_first(model: nn.Sequential, net: PiecewiseLinearNetwork) -> float:
    """log10 of Xiong's number for the first convolution times :func:`_layers` of all further nonlinearities.

    Theorem 2 of Xiong et al. 2020 has no padding. A convolution with zeros around its input is one without on the larger
    input, restricted to the subspace where the border is 0, and a restriction has no more regions. Its Theorem 5 for
    several layers has no pooling; further layers are therefore taken one by one, as there, but pools as maxima.

    Raises:
        NotCovered: no convolution first, or windows that overlap along several axes, whose sum is too large.
    """
    first = next(module for module in model if not isinstance(module, nn.Flatten))
    if not isinstance(first, (nn.Conv1d, nn.Conv2d)) or first.groups != 1 or isinstance(first.padding, str):
        raise NotCovered("the first layer is no convolution")
    channels, *sizes = net.input_shape
    padded = [size + 2 * around for size, around in zip(sizes, first.padding, strict=True)]
    one = ConvNet((channels, *padded), [Conv(first.out_channels, first.kernel_size, first.stride)])
    return log10(xiong2020_one_layer(one) * math.prod(_layers(net)[1:]))


def tables(results: Results) -> list[Table]:
    """Along segments; and in all, as powers of ten."""
    lines, numbers = [], []
    for model in results.values("model"):
        for place in (*PLACES, CUBE):
            cells = [_entry(results, model, quantity, place) for quantity in ("cells a segment", "regions a segment")]
            density = results.where(model=model, quantity="breakpoints per unit length", place=place)
            samples = sum(row["samples"] for row in density)
            lines.append([model, place, *cells, _entry(results, model, "breakpoints per unit length", place), f"{samples:,}"])
        for quantity, place in dict.fromkeys((row["quantity"], row["place"]) for row in results.where(model=model)):
            found = results.where(model=model, quantity=quantity, place=place)
            bound = quantity.endswith("bound")
            if not bound and not quantity.startswith("cells, "):
                continue
            value = spread(found, "log10")
            error = "–" if bound else f"{spread(found, 'log10_error').mean:.2g}"
            met = "–" if bound or found[0].get("met") is None else f"{spread(found, 'met').mean:,.0f}"
            name = quantity if bound else f"estimate of {quantity}"
            numbers.append([model, name, place, met, value.text() if value.number else UNBOUNDED, error])
    headings = ["network", "segments between points of", "cells", "linear regions", "breakpoints per unit length", "segments"]
    note = (
        "Estimates: mean over segments ± standard error over segments (averaged over runs). Cells differ in their activation "
        "pattern; linear regions are adjacent cells with one affine function joined. The cube: chords through random points in "
        "random directions, from the smallest to the largest value of the data in each of its dimensions. Large networks "
        f"have fewer segments a run, {FEWEST} of each kind at least."
    )
    more = (
        "Mean ± sd over runs; standard errors are of the sampling in one run, averaged over runs, and say nothing of a "
        "formula's assumptions. Chao1 goes by how often samples meet one cell; where no two samples do, n of them give "
        "n(n + 1)/2 whatever the network: the sample is too small to tell, and what was met is all that is certain. Integral "
        "geometry takes the breakpoints per unit length for those of independent hyperplanes. Bounds are of the largest number "
        "that any weights can give. No theorem: its assumptions do not hold, or its sum is too large."
    )
    return [
        Table("Along segments", headings, lines, 4, note),
        Table(
            "How many in all: decimal logarithms",
            ["network", "what", "where, or by whom", "met", "log10", "standard error"],
            numbers,
            3,
            more,
        ),
    ]


def _entry(results: Results, model: str, quantity: str, place: str) -> str:
    """Mean ± standard error in a run, both averaged over runs."""
    found = results.where(model=model, quantity=quantity, place=place)
    value, error = (spread(found, key) for key in ("value", "standard_error"))
    if not value.number:
        return "–"
    return f"{value.mean:.3g}" + (f" ± {error.mean:.2g}" if error.number else "")


def findings(results: Results) -> list[str]:
    """Each network's estimates beside its bounds; then which has the most."""
    lines, densities = [], {}
    for model in results.values("model"):
        same, other = (_entry(results, model, "regions a segment", place) for place in PLACES)
        density = _entry(results, model, "breakpoints per unit length", CUBE)
        drawn = results.where(model=model, quantity="cells, Chao1", place=CUBE)
        guess = _mean(results, model, quantity="cells, by integral geometry")
        upper = min(
            spread(results.where(model=model, quantity="upper bound", place=place), "log10").mean
            for place in results.values("place", model=model, quantity="upper bound")
            if spread(results.where(model=model, quantity="upper bound", place=place), "log10").number
        )
        lines.append(
            f"{model}: an estimated {same} linear regions along a segment between test points of one class, {other} between "
            f"those of two; {density} breakpoints per unit length on random chords of the cube. {drawn[0]['samples']:,} random "
            f"points of the cube met {spread(drawn, 'met').mean:,.0f} different cells. Estimated number of cells in the cube: "
            f"10^{guess:.0f}; smallest published upper bound here: 10^{upper:.0f}."
        )
        if guess > upper:
            lines.append(
                f"{model}: the estimate is above what is proven. It assumes that breakpoints are those of independent "
                "hyperplanes; here they are not."
            )
        densities[model] = (guess, upper)
    ranked = sorted(densities, key=lambda name: densities[name][0])
    if len(ranked) > 1:
        by_bound = sorted(densities, key=lambda name: densities[name][1])
        agree = "the bounds rank them in the same order" if by_bound == ranked else "the bounds rank them otherwise"
        lines.append(f"From fewest to most by the estimate: {', '.join(ranked)}; {agree}.")
    return lines


def _mean(results: Results, model: str, **wanted: str) -> float:
    return spread(results.where(model=model, **wanted), "log10").mean


def figures(results: Results) -> Mapping[str, Figure]:
    """Linear regions a segment, breakpoints per unit length, and all numbers as powers of ten."""
    models = results.values("model")
    figure = style.figure(height=2.9)
    left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1, 1.25])
    for ax, quantity, places, title in (
        (left, "regions a segment", PLACES, "linear regions along a segment"),
        (middle, "breakpoints per unit length", (*PLACES, CUBE), "breakpoints per unit length"),
    ):
        series = {place: _series(results, models, "value", quantity=quantity, place=place) for place in places}
        highest = max((mean for means, _ in series.values() for mean in means if not math.isnan(mean)), default=1.0)
        grouped_means(models, series, ylabel=title, limits=(0, 1.5 * highest), ax=ax)  # room for the legend
        ax.legend(loc="upper left", handletextpad=0.2)
    numbers = {
        "met by random points": {"quantity": "cells, Chao1", "place": CUBE},
        "estimate, Chao1": {"quantity": "cells, Chao1", "place": CUBE},
        "estimate, integral geometry": {"quantity": "cells, by integral geometry"},
        "upper bound, layer by layer": {"quantity": "upper bound", "place": LAYERS},
    }
    series = {name: _series(results, models, "log10", **wanted) for name, wanted in numbers.items()}
    met = _series(results, models, "met", quantity="cells, Chao1", place=CUBE)[0]
    series["met by random points"] = ([math.log10(number) for number in met], [0.0] * len(met))
    grouped_means(models, series, ylabel="log10 of the number of cells", ax=right)
    shown = [mean for means, _ in series.values() for mean in means if mean > 0]
    low, high = min(shown), max(shown)
    right.set_yscale("log")
    right.yaxis.set_major_formatter("{x:g}")
    right.set_ylim(low / 1.3, 1.3 * high * (high / low) ** 0.6)  # room for the legend
    right.legend(loc="upper left", handletextpad=0.2)
    return {"estimate": figure}


def _series(results: Results, models: list[str], key: str, **wanted: str) -> tuple[list[float], list[float]]:
    found = [spread(results.where(model=model, **wanted), key) for model in models]
    return [one.mean for one in found], [one.sd for one in found]


def summary(results: Results) -> str:
    """Estimate and bound, as powers of ten."""
    estimate = by_family(results, "log10", 1, quantity="cells, by integral geometry")
    bound = by_family(results, "log10", 1, quantity="upper bound", place=LAYERS)
    line = by_family(results, "value", 1, quantity="regions a segment", place=PLACES[1])
    return (
        f"Linear regions between two test points of different classes, estimated: {line}. Cells in the cube around the data, "
        f"log10 of an estimate: {estimate}; of an upper bound: {bound}."
    )


STUDY = Study(
    name="estimate",
    title="Appendix E.8: an estimate of the number of regions in practice",
    question="How many linear regions does a trained network have where data are? All breakpoints on segments between test "
    "points of one class and of two, and on random chords of the cube around the data, are counted exactly; random points and "
    "the training points are sampled. The number of regions in all is estimated from both and set beside published bounds. All "
    "but the bounds are estimates, with standard errors.",
    paper="The main text: the bound of Serra et al. exceeds 10^300 even for the smallest network, 10^17000 for slightly larger "
    "ones; an estimate of the number of regions in practice (the appendix is not at hand) suggests that Narrow, a CNN, has "
    "more regions than Wide, which is fully connected, has as many nodes and the higher bound; both have astronomically many. "
    "The authors' scripts count the regions on segments between two points.",
    measure=measure,
    tables=tables,
    findings=findings,
    figures=figures,
    summary=summary,
)
