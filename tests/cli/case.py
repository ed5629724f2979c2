"""A folder as a user of the command line has it: a module with networks, their weights, an archive, data."""

from __future__ import annotations

import itertools
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from typer.testing import CliRunner, Result

from tropica.cli import app
from tropica.studies.datasets.load import load_data

NAMES = itertools.count()
NETS = """
import torch
from torch import nn


def small(width=16, bias=True):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width, bias=bias), nn.ReLU(), nn.Linear(width, 10, bias=bias))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Linear(64, 64)
        self.two = nn.Linear(64, 64)
        self.two.weight = self.one.weight
        self.out = nn.Linear(64, 10)

    def forward(self, x):
        return self.out(self.two(self.one(x.flatten(1)).relu()).relu()).softmax(1)


class Smooth(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = nn.GELU()
        self.out = nn.Linear(64, 10)

    def forward(self, x):
        return self.out(self.act(x.flatten(1)))


ready = small()
number = 3


def broken():
    raise KeyError("no such layer")


def leaves():
    raise SystemExit(5)


def text():
    return "a network"


def nan():
    net = small()
    net[1].weight.data[0, 0] = float("nan")
    return net
"""


def save_npz(file: Path, **arrays: Any) -> None:
    """An archive of arrays."""
    np.savez(file, **{key: np.asarray(value) for key, value in arrays.items()})  # type: ignore[arg-type]


class Payload:
    """Unpickled, it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return (open, (str(self.mark), "w"))


def make_folder(folder: Path, module: str) -> None:
    """``module``.py, small.safetensors, tied.safetensors, small.pt2, few.npz (60 training and 30 test points)."""
    (folder / f"{module}.py").write_text(NETS)
    scope: dict = {}
    exec(NETS, scope)  # the text above
    torch.manual_seed(1)
    small = scope["small"]().eval()
    safetensors.torch.save_model(small, str(folder / "small.safetensors"))
    safetensors.torch.save_model(scope["Tied"](), str(folder / "tied.safetensors"))
    batch = ({0: torch.export.Dim.DYNAMIC},)
    torch.export.save(torch.export.export(small, (torch.zeros(2, 1, 8, 8),), dynamic_shapes=batch), folder / "small.pt2")
    train, test = load_data("digits", limit=60), load_data("digits", split="test", limit=30)
    arrays = {"x_train": train.inputs, "y_train": train.labels, "x_test": test.inputs, "y_test": test.labels}
    save_npz(folder / "few.npz", **arrays)


def bad_files(folder: Path, mark: Path) -> None:
    """Files that try to run code when they are unpickled, under names that are read: .safetensors, .pt2, .npz."""
    raw = pickle.dumps(Payload(mark))
    for name in ("evil.safetensors", "evil.pt2", "evil.npz", "evil.pt"):
        (folder / name).write_bytes(raw)
    torch.save({"weight": Payload(mark)}, folder / "zipped.pt2")
    torch.save({"weight": Payload(mark)}, folder / "zipped.safetensors")
    objects = np.empty(2, object)
    objects[:] = [Payload(mark), Payload(mark)]
    np.savez(folder / "objects.npz", x_train=objects, y_train=np.array([0, 1]))


def run(*args: object) -> Result:
    """A command, as typed."""
    return CliRunner().invoke(app, [str(arg) for arg in args])


def done(*args: object) -> Result:
    """A command that must succeed, without a word on standard error."""
    result = run(*args)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result


def refused(*args: object, code: int = 2) -> str:
    """A command that must fail with one line on standard error and nothing else; the line."""
    result = run(*args)
    assert result.exit_code == code, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert not result.stdout
    assert "Traceback" not in result.output
    return line


@contextmanager
def own_module(folder: Path, more: str = "") -> Iterator[str]:
    """Such a folder, and the name of its module, which is another one each time: imports are kept."""
    module = f"cli_nets_{next(NAMES)}"
    make_folder(folder, module)
    file = folder / f"{module}.py"
    file.write_text(file.read_text() + more)
    yield module
    sys.modules.pop(module, None)


def enter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in the folder, and leave the search path for modules as it was."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.chdir(folder)
