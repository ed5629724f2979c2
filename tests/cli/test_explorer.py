"""``tropica app``: what its options name, and the errors of the command line."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest
import torch

import tropica as tp
from tests.cli.folder import refuse
from tropica.cli.explorer import load


def quiet(done: int, total: int, message: str) -> None:
    """A report that nobody reads."""


def test_the_options_and_the_lines_that_stand_for_them(folder: Path):
    about = {"data": "digits", "limit": 50, "test_limit": 20, "terms": [], "arg": []}
    inputs = load("nets:small", quiet, weights=Path("small.safetensors"), **about)
    assert (len(inputs.training), len(inputs.test)) == (50, 20)
    names: dict[str, object] = {}
    exec(inputs.lines, names)
    net = names["net"]
    assert isinstance(net, tp.PiecewiseLinearNetwork)
    assert net.fingerprint == inputs.net.fingerprint
    assert torch.equal(names["test"].inputs, inputs.test.inputs)  # type: ignore[attr-defined]
    inputs = load("small.pt2", quiet, data="few.npz", terms=[], arg=[])
    assert inputs.net.fingerprint == tp.load_network("small.pt2").fingerprint


def test_a_model_without_data_and_a_table_without_test_points(folder: Path):
    inputs = load("small.pt2", quiet, data=None, terms=[], arg=[])
    assert (inputs.test, inputs.training) == (None, None)
    with pytest.raises(tp.InputError, match="nets:small is traced on data: name some with --data"):
        load("nets:small", quiet, data=None, terms=[], arg=[])
    np.save("rows.npy", np.zeros((4, 1, 8, 8), np.float32))
    inputs = load("small.pt2", quiet, data="rows.npy", terms=[], arg=[])
    assert len(inputs.test) == len(inputs.training) == 4
    with pytest.raises(tp.DataError, match="unpickling"):
        load("model.pkl", quiet, data="digits", terms=[], arg=[])


def test_errors_of_the_command_line(folder: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"port {port} cannot be used" in refuse("app", "small.pt2", "--data", "digits", "--port", port)
    assert "--terms needs --data" in refuse("app", "small.pt2", "--terms", "terms")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("empty", "empty is not a model: the folder holds no training"),
        ("empty --data few.npz", "empty is not a model"),
        ("nets:small", "nets:small is traced on data: name some with --data"),
        ("absent.onnx", "absent.onnx: no such file or folder"),
    ],
)
def test_no_server_starts_for_what_is_no_model(folder: Path, line: str, message: str):
    (folder / "empty").mkdir(exist_ok=True)
    assert message in refuse("app", *line.split())
