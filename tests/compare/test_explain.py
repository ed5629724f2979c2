"""``tp.explain``, ``tp.influence``, ``tp.layerwise``, ``tp.compare_models`` and nearest neighbors, against plain loops."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import tropica as tp
from tests.cached import case_of


def mlp(seed: int = 0, width: int = 8) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 6), nn.ReLU(), nn.Linear(6, 3)).eval().double()


def data(n: int, seed: int) -> Tensor:
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_each_number_of_an_explanation() -> None:
    model, train, x = mlp(), data(60, 1), data(12, 2)
    labels, true = torch.arange(60) % 3, torch.arange(12) % 3
    terms = tp.extract(model, train)
    f = tp.ExtractedFunction(terms)
    found = tp.explain(model, f, TensorDataset(x, true), k=4, data=DataLoader(TensorDataset(train, labels), batch_size=7))
    top = f.top_terms(x, k=4)
    assert torch.equal(found.top.index, top.index)
    assert torch.equal(found.margin, f.margin(x))
    assert found.true_label is not None
    assert found.training is not None
    assert found.shared is not None
    assert (found.network_label.tolist(), found.true_label.tolist()) == (model(x).argmax(1).tolist(), true.tolist())
    net = tp.trace(model, x)
    own = net.local_map(x).weight
    frame = found.to_dataframe()
    for i in range(12):
        coefficients = own[i, found.network_label[i]]
        assert torch.allclose(found.own.weight[i], coefficients)
        near = (train - x[i]).norm(dim=1)
        assert found.nearest.index[i] == near.argmin()
        assert torch.allclose(found.nearest.distance[i], near.min())
        assert torch.equal(found.training.nearest_points[i], train[near.argmin()])
        assert found.second_label[i] == f(x)[i].argsort(descending=True)[1]
        for rank in range(4):
            index = int(top.index[i, rank])
            other = terms.local.weight[index]
            cosine = (coefficients @ other / coefficients.norm() / other.norm()).clamp(-1, 1)
            assert torch.allclose(found.angle[i, rank], torch.rad2deg(cosine.acos()), atol=1e-4)
            assert torch.allclose(found.distance[i, rank], (coefficients - other).norm())
            assert torch.equal(found.training.points[i, rank], train[index])
            assert torch.allclose(found.point_distance[i, rank], near[index])
            pattern = tp.pattern_agreement(net, x[i : i + 1], train[index : index + 1])
            assert torch.allclose(found.shared[i, rank], pattern)
            row = frame.iloc[4 * i + rank]
            assert (row["term"], row["true_label_of_training_point"]) == (index, str(int(labels[index])))
    assert torch.allclose(found.active.weight, terms.local.weight[top.index[:, 0]])
    assert found.features(3).shape == (4, 5)
    assert "<table>" in found._repr_html_()


def test_streamed_terms_and_names() -> None:
    model, train, x = mlp(), data(30, 1), data(5, 2)
    f = tp.ExtractedFunction.streaming(model, train)
    names = {"feature_names": list("abcd"), "class_names": ["low", "mid", "high"]}
    found = tp.explain(model, f, x, k=2, **names)  # type: ignore[arg-type]
    kept = tp.explain(model, tp.ExtractedFunction(tp.extract(model, train)), x, k=2, data=train)
    assert torch.equal(found.nearest.index, kept.nearest.index)
    assert torch.allclose(found.angle, kept.angle, atol=1e-5)
    assert set(found.to_dataframe()["label"]) <= {"low", "mid", "high"}
    assert list(found.features(0).index) == list("abcd")
    assert "high" in found.heading(0) or "low" in found.heading(0) or "mid" in found.heading(0)
    labelled = tp.LabelledData(train.float(), None, "table", 3, "train", ("u", "v", "w"), ("p", "q", "r", "s"))
    again = tp.explain(model, f, x, k=2, data=labelled)
    assert (again.class_names, again.feature_names) == (labelled.class_names, labelled.feature_names)


def test_other_data_and_misfits_are_refused() -> None:
    model, train, x = mlp(), data(30, 1), data(5, 2)
    f = tp.ExtractedFunction(tp.extract(model, train))
    with pytest.raises(tp.InputError, match="not the points of the terms"):
        tp.explain(model, f, x, data=data(30, 9))
    with pytest.raises(tp.InputError, match="30 points; this data has 29"):
        tp.explain(model, f, x, data=train[:29])
    with pytest.raises(tp.InputError, match="class_names must be 3"):
        tp.explain(model, f, x, class_names=["a"])
    with pytest.raises(tp.InputError, match="training points are not known"):
        tp.explain(model, f, x).nearest  # noqa: B018
    with pytest.raises(tp.InputError, match="another network"):
        tp.explain(nn.Sequential(nn.Linear(4, 2)).eval().double(), f, x)
    other = tp.explain(mlp(5), f, x, data=train)
    assert other.same_network is False
    assert "another network than the one the terms were extracted from" in repr(other)


def test_influence_by_counting() -> None:
    model, train, x = mlp(), data(40, 1), data(50, 2)
    f, y = tp.ExtractedFunction(tp.extract(model, train)), torch.arange(50) % 3
    found = tp.influence(f, DataLoader(TensorDataset(x, y), batch_size=8))
    active, label = f.active_term(x).tolist(), f.predict(x).tolist()
    assert found.right is not None
    for k in range(40):
        assert found.decides[k] == active.count(k)
        assert found.right[k] == sum(a == k and lab == t for a, lab, t in zip(active, label, y.tolist(), strict=True))
    assert found.never == 40 - len(set(active))
    counts = sorted((active.count(k) for k in set(active)), reverse=True)
    assert sum(counts[: found.deciding_half]) >= 25 > sum(counts[: found.deciding_half - 1])
    assert found.to_dataframe()["decides"].tolist() == counts
    assert tp.influence(f, x).right is None


def test_layerwise_by_cutting() -> None:
    model, train, x = mlp(), data(40, 1), data(50, 2)
    y = torch.arange(50) % 3
    net = tp.trace(model, x)
    found = tp.layerwise(model, train, TensorDataset(x, y))
    assert [(row.layer, row.at) for row in found.rows] == [("", "output"), ("4", "relu_1"), ("2", "relu"), ("0", "input")]
    for row in found.rows[1:]:
        head, tail = (None, net) if row.at == "input" else net.cut(row.at)
        inner, test = (train, x) if head is None else (head(train), head(x))
        labels = tp.ExtractedFunction(tp.extract(tail, inner)).predict(test)
        assert row.agreement == float((labels == net.predict(x)).double().mean())
        assert row.accuracy == float((labels == y).double().mean())
    assert found.rows[0].accuracy == float((net.predict(x) == y).double().mean())
    chosen = tp.layerwise(model, train, x, at=["1", "3"], decomposition="paper")
    assert [row.at for row in chosen.rows] == ["output", "relu_1", "relu", "input"]
    assert chosen.rows[-1].accuracy is None
    with pytest.raises(tp.InputError, match="nothing in the network is called"):
        tp.layerwise(model, train, x, at=["nowhere"])


def test_layers_that_cannot_be_cut_off_are_merged_together() -> None:
    case = case_of("resnet")
    x = case.inputs(12, 1, torch.float64)
    found = tp.layerwise(case.make(0).double(), x, x)
    assert found.rows[-1].at == "input"
    assert all(row.agreement == 1 for row in found.rows)


def test_two_models_by_hand() -> None:
    one, other, train, x = mlp(0), mlp(1, width=5), data(40, 1), data(50, 2)
    y = torch.arange(50) % 3
    found = tp.compare_models(one, other, train, x, y)
    numbers = found.numbers
    a, b = (tp.extract(model, train) for model in (one, other))
    fa, fb = tp.ExtractedFunction(a), tp.ExtractedFunction(b)

    def share(u: Tensor, v: Tensor) -> float:
        return float((u == v).double().mean())

    assert numbers["network a = network b"] == share(one(x).argmax(1), other(x).argmax(1))
    assert numbers["extracted a = extracted b"] == share(fa.predict(x), fb.predict(x))
    assert numbers["extracted b = true"] == share(fb.predict(x), y)
    assert numbers["same deciding training point"] == share(fa.active_term(x), fb.active_term(x))
    assert numbers["mean correlation of coefficients"] == float(tp.correlation(a.local, b.local).nanmean())
    assert numbers["median angle of coefficients"] == float(tp.angles(a.local, b.local).nanmedian())
    with pytest.raises(tp.InputError, match="same inputs and labels"):
        tp.compare_models(one, nn.Sequential(nn.Linear(4, 2)).double().eval(), train, x)


def test_nearest_neighbors_by_distance() -> None:
    train, x = data(300, 3).float(), data(40, 4).float()
    train[17] = train[5]  # a tie: the lower number
    x[0] = train[17]
    y = torch.arange(300) % 4
    found = tp.nearest_neighbors([(train[:100], y[:100]), (train[100:], y[100:])], x)
    expected = torch.cdist(x.double(), train.double(), compute_mode="donot_use_mm_for_euclid_dist").min(1)
    assert torch.equal(found.index, expected.indices)
    assert torch.allclose(found.distance, expected.values)
    assert found.index[0] == 5
    assert found.label is not None
    assert torch.equal(found.label, y[found.index])
    head = tp.trace(mlp().float(), x).cut("3")[0]
    inner = tp.nearest_neighbors(train, x, features=head)
    assert torch.equal(inner.index, torch.cdist(head(x).double(), head(train).double()).argmin(1))
    with pytest.raises(tp.InputError, match="without labels"):
        inner.accuracy(y[:40])


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_regression_is_explained_by_output(outputs: int) -> None:
    """Against a⁺ of all terms of the output, in float64; the model is given as a module."""
    torch.manual_seed(outputs)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, outputs)).double().eval()
    data, x, output = torch.randn(40, 4).double(), torch.randn(6, 4).double(), outputs - 1
    terms = tp.extract(model, data, task="regression")
    f = tp.ExtractedFunction(terms)
    y = torch.randn(6, outputs)
    found = tp.explain(model, f, x, y, k=3, data=TensorDataset(data, torch.arange(40)), output=output)
    plus, minus = terms.plus(x)[:, output::outputs], terms.minus(x).amax(1)
    assert torch.allclose(plus.gather(1, found.top.index), plus.topk(3).values)  # points of one region tie
    assert torch.allclose(found.top.value, plus.topk(3).values - minus[:, None])
    assert torch.allclose(found.top.value[:, 0], f(x)[:, output])
    assert torch.allclose(found.margin, found.top.value[:, 0] - found.top.value[:, 1])
    gradient = torch.func.vmap(torch.func.grad(lambda z: model(z)[output]))(x)
    assert torch.allclose(found.own.weight, gradient)
    assert torch.allclose(found.active.weight, terms.local.weight[output::outputs][found.top.index[:, 0]])
    assert torch.allclose(found.network_value, model(x)[:, output].detach())
    assert torch.equal(found.true_value, y[:, output].double())
    frame = found.to_dataframe()
    assert {"output", "network_value", "true_value"} <= set(frame)
    assert not {"label", "true_label_of_training_point"} & set(frame)
    assert "N gives" in found.heading(0)
    assert "largest |N − N^(X)|" in repr(found)
    tp.plots.explain(found)
    labeled = tp.explain(model, f, TensorDataset(x, torch.arange(6)), k=1, output=output)
    assert labeled.true_value is None  # class labels that come with the points
    if outputs > 1:
        with pytest.raises(tp.InputError, match="2 outputs: say which"):
            tp.explain(model, f, x)
    with pytest.raises(tp.InputError, match="output"):
        f.top_terms(x, output=2)
