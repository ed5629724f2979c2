"""``tp.agreement``: shares and counts of N, N^(X) and the truth, by hand and by brute force."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import tropica as tp
from tests.cached import by_method, case_of, network, points, terms_of


def parts(name: str = "mnist_conv", method: str = "calibrated") -> tuple[tp.PiecewiseLinearNetwork, tp.ExtractedFunction]:
    return network(name), tp.ExtractedFunction(terms_of(name, method))


@by_method
@pytest.mark.parametrize("name", ["mlp", "mnist_conv", "resnet", "sigmoid"])
def test_by_brute_force(name: str, method: str) -> None:
    net, f = parts(name, method)
    x = case_of(name).inputs(90, 30, torch.float64)
    y = torch.randint(0, net.num_classes, (90,), generator=torch.Generator().manual_seed(0))
    found = tp.agreement(net, f, x, y)
    given, extracted = net.predict(x).tolist(), f.predict(x).tolist()
    both = sum(a == b for a, b in zip(given, extracted, strict=True))
    right = [sum(a == b for a, b in zip(labels, y.tolist(), strict=True)) for labels in (given, extracted)]
    assert found.counts == {"network_extracted": both, "network_true": right[0], "extracted_true": right[1]}
    assert found == tp.Agreement(both / 90, right[0] / 90, right[1] / 90, 90)


def test_on_its_own_points() -> None:
    """Theorem 3.3: on the extracted points N^(X) and N agree."""
    net, f = parts()
    found = tp.agreement(net, f, points("mnist_conv"))
    assert found == tp.Agreement(1.0, None, None, 32)
    assert found.counts == {"network_extracted": 32, "network_true": None, "extracted_true": None}


def test_any_kind_of_points() -> None:
    """A module in its own dtype, and labels as tensors, as arrays or with the data."""
    case = case_of("mnist_conv")
    model, x = case.make(0), case.inputs(50, 31)
    f = tp.ExtractedFunction.streaming(model, case.inputs(30))
    y = model(x).argmax(1)
    y[:5] = (y[:5] + 1) % 4
    expected = tp.agreement(model, f, x, y)
    assert expected.network_true == 0.9
    labelled = tp.LabelledData(x, y, "points")
    loader = DataLoader(TensorDataset(x, y), batch_size=16)
    for data, labels in ((labelled, None), (labelled, y), (loader, y), (x.numpy(), y), (x, y.numpy()), (x, y.int())):
        assert tp.agreement(model, f, data, labels) == expected
    assert tp.agreement(model, f, tp.LabelledData(x, None, "points")).network_true is None
    assert tp.agreement(tp.trace(model, x), f, x, y, progress=lambda *step: None) == expected


def test_refusals() -> None:
    net, f = parts()
    x = case_of("mnist_conv").inputs(10, 32, torch.float64)
    for y in (
        torch.zeros(9, dtype=torch.int64),
        torch.zeros(10, 1, dtype=torch.int64),
        torch.zeros(10),
        np.zeros(10),
        "labels",
    ):
        with pytest.raises(tp.InputError, match="labels"):
            tp.agreement(net, f, x, y)  # type: ignore[arg-type]
    with pytest.raises(tp.InputError):
        tp.agreement(net, f, torch.zeros(10, 5))
    with pytest.raises(tp.InputError):
        tp.agreement("network", f, x)  # type: ignore[arg-type]
    with pytest.raises(tp.InputError, match=r"4 labels.*2|2.*4 labels"):
        tp.agreement(tp.trace(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2)).double().eval(), x), f, x)


def test_shown_and_tabulated() -> None:
    found = tp.Agreement(1.0, 0.5, None, 4)
    assert repr(found) == "Agreement(4 points: N = N^(X) 100.00%, N = true 50.00%)"
    table = found.to_dataframe()
    assert table.index.tolist() == ["network N = extracted N^(X)", "network N = true"]
    assert table.values.tolist() == [[4, 4, 1.0], [2, 4, 0.5]]
    assert "<td>50.00%</td>" in found._repr_html_()
