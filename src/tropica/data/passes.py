"""A data set cut into shards of consecutive batches. Any number of processes can iterate over it, starting at any shard.

The cut depends on the data and the batch size alone. The points of a shard, and all results computed from them batch by batch,
are therefore the same in every pass and in every process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import Any, ClassVar

import torch
from torch import Tensor

from tropica.data.batches import Data, as_batches, batch_lengths
from tropica.data.point_order import PointOrder
from tropica.errors import InputError, StoreError
from tropica.runtime.processes import Processes


@dataclass(frozen=True)
class Shard:
    """Consecutive batches: number of the shard, numbers of the batches, number of the first point, number of points."""

    number: int
    batches: range
    first: int
    points: int


@dataclass(frozen=True)
class ShardSizes:
    """The size of a full shard: ``points`` points, or ``numbers`` coordinates if reached earlier (128 MB in float32)."""

    points: int = 2048
    numbers: int = 2**25

    def cut(self, lengths: Sequence[int], dimension: int) -> list[Shard]:
        """Shards of batches with these lengths, whose points have ``dimension`` coordinates.

        >>> [(shard.first, shard.points) for shard in ShardSizes().cut([1024, 1024, 1024, 1024, 7], 1)]
        [(0, 2048), (2048, 2048), (4096, 7)]
        """
        shards: list[Shard] = []
        start = first = points = 0
        for i, length in enumerate(lengths):
            points += length
            full = points >= self.points or points * dimension >= self.numbers
            if full or (i == len(lengths) - 1 and points):
                shards.append(Shard(len(shards), range(start, i + 1), first, points))
                start, first, points = i + 1, first + points, 0
        return shards


DEFAULT_SIZES = ShardSizes()
Observer = Callable[[Shard, Sequence[Tensor]], None]


@dataclass(frozen=True, eq=False)
class DataPass:
    """The points of a data set as batches of tensors, in shards.

    A pass is itself data: each iteration over it yields all its batches, from the first one.

    Attributes:
        data: the points.
        batch_size: points per batch; data that comes in batches keeps its own.
        dtype, device: dtype and device of the batches.
        input_shape: the shape that one point of the data must have.
        sizes: the size of a full shard.
        function: a function applied to each batch (the first layers of a network), or None.
        observer: a function called with each shard and its points, before ``function`` is applied, or None.
        order: the points of the passes so far; another order in a later pass is an InputError.
        repeat: how often each point comes, in a row: once for each output that is asked for. Lengths and
            numbers of points count these rows; ``batch_size`` counts points.

    >>> data_pass = DataPass(torch.zeros(5, 3), 2, torch.float32, torch.device("cpu"), (3,))
    >>> data_pass.lengths, data_pass.num_points, len(data_pass.shards)
    ([2, 2, 1], 5, 1)
    """

    data: Data
    batch_size: int
    dtype: torch.dtype
    device: torch.device
    input_shape: tuple[int, ...]
    sizes: ShardSizes = DEFAULT_SIZES
    function: Callable[[Tensor], Tensor] | None = None
    observer: Observer | None = None
    order: PointOrder = field(default_factory=PointOrder)
    repeat: int = 1
    checks_order: ClassVar = True

    @cached_property
    def lengths(self) -> list[int]:
        """The number of points in each batch. Batches of unknown length are iterated over once.

        Raises InputError if there is no point.
        """
        lengths = batch_lengths(self.data, self.batch_size, order=self.order)
        if not sum(lengths):
            raise InputError("data: at least one point is needed; found none")
        return [self.repeat * length for length in lengths]

    @cached_property
    def shards(self) -> list[Shard]:
        """The shards of the data set."""
        return self.sizes.cut(self.lengths, torch.Size(self.input_shape).numel())

    @property
    def num_points(self) -> int:
        """The number of points."""
        return sum(self.lengths)

    def map(self, function: Callable[[Tensor], Tensor]) -> DataPass:
        """The same pass with a function applied to each batch."""
        return self._with(function=function)

    def observed(self, observer: Observer) -> DataPass:
        """The same pass with an observer of the points of each shard."""
        return self._with(observer=observer)

    def _with(self, **changes: Any) -> DataPass:
        made = replace(self, **changes)
        made.__dict__.update({name: self.__dict__[name] for name in ("lengths", "shards") if name in self.__dict__})
        return made

    def __iter__(self) -> Iterator[Tensor]:
        """Iterate over all batches."""
        return self.iter_batches()

    def iter_batches(self, numbers: Sequence[int] | None = None) -> Iterator[Tensor]:
        """Iterate over the batches with these numbers, which must increase; over all batches by default."""
        return map(self._mapped, self._raw(None if numbers is None else [range(i, i + 1) for i in numbers]))

    def iter_shards(self, shards: Sequence[Shard] | None = None) -> Iterator[tuple[Shard, list[Tensor]]]:
        """Iterate over shards, whose numbers must increase, each with its batches; over all shards by default.

        Raises InputError if a pass over the data yields another number of points than the length of the data, or than an
        earlier pass.
        """
        chosen = self.shards if shards is None else shards
        raw = self._raw([shard.batches for shard in chosen])
        for shard in chosen:
            expected = [self.lengths[i] for i in shard.batches if self.lengths[i]]
            batches = list(islice(raw, len(expected)))
            if [self.repeat * len(x) for x in batches] != expected:
                found, total = shard.first // self.repeat + sum(map(len, batches)), self.num_points // self.repeat
                raise InputError(f"the data has {total} points by its length, but a pass over it gave {found}")
            if self.observer is not None:
                counts = {"first": shard.first // self.repeat, "points": shard.points // self.repeat}
                self.observer(replace(shard, **counts), batches)
            yield shard, list(map(self._mapped, batches))

    def _raw(self, only: Sequence[range] | None) -> Iterator[Tensor]:
        settings = {"dtype": self.dtype, "device": self.device, "shape": self.input_shape, "order": self.order}
        return as_batches(self.data, self.batch_size, only=only, **settings)

    def _mapped(self, x: Tensor) -> Tensor:
        x = x if self.function is None else self.function(x)
        return x if self.repeat == 1 else x.repeat_interleave(self.repeat, 0)


class PointDigests:
    """SHA-256 of the points of each shard, compared with those of an earlier run.

    An instance is a :attr:`DataPass.observer`.

    Attributes:
        known: the digests by number of the shard: from an earlier run, and of the points seen since.
    """

    def __init__(self, known: dict[int, str] | None = None) -> None:
        self.known = dict(known or {})
        self._seen: set[int] = set()

    def __call__(self, shard: Shard, batches: Sequence[Tensor]) -> None:
        """Hash the points of a shard when they are first seen.

        Raises StoreError if they are not the points of the earlier run.
        """
        if shard.number in self._seen:
            return
        found = digest_of_points(batches)
        if self.known.setdefault(shard.number, found) != found:
            last = shard.first + shard.points - 1
            raise StoreError(f"the data differs: points {shard.first} … {last} are not those that were used before")
        self._seen.add(shard.number)

    def gather(self, processes: Processes) -> dict[int, str]:
        """Merge the digests of all processes, and return them."""
        for known in processes.all_gather(self.known):
            for number, digest in ((int(number), digest) for number, digest in known.items()):
                if self.known.setdefault(number, digest) != digest:
                    raise StoreError(
                        f"the data differs between processes: in shard {number}; all need the same points in one order"
                    )
        return self.known


def digest_of_points(batches: Sequence[Tensor]) -> str:
    """The SHA-256 of points, independent of their division into batches."""
    found = hashlib.sha256()
    for x in batches:
        found.update(x.cpu().contiguous().numpy().data)
    return found.hexdigest()
