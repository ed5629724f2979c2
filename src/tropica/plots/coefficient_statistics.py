"""Statistics of the coefficients of many terms, as images: mean, median, deviation, extremes (Appendix E.7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from tropica.plots import style
from tropica.plots.pictures import coefficient_limit, draw_coefficients


def coefficient_statistics(statistics: Mapping[str, Tensor], *, title: str = "", ax: Any = None) -> np.ndarray:
    """Draw a picture of each statistic of coefficients: an image where inputs are images, else a line.

    Args:
        statistics: tensors (*input_shape) by name, such as the mean of the coefficients over all terms; channels are summed.
        title: the title of the row, at its left.
        ax: one axes for each statistic; a new figure by default.

    Returns:
        The axes. Each image has its own scale, symmetric about 0, whose end is written below it.

    Raises:
        InputError: a wrong number of axes.

    >>> import torch
    >>> coefficient_statistics({"mean": torch.randn(1, 8, 8), "median": torch.randn(1, 8, 8)}).shape
    (2,)
    """
    with style.applied():
        axes = style.axes_grid(ax, (1, len(statistics)), 1.2 * len(statistics), 1.5)[0]
        for one, (name, values) in zip(axes, statistics.items(), strict=True):
            limit = coefficient_limit(values)
            draw_coefficients(one, values, limit)
            one.set_title(name, fontsize=7)
            one.set_xlabel(f"±{limit:.2g}", fontsize=7, labelpad=2)
        axes[0].set_ylabel(title, fontsize=8)
    return axes
