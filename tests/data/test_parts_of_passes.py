"""Parts of a pass: only the requested batches are loaded."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from tropica.data.batches import as_batches, batch_lengths


class LoggedItems(Dataset):
    """A data set of single points that records the indices of loaded points."""

    def __init__(self, x: Tensor) -> None:
        self.x, self.loaded = x, []

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        self.loaded.append(index)
        return self.x[index], 0


class Stream(IterableDataset):
    def __init__(self, x: Tensor) -> None:
        self.x = x

    def __iter__(self):
        return iter(self.x)

    def __len__(self) -> int:
        return len(self.x)


POINTS = torch.arange(46.0).view(23, 2)
FRESH_KINDS = {
    "tensor": lambda: POINTS,
    "array": lambda: POINTS.numpy(),
    "items": lambda: LoggedItems(POINTS),
    "iterable": lambda: Stream(POINTS),
    "loader": lambda: DataLoader(LoggedItems(POINTS), batch_size=5),
    "loader of workers": lambda: DataLoader(TensorDataset(POINTS), batch_size=5, num_workers=1),
    "loader, last dropped": lambda: DataLoader(TensorDataset(POINTS), batch_size=5, drop_last=True),
    "list": lambda: list(POINTS.split(5)),
    "uneven": lambda: [POINTS[:1], POINTS[1:12], POINTS[12:12], POINTS[12:]],
}


@pytest.mark.parametrize("kind", FRESH_KINDS)
def test_from_any_batch_on(kind: str) -> None:
    """The batches of a part are those of the whole pass; no point is missing or repeated."""
    data = FRESH_KINDS[kind]()
    every, lengths = list(as_batches(data, 5)), batch_lengths(data, 5)
    assert [n for n in lengths if n] == list(map(len, every))
    filled = [i for i, n in enumerate(lengths) if n]
    for only in ([range(1)], [range(1, 3)], [range(len(lengths))], [range(0, 1), range(2, len(lengths))], []):
        found = list(as_batches(data, 5, only=only))
        wanted = [every[filled.index(i)] for part in only for i in part if i in filled]
        assert len(found) == len(wanted)
        assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_what_is_left_out_is_not_loaded() -> None:
    for make in (lambda items: items, lambda items: DataLoader(items, batch_size=5)):
        items = LoggedItems(POINTS)
        list(as_batches(make(items), 5, only=[range(3, 4)]))
        assert items.loaded == [15, 16, 17, 18, 19]
