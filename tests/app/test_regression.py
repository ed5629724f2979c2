"""Terms of a regression in the explorer: values of outputs instead of labels, and they are those of the Python API."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import tropica as tp
from tests.app.browser import opened
from tests.app.explored import ask, served
from tests.app.test_browser_decisions import number
from tropica.app.encoding import unpacked
from tropica.app.inputs import Inputs
from tropica.app.session import Session
from tropica.cli.explorer import load

NAMES = ("length", "width", "height", "weight")


def quiet(done: int, total: int, message: str) -> None:
    """A report that nobody reads."""


def table_inputs() -> Inputs:
    """A network of two outputs on a table of four named features."""
    torch.manual_seed(3)
    model = torch.nn.Sequential(torch.nn.Linear(4, 12), torch.nn.ReLU(), torch.nn.Linear(12, 2)).eval()
    x = torch.randn(90, 4)
    training = tp.LabelledData(x[:60], None, "table", 2, "train", None, NAMES)
    test = replace(training, inputs=x[60:], split="test")
    return Inputs("net", tp.trace(model, x[:2]).for_task("regression"), training, test, task="regression")


@pytest.fixture(scope="module")
def regression() -> Iterator[tuple[Session, int]]:
    """A session that is ready, and its port."""
    with served(lambda report: table_inputs()) as (session, port):
        session.loading.wait(120)
        assert session.loading.state == "done", session.loading.error
        yield session, port


def function(inputs: Inputs) -> tp.ExtractedFunction:
    """N^(X) of the regression."""
    return tp.ExtractedFunction(tp.extract(inputs.net, inputs.training, task="regression"))


@pytest.mark.parametrize("output", [0, 1])
def test_a_click_is_tp_explain(regression, output):
    session, port = regression
    inputs, f = session.inputs, function(session.inputs)
    x = inputs.test.inputs[[7]]
    given = tp.explain(inputs.net, f, x, k=5, data=inputs.training, output=output)
    _, found = ask(port, f"explain?point=7&output={output}")
    terms = {name: [row[name] for row in found["terms"]] for name in found["terms"][0]}
    assert terms["term"] == given.top.index[0].tolist()
    for name, values in {"value": given.top.value, "angle": given.angle, "coefficient_distance": given.distance}.items():
        assert np.allclose(terms[name], values[0], rtol=1e-6, atol=1e-9), name
    assert np.allclose(found["values"], f(x)[0])
    assert np.allclose(found["logits"], inputs.net(x)[0].detach())
    assert found["margin"] == pytest.approx(float(given.margin[0]))
    assert np.allclose(unpacked(found["own"]), tp.local_terms(inputs.net, x)[0].weight[output], atol=1e-7)
    assert np.allclose(ask(port, f"shared?point=7&output={output}")[1]["shared"], given.shared[0])
    names = {"net": inputs.net, "training": inputs.training, "test": inputs.test, "tp": tp}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(found["python"], names)
    assert names["found"].top.index[0].tolist() == terms["term"]


@pytest.mark.parametrize("output", [0, 1])
def test_lists_and_errors(regression, output):
    session, port = regression
    inputs, f = session.inputs, function(session.inputs)
    network, values = inputs.net(inputs.test.inputs).detach()[:, output], f(inputs.test.inputs)[:, output]
    _, page = ask(port, f"points?order=difference&output={output}&count=500")
    order = [row["point"] for row in page["rows"]]
    assert sorted(order) == list(range(30))
    assert np.allclose([row["extracted"] for row in page["rows"]], values[order])
    apart = (network - values).abs()
    assert np.allclose([row["difference"] for row in page["rows"]], apart.sort(descending=True).values, atol=1e-6)
    active = f.active_term(inputs.test.inputs)[:, output]
    _, found = ask(port, f"decides?term={int(active[0])}&output={output}")
    assert [row["point"] for row in found["rows"]] == (active == active[0]).nonzero().flatten().tolist()
    errors = tp.regression_agreement(inputs.net, f, inputs.test.inputs).network_extracted
    row = next(row for row in ask(port, "agreement")[1]["rows"] if row["output"] == output)
    assert row["mean_absolute"] == pytest.approx(errors.mean_absolute[output], rel=1e-5)
    assert row["largest"] == pytest.approx(errors.largest[output], rel=1e-5)
    assert row["r2"] == pytest.approx(errors.r2[output], rel=1e-6)
    found = tp.explain(inputs.net, f, inputs.test.inputs, k=1, output=output)
    assert np.allclose(ask(port, f"scatter?output={output}")[1]["distance"], found.distance[:, 0], atol=1e-6)


def test_the_other_views(regression):
    session, port = regression
    f = function(session.inputs)
    plane = "points=test:1,test:2,training:3&low=0,0&high=1,1"
    _, found = ask(port, f"at?{plane}&t=0.25,0.5&output=1")
    x = torch.from_numpy(unpacked(found["x"]).copy()).float()[None]
    assert found["extracted"]["term"] == int(f.active_term(x)[0, 1])
    assert found["extracted"]["value"] == pytest.approx(float(f(x)[0, 1]))
    _, grid = ask(port, f"sample?{plane}&output=1")
    assert unpacked(grid["margin"]).shape == (grid["side"] ** 2,)
    _, counted = ask(port, f"counts?{plane}")
    assert counted["boundary"] is None
    _, segment = ask(port, "segment?points=test:1,training:3")
    assert unpacked(segment["scores"]).shape[1] == 2
    for question, error in [
        (f"terms?{plane}", "has no labels"),
        ("layers", "regression"),
        ("explain?point=0&output=2", "output must"),
    ]:
        status, found = ask(port, question)
        assert (status, error in found["error"]) == (400, True), found


def test_the_task_is_that_of_the_store(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inputs = table_inputs()
    np.save("rows.npy", inputs.training.inputs.numpy())
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1)).eval()
    shapes = ({0: torch.export.Dim("batch")},)
    torch.export.save(torch.export.export(model, (inputs.training.inputs[:2],), dynamic_shapes=shapes), "net.pt2")
    data = tp.load_data("rows.npy")
    tp.extract(tp.load_network("net.pt2"), data, task="regression", out="terms")
    opened = load("net.pt2", quiet, data="rows.npy", terms=[Path("terms")], arg=[])
    assert (opened.task, opened.net.task) == ("regression", "regression")
    names: dict[str, object] = {}
    exec(opened.lines, names)
    assert names["net"].task == "regression"  # type: ignore[attr-defined]
    session = Session(lambda report: replace(opened, task="classification"), "0")
    session.loading.wait(120)
    with pytest.raises(tp.InputError, match="open them with --task regression"):
        session.decided("calibrated")


def test_the_page(regression, browser):
    session, port = regression
    inputs, f = session.inputs, function(session.inputs)
    with opened(browser, port, "#decisions?output=1&order=difference") as page:
        page.wait_for_selector(".tile")
        page.locator(".list .tile").first.click()
        page.wait_for_selector("table.terms")
        point = int(page.locator(".tile[aria-selected=true]").get_attribute("data-point") or -1)
        given = tp.explain(inputs.net, f, inputs.test.inputs[[point]], k=5, output=1)
        terms = [int(cell.inner_text()) for cell in page.locator("table.terms tbody td:first-child").all()]
        assert terms == given.top.index[0].tolist()
        shown = page.locator(".verdict b").all()
        assert number(shown[1].inner_text().removeprefix(" gives").strip().removeprefix("gives")) == pytest.approx(
            float(given.values[0, 1]), rel=1e-4
        )
        features = [cell.inner_text() for cell in page.locator("table.features tbody th").all()]
        assert features == list(NAMES)
        page.locator(".card:has-text('deciding')").click()
        page.wait_for_selector("h2:has-text('Training point')")
    with opened(browser, port, "#planes?points=test:1,test:2,training:3&output=1") as page:
        page.wait_for_selector("#plane[data-complete=true]")
        assert "value of output 1" in page.locator(".key").inner_text()
    with opened(browser, port, "#segment?points=test:1,test:2") as page:
        page.wait_for_selector("svg.chart")
    with opened(browser, port, "#comparison?output=1") as page:
        page.wait_for_selector("svg.cloud circle")
        assert page.locator("table.agreement tr.active").count() == 2
