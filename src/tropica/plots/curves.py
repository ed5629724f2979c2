"""Curves with their spread over runs: the layout of the paper's Figures 3, 4 and 5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from tropica.errors import InputError
from tropica.plots import style

COLORS = (style.BLUE, style.VERMILION, style.GREEN, style.PURPLE, style.ORANGE, style.SKY, style.BLACK)
LINES = ("-", "--", "-.", ":")


@dataclass(frozen=True)
class Curve:
    """Values at places: means over runs, with standard deviations (0 or NaN where there is one run only)."""

    x: Sequence[float]
    mean: Sequence[float]
    sd: Sequence[float] | None = None


def curves(
    lines: Mapping[str, Curve],
    *,
    xlabel: str,
    ylabel: str,
    title: str = "",
    ticks: Mapping[float, str] | None = None,
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw curves, each in a color, a line style and a marker of its own, in a band of one standard deviation.

    Args:
        lines: by name, as the legend has it; a curve breaks where its value is NaN.
        xlabel, ylabel: with units.
        title: of the axes.
        ticks: places on the x axis and what to write there; by default matplotlib's own, whole numbers where all places are.
        legend: draw one?
        ax: where to draw; new axes by default.

    Raises:
        InputError: a curve whose parts are not of one length.

    >>> ax = curves({"FCN": Curve([0, 1], [0.5, 0.7], [0.1, 0.0])}, xlabel="epoch", ylabel="agreement (%)")
    >>> len(ax.lines), len(ax.collections)
    (1, 1)
    """
    for name, line in lines.items():
        if len(line.x) != len(line.mean) or (line.sd is not None and len(line.sd) != len(line.x)):
            raise InputError(f"the curve {name!r} needs as many values as places; found {len(line.mean)} for {len(line.x)}")
    with style.applied():
        ax = ax or style.shown_figure(3.4, 2.6).add_subplot()
        for i, (name, line) in enumerate(lines.items()):
            x, mean = np.asarray(line.x, float), np.asarray(line.mean, float)
            color = COLORS[i % len(COLORS)]
            look = {"linestyle": LINES[i % len(LINES)], "marker": style.MARKERS[i % len(style.MARKERS)]}
            ax.plot(x, mean, color=color, label=name, linewidth=1.2, markersize=3.2, **look)  # type: ignore[arg-type]
            if line.sd is not None and np.nansum(line.sd) > 0:
                sd = np.nan_to_num(np.asarray(line.sd, float))
                ax.fill_between(x, mean - sd, mean + sd, color=color, alpha=0.15, linewidth=0)
        if ticks is not None:
            ax.set_xticks(list(ticks), labels=list(ticks.values()))
        elif all(float(x).is_integer() for line in lines.values() for x in line.x):
            ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
        style.finish(ax, xlabel=xlabel, ylabel=ylabel, title=title)
        if legend:
            ax.legend(handlelength=2.6)
    return ax
