"""A network along a segment: its outputs, its breakpoints, and where the label changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from tropica.errors import InputError
from tropica.plots import style
from tropica.regions.complex.region_complex import RegionComplex

LEGEND = 12
"""Outputs that a legend names."""
BREAKS = 2000
"""Breakpoints that are drawn one by one; more are a gray band anyway."""


def segment(cx: RegionComplex, *, class_names: Sequence[str] | None = None, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw the outputs along x(t) = (1 − t) a + t b, a tick at each breakpoint, and a line where the label changes.

    Areas between changes have the color of the label there, which stands above them.

    Args:
        cx: the complex of a segment, ``tp.linear_regions(net, tp.Segment(a, b))``.
        class_names: the names of the labels.
        ax: axes to draw on; a new figure by default.
        title: the title of the axes; by default the number of linear regions and of changes of the label.

    Returns:
        The axes.

    Raises:
        InputError: a complex of another domain, or another number of names.

    >>> import tropica as tp
    >>> net = tp.from_layers([([[1.0], [-1.0]], [0.0, 0.5]), ([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0])])
    >>> tp.plots.segment(tp.linear_regions(net, tp.Segment([-1.0], [1.0]))).get_xlabel()
    't'
    """
    if not isinstance(cx, RegionComplex) or cx.dimension != 1:
        found = repr(cx) if isinstance(cx, RegionComplex) else type(cx).__name__
        raise InputError(f"a complex of a segment is needed, tp.linear_regions(net, tp.Segment(a, b)); found {found}")
    labels = cx.net.num_classes
    if class_names is not None and len(class_names) != labels:
        raise InputError(f"class_names must have {labels} names; found {len(class_names)}")
    names = [str(k) for k in range(labels)] if class_names is None else list(class_names)
    outputs = cx.net.num_outputs
    t, y = _polylines(cx)
    with style.applied():
        ax = style.axes(ax, 4.6, 2.8)
        for k in range(outputs):
            color = style.label_color(k) if outputs > 1 else style.BLACK
            ax.plot(t, y[:, k], color=color, linewidth=1.1, label=names[k] if outputs > 1 else "output", zorder=3)
        if outputs == 1:
            ax.axhline(0, color="0.6", linewidth=0.6)
        inner = t[1:-1]
        shown = inner[:: -(-len(inner) // BREAKS)] if len(inner) else inner
        ax.plot(shown, np.zeros(len(shown)), "|", color="0.35", markersize=5, transform=ax.get_xaxis_transform(), clip_on=False)
        changes = _draw_labels(ax, cx, names)
        style.set_value_axes(ax, xlabel="t", ylabel="output", title="")
        ax.set_xlim(t[0], t[-1])
        regions, times = style.plural(len(cx.regions), "linear region"), style.plural(changes, "change")
        ax.set_title(title or f"{regions}, {times} of the label", pad=14)
        if 1 < outputs <= LEGEND:
            style.legend_beside(ax, ax.get_legend_handles_labels()[0], None)
    return ax


def _polylines(cx: RegionComplex) -> tuple[np.ndarray, np.ndarray]:
    """The places of breakpoints and the outputs there (C + 1, s)."""
    t, (slopes, constants) = cx.breakpoints, cx.logits
    first, last = (np.r_[slopes[:, :, 0], slopes[-1:, :, 0]], np.r_[constants, constants[-1:]])
    return t, first * t[:, None] + last


def _draw_labels(ax: Axes, cx: RegionComplex, names: list[str]) -> int:
    """Color the areas between changes of the label and name them; returns how many changes there are."""
    found = cx.label_changes()
    places = found.t.tolist()
    ends = [cx.breakpoints[0], *places, cx.breakpoints[-1]]
    pairs = found.labels.tolist()
    start = int(cx.net.predict(cx.embed(cx.centers[:1]))[0]) if not pairs else pairs[0][0]
    labels = [start, *(after for _, after in pairs)]
    for low, high, label in zip(ends[:-1], ends[1:], labels, strict=True):
        ax.axvspan(low, high, color=style.label_color(label, 0.18), linewidth=0, zorder=0)
        if high - low > 0.02 * (ends[-1] - ends[0]):
            middle = (low + high) / 2
            ax.text(middle, 1.02, names[label], transform=ax.get_xaxis_transform(), ha="center", va="bottom", fontsize=7)
    for place in places:
        ax.axvline(place, color=style.BLACK, linewidth=0.7, linestyle="--", zorder=2)
    return len(places)
