"""Runs that are killed, stopped or out of disk space: finished shards are kept, and the next run writes the same bytes."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import tropica as tp
from tests.terms import victim
from tests.terms.stores import content
from tests.terms.test_store_processes import free_port
from tests.terms.worker import points

TEMPORARY = "~"


@pytest.fixture
def _one_thread() -> Iterator[None]:
    """The number of threads of the processes that are killed."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole") / "terms"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    victim.extracted(folder)
    torch.set_num_threads(threads)
    return folder


def run(task: str, folder: Path, size: int = 1, restarts: int = 0) -> subprocess.Popen[str]:
    """Start one victim, or several under torchrun, in a new process group."""
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
    """Read the output until ``word`` has occurred ``times`` times, and return it."""
    said = ""
    assert process.stdout is not None
    while said.count(word) < times:
        line = process.stdout.readline()
        assert line, said
        said += line
    return said


def kill(process: subprocess.Popen[str]) -> None:
    """Send SIGKILL to the process group."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def children(process: subprocess.Popen[str]) -> list[int]:
    """Process ids of the children of a process."""
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
    """Kill and resume runs at random moments until one finishes; return the number of killed runs."""
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


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_killed_at_random_moments(tmp_path: Path, whole: Path, seed: int) -> None:
    """After kills finished shards are correct, and the final bytes are those of an uninterrupted run."""
    assert kill_again_and_again(tmp_path / "terms", whole, 2 if seed == 0 else 4, seed) >= 1
    assert content(tmp_path / "terms") == content(whole)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(2, 2), (2, 1), (1, 2), (2, 3)])
def test_another_number_of_processes_goes_on(tmp_path: Path, whole: Path, sizes: tuple[int, int]) -> None:
    """All processes are killed, and another number of processes resumes."""
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
    """One of two processes is killed; --max-restarts restarts both, and they resume."""
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
    one, other = (tp.ExtractedFunction(tp.load_terms(folder)).labels_and_terms(x) for folder in (whole, tmp_path / "terms"))
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
        "import functools, time, tropica.decomposition.extract as module, tropica.terms.store.writer as writer\n"
        "from tests.terms.worker import SMALL\n"
        "module.extract = functools.partial(module.extract, shard_sizes=SMALL, batch_size=8)\n"
        "write = writer.write_shard\n"
        "writer.write_shard = lambda *a: (write(*a), time.sleep(0.01))[0]\n"
        "from tropica.cli import main; main()\n"
    )
    return [sys.executable, "-c", code, "extract", "tests.terms.worker:network", "--data", str(file), "-o"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, command: list[str]) -> dict[str, bytes]:
    """The store that the command writes without interruption."""
    folder = tmp_path_factory.mktemp("undisturbed") / "terms"
    done = subprocess.run([*command, str(folder)], env=SINGLE_PROCESS, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "peak memory" in done.stdout
    return content(folder)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_shard_be_finished(
    tmp_path: Path, command: list[str], undisturbed: dict[str, bytes], number: signal.Signals
) -> None:
    """The exit code is 130, one line says how to resume, and the same command then writes the bytes of an uninterrupted run."""
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
    assert err == f"stopped: {done:,} of 1,200 points are in {folder}; the same command resumes there\n"
    assert 48 <= done < 1200
    assert not [path for path in folder.iterdir() if path.name.endswith(TEMPORARY) or path.name == "lock"]
    again = subprocess.run([*command, str(folder)], env=SINGLE_PROCESS, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert content(folder) == undisturbed


# ── full disk ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("_one_thread")
def test_the_disk_is_full(tmp_path: Path, whole: Path) -> None:
    """With a limit on file sizes the error is one line, shards are intact, no temporary file is left, and the run resumes."""
    folder = tmp_path / "terms"
    smallest = min(path.stat().st_size for path in whole.glob("shard-*"))
    shutil.copytree(whole, folder)
    for number in range(4, 75):
        (folder / f"shard-{number:05d}.safetensors").unlink()
    before = {path.name: path.read_bytes() for path in folder.glob("shard-*")}

    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (smallest - 1, limits[1]))
    try:
        with pytest.raises(tp.StoreError) as error:
            victim.extracted(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert "shard-00004.safetensors: cannot be written (File too large); finished files are kept" in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    after = content(folder)
    assert {name: raw for name, raw in after.items() if name.startswith("shard-")} == before
    assert not [name for name in after if name.endswith(TEMPORARY)]
    victim.extracted(folder)
    assert content(folder) == content(whole)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="needs a mount")
def test_a_full_file_system(tmp_path: Path, whole: Path) -> None:
    """A small tmpfs without free space."""
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
