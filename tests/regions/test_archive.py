"""A complex on disk: what comes back, with the network and without, and files that are refused."""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch

import tropica as tp
from tests.regions.test_complex import NONLINEARITIES, mlp, traced
from tropica.regions.complex.archive import HEADER


@functools.cache
def net() -> tp.PiecewiseLinearNetwork:
    return traced(mlp(2, 8, 8, 3, seed=3), 2)


DOMAINS = {
    "box": (net, tp.Box([-1, -2], [1, 2])),
    "space": (net, tp.Space(2)),
    "plane": (net, tp.Plane.through([0, 0], [1, 0], [0.5, 1])),
    "interval": (lambda: traced(mlp(1, 6, 6, 2), 1), tp.Box(-1, 1, d=1)),
    "solid": (lambda: traced(mlp(3, 6, 6, 1), 3), tp.Box(-1, 1, d=3)),
    "pool": (lambda: traced(NONLINEARITIES["pool"]().double().eval(), 2), tp.Box(-1, 1, d=2)),
}


@pytest.mark.parametrize("norm", ["l1", "linf"])
def test_facets_of_the_domain_keep_their_numbers(norm: str, tmp_path: Path) -> None:
    """What is solved for again from a file, with the hyperplanes of the domain, is what it was."""
    cx = tp.linear_regions(net(), tp.Ball([0.25, 0.5], 1, norm=norm))
    cx.save(tmp_path / "cx")
    again = tp.load_regions(tmp_path / "cx", net())
    assert again.audit().passed
    assert again.boundary().measure == cx.boundary().measure
    cx.export(tmp_path / "one.json")
    again.export(tmp_path / "two.json")
    assert (tmp_path / "one.json").read_text() == (tmp_path / "two.json").read_text()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "box.safetensors"
    tp.linear_regions(net(), tp.Box(-1, 1, d=2)).save(path)
    return path


@pytest.mark.parametrize("name", DOMAINS)
def test_there_and_back(name: str, tmp_path: Path) -> None:
    make, domain = DOMAINS[name]
    made = make()
    cx = tp.linear_regions(made, domain)
    assert isinstance(cx, tp.RegionComplex)
    cx.save(tmp_path / "cx")
    again = tp.load_regions(tmp_path / "cx")
    assert [p.name for p in tmp_path.iterdir()] == ["cx"]
    assert (len(again), again.dimension, again.undecided, again.certified) == (
        len(cx),
        cx.dimension,
        cx.undecided,
        cx.certified,
    )
    assert (again.fingerprint, repr(again)) == (made.fingerprint, repr(cx))
    for part in ("centers", "map_of", "volumes", "adjacency"):
        np.testing.assert_array_equal(getattr(again, part), getattr(cx, part))
    for part in ("logits", "corners"):
        for one, two in zip(getattr(again, part), getattr(cx, part), strict=True):
            np.testing.assert_array_equal(one, two)
    assert [m.tolist() for m in again.regions] == [m.tolist() for m in cx.regions]
    assert len(again.maps) == len(cx.maps)
    if name == "pool":  # a relu and its pool are merged
        with pytest.raises(tp.InputError, match="several activation patterns"):
            again.patterns  # noqa: B018
    else:
        np.testing.assert_array_equal(again.patterns, cx.patterns)
    np.testing.assert_array_equal(again[1].vertices, cx[1].vertices)
    np.testing.assert_array_equal(np.asarray(again.domain.limits()), np.asarray(domain.limits()))
    with pytest.raises(tp.InputError, match=r"load_regions\(path, net\)"):
        again.boundary()

    whole = tp.load_regions(tmp_path / "cx", made.to(torch.float32) if name == "box" else made)
    np.testing.assert_array_equal(whole.locate(cx.centers), np.arange(len(cx)))
    assert whole.boundary().measure == cx.boundary().measure
    whole.save(tmp_path / "once more")
    assert (tmp_path / "once more").read_bytes() == (tmp_path / "cx").read_bytes()


def test_corners_of_joined_cells_are_their_outermost_points() -> None:
    """Parts of a cell that pools cut may meet inside of it; its corners then leave that point out."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        net = traced(
            torch.nn.Sequential(torch.nn.Linear(2, 24), torch.nn.MaxPool1d(6), torch.nn.Linear(4, 2)).double().eval(), 2
        )
    cx = tp.linear_regions(net, tp.Box(-2, 2, d=2))
    starts, at = cx.corners
    polygons = np.split(at[:, :2], starts[1:-1])
    areas = [abs((p[:, 0] * np.roll(p[:, 1], -1) - p[:, 1] * np.roll(p[:, 0], -1)).sum()) / 2 for p in polygons]
    np.testing.assert_allclose(areas, cx.volumes, atol=1e-12)


def test_another_network_is_refused(saved: Path) -> None:
    with pytest.raises(tp.StoreError, match=rf"{saved.name}: of another network"):
        tp.load_regions(saved, traced(mlp(2, 8, 8, 3, seed=4), 2))
    with pytest.raises(tp.InputError, match="traced network"):
        tp.load_regions(saved, mlp(2, 3, 1))  # type: ignore[arg-type]


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    with pytest.raises(tp.StoreError, match="file: no such file"):
        tp.load_regions(file)
    with pytest.raises(tp.StoreError, match="cannot be read"):
        tp.load_regions(tmp_path)
    for raw in (b"", b"\x80\x04K\x01.", b"\xff" * 100):
        file.write_bytes(raw)
        with pytest.raises(tp.StoreError, match="file: cannot be read"):
            tp.load_regions(file)
    safetensors.numpy.save_file({"weight": np.zeros(3)}, file)
    with pytest.raises(tp.StoreError, match="not a file of linear regions"):
        tp.load_regions(file)


def test_damaged_files_are_refused(saved: Path) -> None:
    raw = saved.read_bytes()
    for cut in (9, 300, len(raw) - 1):
        saved.write_bytes(raw[:cut])
        with pytest.raises(tp.StoreError, match=saved.name):
            tp.load_regions(saved)
    flipped = bytearray(raw)
    flipped[-5] ^= 1
    saved.write_bytes(flipped)
    with pytest.raises(tp.StoreError, match="damaged"):
        tp.load_regions(saved)


@pytest.mark.parametrize("change", [{"format": 99}, {"kind": "terms"}, {"domain": "Ball"}, {"dimension": 3}, {"sha256": None}])
def test_headers_that_lie_are_refused(saved: Path, change: dict[str, object]) -> None:
    with safetensors.safe_open(saved, "numpy") as file:
        header = json.loads(file.metadata()[HEADER])
    safetensors.numpy.save_file(safetensors.numpy.load_file(saved), saved, {HEADER: json.dumps(header | change)})
    with pytest.raises(tp.StoreError, match=saved.name):
        tp.load_regions(saved)


def test_what_cannot_be_written(tmp_path: Path) -> None:
    cx = tp.linear_regions(net(), tp.Box(-1, 1, d=2))
    with pytest.raises(tp.StoreError, match="cannot be written"):
        cx.save(tmp_path / "none" / "cx")
    with pytest.raises(tp.StoreError, match="cannot be written"):
        cx.save(tmp_path)
    assert not list(tmp_path.iterdir())


def test_networkx(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("networkx")
    cx = tp.linear_regions(net(), tp.Box(-1, 1, d=2))
    graph = cx.to_networkx()
    assert (graph.number_of_nodes(), graph.number_of_edges()) == (len(cx), len(cx.adjacency))
    assert sum(volume for _, volume in graph.nodes(data="volume")) == pytest.approx(4)
    assert {map_ for _, map_ in graph.nodes(data="map")} == set(cx.map_of.tolist())
    assert graph.nodes[0]["center"] == tuple(cx.centers[0].tolist())
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(tp.InputError, match=r"pip install 'tropica\[networkx\]'"):
        cx.to_networkx()
