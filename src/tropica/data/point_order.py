"""``PointOrder``: a check that each pass over data of the caller yields the same points in the same order."""

from __future__ import annotations

import torch
from torch import Tensor

from tropica.errors import InputError
from tropica.runtime.row_hashes import row_hashes


class PointOrder:
    """A hash of every point that was seen, by the point's number, compared in every later pass.

    >>> order = PointOrder()
    >>> order.check(0, torch.tensor([[1.0], [2.0]]), "data")
    >>> order.check(1, torch.tensor([[3.0]]), "data")
    Traceback (most recent call last):
    tropica.errors.InputError: data: point 1 differs from an earlier pass; ...
    """

    def __init__(self) -> None:
        self._hash = torch.zeros(0, dtype=torch.int64)
        self._seen = torch.zeros(0, dtype=torch.bool)

    def check(self, first: int, batch: Tensor, where: str) -> None:
        """Compare consecutive points with an earlier pass, or remember them.

        Args:
            first: the number of the first point.
            batch: the points (n, *shape).
            where: the name of the data in error messages.

        Raises:
            InputError: a point is not the one that had its number before.
        """
        found, here = row_hashes(batch.detach().flatten(1)).cpu(), slice(first, first + len(batch))
        if (missing := here.stop - len(self._hash)) > 0:
            missing = max(missing, len(self._hash))
            self._hash = torch.nn.functional.pad(self._hash, (0, missing))
            self._seen = torch.nn.functional.pad(self._seen, (0, missing))
        differs = self._seen[here] & (self._hash[here] != found)
        if bool(differs.any()):
            raise InputError(
                f"{where}: point {first + int(differs.nonzero()[0])} differs from an earlier pass; the same points are needed "
                "in the same order each time: without shuffling and random augmentation, or as a tensor"
            )
        self._hash[here], self._seen[here] = found, True
