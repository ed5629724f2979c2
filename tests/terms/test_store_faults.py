"""Runs that are really killed, stopped, or run out of disk: what was finished is kept, the next run makes the same bytes."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import tropica as tp
from tests.terms import victim
from tests.terms.test_store_processes import content, free_port
from tests.terms.worker import points
from tropica.data import passes as walk

TEMPORARY = "~"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store that nothing happened to."""
    folder = tmp_path_factory.mktemp("whole") / "terms"
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "SHARD_POINTS", 16)
        torch.set_num_threads(1)
        victim.extracted(folder)
    torch.set_num_threads(threads)
    return folder


def run(task: str, folder: Path, size: int = 1, restarts: int = 0) -> subprocess.Popen[str]:
    """A victim, or several under torchrun, in a process group of its own."""
    command = [sys.executable, "-m"]
    if size > 1:
        command += ["torch.distributed.run", f"--nproc-per-node={size}", f"--master-port={free_port()}"]
        command += [f"--max-restarts={restarts}", "-m"]
    return subprocess.Popen(
        [*command, "tests.terms.victim", task, str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for(process: subprocess.Popen[str], word: str, times: int = 1) -> str:
    """Read what it prints until a word has come so often; all of that."""
    said = ""
    assert process.stdout is not None
    while said.count(word) < times:
        line = process.stdout.readline()
        assert line, said
        said += line
    return said


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL to all of its processes."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def children(process: subprocess.Popen[str]) -> list[int]:
    """The processes that a process has started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) == process.pid:
                    found.append(int(entry.name))
            except (OSError, ValueError, IndexError):
                continue
    return found


def kill_again_and_again(folder: Path, whole: Path, rounds: int, seed: int) -> int:
    """SIGKILL at random moments, each time resumed, until a run gets through; how many were killed."""
    generator = random.Random(seed)
    for killed in range(rounds):
        process = run("extract", folder)
        wait_for(process, "ready")
        try:
            process.wait(timeout=generator.uniform(0.0, 1.2))
        except subprocess.TimeoutExpired:
            kill(process)
        else:
            out, _ = process.communicate()
            assert process.returncode == 0, out
            return killed
        kept = {name: raw for name, raw in content(folder).items() if name.startswith("shard-")} if folder.exists() else {}
        assert kept == {name: raw for name, raw in content(whole).items() if name in kept}
    process = run("extract", folder)
    out, _ = process.communicate(timeout=240)
    assert process.returncode == 0, out
    return rounds


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 8))])
def test_killed_at_random_moments(tmp_path: Path, whole: Path, seed: int) -> None:
    """Calibration or extraction, again and again: every shard that was finished is right, and in the end all bytes are."""
    assert kill_again_and_again(tmp_path / "terms", whole, 2 if seed == 0 else 4, seed) >= 1
    assert content(tmp_path / "terms") == content(whole)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(2, 2), (2, 1), (1, 2), (2, 3)])
def test_another_number_of_processes_goes_on(tmp_path: Path, whole: Path, sizes: tuple[int, int]) -> None:
    """All processes killed, and the rest made by as many others."""
    folder = tmp_path / "terms"
    process = run("extract distributed" if sizes[0] > 1 else "extract", folder, sizes[0])
    while len(list(folder.glob("shard-*"))) < 10:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    for child in children(process):
        os.kill(child, signal.SIGKILL)
    kill(process)
    assert not (folder / "manifest.json").read_text().count("complete")
    process = run("extract distributed" if sizes[1] > 1 else "extract", folder, sizes[1])
    out, _ = process.communicate(timeout=240)
    assert process.returncode == 0, out
    assert content(folder) == content(whole)


@pytest.mark.slow
def test_torchrun_restarts_after_a_rank_was_killed(tmp_path: Path, whole: Path) -> None:
    """One of two processes is killed; --max-restarts starts both again, and they go on."""
    folder = tmp_path / "terms"
    process = run("extract distributed", folder, 2, restarts=3)
    while len(list(folder.glob("shard-*"))) < 10:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    os.kill(max(children(process)), signal.SIGKILL)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    assert out.count("ready") >= 3
    assert content(folder) == content(whole)


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2])
def test_an_evaluation_that_is_killed_leaves_the_store_alone(tmp_path: Path, whole: Path, size: int) -> None:
    shutil.copytree(whole, tmp_path / "terms")
    process = run("evaluate distributed" if size > 1 else "evaluate", tmp_path / "terms", size)
    wait_for(process, "ready", size)
    time.sleep(0.1)
    for child in children(process):
        os.kill(child, signal.SIGKILL)
    kill(process)
    assert content(tmp_path / "terms") == content(whole)
    x = points(50, 9)
    one, other = (tp.ExtractedFunction(tp.load_terms(folder)).decide(x) for folder in (whole, tmp_path / "terms"))
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])


# ── stopped ───────────────────────────────────────────────────────────────────────────────────────────────────────────


SINGLE_PROCESS = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """``tropica extract`` on the victim's problem, 16 points a shard; the folder comes last."""
    file = tmp_path_factory.mktemp("data") / "data.npz"
    np.savez(file, x=points(victim.POINTS).numpy())
    code = (
        "import sys; from tropica.data import walk; walk.SHARD_POINTS = 16\n"
        "import tropica.decomposition.extraction as job; job.batch_size_for = lambda *a: 8\n"
        "import time, tropica.terms.store.store as store; write = store.write_shard\n"
        "store.write_shard = lambda *a: (write(*a), time.sleep(0.01))[0]\n"
        "from tropica.cli import main; main()\n"
    )
    return [sys.executable, "-c", code, "extract", "tests.terms.worker:network", "--data", str(file), "-o"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, command: list[str]) -> dict[str, bytes]:
    """What the command makes."""
    folder = tmp_path_factory.mktemp("undisturbed") / "terms"
    done = subprocess.run([*command, str(folder)], env=SINGLE_PROCESS, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "peak memory" in done.stdout
    return content(folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_shard_be_finished(
    tmp_path: Path, command: list[str], undisturbed: dict[str, bytes], number: signal.Signals
) -> None:
    """Exit code 130 and one line that says how to go on; the same command does, to the bytes of a run without the signal."""
    folder = tmp_path / "terms"
    started = subprocess.Popen(
        [*command, str(folder)], env=SINGLE_PROCESS, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while len(list(folder.glob("shard-*"))) < 3:
        assert started.poll() is None, started.communicate()
        time.sleep(0.005)
    started.send_signal(number)
    out, err = started.communicate(timeout=60)
    assert (started.returncode, out) == (130, ""), err
    shards = sorted(folder.glob("shard-*"))
    done = 16 * len(shards)
    assert err == f"stopped: {done:,} of 1,200 points are in {folder}; the same command goes on from there\n"
    assert 48 <= done < 1200
    assert not [path for path in folder.iterdir() if path.name.endswith(TEMPORARY) or path.name == "lock"]
    again = subprocess.run([*command, str(folder)], env=SINGLE_PROCESS, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert content(folder) == undisturbed


# ── no room ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_disk_is_full(tmp_path: Path, whole: Path) -> None:
    """A real limit of the system: one line that says so, shards that are whole, nothing temporary, and room to go on."""
    folder = tmp_path / "terms"
    smallest = min(path.stat().st_size for path in whole.glob("shard-*"))
    shutil.copytree(whole, folder)
    for number in range(4, 75):
        (folder / f"shard-{number:05d}.safetensors").unlink()
    before = {path.name: path.read_bytes() for path in folder.glob("shard-*")}

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (smallest - 1, smallest - 1))

    command = [sys.executable, "-m", "tests.terms.victim", "extract", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, preexec_fn=limited)
    assert done.returncode == 1
    assert "shard-00004.safetensors: cannot be written (File too large); finished files are kept" in done.stderr
    after = content(folder)
    assert {name: raw for name, raw in after.items() if name.startswith("shard-")} == before
    assert not [name for name in after if name.endswith(TEMPORARY)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert content(folder) == content(whole)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="needs a mount")
def test_a_full_file_system(tmp_path: Path, whole: Path) -> None:
    """A small tmpfs, as full as can be."""
    mounted = tmp_path / "small"
    mounted.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(mounted)], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        command = [sys.executable, "-m", "tests.terms.victim", "extract", str(mounted / "terms")]
        done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
        assert done.returncode == 1
        assert "cannot be written (No space left on device); finished files are kept" in done.stderr
        kept = {name: raw for name, raw in content(mounted / "terms").items() if name.startswith("shard-")}
        assert kept
        assert kept == {name: raw for name, raw in content(whole).items() if name in kept}
        shutil.copytree(mounted / "terms", tmp_path / "terms")
    finally:
        subprocess.run(["umount", str(mounted)], check=True)
    command[-1] = str(tmp_path / "terms")
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert content(tmp_path / "terms") == content(whole)
