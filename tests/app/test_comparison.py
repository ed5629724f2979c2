"""The view Comparison says what the Python API says."""

from __future__ import annotations

import contextlib
import io
import time

import numpy as np

import tropica as tp
from tests.app.explored import ask


def test_agreement_and_scatter(explorer):
    session, port = explorer
    inputs = session.inputs
    f = tp.ExtractedFunction(tp.extract(inputs.net, inputs.training))
    given = tp.agreement(inputs.net, f, inputs.test)
    _, found = ask(port, "agreement")
    row = found["rows"][0]
    assert (row["method"], row["points"]) == ("calibrated", given.points)
    assert (row["network_extracted"], row["extracted_true"]) == (given.network_extracted, given.extracted_true)
    assert found["network_true"] == given.network_true
    _, found = ask(port, "scatter?method=calibrated")
    explained = tp.explain(inputs.net, f, inputs.test, k=1)
    assert found["points"] == list(range(80))
    assert np.allclose(found["angle"], explained.angle[:, 0])
    assert np.allclose(found["distance"], explained.distance[:, 0])
    assert found["same"] == (explained.network_label == explained.extracted_label).tolist()
    assert found["right"] == (explained.true_label == explained.extracted_label).tolist()
    names = {"net": inputs.net, "training": inputs.training, "test": inputs.test, "tp": tp}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(found["python"], names)
    assert np.allclose(tp.angles(names["own"], names["active"]), found["angle"])


def test_layers(explorer):
    session, port = explorer
    inputs = session.inputs
    until = time.monotonic() + 60
    while (answer := ask(port, "layers?method=calibrated"))[0] == 202 and time.monotonic() < until:
        time.sleep(0.1)
    given = tp.layerwise(inputs.net, inputs.training, inputs.test)
    assert answer[1]["rows"] == [vars(row) for row in given.rows]


def test_other_models(explorer):
    session, port = explorer
    inputs = session.inputs
    until = time.monotonic() + 60
    while (answer := ask(port, "models?other=0&method=paper"))[0] == 202 and time.monotonic() < until:
        time.sleep(0.1)
    given = tp.compare_models(inputs.net, inputs.others[0][1], inputs.training, inputs.test, decomposition="paper")
    assert answer[1] == {"other": "another", "numbers": given.numbers}
    assert ask(port, "models?other=1")[0] == 400
