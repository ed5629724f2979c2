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


class Pairs(torch.utils.data.Dataset):
    """Items as a dict, or as (x, label)."""

    def __init__(self, x: torch.Tensor, y: torch.Tensor, key: str = "") -> None:
        self.x, self.y, self.key = x, y, key

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> object:
        y = int(self.y[i])
        return {"image": self.x[i], self.key: y} if self.key else (self.x[i], y)


def test_labels_that_come_with_the_data_are_used() -> None:
    case = case_of("mnist_conv")
    model, x = case.make(0), case.inputs(20, 31)
    f = tp.ExtractedFunction.streaming(model, case.inputs(30))
    y = model(x).argmax(1)
    y[:5] = (y[:5] + 1) % 4
    expected = tp.agreement(model, f, x, y)
    assert expected.network_true == 0.75
    with_labels = (
        TensorDataset(x, y),
        torch.utils.data.Subset(TensorDataset(x, y), range(20)),
        DataLoader(TensorDataset(x, y), batch_size=7),
        Pairs(x, y),
        DataLoader(Pairs(x, y), batch_size=7),  # type: ignore[arg-type]
        Pairs(x, y, "target"),
        DataLoader(Pairs(x, y, "label"), batch_size=7),  # type: ignore[arg-type]
        tp.KeyedData(Pairs(x, y, "labels"), key="image"),
        [(x[:9], y[:9]), (x[9:], y[9:].numpy())],
        [(x[:9].numpy(), y[:9].numpy()), (x[9:].numpy(), y[9:].numpy())],
    )
    assert [tp.agreement(model, f, data) for data in with_labels] == [expected] * len(with_labels)
    without = (TensorDataset(x), DataLoader(TensorDataset(x), batch_size=7), [x[:9], x[9:]], Pairs(x, y, "caption"))
    assert [tp.agreement(model, f, data).network_true for data in without] == [None] * len(without)
    wrong = (y + 1) % 4
    assert tp.agreement(model, f, TensorDataset(x, y), wrong).network_true != expected.network_true  # y= comes first
    for bad in (TensorDataset(x, y.double()), TensorDataset(x, x), Pairs(x, y + 10), [(x[:9], y[:9]), x[9:]]):
        with pytest.raises(tp.InputError, match="labels"):
            tp.agreement(model, f, bad)


def test_another_network_is_named() -> None:
    case = case_of("mnist_conv")
    model, other, x = case.make(0), case.make(1), case.inputs(20, 31)
    terms = tp.extract(model, case.inputs(30))
    note = "another network than the one the terms were extracted from"
    for f in (tp.ExtractedFunction(terms), tp.ExtractedFunction.streaming(model, case.inputs(30))):
        found = tp.agreement(other, f, x)
        assert found.same_network is False
        assert note in repr(found)
        assert note in found._repr_html_()
        for same in (model, torch.nn.DataParallel(model), torch.compile(model)):
            again = tp.agreement(same, f, x)  # type: ignore[arg-type]
            assert again.same_network
            assert note not in repr(again)
