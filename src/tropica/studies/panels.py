"""Figures of several panels: one for each network, or one for each decomposition."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tropica.plots import style
from tropica.studies.study import METHODS

PERCENT = (0.0, 100.0)
"""What percentages lie within: whiskers and bands end there."""
FIDELITY = "fidelity (% of test points)"
"""The axis of the share of test points at which N^(X) gives N's label."""


def panel_grid(number: int, height: float, columns: int = 3, **options: Any) -> tuple[Figure, list[Axes]]:
    """A figure with ``number`` panels in rows of at most ``columns``; ``height`` of one row in inches.

    >>> figure, panels = panel_grid(4, 2.0)
    >>> len(panels), figure.get_size_inches().tolist()
    (4, [7.0, 4.0])
    """
    columns = min(columns, number)
    rows = -(-number // columns)
    figure = style.figure(height=height * rows)
    panels = figure.subplots(rows, columns, squeeze=False, **options).flatten()
    for ax in panels[number:]:
        ax.remove()
    return figure, list(panels[:number])


def decomposition_panels(height: float, rows: int = 1, **options: Any) -> tuple[Figure, np.ndarray]:
    """A figure with a column of panels for each of `METHODS`; the axes have shape (rows, decompositions)."""
    figure = style.figure(height=height)
    return figure, figure.subplots(rows, len(METHODS), sharey="row", squeeze=False, **options)
