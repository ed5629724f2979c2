"""Help, global options, and the program in a separate process."""

import functools
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.cli.folder import succeed
from tropica.cli.app import COMMANDS
from tropica.studies.datasets.load import load_data


def test_without_a_command_the_commands_are_listed():
    result = succeed()
    assert all(command.__name__.replace("_", "-") in result.stdout for command in COMMANDS)
    assert succeed("--version").stdout.startswith("tropica 0.")


def test_threads(folder):
    before = torch.get_num_threads()
    try:
        succeed("trace", "small.pt2", "--data", "few.npz", "--threads", "2")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
def test_demo(tmp_path, monkeypatch):
    monkeypatch.setattr("tropica.studies.demo.load_data", functools.partial(load_data, limit=100))
    result = succeed("demo", "--out", tmp_path / "demo", "--epochs", "1")
    assert "data:image/png" in (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
    assert "calibrated" in result.stdout


def test_importing_tropica_loads_no_optional_package():
    unwanted = ("matplotlib", "sklearn", "pandas", "tropica.studies")
    code = f"import sys, tropica; assert not [name for name in {unwanted!r} if name in sys.modules]"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def program(*args: str, cwd: Path) -> subprocess.Popen[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TROPICA_")}
    command = [sys.executable, "-m", "tropica", *args]
    return subprocess.Popen(command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_program(tmp_path):
    """The program's own process: output, errors of one line, exit codes."""
    good, bad = program("--version", cwd=tmp_path), program("check", "absent", cwd=tmp_path)
    out, err = good.communicate(timeout=120)
    assert (good.returncode, err) == (0, "")
    assert out.startswith("tropica 0.")
    out, err = bad.communicate(timeout=120)
    assert (bad.returncode, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("error: absent: not a store of terms")


@pytest.mark.slow
def test_the_program_traces(folder):
    good = program("trace", "nets:small", "--data", "few.npz", cwd=folder)
    bad = program("trace", "nets:Smooth", "--data", "few.npz", cwd=folder)
    out, err = good.communicate(timeout=120)
    assert (good.returncode, err) == (0, "")
    assert "1 × 8 × 8" in out
    out, err = bad.communicate(timeout=120)
    assert (bad.returncode, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("error: tropica cannot use the operation 'aten.gelu")


INTERRUPTED = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, *_):
        if name == target:
            os.kill(os.getpid(), signal.SIGINT)

from tropica.__main__ import main
target, sys.argv = sys.argv[1], ["tropica", "trace", "nets:small", "--data", "digits"]
sys.meta_path.insert(0, Interrupt())
main()
"""
"""Ctrl-C at the moment at which a module is imported."""


@pytest.mark.parametrize("module", ["typer", "torch", "numpy", pytest.param("sklearn", marks=pytest.mark.slow)])
def test_ctrl_c_during_imports_is_one_line(folder, module):
    done = subprocess.run([sys.executable, "-c", INTERRUPTED, module], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "stopped: no file was written\n")


@pytest.mark.slow
def test_the_program_is_stopped_by_a_signal(folder):
    (folder / "nets_slow.py").write_text("import time\nprint('here', flush=True)\ntime.sleep(60)\n")
    process = program("trace", "nets_slow:net", "--data", "few.npz", cwd=folder)
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "stopped: no file was written\n")
