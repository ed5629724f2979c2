"""What is to be extracted, by which processes: a network with its decomposition, and walks over points."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from tropica.data.batches import Data, as_batches
from tropica.data.passes import Walk
from tropica.decomposition.backward import BatchTerms, batch_terms
from tropica.decomposition.blocks import DTYPES, center_of, empty_block, rows_of, write_block
from tropica.decomposition.dc_decomposition import DCDecomposition, PairwiseCheck
from tropica.decomposition.decompose import METHODS, decomposition_of_data
from tropica.decomposition.paper import paper_decomposition
from tropica.errors import InputError
from tropica.network.batch_size import batch_size_for
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import as_network
from tropica.runtime.memory import BatchHalving
from tropica.runtime.processes import SINGLE_PROCESS, Processes
from tropica.runtime.progress import ProgressCallback
from tropica.runtime.safetensors_files import checksum_of
from tropica.terms.certificate import Certificate, smaller
from tropica.terms.linear_terms import LinearTerms, TermBlock


@dataclass
class Job:
    """A network, the walk over its points, and what is found on the way.

    Attributes:
        net: the network that terms are taken of.
        walk: the points.
        stored: the dtype that coefficients are kept in.
        at: the name of the inner tensor that terms are functions of.
        about: what the terms are of, in fingerprints; a store must agree on it to be continued.
        processes: those that share the work.
        memory: bytes to work in, None for a share of what is free.
        look: look at the cotangents on the way? (Not where the decomposition was calibrated on this very data, and not for a minimal
            decomposition, whose cotangents may be negative.)
        pairs: what is known of all pairs of these very points.
        smallest: the smallest one.
        center: the vector that all ∇F⁻ are kept relative to, (d,) float64: any common vector will do, as it moves no label.
            This one is known after the first batch, and the same on every walk.
    """

    net: PiecewiseLinearNetwork
    walk: Walk
    stored: torch.dtype
    at: str | None
    about: dict[str, str]
    processes: Processes = SINGLE_PROCESS
    memory: int | None = None
    look: bool = False
    smallest: float | None = None
    pairs: PairwiseCheck | None = None
    center: Tensor | None = None
    _split: DCDecomposition | None = None
    _fitting: BatchHalving = field(default_factory=BatchHalving)

    @classmethod
    def prepare(
        cls,
        net: PiecewiseLinearNetwork | torch.nn.Module,
        data: Data,
        *,
        at: str | None = None,
        dtype: torch.dtype | None = None,
        stored: torch.dtype | None = None,
        batch_size: int | None = None,
        memory: int | None = None,
        processes: Processes = SINGLE_PROCESS,
    ) -> Job:
        """Trace, cut, and check that all fits together. The decomposition comes after."""
        net = as_network(net, data)
        net = net if dtype is None else net.to(dtype)
        if stored is not None and (stored not in DTYPES or DTYPES.index(stored) > DTYPES.index(net.dtype)):
            names = ", ".join(str(kind).removeprefix("torch.") for kind in DTYPES[: DTYPES.index(net.dtype) + 1])
            raise InputError(f"terms that are computed in {net.dtype} can be stored in {names}; got {stored!r}")
        size = processes.run_on_first(lambda: batch_size_for(net, batch_size, memory))
        head = None
        if at is not None:
            head, tail = net.cut(at)
        else:
            tail = net
        walk = Walk.over(data, size, dtype=net.dtype, device=net.device, shape=net.input_shape)
        if head is not None:
            walk.prepare = partial(_pushed, head)
        kept = stored or net.dtype
        about = {
            "network": tail.fingerprint,
            "dtype": _name(net.dtype),
            "stored": _name(kept),
            "at": at or "",
            "points": str(walk.points),
            "batch_size": str(size),
            "batches": checksum_of({"lengths": walk.lengths, "shards": [shard.points for shard in walk.shards]}),
        }
        if head is not None:
            about["head"] = head.fingerprint
        return cls(tail, walk, kept, at, about, processes, memory)

    # ── the decomposition ──────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def decomposition(self) -> DCDecomposition:
        """The DC decomposition, once there is one."""
        assert self._split is not None, "the decomposition comes before the terms"
        return self._split

    def use(self, decomposition: DCDecomposition, fresh: bool) -> None:
        """Take the terms of this decomposition; ``fresh``: it was calibrated on this very data.

        Raises InputError where it is one of another network.
        """
        if decomposition.net.fingerprint != self.net.fingerprint:
            raise InputError(
                "the decomposition was made for another network"
                + (" (for at= it must be made for the part behind that tensor: net.cut(at)[1])" if self.at else "")
            )
        self._split = decomposition.to(self.net.dtype).to(str(self.net.device))
        self.look = decomposition.pairs is None and (not fresh or decomposition.smallest is None)
        self.smallest = decomposition.smallest if fresh else None
        self.pairs = decomposition.pairs if fresh else None

    def make_decomposition(
        self, method: str, report: ProgressCallback | None, checkpoint: Path | None = None
    ) -> DCDecomposition:
        """Make a decomposition for these points, and use it."""
        check_method(method)
        if method == "paper":
            made = paper_decomposition(self.net)
        else:
            given = {"memory": self.memory, "processes": self.processes, "checkpoint": checkpoint, "progress": report}
            made = decomposition_of_data(method, self.net, self.walk, **given)
        self.use(made, fresh=True)
        return made

    # ── the terms ──────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def points(self) -> int:
        """How many there are."""
        return self.walk.points

    def one(self, x: Tensor, check: bool = False, into: TermBlock | None = None) -> tuple[Tensor, TermBlock]:
        """By how much each point's label wins, and the terms of one batch, in ``into`` where that is given.

        The first batch ever seen sets the center. A batch that does not fit the memory is done in halves.
        """
        block = into or empty_block(self.net, len(x), self.stored)
        done = 0
        margins: list[Tensor] = []

        def work(part: Tensor) -> BatchTerms:
            nonlocal done
            found = batch_terms(self.decomposition, part, check=check and self.look)
            if self.center is None:
                self.center = center_of(found.minus)
            write_block(found, part, self.center, rows_of(block, done, len(part)))
            done += len(part)
            margins.append(found.margin)
            if found.smallest is not None:
                self.smallest = smaller(found.smallest, math.inf if self.smallest is None else self.smallest)
            return found

        self._fitting(work, x)
        return torch.cat(margins), block

    def block(self, group: Sequence[Tensor], check: bool = False) -> tuple[TermBlock, Tensor]:
        """The terms of consecutive batches as one block, and by how much each point's label wins."""
        whole = empty_block(self.net, sum(map(len, group)), self.stored)
        done, margins = 0, []
        for x in group:
            margin, _ = self.one(x, check, rows_of(whole, done, len(x)))
            margins.append(margin)
            done += len(x)
        return whole, torch.cat(margins)

    def find_center(self) -> Tensor:
        """The center, of the first batch, the same in all processes."""
        if self.center is None:
            first = next(i for i, length in enumerate(self.walk.lengths) if length)
            self.center = center_of(batch_terms(self.decomposition, next(self.walk.batches([first]))).minus)
        self.center = self.processes.broadcast(self.center)
        return self.center

    def terms(self, blocks: Sequence[TermBlock]) -> LinearTerms:
        """The extracted blocks as one object, not yet certified."""
        assert self.center is not None  # there is at least one point, so at least one batch
        unchecked = Certificate(self.smallest, 0.0, 0.0, 1.0, 0, 0, 0, False, _name(self.net.dtype))
        return LinearTerms(
            blocks,
            self.center,
            self.net.input_shape,
            self.net.num_classes,
            self.decomposition.method,
            unchecked,
            self.identity(),
        )

    def identity(self) -> dict[str, str]:
        """What the terms are of."""
        return {**self.about, "method": self.decomposition.method, "decomposition": self.decomposition.fingerprint}


def check_method(method: str) -> None:
    """Raise InputError for a decomposition that there is not."""
    if method not in METHODS:
        raise InputError(f"unknown decomposition {method!r}; there are {', '.join(METHODS)}")


def differences(known: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    """What differs between two extractions, in words; "" where nothing does.

    >>> differences({"dtype": "float32", "at": ""}, {"dtype": "float64", "at": ""})
    'dtype is float32 there, float64 here'
    """
    found = []
    for name in dict.fromkeys((*wanted, *known)):
        there, here = known.get(name, ""), wanted.get(name, "")
        if there != here:
            found.append(f"{name} is {_short(there)} there, {_short(here)} here")
    return "; ".join(found)


def _short(value: str) -> str:
    return (f"{value[:8]}…" if len(value) > 40 else value) or "none"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _pushed(head: PiecewiseLinearNetwork, x: Tensor) -> Tensor:
    with torch.no_grad():
        return head(x)


@dataclass(frozen=True)
class Inner(Iterable[Tensor]):
    """Data pushed through the first part of a network: the points of an inner tensor, batch by batch, on every pass."""

    head: PiecewiseLinearNetwork
    data: Data
    batch_size: int

    def __iter__(self) -> Iterator[Tensor]:
        head = self.head
        for x in as_batches(self.data, self.batch_size, dtype=head.dtype, device=head.device, shape=head.input_shape):
            yield _pushed(head, x)
