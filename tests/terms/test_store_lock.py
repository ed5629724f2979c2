"""One run at a time: a second one is refused, and the lock of a killed run does not block the next."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

import tropica as tp
from tropica.terms.store.writer import StoreWriter

HOLD = "import sys, time, filelock\nwith filelock.FileLock(sys.argv[1] + '/lock'): print('held', flush=True); time.sleep(60)"
RACE = (
    "import sys, time; from pathlib import Path; from tropica.terms.store.writer import StoreWriter\n"
    "with StoreWriter(sys.argv[1]):\n"
    "    inside = Path(sys.argv[1] + '.in'); inside.touch(exist_ok=False); time.sleep(0.05); inside.unlink(); print('held')"
)


def start(code: str, folder: Path) -> subprocess.Popen[str]:
    """Start another process that locks the folder."""
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def model() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()


def test_another_process(tmp_path: Path) -> None:
    """A run is refused before any work while another one is running, and accepted after that one was killed."""
    other = start(HOLD, tmp_path)
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
    """Of several runs that request the lock, one at a time holds it, although each that ends removes the folders it created."""
    folder, inside = tmp_path / "created" / "terms", tmp_path / "inside"
    outcomes: list[str] = []

    def run() -> None:
        for _ in range(10):
            try:
                with StoreWriter(folder):
                    inside.touch(exist_ok=False)
                    inside.unlink()
                outcomes.append("held")
            except tp.StoreError as error:
                outcomes.append("waited too long" if "another run is writing" in str(error) else str(error))
            except OSError as error:
                outcomes.append(f"two at a time: {error!r}")

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 40
    assert set(outcomes) <= {"held", "waited too long"}
    assert "held" in outcomes


@pytest.mark.slow
def test_a_race_of_processes(tmp_path: Path) -> None:
    others = [start(RACE, tmp_path / "terms") for _ in range(4)]
    said = [process.communicate()[0] for process in others]
    for text in said:
        assert text.endswith("held\n") or "another run is writing" in text, text
    assert any(text.endswith("held\n") for text in said)


def test_folders_that_were_made_for_nothing_are_removed(tmp_path: Path) -> None:
    with pytest.raises(tp.InputError):
        tp.extract(model(), torch.zeros(3, 5), out=tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()
