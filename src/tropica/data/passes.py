"""A data set cut into shards of consecutive batches, to be walked from any shard on and by any number of processes.

The cut depends on the data and the batch size alone. So a shard's points, and whatever is computed of them batch by batch, are
the same whoever does it and whenever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import torch
from torch import Tensor

from tropica.data.batches import Data, as_batches, batch_lengths
from tropica.errors import InputError, StoreError

SHARD_POINTS = 2048
"""Points a shard: as many batches as reach so many."""
NUMBERS = 2**25
"""Or as many as reach so many numbers (128 MB in float32), where points are large."""


@dataclass(frozen=True)
class Shard:
    """Consecutive batches: their numbers, the number of the first point, and how many points there are."""

    number: int
    batches: range
    first: int
    points: int


def cut(lengths: Sequence[int], numbers: int) -> list[Shard]:
    """Shards of batches of such lengths, with so many numbers a point.

    >>> [(shard.first, shard.points) for shard in cut([1024, 1024, 1024, 1024, 7], 1)]
    [(0, 2048), (2048, 2048), (4096, 7)]
    """
    shards: list[Shard] = []
    start = first = points = 0
    for i, length in enumerate(lengths):
        points += length
        if points >= SHARD_POINTS or points * numbers >= NUMBERS or (i == len(lengths) - 1 and points):
            shards.append(Shard(len(shards), range(start, i + 1), first, points))
            start, first, points = i + 1, first + points, 0
    return shards


@dataclass
class Walk:
    """The points of a data set as batches of tensors, in shards.

    Attributes:
        data: the points.
        batch_size: points a batch, where the data does not come in batches.
        dtype, device, shape: as :func:`as_batches` takes them.
        lengths: points of each batch.
        shards: the cut.
        prepare: what is done to each batch before it is given out (a network's first part).
        remember: keep SHA-256 of each shard's points (before ``prepare``) the first time that it is walked.
        digests: these, by number of shard.
        expected: what these were in an earlier run, where that is known; other points are refused.
    """

    data: Data
    batch_size: int
    dtype: torch.dtype
    device: torch.device
    shape: tuple[int, ...]
    lengths: list[int]
    shards: list[Shard]
    prepare: Callable[[Tensor], Tensor] | None = None
    remember: bool = False
    digests: dict[int, str] = field(default_factory=dict)
    expected: dict[int, str] = field(default_factory=dict)

    @classmethod
    def over(cls, data: Data, batch_size: int, *, dtype: torch.dtype, device: torch.device, shape: tuple[int, ...]) -> Walk:
        """The walk over some data. Batches whose lengths only a walk can tell are walked once."""
        lengths = batch_lengths(data, batch_size)
        if not sum(lengths):
            raise InputError("data: at least one point is needed; found none")
        return cls(data, batch_size, dtype, device, shape, lengths, cut(lengths, torch.Size(shape).numel()))

    @property
    def points(self) -> int:
        """How many there are."""
        return sum(self.lengths)

    def batches(self, numbers: Sequence[int] | None = None) -> Iterator[Tensor]:
        """Batches by their numbers, in rising order; all of them by default."""
        return map(self._prepared, self._raw(None if numbers is None else [range(i, i + 1) for i in numbers]))

    def groups(self, shards: Sequence[Shard] | None = None) -> Iterator[tuple[Shard, list[Tensor]]]:
        """Shards, in rising order, each with its batches; all of them by default.

        Raises:
            InputError: a pass over the data gives another number of points than its length, or than the pass before.
            StoreError: these are not the points that were expected.
        """
        chosen = self.shards if shards is None else shards
        raw = self._raw([shard.batches for shard in chosen])
        for shard in chosen:
            expected = [self.lengths[i] for i in shard.batches if self.lengths[i]]
            group = list(islice(raw, len(expected)))
            if list(map(len, group)) != expected:
                found = shard.first + sum(map(len, group))
                raise InputError(f"the data has {self.points} points by its length, but a pass over it gave {found}")
            if self.remember and shard.number not in self.digests:
                self._note(shard, digest_of(group))
            yield shard, list(map(self._prepared, group))

    def _note(self, shard: Shard, digest: str) -> None:
        if self.expected.get(shard.number, digest) != digest:
            raise StoreError(
                f"the data differs: points {shard.first} … {shard.first + shard.points - 1} are not those that were used before"
            )
        self.digests[shard.number] = digest

    def _raw(self, only: Sequence[range] | None) -> Iterator[Tensor]:
        settings = {"dtype": self.dtype, "device": self.device, "shape": self.shape}
        return as_batches(self.data, self.batch_size, only=only, **settings)

    def _prepared(self, x: Tensor) -> Tensor:
        return x if self.prepare is None else self.prepare(x)


def digest_of(batches: Sequence[Tensor]) -> str:
    """SHA-256 of some points, whatever batches they come in."""
    found = hashlib.sha256()
    for x in batches:
        found.update(x.cpu().contiguous().numpy().data)
    return found.hexdigest()
