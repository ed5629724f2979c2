"""Any number of processes gives the bytes, labels, active terms and values of one process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

import tropica as tp
from tests.terms import worker
from tests.terms.stores import content
from tropica.runtime.processes import Processes
from tropica.terms.maxima import RunningMaxima


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def launch(size: int, *args: str) -> list[subprocess.Popen[str]]:
    """Start worker processes with the environment of torchrun."""
    port = str(free_port())
    started = []
    for rank in range(size):
        environment = {
            **os.environ,
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(size),
            "LOCAL_WORLD_SIZE": str(size),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "tests.terms.worker", *args]
        started.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    return started


def finished(started: list[subprocess.Popen[str]]) -> None:
    for process in started:
        out, _ = process.communicate(timeout=240)
        assert process.returncode == 0, out


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Tensor]]:
    """The folder and the results of one process."""
    folder = tmp_path_factory.mktemp("alone")
    return folder, worker.work(folder, False)


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 3])
def test_as_one_process(tmp_path: Path, size: int, alone: tuple[Path, dict[str, Tensor]]) -> None:
    """Stores are equal bytewise, and labels, active terms and values bitwise, in every process."""
    folder, expected = alone
    for name in ("labels", "terms"):
        assert torch.equal(expected[f"searched {name}"], expected[f"kept {name}"])
        assert torch.equal(expected[f"searched and recomputed {name}"], expected[f"recomputed {name}"])
    finished(launch(size, "work", str(tmp_path)))
    for name in ("terms", "coarse", "inner", "least"):
        assert content(tmp_path / name) == content(folder / name)
    assert len(list((tmp_path / "terms").glob("shard-*"))) == 13
    for rank in range(size):
        found = safetensors.torch.load_file(tmp_path / f"{rank}.found")
        assert found.keys() == expected.keys()
        for name, tensor in expected.items():
            assert torch.equal(found[name], tensor), name


@pytest.mark.slow
def test_a_refusal_ends_all_of_them(tmp_path: Path, alone: tuple[Path, dict[str, Tensor]]) -> None:
    """If one process finds other points, every process raises the same error, and none waits for the others."""
    (tmp_path / "terms").symlink_to(alone[0] / "terms")
    finished(launch(2, "refused", str(tmp_path)))
    said = [(tmp_path / f"refused {rank}").read_text() for rank in range(2)]
    assert "the data differs" in said[0]
    assert "the data differs" in said[1]


def test_a_single_process() -> None:
    """With one process every reduction is the identity."""
    one, x = Processes(), torch.randn(3, 4)
    assert one.all_reduce_max(x) is one.all_reduce_min(x) is one.all_reduce_sum(x) is one.broadcast(x) is x
    assert (one.all_gather({"a": 1}), one.run_on_first(lambda: 5), one.run_on_all(lambda: 6)) == ([{"a": 1}], 5, [6])
    assert one.is_first
    with pytest.raises(tp.InputError, match="torchrun"):
        tp.extract(worker.network(), worker.points(), distributed=True)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 20])
def test_shares_are_disjoint_and_complete(size: int) -> None:
    """Every item belongs to exactly one share, and sizes of shares differ by at most one."""
    items = list(range(13))
    shares = [list(Processes(rank, size).share(items)) for rank in range(size)]
    assert sorted(item for share in shares for item in share) == items
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


class Together(Processes):
    """Simulated processes with known tensors."""

    def __init__(self, values: list[Tensor], keys: list[Tensor]) -> None:
        super().__init__(0, len(values))
        self.values, self.keys = values, keys

    def all_reduce_max(self, x: Tensor) -> Tensor:
        return torch.stack(self.values).amax(0)

    def all_reduce_min(self, x: Tensor) -> Tensor:
        best, far = self.all_reduce_max(x), torch.iinfo(torch.int64).max
        held = [torch.where((v == best) & (k >= 0), k, far) for v, k in zip(self.values, self.keys, strict=True)]
        return torch.stack(held).amin(0)


def test_the_lexicographic_maximum() -> None:
    """The largest value, the lowest key among equal values, and −1 where no process has a value."""
    none = -torch.inf
    values = [torch.tensor([1.0, 2.0, none, none, 3.0]), torch.tensor([1.0, 1.0, 5.0, none, 4.0])]
    keys = [torch.tensor([7, 3, -1, -1, 1]), torch.tensor([4, 0, 9, -1, 8])]
    for order in ((0, 1), (1, 0)):
        together = Together([values[i] for i in order], [keys[i] for i in order])
        state = RunningMaxima(torch.zeros(5, 1))
        state.value, state.key = together.values[0], together.keys[0]
        state.all_reduce(together)
        assert state.value.tolist() == [1.0, 2.0, 5.0, none, 4.0]
        assert state.key.tolist() == [4, 3, 9, -1, 8]
