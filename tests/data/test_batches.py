"""Passes of checked batches over any kind of data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    TensorDataset,
)

from tropica.data.batches import as_batches, count_points, first_points
from tropica.data.labelled import LabelledData
from tropica.data.labels import LabelCollector
from tropica.errors import InputError

X = torch.arange(14.0).reshape(7, 2)
Y = torch.arange(7)


class Items(Dataset):
    """A data set whose items are those of a user."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


class Flow(IterableDataset):
    def __iter__(self):
        return zip(X, Y, strict=True)


class Again:
    """A repeatable iterable of batches."""

    def __iter__(self):
        return iter([X[:3], X[:0], X[3:].numpy()])


class OneBuffer(IterableDataset):
    """Batches, or single items, that are all written into the same memory."""

    def __init__(self, size: int, array: bool = False) -> None:
        self.size, self.array = size, array

    def __iter__(self):
        x, y = torch.empty(7, 2), torch.empty(7, dtype=torch.long)
        for start in range(0, 7, self.size):
            part = slice(0, min(self.size, 7 - start))
            x[part], y[part] = X[start : start + self.size], Y[start : start + self.size]
            pair = (x[part], y[part]) if self.size > 1 else (x[0], y[0])
            yield tuple(entry.numpy() for entry in pair) if self.array else pair


KINDS = {
    "tensor": (X, [3, 3, 1]),
    "grad": (X.clone().requires_grad_(), [3, 3, 1]),
    "array": (X.numpy(), [3, 3, 1]),
    "big-endian": (X.numpy().astype(">f4"), [3, 3, 1]),
    "reversed": (X.flip(0).numpy()[::-1], [3, 3, 1]),
    "labelled": (LabelledData(X, Y, "x", 7), [3, 3, 1]),
    "tensor-dataset": (TensorDataset(X, Y), [3, 3, 1]),
    "subset": (Subset(TensorDataset(X, Y), range(7)), [3, 3, 1]),
    "items": (Items(list(X)), [3, 3, 1]),
    "pairs": (Items(list(zip(X.numpy(), Y, strict=True))), [3, 3, 1]),
    "iterable-dataset": (Flow(), [3, 3, 1]),
    "loader": (DataLoader(TensorDataset(X, Y), batch_size=4), [4, 3]),
    "loader-of-flow": (DataLoader(Flow(), batch_size=5), [5, 2]),
    "loader-batch-sampler": (
        DataLoader(TensorDataset(X), batch_sampler=BatchSampler(SequentialSampler(X), 2, False)),
        [2] * 3 + [1],
    ),
    "batches": ([X[:5], (X[5:], Y[5:])], [5, 2]),
    "again": (Again(), [3, 4]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_data_gives_the_same_points_each_pass(kind):
    data, sizes = KINDS[kind]
    for _ in range(2):
        batches = list(as_batches(data, 3, dtype=torch.float64, device="cpu"))
        assert [len(batch) for batch in batches] == sizes
        assert all(batch.dtype == torch.float64 and not batch.requires_grad for batch in batches)
        assert torch.equal(torch.cat(batches), X.double())
    assert count_points(data) == 7
    assert torch.equal(first_points(data, 4), X[:4])
    assert torch.equal(first_points(data, 99), X)


@pytest.mark.parametrize("array", [False, True])
@pytest.mark.parametrize(
    "data",
    [lambda array: OneBuffer(1, array), lambda array: DataLoader(OneBuffer(3, array), batch_size=None, collate_fn=tuple)],
)
def test_memory_that_the_data_writes_over(data, array):
    """Batches and labels that were given stay as they are when the data writes the next ones over them."""
    seen = LabelCollector()
    batches = list(as_batches(data(array), 3, observer=seen))
    assert torch.equal(torch.cat(batches), X)
    assert torch.equal(seen.labels(), Y)


def test_loader_that_drops_the_last_batch():
    loader = DataLoader(TensorDataset(X), batch_size=4, drop_last=True)
    assert count_points(loader) == sum(len(batch) for batch in as_batches(loader, 1)) == 4


def test_counting_a_loader_does_not_load():
    class Unreadable(Items):
        def __getitem__(self, index):
            raise AssertionError

    assert count_points(DataLoader(Unreadable(range(7)), batch_size=2)) == 7


def test_first_points_takes_no_more_items_than_it_needs():
    class Watched(Items):
        taken = 0

        def __getitem__(self, index):
            self.taken += 1
            return self.items[index]

    data = Watched(list(X))
    first_points(data, 2)
    assert data.taken == 2


def test_memory_map_is_read_without_a_warning(tmp_path, recwarn):
    np.save(tmp_path / "x.npy", X.numpy())
    rows = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert torch.equal(torch.cat(list(as_batches(rows, 2))), X)
    assert not recwarn.list


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_floating_dtypes_are_cast_or_kept(dtype):
    assert next(as_batches(X.to(dtype), 7, dtype=torch.float32)).dtype == torch.float32
    assert next(as_batches(X.to(dtype), 7)).dtype == dtype


def random_batches() -> BatchSampler:
    return BatchSampler(RandomSampler(X), 2, False)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (iter([X]), "can be iterated only once"),
        ((batch for batch in [X]), "a generator can be iterated only once"),
        (DataLoader(TensorDataset(X), shuffle=True), "RandomSampler; make it with shuffle=False"),
        (DataLoader(TensorDataset(X), batch_sampler=random_batches()), "has a RandomSampler"),
        ((X, Y), "found tuple; labels are not needed"),
        ({"x": X}, "found dict"),
        (pd.DataFrame(X.reshape(len(X), -1).numpy()), r"found DataFrame; pass its to_numpy\(\)"),
        ("digits", "found str"),
        (3, "expected a tensor or array .* found int"),
        (Dataset(), "must have a length; Dataset has no __len__"),
        ([], "at least one point is needed; found none"),
        (X[:0], "at least one point is needed; found none"),
        (Items([]), "at least one point is needed; found none"),
        (torch.zeros(3), r"points must be \(N, \*shape\); found shape \(3,\)"),
        ([torch.tensor(1.0)], "one axis or more"),
        (Items([torch.tensor(1.0)]), "one axis or more"),
        (Y[:, None], r"found torch.int64; scale them to floats first, as x.float\(\) / 255"),
        (X.to(torch.uint8), "found torch.uint8; scale them"),
        (X.bool().numpy(), "found torch.bool; scale them"),
        (X.to(torch.complex64), "of dtype float16, bfloat16, float32, float64; found torch.complex64"),
        (np.array([[None]]), "expected an array of floats; found dtype object"),
        (Items([X[0], torch.zeros(3)]), r"expected \(2,\), as item 0; item 1 has \(3,\)"),
        (Items([{"left": X[0], "right": 1}]), "item 0: a dict with .left., .right.: none of them has a usual name of points"),
        (Items([Image.new("L", (2, 2))]), "item 0: expected a tensor or an array.* found Image"),
        ([X, torch.zeros(1, 3)], r"points of shape \(2,\) are expected.*found \(1, 3\)"),
        ([[1.0, 2.0]], "batch 0: expected a tensor or an array.*found float"),
        (torch.where(X == 9, torch.nan, X), r"point 4 has nan at \(1,\)"),
    ],
)
def test_refused_data(data, message):
    with pytest.raises(InputError, match=f"(?s)images: .*{message}|images: {message}"):
        list(as_batches(data, 2, where="images"))


def test_a_value_too_large_for_the_dtype_is_named():
    with pytest.raises(InputError, match=r"point 1 has inf at \(0,\) \(torch.float32\)"):
        list(as_batches(torch.tensor([[1.0], [1e300]], dtype=torch.float64), 1, dtype=torch.float32))


@pytest.mark.parametrize("number", [0, -1, 2.0, True, None])
def test_batch_size_and_n_are_positive(number):
    with pytest.raises(InputError, match="batch_size must be a whole number, 1 or more"):
        as_batches(X, number)
    with pytest.raises(InputError, match="n must be a whole number, 1 or more"):
        first_points(X, number)


def test_batches_of_a_given_shape():
    assert len(list(as_batches(X, 4, shape=(2,)))) == 2
    with pytest.raises(InputError, match=r"points of shape \(5,\) are expected.*found \(4, 2\)"):
        list(as_batches(X, 4, shape=(5,)))
