"""The three sources of points: an array, single items, or batches. Each yields the same batches in each pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias, Union

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from tropica.data.arrays import refuse_masked
from tropica.data.file_data import FileData, FileRows
from tropica.data.keyed import KeyedData, points_of
from tropica.data.labelled import LabelledData
from tropica.errors import InputError

Data: TypeAlias = Union[Tensor, np.ndarray, LabelledData, FileData, KeyedData, "Dataset[Any]", "DataLoader[Any]", Iterable[Any]]

RANDOM_SAMPLERS = (RandomSampler, SubsetRandomSampler, WeightedRandomSampler)
ACCEPTED = "a tensor or array (N, *shape), LabelledData, a Dataset, a DataLoader, or an iterable of batches"


class Source(Protocol):
    """Points in a fixed order, cut into batches.

    Attributes:
        fixed: do the points stay the same by themselves? The passes over other data are compared.
    """

    @property
    def fixed(self) -> bool: ...

    def lengths(self, size: int) -> list[int] | None:
        """The number of points in each batch: ``size``, unless the data comes in batches already. None if only a pass tells."""
        ...

    def batches(self, size: int, only: Sequence[range] | None) -> Iterator[tuple[int, Tensor]]:
        """The batches with numbers in ``only`` (None for all), each with the number of its first point."""
        ...


Observer = Callable[[Any], None]
"""Called with each item or batch as the data gives it, labels and all."""


def source_of(data: Data, where: str, key: str | None = None, observer: Observer | None = None) -> Source:
    """The source of the points of ``data``; ``observer`` sees the items or batches of data that is not one array.

    Raises:
        InputError: the type of ``data`` is not supported, or a second pass would differ from the first.
    """
    if isinstance(data, KeyedData):
        return source_of(data.data, where, data.key, observer)
    source = _source(data, where, key)
    if observer is not None and not isinstance(source, ArraySource):
        source = replace(source, observer=observer)
    if key is not None and isinstance(source, ArraySource):
        raise InputError(f"{where}: key={key!r} is for data of dicts; found {type(data).__name__}")
    return source


def _source(data: Data, where: str, key: str | None) -> ArraySource | ItemSource | BatchSource:
    if isinstance(data, LabelledData):
        return ArraySource(data.inputs, where)
    if type(data) is TensorDataset:  # whose items are slices of one tensor
        return ArraySource(data.tensors[0], where)
    if isinstance(data, FileData):
        return ArraySource(data.rows, where)
    if isinstance(data, (Tensor, np.ndarray)):
        return ArraySource(data, where)
    if isinstance(data, DataLoader):
        _refuse_random_order(data, where)
        return BatchSource(data, where, key)
    if isinstance(data, Dataset):
        if not isinstance(data, (Sized, IterableDataset)):
            raise InputError(f"{where}: a dataset must have a length; {type(data).__name__} has no __len__")
        return ItemSource(data, where, key)
    table = hasattr(data, "to_numpy")  # of pandas or polars; iterating it would give names of columns
    if table or isinstance(data, (tuple, str, bytes, dict)) or not isinstance(data, Iterable):
        hint = "; labels are not needed: pass the inputs alone" if isinstance(data, tuple) else ""
        hint = "; pass its to_numpy(), columns in the order of the inputs" if table else hint
        raise InputError(f"{where}: expected {ACCEPTED}; found {type(data).__name__}{hint}")
    if iter(data) is data:
        raise InputError(
            f"{where}: a {type(data).__name__} can be iterated only once, and several passes are needed; "
            "pass a list of batches, or an object whose __iter__ starts from the beginning"
        )
    return BatchSource(data, where, key, fixed=getattr(data, "checks_order", False))


def _refuse_random_order(loader: DataLoader[Any], where: str) -> None:
    """Raise `InputError` for a shuffling loader, as terms and labels are matched by their position in the pass."""
    for sampler in (loader.sampler, getattr(loader.batch_sampler, "sampler", None)):
        if isinstance(sampler, RANDOM_SAMPLERS):
            raise InputError(
                f"{where}: the order must be the same in each pass, but the DataLoader has a "
                f"{type(sampler).__name__}; make it with shuffle=False"
            )
    sampler = loader.batch_sampler
    sampler = sampler.sampler if type(sampler) is BatchSampler else sampler
    if not isinstance(sampler, SequentialSampler) and _batch_indices(loader) != _batch_indices(loader):
        raise InputError(
            f"{where}: the order must be the same in each pass, but the DataLoader's {type(sampler).__name__} gives "
            "another order each time; fix its order, or make the DataLoader with shuffle=False"
        )


@dataclass(frozen=True)
class ArraySource:
    """A tensor, an array (a memory map is read batch by batch), or the rows of a file."""

    rows: Tensor | np.ndarray | FileRows
    where: str
    fixed: bool = True

    def lengths(self, size: int) -> list[int]:
        return _even_lengths(len(self.rows), size)

    def batches(self, size: int, only: Sequence[range] | None) -> Iterator[tuple[int, Tensor]]:
        if len(self.rows.shape) < 2:
            raise InputError(f"{self.where}: points must be (N, *shape); found shape {tuple(self.rows.shape)}")
        for number in _numbers(only, -(-len(self.rows) // size)):
            start = number * size
            yield start, _as_tensor(self.rows[start : start + size], self.where)


@dataclass(frozen=True)
class ItemSource:
    """A dataset of single points, each item x or (x, …)."""

    dataset: Dataset[Any]
    where: str
    key: str | None = None
    fixed: bool = False
    observer: Observer | None = None

    def lengths(self, size: int) -> list[int] | None:
        count = self._count()
        return None if count is None else _even_lengths(count, size)

    def _count(self) -> int | None:
        try:
            return len(self.dataset)  # type: ignore[arg-type]
        except TypeError:  # a ChainDataset has a length only if its parts have
            return None

    def batches(self, size: int, only: Sequence[range] | None) -> Iterator[tuple[int, Tensor]]:
        batch: list[Tensor] = []
        shape, index = None, -1
        for index, item in self._items(None if only is None else [range(r.start * size, r.stop * size) for r in only]):
            point = self._point(item, f"{self.where}: item {index}")
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
            yield index + 1 - len(batch), torch.stack(batch)

    def _point(self, item: Any, where: str) -> Tensor:
        if self.observer is not None:
            self.observer(item)
        return _copy(points_of(item, where, self.key), where)

    def _items(self, only: Sequence[range] | None) -> Iterable[tuple[int, Any]]:
        if isinstance(self.dataset, IterableDataset):
            return _selected(enumerate(self.dataset), only)
        # Not iter(dataset), which would end only where an item raises IndexError.
        return ((index, self.dataset[index]) for index in _numbers(only, self._count()))


@dataclass(frozen=True)
class BatchSource:
    """A loader, or another iterable, of batches x or (x, …) of any sizes."""

    stream: Iterable[Any]
    where: str
    key: str | None = None
    fixed: bool = False
    observer: Observer | None = None

    def lengths(self, size: int) -> list[int] | None:
        plan = _batch_indices(self.stream)
        return None if plan is None else [len(indices) for indices in plan]

    def batches(self, size: int, only: Sequence[range] | None) -> Iterator[tuple[int, Tensor]]:
        plan = None if only is None else _batch_indices(self.stream)
        if plan is not None:
            yield from self._loaded(plan, list(_numbers(only, len(plan))))
            return
        first = 0
        wanted = None if only is None else set(_numbers(only, None))
        for number, batch in enumerate(self.stream):
            x = self._points(batch, f"{self.where}: batch {number}")
            if wanted is None or number in wanted:
                yield first, x
            first += len(x) if x.ndim else 0

    def _points(self, batch: Any, where: str) -> Tensor:
        if self.observer is not None:
            self.observer(batch)
        points = points_of(batch, where, self.key)
        kept = self.fixed or isinstance(self.stream, list)  # whose batches all exist at once
        return _as_tensor(points, where) if kept else _copy(points, where)

    def _loaded(self, plan: list[list[int]], numbers: list[int]) -> Iterator[tuple[int, Tensor]]:
        """Load some batches of a loader; the others are not loaded."""
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
            yield int(firsts[number]), self._points(batch, f"{self.where}: batch {number}")


def _even_lengths(total: int, size: int) -> list[int]:
    """The lengths of batches of ``size`` points. The last batch may be smaller."""
    return [min(size, total - start) for start in range(0, total, size)]


def _numbers(only: Sequence[range] | None, count: int | None) -> Iterable[int]:
    """The numbers in the given ranges that are below ``count``."""
    if only is None:
        assert count is not None
        return range(count)
    return (number for part in only for number in part if count is None or number < count)


def _selected(items: Iterable[tuple[int, Any]], only: Sequence[range] | None) -> Iterator[tuple[int, Any]]:
    """The numbered items whose numbers lie in the given increasing ranges. No item after the last of these is read."""
    if only is None:
        yield from items
        return
    remaining = iter(items)
    for part in only:
        for number, item in remaining:
            if number in part:
                yield number, item
            if number >= part.stop - 1:
                break


def _batch_indices(stream: Iterable[Any]) -> list[list[int]] | None:
    """The indices of the points of each batch of a loader, without loading them; None if they are known
    only from a pass."""
    if not isinstance(stream, DataLoader) or stream.batch_sampler is None or isinstance(stream.dataset, IterableDataset):
        return None
    return [list(indices) for indices in stream.batch_sampler]


def _copy(x: Any, where: str) -> Tensor:
    """``x`` as a tensor of its own memory, as data may write its next item or batch over this one."""
    return x.detach().clone() if isinstance(x, Tensor) else _as_tensor(x, where)


def _as_tensor(x: Any, where: str) -> Tensor:
    """``x`` as a tensor; arrays are copied.

    Raises:
        InputError: neither a tensor nor an array of numbers.
    """
    if isinstance(x, Tensor):
        return x
    if not isinstance(x, np.ndarray):
        raise InputError(f"{where}: expected a tensor or an array, or a tuple that starts with one; found {type(x).__name__}")
    refuse_masked(x, where)
    try:
        # torch refuses read-only memory maps, negative strides and foreign byte orders; the copy has none of them.
        return torch.from_numpy(np.array(x, dtype=x.dtype.newbyteorder("=")))
    except TypeError as error:
        raise InputError(f"{where}: expected an array of floats; found dtype {x.dtype}") from error
