"""Accuracy and agreement by merged layers, as ``tp.layerwise`` measures them (Figure 3 of TropEx)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.axes import Axes

from tropica.plots import style
from tropica.plots.mean_curves import Curve, mean_curves

if TYPE_CHECKING:
    from tropica.compare.layerwise import Layerwise


def layers(result: Layerwise, *, title: str = "", ax: Axes | None = None) -> Axes:
    """Draw agreement with the network and, if known, accuracy, against the layers that are merged.

    Args:
        result: the result of ``tp.layerwise``.
        title: the title of the axes.
        ax: axes to draw on; a new figure by default.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> x = torch.randn(50, 4)
    >>> tp.plots.layers(tp.layerwise(model, x, x)).get_xlabel()
    'layer merged last (from the output, left, to the input)'
    """
    place = [row.merged for row in result.rows]
    lines = {"agreement with N": Curve(place, [100 * row.agreement for row in result.rows])}
    accuracy = [row.accuracy for row in result.rows if row.accuracy is not None]
    if len(accuracy) == len(place):
        lines["accuracy"] = Curve(place, [100 * share for share in accuracy])
    ticks: dict[float, str] = {row.merged: row.layer or "none" for row in result.rows}
    xlabel = "layer merged last (from the output, left, to the input)"
    ax = style.axes(ax, 4.2, 2.8)
    ax = mean_curves(lines, xlabel=xlabel, ylabel=f"% of {result.points:,} points", title=title, ticks=ticks, ax=ax)
    with style.applied():
        ax.tick_params("x", rotation=45 if sum(map(len, ticks.values())) > 40 else 0)
    return ax
