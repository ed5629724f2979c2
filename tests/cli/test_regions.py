"""``tropica regions`` writes the numbers of ``tp.linear_regions``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import tropica as tp
from tests.cli.folder import refuse, saved, succeed

pytestmark = pytest.mark.usefixtures("folder")


def factory(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return getattr(sys.modules["nets"], name)().eval()


def test_a_box():
    result = succeed("regions", "nets:plain", "--box", "-1", "1", "--out", "box")
    numbers = saved("box/regions.json")
    cx = tp.linear_regions(tp.trace(factory("plain"), torch.zeros(2, 2)), tp.Box(-1, 1, d=2))
    assert [numbers[key] for key in ("cells", "regions", "maps")] == [len(cx.cells), len(cx.regions), len(cx.maps)]
    assert numbers["certified"] is True
    assert numbers["boundary"] == {"size": pytest.approx(cx.boundary().measure), "pieces": len(cx.boundary())}
    assert numbers["upper_bounds"]["serra2018"] == tp.bounds.serra2018((2, 8, 8))
    assert numbers["domain"] == {"kind": "box", "lo": -1, "hi": 1, "dimension": 2}
    assert Path("box/regions.png").read_bytes().startswith(b"\x89PNG")
    for wanted in ("cells", str(len(cx.cells)), "certified", "upper bound", "decision boundary", "seconds"):
        assert wanted in result.stdout


def test_space_and_three_inputs():
    succeed("regions", "nets:plain", "--space", "--out", "space")
    numbers = saved("space/regions.json")
    assert numbers["domain"] == {"kind": "space", "dimension": 2}
    assert [p.name for p in Path("space").iterdir()] == ["regions.json"]
    result = succeed("regions", "nets:plain", "--arg", "d=3", "--inputs", "3", "--box", "-1", "1")
    assert "dimension 3" in result.stdout


def test_a_plane_through_three_points():
    succeed("regions", "nets:few", "--data", "few.npz", "--plane", "0", "1", "2", "--margin", "0.5", "-o", "plane")
    numbers = saved("plane/regions.json")
    data = tp.load_data("few.npz")
    net = tp.trace(factory("few"), data.inputs[:2])
    cx = tp.linear_regions(net, tp.Plane.through(*data.inputs[:3], margin=0.5))
    assert numbers["cells"] == len(cx)
    assert numbers["upper_bounds"] == {}
    assert numbers["domain"]["points"] == [0, 1, 2]
    assert Path("plane/regions.png").exists()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ((), "one domain is needed"),
        (("--space", "--box", "0", "1"), "one domain is needed"),
        (("--plane", "0", "1", "2"), "three points of --data"),
        (("--box", "1", "-1"), "lo must be at most hi"),
        (("--box", "-1", "1", "--inputs", "5"), "the model takes 2 numbers"),
        (("--box", "-1", "1", "--out", "few.npz"), "a folder is needed"),
    ],
)
def test_refusals(options, text):
    assert text in refuse("regions", "nets:plain", *options)


def test_points_that_are_not_there_or_lie_on_a_line():
    few = ("nets:few", "--data", "few.npz", "--plane")
    assert "there is no point 60" in refuse("regions", *few, "0", "1", "60")
    assert "must span a plane" in refuse("regions", *few, "0", "1", "1")
