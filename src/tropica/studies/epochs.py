"""The epochs at which a study measures, where measuring at all of them would take too long."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def select_epochs(kept: list[int], number: int, also: Iterable[int] = ()) -> list[int]:
    """Some of the epochs whose weights were kept, increasingly far apart, as networks change most at the beginning.

    Args:
        kept: the epochs with weights, in order.
        number: the approximate number of epochs to take; all if no more were kept.
        also: epochs to take in any case, each with its successor, such as those after which the learning rate falls.

    >>> select_epochs(list(range(51)), 8), select_epochs([0, 1, 2], 8)
    ([0, 1, 2, 4, 7, 14, 26, 50], [0, 1, 2])
    >>> select_epochs(list(range(51)), 6, also=[25])
    [0, 1, 3, 7, 19, 25, 26, 50]
    """
    if len(kept) <= number:
        return list(kept)
    trained = np.array(kept[1:])
    wanted = np.geomspace(trained[0], trained[-1], max(2, number - 1))
    nearest = trained[np.abs(trained[:, None] - wanted).argmin(0)]
    around = {epoch + k for epoch in also for k in (0, 1)} & set(kept)
    return sorted({kept[0], *nearest.tolist(), *around})
