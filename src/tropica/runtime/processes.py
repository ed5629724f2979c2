"""Processes that share one piece of work (torch.distributed), or the one there is: the same code either way.

    torchrun --nproc-per-node=4 -m tropica extract model.pt2 --data mnist -o terms

Work is cut into pieces whose results do not depend on who does them; what is combined is combined by maxima, which do not
depend on the order. So any number of processes gives the same bits. What they tell each other are tensors and JSON, never
pickled objects.
"""

from __future__ import annotations

import atexit
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from tropica import errors
from tropica.errors import InputError, ProcessError, TropicaError

T = TypeVar("T")
PATIENCE = timedelta(hours=12)
"""How long a process waits for the others: one may have far more left to do. One that dies ends the wait at once."""


class Processes:
    """The processes of a run: this one is number ``rank`` of ``size``. The first one, 0, writes what there is one of."""

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank = rank
        self.size = size

    @classmethod
    def join(cls, distributed: bool = True) -> Processes:
        """The processes of the default group of torch.distributed, which is made where torchrun started this process.

        Args:
            distributed: False for this process alone, whatever else there is.

        Raises:
            InputError: there is no group, and torchrun has not started this process.

        >>> Processes.join(False).size
        1
        """
        if not distributed:
            return cls()
        if not dist.is_available():
            raise InputError("this build of torch has no torch.distributed; leave out distributed=True")
        if not dist.is_initialized():
            if not started_by_torchrun():
                raise InputError("distributed=True needs torchrun, or torch.distributed.init_process_group() before")
            backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
            dist.init_process_group(backend, timeout=PATIENCE)
            atexit.register(_leave)  # gloo's threads must end before the interpreter does, or it aborts
        return cls(dist.get_rank(), dist.get_world_size())

    @property
    def is_first(self) -> bool:
        """Is this the process that writes and prints what there is one of?"""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """This process's part: every ``size``-th of the items. Each item is in one part; none is in two.

        >>> Processes(1, 3).share(range(7))
        range(1, 7, 3)
        """
        return items[self.rank :: self.size]

    # ── combining ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def all_reduce_max(self, x: Tensor) -> Tensor:
        """The elementwise maximum over all processes, of numbers (NaN may be lost)."""
        return self._reduced(x, dist.ReduceOp.MAX)

    def all_reduce_min(self, x: Tensor) -> Tensor:
        """The elementwise minimum over all processes."""
        return self._reduced(x, dist.ReduceOp.MIN)

    def all_reduce_sum(self, x: Tensor) -> Tensor:
        """The sum over all processes (in no order that is known: for numbers of which all but one are 0)."""
        return self._reduced(x, dist.ReduceOp.SUM)

    def _reduced(self, x: Tensor, how: Any) -> Tensor:
        if self.size > 1:
            x = x.contiguous().clone()
            with _others_alive():
                dist.all_reduce(x, how)
        return x

    def broadcast(self, x: Tensor) -> Tensor:
        """The first process's tensor, which has the same shape in all of them."""
        if self.size > 1:
            x = x.contiguous().clone()
            with _others_alive():
                dist.broadcast(x, 0)
        return x

    def all_gather(self, value: Any) -> list[Any]:
        """What each process has to say, in plain numbers, names, lists and dictionaries (JSON), in order of rank."""
        if self.size == 1:
            return [value]
        mine = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        lengths = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        with _others_alive():
            dist.all_gather(lengths, torch.tensor([len(mine)]))
            longest = int(max(lengths))
            padded = torch.zeros(longest, dtype=torch.uint8)
            padded[: len(mine)] = mine
            every = [torch.zeros(longest, dtype=torch.uint8) for _ in range(self.size)]
            dist.all_gather(every, padded)
        return [json.loads(bytes(raw[: int(n)].numpy())) for raw, n in zip(every, lengths, strict=True)]

    def run_on_all(self, work: Callable[[], Any]) -> list[Any]:
        """What each process's part of the work gives, in order of rank; where one refuses, all of them do.

        Results are plain (JSON). Without this, the others would wait for a process that has given up.
        """
        if self.size == 1:
            return [work()]
        mine: dict[str, Any]
        raised: TropicaError | None = None
        try:
            mine = {"result": work()}
        except TropicaError as error:
            raised = error
            mine = {"error": type(error).__name__, "text": str(error)}
        every = self.all_gather(mine)
        if raised is not None:
            raise raised
        for said in every:
            if "error" in said:
                kind = getattr(errors, said["error"], TropicaError)
                relayed = (TropicaError if kind is errors.UnsupportedOperation else kind)(said["text"])
                relayed.relayed = True  # another process has said it already
                raise relayed
        return [said["result"] for said in every]

    def run_on_first(self, work: Callable[[], Any]) -> Any:
        """Work that the first process does for all: its result, which is plain (JSON), or its error."""
        return self.run_on_all(lambda: work() if self.is_first else None)[0]

    def wait(self) -> None:
        """Go on when all have come so far."""
        self.all_gather(None)


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


@contextmanager
def _others_alive() -> Iterator[None]:
    """What torch raises where another process is gone, said in words."""
    try:
        yield
    except RuntimeError as error:
        raise ProcessError(
            "another process of this run has ended before its part was done; the same command goes on from there"
        ) from error


SINGLE_PROCESS = Processes()
"""This process, and no other."""


def started_by_torchrun() -> bool:
    """Has torchrun, or a launcher that speaks like it, started this process as one of several?"""
    return all(name in os.environ for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"))
