"""The view Decisions says what the Python API says."""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import tropica as tp
from tests.app.explored import ask
from tropica.app.encoding import unpacked

DOCS = Path(tp.__file__).parents[2] / "docs"


def of(session, method):
    inputs = session.inputs
    return inputs, tp.ExtractedFunction(tp.extract(inputs.net, inputs.training, method))


@pytest.mark.parametrize("method", ["calibrated", "minimal", "paper"])
def test_a_click_is_tp_explain(explorer, method):
    session, port = explorer
    session.start(method).wait(60)
    inputs, f = of(session, method)
    number = 7
    given = tp.explain(inputs.net, f, inputs.test.inputs[[number]], inputs.test.labels[[number]], 5, data=inputs.training)
    status, found = ask(port, f"explain?point={number}&method={method}")
    assert status == 200
    terms = {name: [row[name] for row in found["terms"]] for name in found["terms"][0]}
    assert (terms["term"], terms["label"]) == (given.top.index[0].tolist(), given.top.label[0].tolist())
    numbers = {"value": given.top.value, "angle": given.angle, "coefficient_distance": given.distance}
    for name, values in (numbers | {"point_distance": given.point_distance}).items():
        assert np.allclose(terms[name], values[0], rtol=1e-6, atol=1e-9), name
    assert np.allclose(terms["behind"], given.top.value[0, 0] - given.top.value[0])
    assert (found["network"], found["extracted"], found["true"]) == tuple(
        int(label[0]) for label in (given.network_label, given.extracted_label, given.true_label)
    )
    assert np.allclose(found["logits"], inputs.net(inputs.test.inputs[[number]])[0].detach(), rtol=1e-6)
    values = [float(v.replace("-∞", "-inf")) if isinstance(v, str) else v for v in found["values"]]
    assert np.allclose(values, given.values[0])
    assert np.isclose(found["margin"], given.margin[0])
    _, more = ask(port, f"shared?point={number}&method={method}")
    assert np.allclose(more["shared"], given.shared[0])
    assert more["layers"] == list(given.layers)
    assert found["nearest"]["term"] == int(given.nearest.index[0])
    assert np.isclose(found["nearest"]["distance"], given.nearest.distance[0])
    assert np.allclose(unpacked(found["own"]), given.own.weight[0], rtol=1e-6)
    assert np.allclose(unpacked(found["coefficients"])[0], given.active.weight[0], rtol=1e-6)
    assert np.array_equal(unpacked(found["training"])[0], given.training.points[0, 0].flatten())
    assert np.array_equal(unpacked(found["x"]), inputs.test.inputs[number].flatten())


def test_the_other_way_round_is_tp_influence(explorer):
    session, port = explorer
    inputs, f = of(session, "calibrated")
    given, active = tp.influence(f, inputs.test), f.active_term(inputs.test)
    number = int(given.order[0])
    _, found = ask(port, f"decides?term={number}")
    assert [row["point"] for row in found["rows"]] == (active == number).nonzero().flatten().tolist()
    assert (len(found["rows"]), found["wrong"]) == (int(given.decides[number]), int(given.wrong[number]))
    assert found["label"] == int(given.label[number])
    assert found["known"] == found["points"] == len(inputs.test)


def test_filters_and_orders(explorer):
    session, port = explorer
    inputs, f = of(session, "calibrated")
    network, extracted, margin = inputs.net.predict(inputs.test.inputs), f.predict(inputs.test), f.margin(inputs.test)
    true = inputs.test.labels
    chosen = {
        "all": torch.ones(len(true), dtype=torch.bool),
        "correct": network == true,
        "wrong": network != true,
        "differs": network != extracted,
        "extracted%20wrong": extracted != true,
    }
    assert all(mask.any() for mask in chosen.values())
    for by, mask in chosen.items():
        _, found = ask(port, f"points?by={by}&count=500")
        assert [row["point"] for row in found["rows"]] == mask.nonzero().flatten().tolist()
    middle = float(margin.median())
    _, found = ask(port, f"points?order=margin&high={middle}&label=3&count=500")
    wanted = [i for i in margin.argsort(stable=True).tolist() if true[i] == 3 and margin[i] <= middle]
    assert [row["point"] for row in found["rows"]] == wanted
    _, found = ask(port, "points?first=60&count=15")
    assert ([row["point"] for row in found["rows"]], found["total"]) == (list(range(60, 75)), 80)


@pytest.mark.parametrize(
    ("question", "error"),
    [
        ("explain", "point is missing"),
        ("explain?point=80", "there are the points 0 … 79"),
        ("explain?point=-1", "whole number from 0"),
        ("explain?point=1&method=best", "method must be one of calibrated, minimal, paper"),
        ("explain?point=x", "whole numbers; found 'x'"),
        ("decides?term=120", "there are the points 0 … 119"),
        ("points?by=nice", "by must be one of"),
        ("points?low=nan", "finite"),
        ("points?count=100000", "count must be a whole number from 1 to 500"),
        ("images?of=/etc/passwd&points=1", "of must be one of test, training"),
        ("images?points=" + ",".join(["1"] * 501), "at most 500"),
    ],
)
def test_bad_questions_are_told_what_is_wrong(explorer, question, error):
    status, found = ask(explorer[1], question)
    assert status == 400
    assert error in found["error"]


def test_the_python_lines_give_the_same(explorer):
    session, port = explorer
    names = {"net": session.inputs.net, "training": session.inputs.training, "test": session.inputs.test, "tp": tp}
    _, found = ask(port, "explain?point=3")
    with contextlib.redirect_stdout(io.StringIO()):
        exec(found["python"], names)
    assert names["found"].top.index[0].tolist() == [row["term"] for row in found["terms"]]
    _, found = ask(port, "decides?term=5")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(found["python"], names)
    assert printed.getvalue().strip() == f"tensor({len(found['rows'])})"


def test_definitions_are_those_of_the_glossary():
    text = (DOCS / "glossary.md").read_text(encoding="utf8")
    known = {word: line.replace("`", "").replace("*", "") for word, line in re.findall(r"^(\S[^\n]*)\n  (.+)$", text, re.M)}
    shown = json.loads((Path(tp.__file__).parent / "app" / "static" / "glossary.json").read_text(encoding="utf8"))
    assert {word: known.get(word) for word in shown} == shown
