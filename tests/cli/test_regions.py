"""``tropica regions``: its numbers are the library's, and what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

import tropica as tp
from tests.cli.case import done, enter, own_module, refused

MORE = """

def plain(d=2):
    return nn.Sequential(nn.Linear(d, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))


def few():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3), nn.ReLU(), nn.Linear(3, 10))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    with own_module(folder, MORE) as module:
        yield folder, module


@pytest.fixture
def nets(made, monkeypatch):
    folder, module = made
    enter(folder, monkeypatch)
    return module


def factory(nets: str, name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return getattr(sys.modules[nets], name)().eval()


def test_a_box(nets):
    result = done("regions", f"{nets}:plain", "--box", "-1", "1", "--out", "box")
    saved = json.loads(Path("box/regions.json").read_text())
    cx = tp.linear_regions(tp.trace(factory(nets, "plain"), torch.zeros(2, 2)), tp.Box(-1, 1, d=2))
    assert [saved[key] for key in ("cells", "regions", "maps")] == [len(cx.cells), len(cx.regions), len(cx.maps)]
    assert saved["certified"] is True
    assert saved["boundary"] == {"size": pytest.approx(cx.boundary().measure), "pieces": len(cx.boundary())}
    assert saved["upper_bounds"]["serra2018"] == tp.bounds.serra2018((2, 8, 8))
    assert saved["domain"] == {"kind": "box", "lo": -1, "hi": 1, "dimension": 2}
    assert Path("box/regions.png").read_bytes().startswith(b"\x89PNG")
    for wanted in ("activation cells", str(len(cx.cells)), "certified", "upper bound", "decision boundary", "seconds"):
        assert wanted in result.stdout


def test_space_and_three_inputs(nets):
    done("regions", f"{nets}:plain", "--space", "--out", "space")
    saved = json.loads(Path("space/regions.json").read_text())
    assert saved["domain"] == {"kind": "space", "dimension": 2}
    assert [p.name for p in Path("space").iterdir()] == ["regions.json"]
    result = done("regions", f"{nets}:plain", "--arg", "d=3", "--inputs", "3", "--box", "-1", "1")
    assert "dimension 3" in result.stdout


def test_a_plane_through_three_points(nets):
    done("regions", f"{nets}:few", "--data", "few.npz", "--plane", "0", "1", "2", "--margin", "0.5", "-o", "plane")
    saved = json.loads(Path("plane/regions.json").read_text())
    data = tp.load_data("few.npz")
    net = tp.trace(factory(nets, "few"), data.inputs[:2])
    cx = tp.linear_regions(net, tp.Plane.through(*data.inputs[:3], margin=0.5))
    assert saved["cells"] == len(cx)
    assert saved["upper_bounds"] == {}
    assert saved["domain"]["points"] == [0, 1, 2]
    assert Path("plane/regions.png").exists()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ((), "one domain is needed"),
        (("--space", "--box", "0", "1"), "one domain is needed"),
        (("--plane", "0", "1", "2"), "three points of --data"),
        (("--box", "1", "-1"), "lo must be below hi"),
        (("--box", "-1", "1", "--inputs", "5"), "the model takes 2 numbers"),
        (("--box", "-1", "1", "--out", "few.npz"), "a folder is needed"),
    ],
)
def test_refusals(nets, options, text):
    assert text in refused("regions", f"{nets}:plain", *options)


def test_points_that_are_not_there_or_lie_on_a_line(nets):
    few = (f"{nets}:few", "--data", "few.npz", "--plane")
    assert "there is no point 60" in refused("regions", *few, "0", "1", "60")
    assert "must span a plane" in refused("regions", *few, "0", "1", "1")
