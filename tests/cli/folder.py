"""The folder of a user (networks, weights, an archive, data), and commands run in it, within this process."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from typer.testing import CliRunner, Result

import tropica as tp
from tropica.cli import app

NETS = """
import torch
from torch import nn


def small(width=16, bias=True):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width, bias=bias), nn.ReLU(), nn.Linear(width, 10, bias=bias))


def plain(d=2):
    return nn.Sequential(nn.Linear(d, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))


def few():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3), nn.ReLU(), nn.Linear(3, 10))


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
SMALL = ("nets:small", "--weights", "small.safetensors")


def fill(folder: Path) -> None:
    """nets.py, small.safetensors, tied.safetensors, small.pt2, and few.npz with 60 training and 30 test points."""
    (folder / "nets.py").write_text(NETS)
    scope: dict = {}
    exec(NETS, scope)
    torch.manual_seed(1)
    small = scope["small"]().eval()
    safetensors.torch.save_model(small, str(folder / "small.safetensors"))
    safetensors.torch.save_model(scope["Tied"](), str(folder / "tied.safetensors"))
    batch = ({0: torch.export.Dim.DYNAMIC},)
    torch.export.save(torch.export.export(small, (torch.zeros(2, 1, 8, 8),), dynamic_shapes=batch), folder / "small.pt2")
    train, test = tp.load_data("digits", limit=60), tp.load_data("digits", split="test", limit=30)
    save_npz(folder / "few.npz", x_train=train.inputs, y_train=train.labels, x_test=test.inputs, y_test=test.labels)


def save_npz(file: Path, **arrays: Any) -> None:
    np.savez(file, **{key: np.asarray(value) for key, value in arrays.items()})  # type: ignore[arg-type]


def small_network() -> tp.PiecewiseLinearNetwork:
    """The network of small.pt2 in the current folder."""
    return tp.load_network("small.pt2")


def saved(file: str | Path) -> dict[str, Any]:
    """The content of a JSON file."""
    return json.loads(Path(file).read_text())


def run(*args: object) -> Result:
    """Run a command."""
    return CliRunner().invoke(app, [str(arg) for arg in args])


def succeed(*args: object) -> Result:
    """Run a command that must succeed and print nothing on standard error but that kernels are compiled."""
    result = run(*args)
    said = [line for line in result.stderr.splitlines() if not line.startswith("tropica: compiling kernels")]
    assert (result.exit_code, said) == (0, []), result.output
    return result


def refuse(*args: object, code: int = 2) -> str:
    """Run a command that must fail with one line on standard error and print nothing else; return the line."""
    result = run(*args)
    assert result.exit_code == code, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert not result.stdout
    assert "Traceback" not in result.output
    return line


def assert_matches(pattern: str, line: str) -> None:
    assert re.search(pattern, line), line
