"""Means with their spread over runs, in groups: marks, not bars, so that the axis need not start at zero."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from tropica.errors import InputError
from tropica.plots import style


def grouped_means(
    groups: Sequence[str],
    series: Mapping[str, tuple[Sequence[float], Sequence[float] | None]],
    *,
    ylabel: str,
    title: str = "",
    limits: tuple[float | None, float | None] = (None, None),
    within: tuple[float, float] = (-math.inf, math.inf),
    legend: bool = True,
    colors: Mapping[str, str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a mark for each group and series; whiskers are one standard deviation.

    Args:
        groups: the names of the groups, written below them.
        series: by name, means and standard deviations (None for no whiskers), one for each group; NaN omits a mark.
        ylabel: the label of the y axis, with units.
        title: the title of the axes.
        limits: the limits of the y axis; matplotlib's by default.
        within: the smallest and the largest value possible, such as 0 and 100 for percentages: whiskers end there.
        legend: whether to draw a legend.
        colors: a color for some of the series; by default those of the house in turn.
        ax: axes to draw on; a new figure by default.

    Raises:
        InputError: a series whose number of values is not the number of groups.

    >>> ax = grouped_means(["FCN", "CNN"], {"paper": ([97.7, 95.7], [0.2, 0.3]), "here": ([97.0, 96.0], None)}, ylabel="%")
    >>> [text.get_text() for text in ax.get_xticklabels()], ax.get_legend_handles_labels()[1]
    (['FCN', 'CNN'], ['paper', 'here'])
    """
    for name, (means, sds) in series.items():
        if len(means) != len(groups) or (sds is not None and len(sds) != len(groups)):
            raise InputError(f"the series {name!r} needs a value for each of {len(groups)} groups; found {len(means)}")
    with style.applied():
        ax = style.axes(ax, 3.4, 2.6)
        for i, (name, (means, sds)) in enumerate(series.items()):
            position = np.arange(len(groups)) + 0.5 * ((i + 0.5) / len(series) - 0.5)
            color = (colors or {}).get(name, style.SERIES[i % len(style.SERIES)])
            look = {"color": color, "fmt": style.marker(i), "markersize": 4}
            middle = np.asarray(means, float)
            whiskers = None
            if sds is not None and np.nan_to_num(np.asarray(sds, float)).any():
                sd = np.nan_to_num(np.asarray(sds, float))
                whiskers = np.maximum([np.minimum(sd, middle - within[0]), np.minimum(sd, within[1] - middle)], 0)
            ax.errorbar(position, middle, whiskers, capsize=2, elinewidth=0.8, **look)  # type: ignore[arg-type]
            ax.plot([], [], style.marker(i), color=color, markersize=4, label=name)  # the legend has marks without whiskers
        for border in range(1, len(groups)):
            ax.axvline(border - 0.5, color="0.9", linewidth=0.6, zorder=0)
        ax.set_xlim(-0.5, len(groups) - 0.5)
        ax.set_xticks(range(len(groups)), labels=list(groups))
        if limits != (None, None):  # set_ylim ends autoscaling, for axes that share this y axis as well
            ax.set_ylim(*limits)
        style.set_value_axes(ax, ylabel=ylabel, title=title)
        if legend:
            ax.legend(handletextpad=0.2)
    return ax
