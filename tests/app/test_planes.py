"""The views of planes and segments say what the Python API says."""

from __future__ import annotations

import contextlib
import io
import json

import numpy as np
import pytest
import torch

import tropica as tp
from tests.app.explored import TOKEN, ask, send
from tropica.app import plane_terms, planes
from tropica.app.encoding import unpacked

PLANE = "points=test:1,test:2,training:3&low=0,0&high=0.5,0.5"


def domain(inputs):
    a, b, c = (x.double().flatten().numpy() for x in (*inputs.test.inputs[1:3], inputs.training.inputs[3]))
    return tp.Slice(a, np.stack([b - a, c - a]), tp.Box([0, 0], [0.5, 0.5]))


def parts(port, question):
    status, _, body = send(port, f"/api/{question}", Authorization=f"Bearer {TOKEN}")
    assert status == 200, body
    return [json.loads(line) for line in body.splitlines()]


def area(block):
    starts, at = unpacked(block["starts"]), unpacked(block["corners"])
    after = np.arange(1, len(at) + 1)
    after[starts[1:] - 1] = starts[:-1]
    cross = at[:, 0] * at[after, 1] - at[:, 1] * at[after, 0]
    return np.add.reduceat(cross, starts[:-1]) / 2


def test_cells_are_those_of_linear_regions(explorer):
    session, port = explorer
    net = session.inputs.net
    given = parts(port, f"cells?{PLANE}")
    ends = [part for part in given if part.get("done")]
    layers = [node.name for node in net.nonlinearities]
    assert [part["level"] for part in ends] == [*range(len(layers) - 1), len(layers)]
    for end in ends:
        upto = None if end["level"] == len(layers) else layers[end["level"]]
        cx = tp.linear_regions(net, domain(session.inputs), upto=upto)
        blocks = [part for part in given if part["level"] == end["level"] and "corners" in part]
        areas = np.concatenate([area(block) for block in blocks])
        assert (end["cells"], end["complete"], len(areas)) == (len(cx), True, len(cx))
        assert (areas > 0).all()  # the corners are in order
        assert np.allclose(np.sort(areas * cx.domain.volume_scale), np.sort(cx.volumes))
    cx = tp.linear_regions(net, domain(session.inputs))
    last = [part for part in given if "maps" in part]
    for block in last:
        starts, at, maps = (unpacked(block[name]) for name in ("starts", "corners", "maps"))
        t = np.add.reduceat(at, starts[:-1]) / np.diff(starts)[:, None]
        weight, bias = (array[cx.locate(t)] for array in cx.logits)
        assert np.allclose(maps[:, :, :2], weight, atol=1e-9)
        assert np.allclose(maps[:, :, 2], bias, atol=1e-9)
    assert ask(port, f"counts?{PLANE}")[1] == {
        "cells": len(cx),
        "complete": True,
        "regions": len(cx.regions),
        "maps": len(cx.maps),
        "certified": True,
        "boundary": cx.boundary().measure,
    }


@pytest.mark.parametrize(("limit", "value"), [("MOST_SECONDS", 1e-9), ("MOST_CELLS", 2)])
def test_a_view_that_a_limit_ended_is_not_complete(explorer, monkeypatch, limit, value):
    """Of cells and of seconds: the page must not call such a view whole."""
    session, port = explorer
    monkeypatch.setattr(planes, limit, value)
    end = parts(port, f"cells?{PLANE}")[-1]
    assert end["done"]
    assert (end["level"], end["complete"]) == (len(session.inputs.net.nonlinearities), False)
    monkeypatch.setattr(plane_terms, "MOST_SECONDS", 1e-9)
    status, found = ask(port, f"terms?{PLANE}")
    assert status == 400
    assert "zoom in" in found["error"]


def test_a_point_of_a_plane(explorer):
    session, port = explorer
    inputs = session.inputs
    _, found = ask(port, f"at?{PLANE}&t=0.2,0.3")
    x = torch.from_numpy(domain(inputs).origin + np.array([0.2, 0.3]) @ domain(inputs).basis).float().reshape(1, 1, 8, 8)
    assert np.allclose(unpacked(found["x"]), x.flatten())
    assert np.allclose(found["scores"], inputs.net(x)[0].detach())
    assert found["pattern"] == inputs.net.activation_pattern(x)[0].numpy().tobytes().hex()
    assert np.allclose(unpacked(found["own"]), tp.local_terms(inputs.net, x)[0].weight[0])
    f = session.decided("calibrated").f
    assert found["extracted"] == {"label": int(f.predict(x)), "term": int(f.active_term(x))}


def test_active_terms_on_a_plane(explorer):
    """At points inside of the polygons the term is ``f.active_term``; the polygons fill the view."""
    session, port = explorer
    _, found = ask(port, f"terms?{PLANE}")
    starts, at = unpacked(found["starts"]), unpacked(found["corners"])
    assert area(found).sum() == pytest.approx(0.25)
    t = np.add.reduceat(at, starts[:-1]) / np.diff(starts)[:, None]
    flat = domain(session.inputs)
    x = torch.from_numpy(t @ flat.basis + flat.origin).float().reshape(-1, 1, 8, 8)
    f = session.decided("calibrated").f
    assert f.active_term(x).tolist() == found["terms"]
    assert f.predict(x).tolist() == found["labels"]
    assert len(set(found["terms"])) > 3


def test_a_segment(explorer):
    session, port = explorer
    inputs = session.inputs
    _, found = ask(port, "segment?points=test:1,training:3")
    ends = inputs.test.inputs[1].double(), inputs.training.inputs[3].double()
    given = tp.linear_regions(inputs.net, tp.Segment(*ends))
    assert np.array_equal(unpacked(found["t"]), given.breakpoints)
    assert (found["cells"], found["regions"], found["maps"]) == (len(given.cells), len(given.regions), len(given.maps))
    x = given.embed(given.breakpoints[:, None])
    assert np.allclose(unpacked(found["scores"]), inputs.net.to(torch.float64)(x).detach(), atol=1e-9)
    changes = given.label_changes()
    assert (found["changes"]["t"], found["changes"]["labels"]) == (changes.t.tolist(), changes.labels.tolist())
    _, at = ask(port, "at_segment?points=test:1,training:3&t=0.25")
    assert np.allclose(unpacked(at["x"]), given.embed(np.array([[0.25]])).flatten(), atol=1e-6)


@pytest.mark.parametrize("plane", [PLANE, "center=test:4&directions=axis:20,random:7&low=-0.5,-0.5&high=0.5,0.5"])
def test_python_lines_of_planes(explorer, plane):
    session, port = explorer
    names = {"net": session.inputs.net, "training": session.inputs.training, "test": session.inputs.test, "tp": tp}
    _, found = ask(port, f"plane?{plane}")
    with contextlib.redirect_stdout(io.StringIO()):
        exec(found["python"], names)
    assert len(names["cx"]) == ask(port, f"counts?{plane}")[1]["cells"]
    _, found = ask(port, "segment?points=test:1,training:3")
    with contextlib.redirect_stdout(io.StringIO()):
        exec(found["python"], names)
    assert len(names["found"].cells) == found["cells"]


@pytest.mark.parametrize(
    ("question", "error"),
    [
        ("plane", "name three points, or a center"),
        ("plane?points=test:1,test:2", "goes through three points; found 2"),
        ("plane?points=test:1,test:1,test:2", "span no plane"),
        ("plane?points=test:1,test:2,test:80", "there are the points 0 … 79"),
        ("cells?points=test:1,test:2,elsewhere:3", "a point is named as"),
        ("plane?center=test:1&directions=axis:64,axis:1", "an input up to 63"),
        (f"plane?{PLANE}&level=1&high=-1,1", "low must be below high"),
        ("segment?points=test:1,test:1", "must differ"),
        (f"cells?{PLANE}&level=9", "level must be a whole number from 0"),
    ],
)
def test_bad_planes(explorer, question, error):
    question = question.replace("&high=0.5,0.5", "") if "high=-1" in question else question
    status, found = ask(explorer[1], question)
    assert status == 400
    assert error in found["error"]
