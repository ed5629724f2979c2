"""The labels that come with data, read in the same pass as the points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from tropica.data.arrays import refuse_masked
from tropica.data.file_data import FileData
from tropica.data.keyed import KeyedData
from tropica.data.labelled import LabelledData
from tropica.errors import InputError

NAMES = ("y", "label", "labels", "target", "targets")
"""Usual names of the labels in a dict."""


def known_labels(data: Any) -> Tensor | np.ndarray | None:
    """The labels of data that has them as one tensor or array; None for other data and for data without labels.

    >>> known_labels(TensorDataset(torch.zeros(2, 3), torch.tensor([0, 1])))
    tensor([0, 1])
    """
    if isinstance(data, KeyedData):
        return known_labels(data.data)
    if isinstance(data, (LabelledData, FileData)):
        return data.labels
    if type(data) is TensorDataset and len(data.tensors) > 1:
        return data.tensors[1]
    return None


class LabelCollector:
    """The labels of the items or batches of one pass, in order.

    The label is the second entry of (x, y, …), or the entry of a dict with a usual name; an entry that is no tensor, array or
    number, such as a text or a dict, is no label.

    >>> seen = LabelCollector()
    >>> for batch in ((torch.zeros(2, 3), torch.tensor([4, 5])), (torch.zeros(1, 3), torch.tensor([6]))):
    ...     seen(batch)
    >>> seen.labels()
    tensor([4, 5, 6])
    """

    def __init__(self) -> None:
        self._found: list[Tensor] = []
        self._without = 0

    def __call__(self, item: Any) -> None:
        """Take an item or a batch into account."""
        label = _label_of(item)
        if label is None:
            self._without += 1
        else:
            self._found.append(label)

    def labels(self) -> Tensor | None:
        """All labels (N,), or None if there are none.

        Raises:
            InputError: some items have a label and others do not, or labels are not of one shape and kind.
        """
        if not self._found:
            return None
        if self._without:
            raise InputError(f"labels: {len(self._found):,} items of the data have one, {self._without:,} do not; pass y=")
        parts = [label.reshape(1) if label.ndim == 0 else label for label in self._found]
        if any(part.ndim != parts[0].ndim or part.dtype != parts[0].dtype for part in parts):
            raise InputError("labels: items of the data have labels of different shapes or dtypes; pass y=")
        return torch.cat(parts)


class LabelSource:
    """The labels of points: given ones, else those that the data has as one tensor or array, else those of its items.

    Attributes:
        known: the labels that are known before the data is read, or None.
        observer: what a pass over the data shows its items to, or None where the labels are known.
    """

    def __init__(self, data: Any, given: Tensor | np.ndarray | None = None) -> None:
        self.known = known_labels(data) if given is None else given
        self.observer = LabelCollector() if self.known is None else None

    def labels(self) -> Tensor | np.ndarray | None:
        """The labels, after the pass; None if there are none. Raises InputError as :meth:`LabelCollector.labels`."""
        return self.known if self.observer is None else self.observer.labels()


def _label_of(item: Any) -> Tensor | None:
    """A copy of the label, as data may write its next item or batch over this one."""
    if isinstance(item, Mapping):
        known = [item[name] for name in NAMES if name in item]
        label = known[0] if len(known) == 1 else None
    else:
        label = item[1] if isinstance(item, (tuple, list)) and len(item) > 1 else None
    if isinstance(label, Tensor):
        return label.detach().cpu().clone()
    if isinstance(label, (np.ndarray, np.generic)):
        array = np.asanyarray(label)
        refuse_masked(array, "labels")
        return torch.tensor(array)
    return torch.tensor(label) if isinstance(label, (int, float)) else None
