"""Results made of cells: integrals, level sets, images, preimages, facets, tables, files; limits and interrupts."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import tropica as tp
from tests.degenerate_networks import degenerate_network
from tests.oracles.cells import decision_boundary, enumerate_cells
from tests.oracles.convex import box
from tests.regions.test_complex import NONLINEARITIES, mlp, traced
from tropica.regions.complex import enumerated
from tropica.regions.engine.settings import EnumerationSettings


def relu_net(weight: list[list[float]], out: list[list[float]]) -> tp.PiecewiseLinearNetwork:
    """out · relu(weight · x), without biases."""
    inputs, hidden, outputs = len(weight[0]), len(weight), len(out)
    model = nn.Sequential(nn.Linear(inputs, hidden, bias=False), nn.ReLU(), nn.Linear(hidden, outputs, bias=False)).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor(weight))  # type: ignore[operator]
        model[2].weight.copy_(torch.tensor(out))  # type: ignore[operator]
    return tp.trace(model.eval(), torch.zeros(2, inputs, dtype=torch.float64))


def diamond() -> tp.RegionComplex:
    """|x| + |y| on [−2, 2]²."""
    return tp.linear_regions(relu_net([[1, 0], [-1, 0], [0, 1], [0, -1]], [[1, 1, 1, 1]]), tp.Box(-2, 2, d=2))


@pytest.mark.parametrize(
    ("seed", "d", "kind", "activation"),
    [
        (0, 1, "multiple 0.1", "relu"),
        (1, 2, "copies", "maxout"),
        (2, 2, "scale 1e300", "relu"),
        (3, 3, "grid", "leaky"),
        (
            1,
            2,
            "scale 1e30",
            "relu6",
        ),  # a cell of width 1e-30 with slopes of 1e30: nothing is left of values at rounded vertices
    ],
)
def test_integral_and_image(seed: int, d: int, kind: str, activation: str) -> None:
    case = degenerate_network(seed, d=d, kind=kind, activation=activation)
    cells = enumerate_cells(case.layers, [box([-3] * d, [3] * d)])
    wanted = [float(x) for x in cells.integral()]
    points = [(form, Fraction(1, v[-1]), v) for cell in cells.cells for form in [cell.outputs] for v in cell.body.vertices]
    values = np.array([[float(sum(a * x for a, x in zip(f, v, strict=True)) * w) for f in forms] for forms, w, v in points])
    cut, _ = decision_boundary(case.layers, box([-3] * d, [3] * d), case.outputs)
    shares = np.zeros(max(2, case.outputs))
    for cell in cut.cells:
        shares[cell.pattern[-1]] += float(cell.body.volume() or 0)
    cx = tp.linear_regions(case.net, tp.Box(-3, 3, d=d))
    image, found = cx.image(), cx.integral()
    np.testing.assert_allclose([image.lower, image.upper], [values.min(0), values.max(0)], rtol=1e-7)
    np.testing.assert_allclose(found.outputs, wanted, rtol=1e-9)
    np.testing.assert_allclose(found.label_shares, shares / shares.sum(), atol=1e-12)
    assert found.volume == pytest.approx(6**d)
    assert found.to_dataframe()["share"].sum() == pytest.approx(1)


def test_volumes_are_those_of_inputs() -> None:
    """A square of side 2 in a plane of three inputs."""
    net = relu_net([[1, 0, 0]], [[1]])
    cx = tp.linear_regions(net, tp.Slice([0, 0, 0], [[2, 0, 0], [0, 0, 2]], tp.Box(-0.5, 0.5, d=2)))
    assert cx.volumes.tolist() == [2, 2]
    assert cx.boundary().measure == 2
    assert cx.integral().outputs.tolist() == [pytest.approx(1)]


def test_level_sets_images_and_preimages() -> None:
    cx = diamond()
    level = cx.boundary(level=1)
    assert (len(level), level.labels.tolist()) == (4, [[0, 1]] * 4)
    assert level.measure == pytest.approx(4 * 2**0.5)
    assert cx.preimage([[1.0], [-1.0]], [1.0, 0.0]).volume == pytest.approx(2)
    assert len(cx.preimage([[1.0]], [-1.0])) == len(cx.preimage([[1.0], [-1.0]], [-1.0, 9.0])) == 0
    image = cx.image()
    assert (image.lower.tolist(), image.upper.tolist(), len(image)) == ([0], [4], 4)
    assert len(cx.boundary(level=-1)) == 0
    with pytest.raises(tp.InputError, match="a finite number"):
        cx.boundary(output=0)
    with pytest.raises(tp.InputError, match="from 0 to 0"):
        cx.boundary(level=1, output=2)
    with pytest.raises(tp.InputError, match=r"\(k, 1\) for 1 outputs"):
        cx.preimage([[1.0, 2.0]], [1.0])


def test_regions_connected_through_a_point() -> None:
    """relu(x) + relu(y) − relu(x + y) is 0 on two quadrants that touch at the origin."""
    net = relu_net([[1, 0], [0, 1], [1, 1]], [[1, 1, -1]])
    facet, point = (tp.linear_regions(net, tp.Box(-1, 1, d=2), connected=c) for c in ("facet", "point"))
    assert (len(facet), len(facet.maps)) == (len(point), len(point.maps)) == (6, 5)
    assert (len(facet.regions), len(point.regions)) == (6, 5)
    with pytest.raises(tp.InputError, match='connected must be "facet" or "point"'):
        tp.linear_regions(net, tp.Box(-1, 1, d=2), connected="corner")  # type: ignore[arg-type]


def test_facets_know_their_units() -> None:
    net = traced(mlp(2, 5, 4, 2, seed=3), 2)
    cx = tp.linear_regions(net, tp.Box(-1.5, 1, d=2))
    bits = np.unpackbits(cx.patterns, axis=1).astype(int)
    flipped = np.argmax(bits[cx.adjacency[:, 0]] != bits[cx.adjacency[:, 1]], axis=1)
    first = net.nonlinearities[0].units
    assert (cx.facets.cells == cx.adjacency).all()
    assert (cx.facets.unit + first * cx.facets.depth).tolist() == flipped.tolist()
    assert cx.facets.names == tuple(node.name for node in net.nonlinearities)
    np.testing.assert_allclose(cx.facets.sizes, [np.linalg.norm(np.diff(p, axis=0)) for p in cx.facets.pieces])
    assert cx.facets.to_dataframe().shape == (len(cx.adjacency), 5)


def test_tables_and_graphs() -> None:
    cx = diamond()
    frame = cx.to_dataframe()
    assert (len(frame), frame["volume"].sum(), set(frame["region"])) == (4, 16, set(range(4)))
    assert (frame[["weight0_0", "weight0_1"]].abs() == 1).all(axis=None)
    graph = cx.dual_graph()
    assert (graph.sum(1).tolist(), (graph != graph.T).nnz) == ([2] * 4, 0)


def test_limits_and_interrupts(monkeypatch: pytest.MonkeyPatch) -> None:
    net, domain = traced(mlp(2, 24, 24, 1), 2), tp.Box(-1, 1, d=2)
    whole = tp.linear_regions(net, domain)
    part = tp.linear_regions(net, domain, max_cells=10, threads=1)
    assert 10 <= len(part) < len(whole)
    assert (part.complete, part.certified, whole.certified) == (False, False, True)
    assert "not all: max_cells=10" in repr(part)
    assert part.adjacency.max() < len(part)
    with pytest.raises(tp.InputError, match="not all there, max_cells=10"):
        part.integral()

    class Interrupted(enumerated.LimitedStream):
        def __iter__(self):
            yield next(super().__iter__())
            raise KeyboardInterrupt

    monkeypatch.setattr(enumerated, "LimitedStream", Interrupted)
    stopped = tp.linear_regions(net, domain)
    assert (len(stopped) > 0, stopped.stopped) == (True, "Ctrl-C")
    monkeypatch.undo()
    for wrong in ({"max_cells": 0}, {"threads": 0}, {"max_seconds": "1"}, {"simplify": 1}, {"progress": 3}, {"memory": -1}):
        name = next(iter(wrong))
        for call in (tp.linear_regions, tp.count_cells, tp.iter_cells):
            with pytest.raises(tp.InputError, match=f"^{name} must be"):
                call(net, domain, **wrong)


def test_hopeless_calls_are_refused_with_an_estimate() -> None:
    net = traced(mlp(784, 8, 1), 784)
    for call in (tp.linear_regions, tp.count_cells):
        with pytest.raises(tp.InputError, match=r"2\^784 cells. Take a plane or a segment .*tp.estimate_regions"):
            call(net, tp.Box(0, 1, d=784))
    with pytest.raises(tp.InputError, match="less than one block"):
        tp.linear_regions(traced(mlp(2, 8, 1), 2), tp.Box(-1, 1, d=2), memory=20_000)


def test_progress_is_the_share_of_the_volume() -> None:
    seen: list[tuple[int, int, str]] = []
    cx = tp.linear_regions(traced(mlp(2, 24, 24, 1), 2), tp.Box(-1, 1, d=2), progress=lambda *a: seen.append(a))
    assert seen[-1] == (len(cx), len(cx), "cells")
    assert len(seen) > 1


def test_settings_of_the_caller_change_nothing() -> None:
    case = degenerate_network(2, d=2, kind="scale 1e-300", activation="relu")
    domain = tp.Box(-3, 3, d=2)
    wanted = tp.linear_regions(case.net, domain)
    cx = tp.linear_regions(case.net, domain)
    torch.set_flush_denormal(True)
    try:
        with torch.inference_mode(), torch.autocast("cpu"), np.errstate(all="raise"):
            found = cx.boundary(), cx.integral(), cx.map_of, cx.region_of, cx.facets.sizes, cx.locate(cx.centers)
    finally:
        torch.set_flush_denormal(False)
    boundary, integral, map_of, region_of, sizes, cells = found
    assert boundary.measure == wanted.boundary().measure
    assert integral.outputs.tolist() == wanted.integral().outputs.tolist()
    assert (map_of == wanted.map_of).all()
    assert (region_of == wanted.region_of).all()
    assert (sizes == wanted.facets.sizes).all()
    assert cells.tolist() == list(range(len(wanted)))


def test_one_count_however_it_is_asked_for() -> None:
    net, domain = traced(NONLINEARITIES["pool"]().double().eval(), 2), tp.Box(-1, 1, d=2)
    for simplify in (True, False):
        cx = tp.linear_regions(net, domain, simplify=simplify)
        assert len(cx) == tp.count_cells(net, domain, simplify=simplify)
        assert cx.locate(cx.centers).tolist() == list(range(len(cx)))
    assert len(tp.linear_regions(net, domain)) < len(cx)
    assert len(tp.linear_regions(net, domain).regions) == len(cx.regions)


def test_upto_a_layer(tmp_path: Path) -> None:
    net, domain = traced(mlp(2, 6, 5, 2, seed=1), 2), tp.Box(-1, 1, d=2)
    cx = tp.linear_regions(net, domain, upto="1")
    assert (len(cx), cx.logits[1].shape[1]) == (tp.count_cells(net, domain, upto="1"), 6)
    np.testing.assert_allclose(
        cx.net(cx.embed(cx.centers))[:, 0], (cx.logits[0] @ cx.centers[:, :, None])[:, 0, 0] + cx.logits[1][:, 0]
    )
    cx.save(tmp_path / "cx")
    assert len(tp.load_regions(tmp_path / "cx", net).regions) == len(cx.regions)
    with pytest.raises(tp.InputError, match="nothing in the network is called"):
        tp.linear_regions(net, domain, upto="9")


def test_exports(tmp_path: Path) -> None:
    net = relu_net([[1, 0, 0], [0, 1, 0]], [[1, 1]])
    cx = tp.linear_regions(net, tp.Box(-1, 1, d=3))
    cx.export(tmp_path / "cells.vtu")
    piece = ET.parse(tmp_path / "cells.vtu").getroot().find(".//Piece")
    assert piece is not None
    assert piece.attrib == {"NumberOfPoints": "32", "NumberOfCells": "4"}
    arrays = {a.get("Name"): (a.text or "").split() for a in piece.iter("DataArray")}
    assert (arrays["offsets"], arrays["types"], arrays["volume"]) == (["8", "16", "24", "32"], ["42"] * 4, ["2.0"] * 4)
    assert arrays["faces"][0] == "6"
    assert arrays["faceoffsets"] == ["31", "62", "93", "124"]
    third = tp.linear_regions(relu_net([[1.0]], [[1.0]]), tp.Polytope([["1"], [-1]], [Fraction(1, 3), 1]))
    third.export(tmp_path / "cells.json")
    content = json.loads((tmp_path / "cells.json").read_text())
    assert sorted(content["VERTICES"]) == [["1", "-1"], ["1", "0"], ["1", "1/3"]]
    assert [sorted(c) for c in content["MAXIMAL_POLYTOPES"][:-1]]
    assert content["MAXIMAL_POLYTOPES"][-1] == {"cols": 3}
    with pytest.raises(tp.InputError, match=r"exported as \.vtu .* found \.stl"):
        cx.export(tmp_path / "cells.stl")


def test_settings_are_checked_once() -> None:
    assert EnumerationSettings(threads=3).number_of_threads == 3
    assert EnumerationSettings().number_of_threads >= 1


def test_a_closed_surface_as_a_mesh(tmp_path: Path) -> None:
    """|x+y+z| + |y+z| + |x+z| + |x+y| + |x| + |y| + |z| = 2: a polytope of 32 facets."""
    rows = [[1, 1, 1], [0, 1, 1], [1, 0, 1], [1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    cx = tp.linear_regions(relu_net([*rows, *[[-x for x in r] for r in rows]], [[1] * 14]), tp.Box(-1, 1, d=3))
    boundary = cx.boundary(level=2)
    mesh = boundary.mesh()
    assert (len(cx), len(mesh), mesh.closed, mesh.euler_characteristic) == (32, 32, True, 2)
    assert set(mesh.edges.values()) == {2}
    assert mesh.area == pytest.approx(boundary.measure)
    a, b, c = (mesh.vertices[mesh.triangles[:, k]] for k in range(3))
    volume = float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)  # positive: normals point outward, to larger values
    assert volume == pytest.approx(cx.preimage([[1.0]], [2.0]).volume)
    mesh.save(tmp_path / "m.ply")
    lines = (tmp_path / "m.ply").read_text().splitlines()
    assert lines[2] == f"element vertex {len(mesh.vertices)}"
    assert len(lines) == 9 + len(mesh.vertices) + 32
    mesh.save(tmp_path / "m.stl")
    assert (tmp_path / "m.stl").stat().st_size == 84 + 50 * len(mesh.triangles)
    mesh.save(tmp_path / "m.obj")
    assert (tmp_path / "m.obj").read_text().count("f ") == 32
    with pytest.raises(tp.InputError, match=r"\.ply, \.obj, \.stl or \.html"):
        mesh.save(tmp_path / "m.xyz")
    with pytest.raises(tp.InputError, match="3 dimensions"):
        diamond().boundary(level=1).mesh()
