"""One run at a time: the second is refused and told of the first; what a killed run left behind does not stop the next."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

import tropica as tp
from tropica.terms.store import lock
from tropica.terms.store.lock import Lock
from tropica.terms.store.store import Store

HOLD = "import sys, time; from pathlib import Path; from tropica.terms.store.lock import Lock\nwith Lock(Path(sys.argv[1])): {}"


def holder(folder: Path, then: str) -> subprocess.Popen[str]:
    """Another process that has the lock."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLD.format(then), str(folder)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def model() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()


def test_another_process(tmp_path: Path) -> None:
    """Refused while it lives, with its host and number, before any work; taken over when it was killed, which is said."""
    other = holder(tmp_path, "print('held', flush=True); time.sleep(60)")
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    with pytest.raises(
        tp.StoreError, match=rf"another run writes to it \(process {other.pid} on {socket.gethostname()}, since"
    ):
        tp.extract(model(), torch.zeros(3, 4), out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
    other.kill()
    other.wait()
    assert (tmp_path / "lock").exists()
    with Store(tmp_path) as store:
        assert store.note is not None
        assert f"process {other.pid} on" in store.note
    assert not (tmp_path / "lock").exists()


def test_the_same_process(tmp_path: Path) -> None:
    with Lock(tmp_path), pytest.raises(tp.StoreError, match="another extraction of this process"), Lock(tmp_path):
        pass
    with Lock(tmp_path) as again:
        assert again.stale is None


def test_a_lock_of_another_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file system may not tell: what counts is whether the lock is touched."""
    monkeypatch.setattr(lock, "BEAT", 0.05)
    path = tmp_path / "lock"
    path.write_text(json.dumps({"host": "node7", "process": 12, "since": "then"}))
    over = threading.Event()

    def touch() -> None:
        while not over.wait(0.02):
            os.utime(path)

    alive = threading.Thread(target=touch)
    alive.start()
    try:
        with pytest.raises(tp.StoreError, match=r"process 12 on node7, since then"), Lock(tmp_path):
            pass
    finally:
        over.set()
        alive.join()
    with Lock(tmp_path) as taken:
        assert taken.stale == "process 12 on node7, since then"


def test_the_lock_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT", 0.02)
    with Lock(tmp_path):
        before = (tmp_path / "lock").stat().st_mtime_ns
        deadline = time.monotonic() + 10
        while (tmp_path / "lock").stat().st_mtime_ns == before:
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.mark.parametrize("text", ["", "[]", "{", "3", "[" * 9999])
def test_a_damaged_lock_is_no_obstacle(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT", 0.01)
    (tmp_path / "lock").write_text(text)
    with Lock(tmp_path):
        assert json.loads((tmp_path / "lock").read_text())["process"] == os.getpid()


def test_a_race(tmp_path: Path) -> None:
    """Of many processes that want it at once, one at a time has it."""
    then = "open(sys.argv[1] + '/in', 'x').close(); time.sleep(0.05); Path(sys.argv[1], 'in').unlink(); print('had it')"
    others = [holder(tmp_path, then) for _ in range(4)]
    said = [process.communicate(timeout=60)[0] for process in others]
    assert said.count("had it\n") >= 1
    assert all(text == "had it\n" or "another run writes to it" in text for text in said)  # never: FileExistsError


def test_folders_that_were_made_for_nothing_go_again(tmp_path: Path) -> None:
    with pytest.raises(tp.InputError):
        tp.extract(model(), torch.zeros(3, 5), out=tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()
