"""What decides at one point: the point, both coefficient pictures, and the training points of the largest terms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from torch import Tensor

from tropica.errors import InputError
from tropica.plots import style
from tropica.plots.pictures import coefficient_limit, draw_coefficients, draw_point

if TYPE_CHECKING:
    from tropica.compare.explanation import Explanation

INPUTS = 12
"""The number of inputs of a table that are drawn: those with the largest coefficients."""
TERMS = 5
"""The number of terms that are drawn."""


def explain(explanation: Explanation, point: int = 0, *, ax: Figure | SubFigure | None = None) -> np.ndarray:
    """Draw what decides at one point.

    Above: the point, N's coefficients on its linear region, the coefficients of the active term on the same scale, and the
    activations that the deciding training point shares with the point in each nonlinearity. Below: the training points of the
    active term and of the runners-up, each with its number, label, value and similarity, and the nearest training point.
    For points of shape (d,), the rows of a table, the largest coefficients are drawn as bars.

    Args:
        explanation: the result of ``tp.explain``.
        point: the number of the point in it.
        ax: a figure or subfigure to draw in; a new figure by default.

    Returns:
        The axes: those of the first row, then those of the second.

    Raises:
        InputError: there is no such point.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> data = torch.rand(50, 1, 8, 8)
    >>> found = tp.explain(model, tp.ExtractedFunction(tp.extract(model, data)), data[:2], data=data)
    >>> tp.plots.explain(found).shape
    (10,)
    """
    if isinstance(point, bool) or not isinstance(point, int) or not 0 <= point < len(explanation):
        raise InputError(f"point must be a number in 0 … {len(explanation) - 1}; got {point!r}")
    terms = min(TERMS, explanation.top.k)
    table = len(explanation.own.input_shape) == 1
    with style.applied():
        figure: Any = ax if ax is not None else style.shown_figure(style.PAPER_WIDTH, 3.3 if table else 3.8)
        figure.suptitle(explanation.heading(point), fontsize=9)
        if explanation.training is None:
            above, below = figure.subfigures(1, 1, squeeze=False)[0, 0], None
        else:
            above, below = figure.subfigures(2, 1, height_ratios=(1, 0.3) if table else (1.1, 1))
        first = _draw_bars(above, explanation, point) if table else _draw_pictures(above, explanation, point)
        second = [] if below is None else _draw_terms(below, explanation, point, terms, table)
    found = np.empty(len(first) + len(second), dtype=object)
    found[:] = [*first, *second]
    return found


def _draw_pictures(figure: Any, explanation: Explanation, point: int) -> list[Axes]:
    """The point, both pictures of coefficients on one scale, and the shared activations."""
    axes = list(figure.subplots(1, 4, width_ratios=(1, 1, 1, 1.2)))
    shape = explanation.own.input_shape
    own, active = (side.weight[point].reshape(shape) for side in (explanation.own, explanation.active))
    limit = coefficient_limit(own, active)
    draw_point(axes[0], explanation.points[point])
    axes[0].set_title("the point")
    draw_coefficients(axes[1], own, limit)
    axes[1].set_title(f"coefficients of N\nfor {explanation.class_name(explanation.network_label[point])}")
    image = draw_coefficients(axes[2], active, limit)
    axes[2].set_title(f"coefficients of the\nactive term, {explanation.class_name(explanation.extracted_label[point])}")
    angle, distance = float(explanation.angle[point, 0]), float(explanation.distance[point, 0])
    axes[2].set_xlabel(f"angle {angle:.0f}°, distance {distance:.3g}", fontsize=7)
    if image is not None:
        bar = figure.colorbar(image, ax=axes[1:3], location="left", fraction=0.05, ticks=[-limit, 0, limit], aspect=12)
        bar.ax.set_yticklabels([f"−{limit:.2g}", "0", f"{limit:.2g}"], fontsize=6)
        bar.outline.set_linewidth(0.4)
    _draw_shared(axes[3], explanation, point)
    return axes


def _draw_bars(figure: Any, explanation: Explanation, point: int) -> list[Axes]:
    """The largest coefficients of a table's inputs as bars, with the values of the inputs, and the shared activations."""
    axes = list(figure.subplots(1, 2, width_ratios=(2.6, 1)))
    own, active = (side.weight[point].double().cpu().numpy() for side in (explanation.own, explanation.active))
    chosen = np.sort(np.argsort(-np.maximum(abs(own), abs(active)), kind="stable")[:INPUTS])
    names = explanation.feature_names or tuple(f"input {i}" for i in range(len(own)))
    values = explanation.points[point].double().flatten().numpy()
    place = np.arange(len(chosen))
    label, extracted = (
        f", for {explanation.class_name(i[point])}" for i in (explanation.network_label, explanation.extracted_label)
    )
    label, extracted = ("", "") if explanation.output is not None else (label, extracted)
    axes[0].barh(place - 0.2, own[chosen], 0.38, color=style.SKY, label=f"N on the point's region{label}")
    axes[0].barh(place + 0.2, active[chosen], 0.38, color=style.VERMILION, label=f"active term{extracted}")
    axes[0].set_yticks(place, labels=[f"{names[i]} = {values[i]:.3g}" for i in chosen])
    axes[0].invert_yaxis()
    axes[0].axvline(0, color="0.4", linewidth=0.6)
    more = f" (the largest {len(chosen)} of {len(own)})" if len(chosen) < len(own) else ""
    angle, distance = float(explanation.angle[point, 0]), float(explanation.distance[point, 0])
    axes[0].set_xlabel(f"coefficient{more}; angle {angle:.0f}°, distance {distance:.3g}")
    axes[0].legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=6.5, borderaxespad=0.2)
    _draw_shared(axes[1], explanation, point)
    return axes


def _draw_shared(ax: Axes, explanation: Explanation, point: int) -> None:
    """The share of activations in common with the training points of the active term and of the runners-up, by layer."""
    if explanation.shared is None:
        ax.set_axis_off()
        return
    shares = 100 * explanation.shared[point].double().numpy()
    place = np.arange(shares.shape[1])
    ax.barh(place, shares[0], 0.7, color=style.BLUE, label="active")
    for rank in range(1, min(TERMS, len(shares))):
        label = "runners-up" if rank == 1 else None
        ax.plot(shares[rank], place, "|", color=style.ORANGE, markersize=6, label=label)
    ax.set_yticks(place, labels=[_short(name) for name in explanation.layers])
    ax.invert_yaxis()
    ax.set_xlim(0, 100)
    ax.set_xlabel("shared activations (%)")
    ax.legend(fontsize=6, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, handlelength=1.2, columnspacing=1)


def _draw_terms(figure: Any, explanation: Explanation, point: int, terms: int, table: bool) -> list[Axes]:
    """The training points of the largest terms, and the nearest training point, each with a caption."""
    training = explanation.training
    assert training is not None
    axes = list(figure.subplots(1, terms + 1))
    for rank, ax in enumerate(axes[:terms]):
        index = int(explanation.top.index[point, rank])
        title = "active term" if rank == 0 else f"runner-up {rank}"
        value, angle = float(explanation.top.value[point, rank]), float(explanation.angle[point, rank])
        far = float(explanation.point_distance[point, rank])
        label = "" if explanation.output is not None else f": {explanation.class_name(explanation.top.label[point, rank])}"
        lines = [f"point {index}{label}", f"value {value:.4g}", f"{far:.3g} away, angle {angle:.0f}°"]
        _draw_training_point(ax, training.points[point, rank], title, lines, table)
    near = int(training.nearest.index[point])
    true = training.nearest.label
    label = "" if true is None else f": {explanation.class_name(true[point])}"
    lines = [f"point {near}{label}", f"{float(training.nearest.distance[point]):.3g} away"]
    lines += ["decides" if near == int(explanation.top.index[point, 0]) else ""]
    _draw_training_point(axes[terms], training.nearest_points[point], "nearest", lines, table)
    return axes


def _draw_training_point(ax: Axes, x: Tensor, title: str, lines: list[str], table: bool) -> None:
    ax.set_title(title, fontsize=8)
    text = "\n".join(lines)
    if table:
        ax.set_axis_off()
        ax.text(0.5, 0.95, text, ha="center", va="top", fontsize=7, transform=ax.transAxes)
    else:
        draw_point(ax, x)
        ax.set_xlabel(text, fontsize=6.5)


def _short(name: str) -> str:
    """The end of a long name."""
    return name if len(name) <= 14 else f"…{name[-13:]}"
