"""The views on three models that the explorer was not made with: a CNN, a table with names, a file of ONNX.

Each step in a real Chromium, and each number that the page shows beside that of the Python API.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import tropica as tp
from tests.app.browser import opened
from tests.app.explored import served
from tests.app.test_browser_decisions import number
from tropica.app.inputs import Inputs
from tropica.app.session import Session


class Residual(torch.nn.Module):
    """A small CNN with a leaky activation, a shortcut and max-pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.Conv2d(4, 4, 3, padding=1)
        self.bend, self.pool, self.last = torch.nn.LeakyReLU(0.1), torch.nn.MaxPool2d(2), torch.nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.bend(self.first(x))
        return self.last(self.pool(inner + self.bend(self.second(inner))).flatten(1))


def cnn(folder: Path) -> Inputs:
    """The CNN on digits."""
    torch.manual_seed(11)
    training, test = tp.load_data("digits", limit=100), tp.load_data("digits", split="test", limit=40)
    return Inputs("cnn", tp.trace(Residual().eval(), test.inputs[:2]), training, test)


def table(folder: Path) -> Inputs:
    """Rows of a CSV file with named columns and named labels."""
    random = np.random.default_rng(12)
    rows = random.normal(size=(140, 5))
    names = np.array(["low", "middle", "high"])[np.digitize(rows[:, 0] - rows[:, 3], [-0.6, 0.6])]
    lines = [
        "age,height,weight,income,rooms,label",
        *(",".join([*map(str, row), name]) for row, name in zip(rows, names, strict=True)),
    ]
    (folder / "table.csv").write_text("\n".join(lines) + "\n", encoding="utf8")
    data = tp.load_data(folder / "table.csv", label="label")
    torch.manual_seed(12)
    layers = [torch.nn.Linear(5, 20), torch.nn.ReLU(), torch.nn.Linear(20, 12), torch.nn.ReLU(), torch.nn.Linear(12, 3)]
    net = tp.trace(torch.nn.Sequential(*layers).eval(), data.inputs[:2])
    return Inputs("table", net, data, replace(data, inputs=data.inputs[:50] + 0.3, labels=data.labels[:50], split="test"))


def onnx_file(folder: Path) -> Inputs:
    """A network of MatMul, Add, Abs and Relu, and no batch norm or name that PyTorch would give."""
    onnx = pytest.importorskip("onnx")
    random, helper = np.random.default_rng(13), onnx.helper
    sizes = [("w0", (6, 18)), ("b0", (18,)), ("w1", (18, 9)), ("b1", (9,)), ("w2", (9, 4)), ("b2", (4,))]
    arrays = [onnx.numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name) for name, shape in sizes]
    chain = [
        ("MatMul", "w0"),
        ("Add", "b0"),
        ("Abs", ""),
        ("MatMul", "w1"),
        ("Add", "b1"),
        ("Relu", ""),
        ("MatMul", "w2"),
        ("Add", "b2"),
    ]
    nodes = [
        helper.make_node(op, [f"v{i}", *filter(None, [weight])], [f"v{i + 1}"], name=f"{op.lower()}{i}")
        for i, (op, weight) in enumerate(chain)
    ]
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", size]) for name, size in (("v0", 6), ("v8", 4))]
    model = helper.make_model(
        helper.make_graph(nodes, "g", ends[:1], ends[1:], arrays), opset_imports=[helper.make_opsetid("", 13)]
    )
    model.ir_version = 8
    onnx.save(model, folder / "net.onnx")
    x = torch.from_numpy(random.normal(size=(160, 6)).astype(np.float32))
    training = tp.LabelledData(x[:120], None, "rows", 4, "train")
    net = tp.load_network(folder / "net.onnx")
    return Inputs("net.onnx", net, training, replace(training, inputs=x[120:], split="test"))


@pytest.fixture(scope="module", params=[cnn, table, onnx_file], ids=["cnn", "table", "onnx"])
def model(request, tmp_path_factory) -> Iterator[tuple[Session, int]]:
    """A session of each model, and its port."""
    make: Callable[[Path], Inputs] = request.param
    inputs = make(tmp_path_factory.mktemp("model"))
    with served(lambda report: inputs) as (session, port):
        session.loading.wait(200)
        assert session.loading.state == "done", session.loading.error
        yield session, port


def test_a_click(model, browser):
    session, port = model
    inputs, point = session.inputs, 5
    f = tp.ExtractedFunction(tp.extract(inputs.net, inputs.training))
    x = inputs.test.inputs[[point]]
    given = tp.explain(inputs.net, f, x, k=5, data=inputs.training)
    with opened(browser, port, f"#decisions?point={point}") as page:
        page.wait_for_selector("[aria-label='Shared activations'] td")
        rows = [[cell.inner_text() for cell in row.locator("td").all()] for row in page.locator("table.terms tbody tr").all()]
        assert [int(row[0]) for row in rows] == given.top.index[0].tolist()
        for column, values in {3: given.top.value, 5: given.angle, 6: given.distance, 7: given.point_distance}.items():
            shown = [number(row[column].replace(" nearest", "")) for row in rows]
            assert shown == pytest.approx(values[0].tolist(), rel=1e-2, abs=1e-4)
        shared = [number(row[8]) / 100 for row in rows]
        assert shared == pytest.approx(given.shared[0].mean(1).tolist(), abs=1e-3)
        columns = [page.locator(f"table.outputs tbody td:nth-child({i})").all() for i in (2, 3)]
        logits, values = ([cell.inner_text() for cell in cells] for cells in columns)
        assert list(map(number, logits)) == pytest.approx(inputs.net.scores(x)[0].tolist(), rel=1e-4)
        finite = [(number(text), value) for text, value in zip(values, f(x)[0].tolist(), strict=True) if "∞" not in text]
        assert [a for a, _ in finite] == pytest.approx([b for _, b in finite], rel=1e-4)
        if inputs.test.feature_names:
            assert [cell.inner_text() for cell in page.locator("table.features tbody th").all()] == list(
                inputs.test.feature_names
            )
        page.locator(".card:has-text('deciding')").click()
        page.wait_for_selector("h2:has-text('Training point')")
        decides = int(tp.influence(f, inputs.test).decides[given.top.index[0, 0]])
        assert f"It decides {decides} test point" in page.locator(".verdict").inner_text()


def test_planes_segments_and_comparisons(model, browser):
    session, port = model
    inputs = session.inputs
    a, b, c = inputs.test.inputs[:3].double().flatten(1).numpy()
    cx = tp.linear_regions(inputs.net, tp.Slice(a, np.stack([b - a, c - a]), tp.Box([0, 0], [0.5, 0.5])))
    with opened(browser, port, "#planes?points=test:0,test:1,test:2&low=0,0&high=0.5,0.5") as page:
        page.wait_for_selector(f"#plane[data-complete=true][data-cells='{len(cx)}'][data-boundary]")
        shown = float(page.locator("#plane").get_attribute("data-boundary") or "nan")
        assert shown == pytest.approx(cx.boundary().measure, rel=1e-9, abs=1e-12)
    given = tp.linear_regions(inputs.net, tp.Segment(*inputs.test.inputs[:2].double()))
    with opened(browser, port, "#segment?points=test:0,test:1", 390) as page:
        page.wait_for_selector(f"svg.chart[data-breakpoints='{len(given) - 1}']")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    f = tp.ExtractedFunction(tp.extract(inputs.net, inputs.training))
    with opened(browser, port, "#comparison") as page:
        page.wait_for_selector("svg.cloud circle")
        share = number(page.locator("table.agreement tr.active td").first.inner_text())
        assert share == pytest.approx(100 * tp.agreement(inputs.net, f, inputs.test.inputs).network_extracted, abs=0.051)
