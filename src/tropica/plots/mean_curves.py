"""Curves of means with their spread over runs: the layout of the paper's Figures 3, 4 and 5."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from tropica.errors import InputError
from tropica.plots import style


@dataclass(frozen=True)
class Curve:
    """Means over runs at positions x, with standard deviations (0 or NaN where there is one run only).

    >>> import tropica as tp
    >>> curve = tp.plots.Curve([0, 1], [0.5, 0.7], [0.1, 0.0])
    >>> tp.plots.mean_curves({"FCN": curve}, xlabel="epoch", ylabel="agreement (%)").get_xlabel()
    'epoch'
    """

    x: Sequence[float]
    mean: Sequence[float]
    sd: Sequence[float] | None = None


def mean_curves(
    lines: Mapping[str, Curve],
    *,
    xlabel: str,
    ylabel: str,
    title: str = "",
    ticks: Mapping[float, str] | None = None,
    within: tuple[float, float] = (-math.inf, math.inf),
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw curves, each with its own color, line style and marker, in a band of one standard deviation.

    Args:
        lines: the curves by name, for the legend; a curve has a gap where its value is NaN.
        xlabel, ylabel: the labels of the axes, with units.
        title: the title of the axes.
        ticks: positions on the x axis and their labels; by default matplotlib's, integers where all positions are integers.
        within: the smallest and the largest value possible, such as 0 and 100 for percentages: bands end there.
        legend: whether to draw a legend.
        ax: axes to draw on; a new figure by default.

    Raises:
        InputError: a curve with different numbers of positions, means and deviations.

    >>> ax = mean_curves({"FCN": Curve([0, 1], [0.5, 0.7], [0.1, 0.0])}, xlabel="epoch", ylabel="agreement (%)")
    >>> len(ax.lines), len(ax.collections)
    (1, 1)
    """
    for name, line in lines.items():
        if len(line.x) != len(line.mean) or (line.sd is not None and len(line.sd) != len(line.x)):
            raise InputError(f"the curve {name!r} needs as many values as positions; found {len(line.mean)} for {len(line.x)}")
    with style.applied():
        ax = style.axes(ax, 3.4, 2.6)
        for i, (name, line) in enumerate(lines.items()):
            x, mean = np.asarray(line.x, float), np.asarray(line.mean, float)
            color = style.SERIES[i % len(style.SERIES)]
            look = {"linestyle": style.LINES[i % len(style.LINES)], "marker": style.marker(i)}
            ax.plot(x, mean, color=color, label=name, linewidth=1.2, markersize=3.2, **look)  # type: ignore[arg-type]
            if line.sd is not None and np.nansum(line.sd) > 0:
                sd = np.nan_to_num(np.asarray(line.sd, float))
                ax.fill_between(
                    x, np.maximum(mean - sd, within[0]), np.minimum(mean + sd, within[1]), color=color, alpha=0.15, linewidth=0
                )
        if ticks is not None:
            ax.set_xticks(list(ticks), labels=list(ticks.values()))
        elif all(float(x).is_integer() for line in lines.values() for x in line.x):
            ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
        style.set_value_axes(ax, xlabel=xlabel, ylabel=ylabel, title=title)
        if legend:
            ax.legend(handlelength=2.6)
    return ax
