"""Bars with their spread over runs, in groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from tropica.errors import InputError
from tropica.plots import style
from tropica.plots.curves import COLOURS

HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx")


def bars(
    groups: Sequence[str],
    series: Mapping[str, tuple[Sequence[float], Sequence[float] | None]],
    *,
    ylabel: str,
    title: str = "",
    top: float | None = None,
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw a group of bars for each of ``groups``, a bar a series in each; whiskers are one standard deviation.

    Args:
        groups: what is written below each group.
        series: by name, means and standard deviations (None for no whiskers), one a group; NaN leaves a bar out.
        ylabel: with units.
        title: of the axes.
        top: the upper end of the y axis.
        legend: draw one?
        ax: where to draw; new axes by default.

    Raises:
        InputError: a series with more or fewer values than groups.

    >>> ax = bars(["FCN", "CNN"], {"paper": ([97.7, 95.7], [0.2, 0.3]), "here": ([97.0, 96.0], None)}, ylabel="%")
    >>> len(ax.patches), [text.get_text() for text in ax.get_xticklabels()]
    (4, ['FCN', 'CNN'])
    """
    for name, (means, sds) in series.items():
        if len(means) != len(groups) or (sds is not None and len(sds) != len(groups)):
            raise InputError(f"the series {name!r} needs a value for each of {len(groups)} groups; found {len(means)}")
    with style.applied():
        ax = ax or style.shown_figure(3.4, 2.6).add_subplot()
        width = 0.8 / max(1, len(series))
        for i, (name, (means, sds)) in enumerate(series.items()):
            place = np.arange(len(groups)) - 0.4 + (i + 0.5) * width
            look = {"color": COLOURS[i % len(COLOURS)], "hatch": HATCHES[i % len(HATCHES)], "edgecolor": "white"}
            whiskers = {} if sds is None else {"yerr": np.nan_to_num(np.asarray(sds, float)), "capsize": 2}
            drawn = np.asarray(means, float)
            ax.bar(place, drawn, 0.92 * width, label=name, linewidth=0, error_kw={"elinewidth": 0.8}, **look, **whiskers)  # type: ignore[arg-type]
        ax.set_xticks(range(len(groups)), labels=list(groups))
        ax.set_ylabel(ylabel)
        ax.set_ylim(0, top)
        ax.set_title(title)
        ax.grid(axis="y", color="0.9", linewidth=0.6)
        ax.set_axisbelow(True)
        if legend:
            ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=len(series))
    return ax
