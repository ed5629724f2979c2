"""Any kind of data as a pass of checked batches, the same in every pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Any, TypeAlias, Union

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from tropica.data.labelled import LabelledData
from tropica.data.readers.mapped import FileData, Rows
from tropica.data.validate import validate_dtype, validate_points
from tropica.errors import InputError

Data: TypeAlias = Union[Tensor, np.ndarray, LabelledData, FileData, "Dataset[Any]", "DataLoader[Any]", Iterable[Any]]

RANDOM_SAMPLERS = (RandomSampler, SubsetRandomSampler, WeightedRandomSampler)
ACCEPTED = "a tensor or array (N, *shape), LabelledData, a Dataset, a DataLoader, or an iterable of batches"


def as_batches(
    data: Data,
    batch_size: int,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    shape: Sequence[int] | None = None,
    only: Sequence[range] | None = None,
    where: str = "data",
) -> Iterator[Tensor]:
    """One pass over the points of `data`, in order, labels left out. Call it again for the next pass.

    Args:
        data: a tensor or array (N, *shape); `LabelledData`; a torch `Dataset` of x or (x, …); a `DataLoader` or another
            iterable of batches x or (x, …) that can be walked again and gives the same order each time. A dataset that
            changes its points at random (augmentation) gives other points each pass, which is not noticed here.
        batch_size: points a batch; a `DataLoader` or an iterable of batches keeps its own.
        dtype: what the batches are cast to; None keeps their own floating-point dtype.
        device: where the batches are moved to; None leaves them where they are.
        shape: the shape one point must have; None takes that of the first.
        only: the numbers of the batches to give, in rising order; None for all. What is left out is not loaded, but for an
            iterable of batches, which must be walked.
        where: what `data` is, for messages.

    Returns:
        Batches (B, *shape), B > 0, all values finite; they may share memory with `data`.

    Raises:
        InputError: data that cannot be walked twice in the same order (an iterator, `shuffle=True`), empty data, and
            all that `validate_points` refuses; the points are checked as the pass comes to them.

    >>> [tuple(batch.shape) for batch in as_batches(np.zeros((5, 2)), 2, dtype=torch.float32)]
    [(2, 2), (2, 2), (1, 2)]
    """
    _require_positive(batch_size, "batch_size", where)
    raw = _source(data, where).batches(batch_size, only)
    return _checked(raw, dtype, device, None if shape is None else tuple(shape), where, whole=only is None)


def batch_lengths(data: Data, batch_size: int, *, where: str = "data") -> list[int]:
    """The number of points of each batch of a pass; an iterable of batches is walked once to count them.

    Raises:
        InputError: as `as_batches`; but the points are not checked.

    >>> batch_lengths(torch.zeros(5, 2), 2)
    [2, 2, 1]
    """
    _require_positive(batch_size, "batch_size", where)
    return _source(data, where).lengths(batch_size)


def count_points(data: Data, *, where: str = "data") -> int:
    """The number of points of one pass; an iterable of batches whose length is not known is walked once to count them.

    Raises:
        InputError: as `as_batches`; but the points are not checked.

    >>> count_points(torch.zeros(5, 2))
    5
    """
    return _source(data, where).count()


def first_points(
    data: Data,
    n: int,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    shape: Sequence[int] | None = None,
    where: str = "data",
) -> Tensor:
    """The first `n` points (min(n, N), *shape), checked as by `as_batches`; fewer where the data has fewer.

    Raises:
        InputError: as `as_batches`, and n < 1.

    >>> first_points(torch.arange(4.0).reshape(4, 1), 2)
    tensor([[0.],
            [1.]])
    """
    _require_positive(n, "n", where)
    taken: list[Tensor] = []
    missing = n
    for batch in as_batches(data, n, dtype=dtype, device=device, shape=shape, where=where):
        taken.append(batch[:missing])
        missing -= len(taken[-1])
        if missing == 0:
            break
    return torch.cat(taken)


def _require_positive(number: int, name: str, where: str) -> None:
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise InputError(f"{where}: {name} must be a whole number, 1 or more; found {number!r}")


def _checked(
    raw: Iterator[tuple[int, Tensor]],
    dtype: torch.dtype | None,
    device: torch.device | str | None,
    shape: tuple[int, ...] | None,
    where: str,
    whole: bool,
) -> Iterator[Tensor]:
    """The batches, each with the number of its first point before it, cast, moved and checked."""
    count = 0
    for first, batch in raw:
        shape = tuple(batch.shape[1:]) if shape is None else shape
        validate_dtype(batch, where)
        if batch.ndim and len(batch) == 0:
            continue
        points = batch.detach().to(device=device, dtype=dtype)
        validate_points(points, shape, where, first=first)
        count += len(points)
        yield points
    if whole and count == 0:
        raise InputError(f"{where}: at least one point is needed; found none")


def _source(data: Data, where: str) -> _Rows | _Items | _Stream:
    """How `data` is walked.

    Raises:
        InputError: it is not data, or cannot be walked twice in the same order.
    """
    if isinstance(data, LabelledData):
        return _Rows(data.inputs, where)
    if type(data) is TensorDataset:  # its items are slices of one tensor: no need to take them one by one
        return _Rows(data.tensors[0], where)
    if isinstance(data, FileData):
        return _Rows(data.rows, where)
    if isinstance(data, (Tensor, np.ndarray)):
        return _Rows(data, where)
    if isinstance(data, DataLoader):
        _refuse_random_order(data, where)
        return _Stream(data, where)
    if isinstance(data, Dataset):
        if not isinstance(data, (Sized, IterableDataset)):
            raise InputError(f"{where}: a dataset must have a length; {type(data).__name__} has no __len__")
        return _Items(data, where)
    if isinstance(data, (tuple, str, bytes, dict)) or not isinstance(data, Iterable):
        hint = "; labels are not needed: pass the inputs alone" if isinstance(data, tuple) else ""
        raise InputError(f"{where}: expected {ACCEPTED}; found {type(data).__name__}{hint}")
    if iter(data) is data:
        raise InputError(
            f"{where}: a {type(data).__name__} can be walked only once, and several passes are needed; "
            "pass a list of batches, or an object whose __iter__ starts anew"
        )
    return _Stream(data, where)


def _refuse_random_order(loader: DataLoader[Any], where: str) -> None:
    """Raise `InputError` for a shuffling loader: terms and labels are matched by their place in the pass."""
    for sampler in (loader.sampler, getattr(loader.batch_sampler, "sampler", None)):
        if isinstance(sampler, RANDOM_SAMPLERS):
            raise InputError(
                f"{where}: the order must be the same in each pass, but the DataLoader has a "
                f"{type(sampler).__name__}; make it with shuffle=False"
            )


def _evenly(total: int, size: int) -> list[int]:
    """The lengths of batches of ``size`` points, the last of which may be smaller."""
    return [min(size, total - start) for start in range(0, total, size)]


@dataclass(frozen=True)
class _Rows:
    """A tensor or an array (a memory map is read batch by batch), or data in a file that is read slice by slice."""

    rows: Tensor | np.ndarray | Rows
    where: str

    def count(self) -> int:
        return len(self.rows)

    def lengths(self, size: int) -> list[int]:
        return _evenly(len(self.rows), size)

    def batches(self, size: int, only: Sequence[range] | None) -> Iterator[tuple[int, Tensor]]:
        if len(self.rows.shape) < 2:
            raise InputError(f"{self.where}: points must be (N, *shape); found shape {tuple(self.rows.shape)}")
        for number in _numbers(only, -(-len(self.rows) // size)):
            start = number * size
            yield start, _tensor(self.rows[start : start + size], self.where)


@dataclass(frozen=True)
class _Items:
    """A dataset, whose items are single points x or (x, …)."""

    dataset: Dataset[Any]
    where: str

    def count(self) -> int:
        return len(self.dataset) if isinstance(self.dataset, Sized) else sum(1 for _ in self.dataset)

    def lengths(self, size: int) -> list[int]:
        return _evenly(self.count(), size)

    def batches(self, size: int, only: Sequence[range] | None) -> Iterator[tuple[int, Tensor]]:
        batch: list[Tensor] = []
        shape = None
        for index, item in self._items(None if only is None else [range(r.start * size, r.stop * size) for r in only]):
            point = _tensor(_without_labels(item), f"{self.where}: item {index}")
            shape = point.shape if shape is None else shape
            if point.shape != shape:
                raise InputError(
                    f"{self.where}: all points must have one shape; expected {tuple(shape)}, as item 0; "
                    f"item {index} has {tuple(point.shape)}"
                )
            batch.append(point)
            if (index + 1) % size == 0:
                yield index + 1 - len(batch), torch.stack(batch)
                batch = []
        if batch:
            yield index + 1 - len(batch), torch.stack(batch)  # the last item's number, as there is one

    def _items(self, only: Sequence[range] | None) -> Iterator[tuple[int, Any]]:
        if isinstance(self.dataset, IterableDataset):
            return _of(enumerate(self.dataset), only)
        # Not iter(dataset), which would end only where an item raises IndexError.
        return ((index, self.dataset[index]) for index in _numbers(only, self.count()))


@dataclass(frozen=True)
class _Stream:
    """A loader, or another iterable, of batches x or (x, …), of whatever size they are."""

    stream: Iterable[Any]
    where: str

    def count(self) -> int:
        known = _loader_count(self.stream)
        return sum(self.lengths(1)) if known is None else known

    def lengths(self, size: int) -> list[int]:
        plan = _loader_plan(self.stream)
        return [len(batch) for _, batch in self.batches(1, None)] if plan is None else [len(indices) for indices in plan]

    def batches(self, size: int, only: Sequence[range] | None) -> Iterator[tuple[int, Tensor]]:
        plan = None if only is None else _loader_plan(self.stream)
        if plan is not None:
            yield from self._loaded(plan, list(_numbers(only, len(plan))))
            return
        first = 0
        wanted = None if only is None else set(_numbers(only, None))
        for index, batch in enumerate(self.stream):
            x = _tensor(_without_labels(batch), f"{self.where}: batch {index}")
            if wanted is None or index in wanted:
                yield first, x
            first += len(x) if x.ndim else 0

    def _loaded(self, plan: list[list[int]], numbers: list[int]) -> Iterator[tuple[int, Tensor]]:
        """Some batches of a loader, the others not loaded."""
        loader = self.stream
        assert isinstance(loader, DataLoader)
        firsts = np.cumsum([0, *map(len, plan)])
        part = DataLoader(
            loader.dataset,
            batch_sampler=[plan[number] for number in numbers],
            num_workers=loader.num_workers,
            collate_fn=loader.collate_fn,
            worker_init_fn=loader.worker_init_fn,
            multiprocessing_context=loader.multiprocessing_context,
        )
        for number, batch in zip(numbers, part, strict=True):
            yield int(firsts[number]), _tensor(_without_labels(batch), f"{self.where}: batch {number}")


def _numbers(only: Sequence[range] | None, count: int | None) -> Iterable[int]:
    """The numbers in some ranges, below ``count``."""
    if only is None:
        assert count is not None
        return range(count)
    return (number for part in only for number in part if count is None or number < count)


def _of(items: Iterable[tuple[int, Any]], only: Sequence[range] | None) -> Iterator[tuple[int, Any]]:
    """Of numbered items those in some ranges (in rising order); the walk ends with the last of them."""
    if only is None:
        yield from items
        return
    walk = iter(items)
    for part in only:
        for number, item in walk:
            if number in part:
                yield number, item
            if number >= part.stop - 1:
                break


def _loader_plan(stream: Iterable[Any]) -> list[list[int]] | None:
    """The indices that make each batch of a loader, without loading them; None where only a walk can tell."""
    if not isinstance(stream, DataLoader) or stream.batch_sampler is None or isinstance(stream.dataset, IterableDataset):
        return None
    return [list(indices) for indices in stream.batch_sampler]


def _loader_count(stream: Iterable[Any]) -> int | None:
    """The number of points a plain loader gives, without loading them; None where only a walk can tell."""
    if not isinstance(stream, DataLoader) or stream.batch_size is None or not isinstance(stream.sampler, Sized):
        return None
    if isinstance(stream.dataset, IterableDataset):
        return None
    count = len(stream.sampler)
    return count - count % stream.batch_size if stream.drop_last else count


def _without_labels(item: Any) -> Any:
    return item[0] if isinstance(item, (tuple, list)) and item else item


def _tensor(x: Any, where: str) -> Tensor:
    """`x` as a tensor, arrays copied.

    Raises:
        InputError: neither a tensor nor an array of numbers.
    """
    if isinstance(x, Tensor):
        return x
    if not isinstance(x, np.ndarray):
        found = f"a dict with {', '.join(map(str, x))}" if isinstance(x, dict) else type(x).__name__
        raise InputError(f"{where}: expected a tensor or an array, or a tuple that starts with one; found {found}")
    try:
        # The copy also takes read-only memory maps, negative strides and foreign byte orders, which torch refuses.
        return torch.from_numpy(np.array(x, dtype=x.dtype.newbyteorder("=")))
    except TypeError as error:
        raise InputError(f"{where}: expected an array of floats; found dtype {x.dtype}") from error
