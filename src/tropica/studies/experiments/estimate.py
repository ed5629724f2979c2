"""Appendix E.8: an estimate of the number of regions in practice, beside proven bounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from tropica import bounds
from tropica.errors import InputError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.plots import grouped_means, style
from tropica.regions.domains.constructors import Box, Segment
from tropica.regions.estimates import Estimate, estimate_density, estimate_patterns, log_cells
from tropica.regions.linear_regions import linear_regions
from tropica.studies.case import Case
from tropica.studies.study import Measurement, Results, Row, Study
from tropica.studies.tables import Table, aggregate, by_family, mean_sd, select, spread

PLACES = ("same class", "different classes")
CUBE = "the cube"
LAYERS = "layer by layer (Montúfar 2022)"
UNBOUNDED = "no theorem"


@dataclass(frozen=True)
class EstimateSizes:
    """The sizes of the samples.

    Attributes:
        max_segments: the number of segments of each kind, and of random chords, for small networks.
        min_segments: the same for large networks.
        units: between these limits, the number of units times segments of each kind; a large convolutional network takes half
            a minute for one segment.
        points: the number of random points of the cube.
    """

    max_segments: int = 30
    min_segments: int = 4
    units: int = 60_000
    points: int = 2000

    def num_segments(self, net: PiecewiseLinearNetwork) -> int:
        """The number of segments of each kind for a network."""
        units = sum(nonlinearity.units for nonlinearity in net.nonlinearities)
        return max(self.min_segments, min(self.max_segments, self.units // units))


SAMPLE_SIZES = EstimateSizes()


def draw_pairs(labels: Tensor, x: Tensor, same: bool, number: int, generator: torch.Generator) -> list[tuple[int, int]]:
    """Pairs of different points, of one class or of two, drawn with replacement; empty where there is no such pair.

    >>> draw_pairs(torch.tensor([0, 1]), torch.eye(2), True, 5, torch.Generator())
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


def measure(case: Case, sizes: EstimateSizes = SAMPLE_SIZES) -> Measurement:
    """A row for each quantity and place."""
    rows: list[Row] = []
    generator = torch.Generator().manual_seed(case.run.seed)
    progress = case.progress("segments")
    number = sizes.num_segments(case.net)
    for place in PLACES:
        chosen = draw_pairs(case.true_labels, case.test.inputs, place == PLACES[0], number, generator)
        rows += _segments(case.net, case.test.inputs, chosen, place, progress)
    values = case.points.inputs
    cube = Box(float(values.min()), float(values.max()), d=values[0].numel())
    density = estimate_density(case.net, cube, segments=number, seed=case.run.seed)
    rows.append(_row("breakpoints per unit length", CUBE, density))
    rows.append(_crofton(density, cube))
    drawn = estimate_patterns(case.net, cube, samples=sizes.points, seed=case.run.seed)
    rows.append(_row("cells, Chao1", CUBE, drawn))
    rows.append(_row("cells, Chao1", "training points", estimate_patterns(case.net, values)))
    rows += [{"quantity": f"{kind} bound", "place": name, "log10": value} for name, kind, value in proven(case)]
    return Measurement(rows)


def _segments(
    net: PiecewiseLinearNetwork, x: Tensor, chosen: list[tuple[int, int]], place: str, progress: Callable[..., object] | bool
) -> list[Row]:
    """Cells, linear regions and breakpoints per unit length: means over segments with their standard errors."""
    counts = np.zeros((len(chosen), 3))
    for k, (i, j) in enumerate(chosen):
        found = linear_regions(net, Segment(x[i], x[j]), simplify=False)
        counts[k] = len(found.cells), len(found.regions), (len(found.cells) - 1) / found.volume
        if callable(progress):
            progress(k + 1, len(chosen), "")
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
    """The logarithm of the number of cells in the cube, from the density of breakpoints (:func:`tropica.estimate_regions`)."""
    value, slope = log_cells(density.value, cube.hi - cube.lo)
    row: Row = {"quantity": "cells, by integral geometry", "place": CUBE, "samples": density.samples}
    row["log10"] = value / math.log(10)
    row["log10_error"] = density.standard_error * math.exp(slope - value) / math.log(10)
    return row


def proven(case: Case) -> list[tuple[str, str, float | None]]:
    """Published bounds as (name, upper or lower, log10), with None where a theorem does not cover the network."""
    net = case.net
    found = [(LAYERS, "upper", bounds.log10(math.prod(_layers(net))))]
    if case.family == "FCN":
        dense: dict[str, tuple[str, Callable[[Any], float]]] = {
            "Serra 2018, Theorem 1": ("upper", bounds.serra2018_log10),
            "Montúfar 2017": ("upper", lambda net: bounds.log10(bounds.montufar2017(net))),
            "Montúfar 2014": ("lower", lambda net: bounds.log10(bounds.montufar2014(net))),
            "Serra 2018, Theorem 6": ("lower", lambda net: bounds.log10(bounds.serra2018_lower(net))),
        }
        return found + [(name, kind, _or_none(bound, net)) for name, (kind, bound) in dense.items()]
    return [*found, ("first layer of Xiong 2020", "upper", _or_none(lambda net: xiong_first(case.run.load(), net), net))]


def _or_none(bound: Callable[[Any], float], net: PiecewiseLinearNetwork) -> float | None:
    try:
        return bound(net)
    except InputError:  # bounds.NotCovered, or not a chain of dense layers
        return None


def _layers(net: PiecewiseLinearNetwork) -> list[int]:
    """For each nonlinearity a bound on the number of regions into which it cuts one cell of the nonlinearities before it.

    Inside such a cell the nonlinearity sees an affine image of the input space, of dimension d at most, and its u units are
    maxima of k affine functions: Σ_{j ≤ d} C(u, j) (k − 1)^j regions, whatever the weights are, those of a convolution
    included. Leaky units are of rank 2, max-pools of the rank of their windows. Holds for any graph, with branches, too.
    """
    inputs = math.prod(net.input_shape)
    pieces = net.active_pieces(torch.zeros(1, *net.input_shape, dtype=net.dtype), floating="model")
    return [bounds.montufar2022((inputs, nonlinearity.units), rank=number) for nonlinearity, _, number in pieces]


def xiong_first(model: nn.Sequential, net: PiecewiseLinearNetwork) -> float:
    """log10 of the bound of Xiong et al. 2020 for the first convolution times :func:`_layers` of all further nonlinearities.

    Their Theorem 2 has no padding. A convolution with zero padding is a convolution without padding on the larger input,
    restricted to the subspace where the border is 0, and a restriction has no more regions. Their Theorem 5 for several
    layers has no pooling; further layers are therefore bounded one by one, as in that theorem, with max-pools as maxima.

    Raises:
        bounds.NotCovered: the first layer is not a convolution, or its windows overlap along several axes, so that the sum is
            too large.
    """
    first = next(module for module in model if not isinstance(module, nn.Flatten))
    if not isinstance(first, (nn.Conv1d, nn.Conv2d)) or first.groups != 1 or isinstance(first.padding, str):
        raise bounds.NotCovered("the first layer is not a convolution")
    channels, *sizes = net.input_shape
    padded = [size + 2 * around for size, around in zip(sizes, first.padding, strict=True)]
    one = bounds.ConvNet((channels, *padded), [bounds.Conv(first.out_channels, first.kernel_size, first.stride)])
    return bounds.log10(bounds.xiong2020_one_layer(one) * math.prod(_layers(net)[1:]))


def tables(results: Results) -> list[Table]:
    """The counts along segments; the estimates and bounds of the number of all cells, as powers of ten."""
    note = (
        "Estimates: mean over segments ± standard error over segments (averaged over runs). Cells differ in their activation "
        "pattern; a linear region joins adjacent cells with one affine function. The cube: in each dimension from the smallest "
        "to the largest value of the data; its chords go through random points in random directions. Large networks "
        f"have fewer segments in a run, at least {SAMPLE_SIZES.min_segments} of each kind."
    )
    more = (
        "Mean ± sd over runs. Standard errors are those of the sampling in one run, averaged over runs; they do not measure "
        "whether a formula's assumptions hold. Chao1 uses the numbers of samples that lie in one cell; if no two of n samples "
        "do, it gives n(n + 1)/2 for every network: the sample is too small, and only the number of cells met is certain. "
        "Integral geometry assumes that the breakpoints are those of independent hyperplanes. Bounds are for the largest "
        "number over all weights. No theorem: its assumptions do not hold, or its sum is too large to compute."
    )
    title = "The number of all cells: decimal logarithms"
    return [Table("Along segments", _segment_table(results), note), Table(title, _total_table(results.rows), more)]


def _segment_table(results: Results) -> pd.DataFrame:
    headings = {
        "cells": "cells a segment",
        "linear regions": "regions a segment",
        "breakpoints per unit length": "breakpoints per unit length",
    }
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for model in results.models:
        for place in (*PLACES, CUBE):
            found = select(results.rows, model=model, place=place)
            texts = {heading: _estimate(select(found, quantity=quantity)) for heading, quantity in headings.items()}
            segments = select(found, quantity="breakpoints per unit length")["samples"].sum()
            rows[model, place] = {**texts, "segments": f"{segments:,.0f}"}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["network", "segments between points of"])


def _total_table(rows: pd.DataFrame) -> pd.DataFrame:
    bound = rows["quantity"].str.endswith("bound")
    rows = rows[bound | rows["quantity"].str.startswith("cells, ")]
    what = rows["quantity"].where(bound, "estimate of " + rows["quantity"])
    cells = {
        "met": ("met", partial(_mean_or_dash, form=",.0f")),
        "log10": ("log10", lambda values: mean_sd(values).replace("–", UNBOUNDED)),
        "standard error": ("log10_error", partial(_mean_or_dash, form=".2g")),
    }
    return aggregate(rows.assign(what=what), {"network": "model", "quantity": "what", "place or source": "place"}, cells)


def _mean_or_dash(values: pd.Series, form: str) -> str:
    return "–" if values.isna().all() else format(values.astype(float).mean(), form)


def _estimate(rows: pd.DataFrame) -> str:
    """Mean ± standard error in a run, both averaged over runs."""
    value, error = rows["value"].astype(float).mean(), rows["standard_error"].astype(float).mean()
    return "–" if math.isnan(value) else f"{value:.3g}" + ("" if math.isnan(error) else f" ± {error:.2g}")


def cells_and_bound(rows: pd.DataFrame) -> tuple[float, float]:
    """The estimated number of cells of the cube and the smallest upper bound, as powers of ten: of the rows of one model."""
    guess = select(rows, quantity="cells, by integral geometry")["log10"].astype(float).mean()
    return guess, select(rows, quantity="upper bound").astype({"log10": float}).groupby("place")["log10"].mean().min()


def findings(results: Results) -> list[str]:
    """Each network's estimates beside its bounds; the order of the networks by the estimate."""
    lines, totals = [], {}
    for model in results.models:
        rows = select(results.rows, model=model)
        same, other = (_estimate(select(rows, quantity="regions a segment", place=place)) for place in PLACES)
        density = _estimate(select(rows, quantity="breakpoints per unit length", place=CUBE))
        drawn = select(rows, quantity="cells, Chao1", place=CUBE)
        guess, upper = cells_and_bound(rows)
        lines.append(
            f"{model}: an estimated {same} linear regions along a segment between test points of one class, {other} between "
            f"those of two; {density} breakpoints per unit length on random chords of the cube. "
            f"{drawn['samples'].iloc[0]:,.0f} random points of the cube met {drawn['met'].mean():,.0f} different cells. "
            f"Estimated number of cells in the cube: 10^{guess:.0f}; smallest published upper bound here: 10^{upper:.0f}."
        )
        if guess > upper:
            lines.append(
                f"{model}: the estimate exceeds the proven upper bound. The estimate assumes that breakpoints are those of "
                "independent hyperplanes, which is not the case here."
            )
        totals[model] = (guess, upper)
    ranked = sorted(totals, key=lambda name: totals[name][0])
    if len(ranked) > 1:
        by_bound = sorted(totals, key=lambda name: totals[name][1])
        agree = "the bounds rank them in the same order" if by_bound == ranked else "the bounds rank them in another order"
        lines.append(f"From fewest to most by the estimate: {', '.join(ranked)}; {agree}.")
    return lines


def figures(results: Results) -> Mapping[str, Figure]:
    """Linear regions along a segment, breakpoints per unit length, and all numbers as powers of ten."""
    models, rows = results.models, results.rows

    def series(column: str, **wanted: str) -> tuple[list[float], list[float]]:
        return spread(select(rows, **wanted), "model", column, 1, groups=models)

    figure = style.figure(height=2.9)
    left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1, 1.25])
    for ax, quantity, places, title in (
        (left, "regions a segment", PLACES, "linear regions along a segment"),
        (middle, "breakpoints per unit length", (*PLACES, CUBE), "breakpoints per unit length"),
    ):
        marks = {place: series("value", quantity=quantity, place=place) for place in places}
        highest = np.nanmax([[1e-300, *means] for means, _ in marks.values()])
        grouped_means(
            models, marks, ylabel=title, limits=(0, 1.5 * (highest if highest > 1e-300 else 1.0)), ax=ax
        )  # room for the legend
        ax.legend(loc="upper left", handletextpad=0.2)
    met, _ = series("met", quantity="cells, Chao1", place=CUBE)
    marks = {
        "met by random points": ([math.log10(number) for number in met], [0.0] * len(met)),
        "estimate, Chao1": series("log10", quantity="cells, Chao1", place=CUBE),
        "estimate, integral geometry": series("log10", quantity="cells, by integral geometry"),
        "upper bound, layer by layer": series("log10", quantity="upper bound", place=LAYERS),
    }
    grouped_means(models, marks, ylabel="number of cells (power of ten)", ax=right)
    high = max(mean for means, _ in marks.values() for mean in means if mean > 0)
    right.set_ylim(0, 1.6 * high)  # room for the legend
    right.legend(loc="upper left", handletextpad=0.2)
    return {"estimate": figure}


def summary(results: Results) -> str:
    """The linear regions of a segment; the estimate and the bound of all cells, as powers of ten."""
    rows = results.rows
    cells = [(model, *cells_and_bound(select(rows, model=model))) for model in results.models]
    totals = ", ".join(f"{model} 10^{guess:.0f} (10^{upper:.0f})" for model, guess, upper in cells)
    line = by_family(select(rows, quantity="regions a segment", place=PLACES[1]), "value", 1)
    return (
        f"Linear regions between two test points of different classes, estimated: {line}. Cells in the cube around the data, "
        f"estimated (smallest upper bound): {totals}."
    )


STUDY = Study(
    name="estimate",
    title="Appendix E.8: an estimate of the number of regions in practice",
    question="How many linear regions does a trained network have near the data? All breakpoints on segments between test "
    "points of one class and of two, and on random chords of the cube around the data, are counted exactly; random points and "
    "the training points are sampled. The number of all regions is estimated from both and compared with published bounds. "
    "All numbers but the bounds are estimates, with standard errors.",
    paper="The main text: the bound of Serra et al. exceeds 10^300 even for the smallest network, 10^17000 for slightly larger "
    "ones; an estimate of the number of regions in practice (the appendix is not available) suggests that Narrow, a CNN, has "
    "more regions than Wide, which is fully connected, has as many nodes and the higher bound; both have astronomically many. "
    "The authors' scripts count the regions on segments between two points.",
    measure=measure,
    tables=tables,
    findings=findings,
    figures=figures,
    summary=summary,
)
