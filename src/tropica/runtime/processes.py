"""The processes of a distributed run (torch.distributed), or a single process: the same code for both.

    torchrun --nproc-per-node=4 -m tropica extract model.pt2 --data mnist -o terms

Work is cut into pieces. The result of a piece does not depend on the process that computes it, and results are combined by
maxima, which do not depend on the order. Results are therefore bitwise the same for any number of processes. Messages are
tensors and JSON, never pickled objects.
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
TIMEOUT = timedelta(hours=12)
"""The longest wait for another process, which may have much more work left. If that process ends, the wait ends at once."""


class Processes:
    """The processes of a run, seen from process number ``rank`` of ``world_size``. Process 0 writes files and prints."""

    def __init__(self, rank: int = 0, world_size: int = 1) -> None:
        self.rank = rank
        self.world_size = world_size

    @classmethod
    def join(cls, distributed: bool = True) -> Processes:
        """The processes of the default group of torch.distributed, which is created if torchrun started this process.

        Args:
            distributed: False for a single process.

        Raises:
            InputError: there is no group, and torchrun did not start this process.

        >>> Processes.join(False).world_size
        1
        """
        if not distributed:
            return cls()
        if not dist.is_available():
            raise InputError("this build of torch has no torch.distributed; leave out distributed=True")
        if not dist.is_initialized():
            if not started_by_torchrun():
                raise InputError(
                    "distributed=True needs torchrun, or an earlier call of torch.distributed.init_process_group()"
                )
            backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
            _create_group(backend)
            atexit.register(_destroy_group)  # the interpreter aborts if threads of gloo outlive it
        return cls(dist.get_rank(), dist.get_world_size())

    @property
    def is_first(self) -> bool:
        """Is this process 0, which writes files and prints?"""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """The items of this process: every ``world_size``-th one. Each item belongs to exactly one process.

        >>> Processes(1, 3).share(range(7))
        range(1, 7, 3)
        """
        return items[self.rank :: self.world_size]

    # ── collective operations ──────────────────────────────────────────────────────────────────────────────────────────

    def all_reduce_max(self, x: Tensor) -> Tensor:
        """The elementwise maximum over all processes. A NaN may be lost."""
        return self._reduced(x, dist.ReduceOp.MAX)

    def all_reduce_min(self, x: Tensor) -> Tensor:
        """The elementwise minimum over all processes."""
        return self._reduced(x, dist.ReduceOp.MIN)

    def all_reduce_sum(self, x: Tensor) -> Tensor:
        """The sum over all processes. The order is not fixed: the sum is exact only if at most one summand is not 0."""
        return self._reduced(x, dist.ReduceOp.SUM)

    def _reduced(self, x: Tensor, op: Any) -> Tensor:
        if self.world_size > 1:
            x = x.contiguous().clone()
            with _process_errors():
                dist.all_reduce(x, op)
        return x

    def broadcast(self, x: Tensor) -> Tensor:
        """The tensor of process 0, which has the same shape in all processes."""
        if self.world_size > 1:
            x = x.contiguous().clone()
            with _process_errors():
                dist.broadcast(x, 0)
        return x

    def all_gather(self, value: Any) -> list[Any]:
        """The values of all processes in order of rank; each value is JSON: numbers, strings, lists and dictionaries."""
        if self.world_size == 1:
            return [value]
        mine = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        lengths = [torch.zeros(1, dtype=torch.int64) for _ in range(self.world_size)]
        with _process_errors():
            dist.all_gather(lengths, torch.tensor([len(mine)]))
            longest = int(max(lengths))
            padded = torch.zeros(longest, dtype=torch.uint8)
            padded[: len(mine)] = mine
            every = [torch.zeros(longest, dtype=torch.uint8) for _ in range(self.world_size)]
            dist.all_gather(every, padded)
        return [json.loads(bytes(raw[: int(n)].numpy())) for raw, n in zip(every, lengths, strict=True)]

    def run_on_all(self, work: Callable[[], Any]) -> list[Any]:
        """The results of the work of all processes in order of rank (JSON). An error of one process is raised in all.

        Without this, the other processes would wait for a process that has stopped.
        """
        if self.world_size == 1:
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
        for found in every:
            if "error" in found:
                kind = getattr(errors, found["error"], TropicaError)
                copy = (TropicaError if kind is errors.UnsupportedOperation else kind)(found["text"])
                copy.from_another_process = True
                raise copy
        return [found["result"] for found in every]

    def run_on_first(self, work: Callable[[], Any]) -> Any:
        """The result (JSON) or the error of work that process 0 does for all processes."""
        return self.run_on_all(lambda: work() if self.is_first else None)[0]

    def wait(self) -> None:
        """Wait until all processes have called this method (a barrier)."""
        self.all_gather(None)


def _create_group(backend: str) -> None:
    """Create the default group.

    After a restart by torchrun (``--max-restarts``) with its default rendezvous, the store still holds the addresses of the
    processes that have ended, and a process may connect to one of them. Each start therefore has keys of its own. Several
    nodes count restarts for themselves, so that their keys could differ: they use torch's keys.
    """
    restarts = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    if restarts == "0" or os.environ.get("GROUP_WORLD_SIZE") != "1":
        dist.init_process_group(backend, timeout=TIMEOUT)
        return
    store, rank, world_size = next(dist.rendezvous("env://", timeout=TIMEOUT))
    own = dist.PrefixStore(f"start {restarts}", store)
    dist.init_process_group(backend, store=own, rank=rank, world_size=world_size, timeout=TIMEOUT)


def _destroy_group() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


@contextmanager
def _process_errors() -> Iterator[None]:
    """Convert the RuntimeError that torch raises when another process has ended into a ProcessError."""
    try:
        yield
    except RuntimeError as error:
        raise ProcessError(
            "another process of this run ended before its part of the work was done; run the same command again to continue"
        ) from error


SINGLE_PROCESS = Processes()
"""A run of a single process."""


def started_by_torchrun() -> bool:
    """Did torchrun, or a launcher that sets the same environment variables, start this process?"""
    return all(name in os.environ for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"))
