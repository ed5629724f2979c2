"""Which epochs a study looks at, where it cannot look at all."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def spaced_epochs(kept: list[int], most: int, also: Iterable[int] = ()) -> list[int]:
    """Some epochs of those kept: all where there are no more than ``most``; else the first, the last, and between them epochs
    that lie ever farther apart, as networks change most in the beginning.

    Args:
        kept: the epochs of which there are weights, in order.
        most: about so many.
        also: epochs to look at in any case, and the next ones: those after which the learning rate falls.

    >>> spaced_epochs(list(range(51)), 8), spaced_epochs([0, 1, 2], 8)
    ([0, 1, 2, 4, 7, 14, 26, 50], [0, 1, 2])
    >>> spaced_epochs(list(range(51)), 6, also=[25])
    [0, 1, 3, 7, 19, 25, 26, 50]
    """
    if len(kept) <= most:
        return list(kept)
    places = np.array(kept[1:])
    wanted = np.geomspace(places[0], places[-1], max(2, most - 1))
    nearest = places[np.abs(places[:, None] - wanted).argmin(0)]
    around = {epoch + k for epoch in also for k in (0, 1)} & set(kept)
    return sorted({kept[0], *nearest.tolist(), *around})
