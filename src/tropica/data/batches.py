"""Data of any kind as checked batches, the same in each pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from tropica.data.point_order import PointOrder
from tropica.data.sources import Data, Observer, source_of
from tropica.data.validate import validate_dtype, validate_points
from tropica.errors import InputError
from tropica.runtime.arithmetic import callers_iterator, callers_settings

COUNTED = 1024
"""Points in a batch of a pass that counts them."""


def as_batches(
    data: Data,
    batch_size: int,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    shape: Sequence[int] | None = None,
    only: Sequence[range] | None = None,
    where: str = "data",
    order: PointOrder | None = None,
    observer: Observer | None = None,
) -> Iterator[Tensor]:
    """One pass over the points of ``data``, in order, without labels. Another call makes the next pass.

    Args:
        data: a tensor or array (N, *shape); `LabelledData`; a torch `Dataset` of x or (x, …); a `DataLoader` or another
            iterable of batches x or (x, …) that can be iterated repeatedly in the same order.
        batch_size: the number of points in a batch; a `DataLoader` or an iterable of batches keeps its own.
        dtype: the dtype of the batches; None keeps their own floating-point dtype.
        device: the device of the batches; None keeps their own.
        shape: the shape that one point must have; by default that of the first point.
        only: the numbers of the batches to yield, in increasing order; None for all. The other batches are not loaded, except
            from an iterable of batches.
        where: the name of the data in error messages.
        order: the points of earlier passes, which must be the same in this pass; None for no check. Tensors, arrays and files
            stay the same, and are not checked.
        observer: called with each item or batch before its points are checked, such as a `LabelCollector`; not for arrays.

    Returns:
        Batches (B, *shape), B > 0, all values finite; they may share memory with ``data``.

    Raises:
        InputError: the data cannot be iterated twice in the same order (an iterator, ``shuffle=True``), is empty, or is
            refused by `validate_points`. Each batch is checked when it is reached.

    >>> [tuple(batch.shape) for batch in as_batches(torch.zeros(5, 2), 2)]
    [(2, 2), (2, 2), (1, 2)]
    """
    _require_positive(batch_size, "batch_size", where)
    source = source_of(data, where, observer=observer)
    batches = callers_iterator(source.batches(batch_size, only))
    order = None if source.fixed else order
    return _checked(batches, dtype, device, None if shape is None else tuple(shape), where, order, whole=only is None)


def batch_lengths(data: Data, batch_size: int, *, where: str = "data", order: PointOrder | None = None) -> list[int]:
    """The number of points in each batch of a pass. Data without a length are iterated over once, with ``order`` as in
    `as_batches`.

    Raises:
        InputError: as `as_batches`, without the checks of the points.

    >>> batch_lengths(torch.zeros(5, 2), 2)
    [2, 2, 1]
    """
    _require_positive(batch_size, "batch_size", where)
    source = source_of(data, where)
    with callers_settings():
        lengths = source.lengths(batch_size)
    if lengths is not None:
        return lengths
    found = []
    for first, batch in callers_iterator(source.batches(batch_size, None)):
        found.append(len(batch) if batch.ndim else 0)
        if order is not None and batch.ndim > 1 and found[-1]:
            validate_dtype(batch, where)
            order.check(first, batch, where)
    return found


def count_points(data: Data, *, where: str = "data", order: PointOrder | None = None) -> int:
    """The number of points in one pass, as `batch_lengths` counts them.

    >>> count_points(torch.zeros(5, 2))
    5
    """
    return sum(batch_lengths(data, COUNTED, where=where, order=order))


def first_points(
    data: Data,
    n: int,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    shape: Sequence[int] | None = None,
    where: str = "data",
) -> Tensor:
    """The first n points (min(n, N), *shape), checked as by `as_batches`.

    Raises:
        InputError: as `as_batches`, or n < 1.

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


def merged_batches(batches: Iterable[Tensor], points: int, numbers: int) -> Iterator[Tensor]:
    """Concatenate consecutive batches to at least ``points`` points or ``numbers`` numbers, as small batches are inefficient.

    >>> [len(x) for x in merged_batches(torch.zeros(7, 3).split(2), 3, 100)]
    [4, 3]
    """
    group: list[Tensor] = []
    for x in batches:
        group.append(x)
        if sum(map(len, group)) >= points or sum(map(Tensor.numel, group)) >= numbers:
            yield group[0] if len(group) == 1 else torch.cat(group)
            group = []
    if group:
        yield group[0] if len(group) == 1 else torch.cat(group)


def _require_positive(number: int, name: str, where: str) -> None:
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise InputError(f"{where}: {name} must be a whole number, 1 or more; found {number!r}")


def _checked(
    batches: Iterator[tuple[int, Tensor]],
    dtype: torch.dtype | None,
    device: torch.device | str | None,
    shape: tuple[int, ...] | None,
    where: str,
    order: PointOrder | None,
    whole: bool,
) -> Iterator[Tensor]:
    """Check batches, each given with the number of its first point, and convert them to a dtype and a device."""
    count = 0
    for first, batch in batches:
        shape = tuple(batch.shape[1:]) if shape is None else shape
        validate_dtype(batch, where)
        if batch.ndim and len(batch) == 0:
            continue
        if order is not None and batch.ndim > 1:
            order.check(first, batch, where)
        points = batch.detach().to(device=device, dtype=dtype)
        if points.is_inference():  # autograd refuses tensors made in inference mode
            points = points.clone()
        validate_points(points, shape, where, first=first)
        count += len(points)
        yield points
    if whole and count == 0:
        raise InputError(f"{where}: at least one point is needed; found none")
