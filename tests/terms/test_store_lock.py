"""One run at a time: a second one is refused, and the lock of a killed run does not block the next."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import tropica as tp
from tropica.terms.store.writer import StoreWriter

HOLD = (
    "import sys, time; from pathlib import Path; from tropica.errors import StoreError\n"
    "from tropica.terms.store.writer import StoreWriter\n"
    "with StoreWriter(Path(sys.argv[1])): {}"
)


def holder(folder: Path, then: str) -> subprocess.Popen[str]:
    """Start another process that holds the lock."""
    command = [sys.executable, "-c", HOLD.format(then), str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def model() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()


def test_another_process(tmp_path: Path) -> None:
    """A run is refused before any work while another one is running, and accepted after that one was killed."""
    other = holder(tmp_path, "print('held', flush=True); time.sleep(60)")
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    with pytest.raises(tp.StoreError, match="another run is writing to this folder; wait until it ends, or give another"):
        tp.extract(model(), torch.zeros(3, 4), out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
    other.kill()
    other.wait()
    assert (tmp_path / "lock").exists()
    with StoreWriter(tmp_path):
        assert (tmp_path / "lock").exists()
    assert not (tmp_path / "lock").exists()


def test_the_same_process(tmp_path: Path) -> None:
    with StoreWriter(tmp_path), pytest.raises(tp.StoreError, match="another run"), StoreWriter(tmp_path):
        pass
    with StoreWriter(tmp_path):
        pass


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    """The lock's file is opened for writing: a link could name a file outside of the folder."""
    (tmp_path / "outside").write_text("mine")
    (tmp_path / "terms").mkdir()
    (tmp_path / "terms" / "lock").symlink_to(tmp_path / "outside")
    with pytest.raises(tp.StoreError, match="cannot be written to"):
        tp.extract(model(), torch.zeros(3, 4), out=tmp_path / "terms")
    assert (tmp_path / "outside").read_text() == "mine"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"host": "node7", "process": 12}'])
def test_a_file_of_that_name_is_no_obstacle(tmp_path: Path, text: str) -> None:
    """The lock is on the file; its content is irrelevant."""
    (tmp_path / "lock").write_text(text)
    with StoreWriter(tmp_path):
        pass
    assert not (tmp_path / "lock").exists()


def test_a_race(tmp_path: Path) -> None:
    """Of several processes that request the lock, one at a time holds it."""
    then = "open(sys.argv[1] + '.in', 'x').close(); time.sleep(0.05); Path(sys.argv[1] + '.in').unlink(); print('had it')"
    others = [holder(tmp_path / "terms", then) for _ in range(4)]
    said = [process.communicate(timeout=60)[0] for process in others]
    assert said.count("had it\n") >= 1
    assert all(text == "had it\n" or "another run is writing" in text for text in said)  # never: FileExistsError


def test_folders_that_were_made_for_nothing_are_removed(tmp_path: Path) -> None:
    with pytest.raises(tp.InputError):
        tp.extract(model(), torch.zeros(3, 5), out=tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()
