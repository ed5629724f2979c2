"""``tp.follow`` and ``tp.dead_units``: the numbers of the functions that they call, and units by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import tropica as tp


def test_a_training_is_followed_and_left_as_it_is() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))
    model[1].eval()  # a frozen layer stays frozen
    x, y = torch.randn(60, 4), torch.arange(60) % 3
    follower = tp.follow(x[:40], torch.utils.data.TensorDataset(x[40:], y[40:]))
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    for _ in range(2):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        follower(model)
        assert [module.training for module in model] == [True, False, True, True, True]
        assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    row = follower.rows[-1]
    model.eval()
    expected = tp.agreement(model, tp.ExtractedFunction.streaming(model, x[:40]), x[40:], y[40:])
    assert (row.fidelity, row.accuracy, row.extracted_accuracy) == tuple(expected.shares.values())
    assert (row.dead, row.units) == (tp.dead_units(model, x[:40]).count, 8)
    assert row.cells == tp.count_patterns(model, x[:40])
    assert follower.to_dataframe()["epoch"].tolist() == [0, 1]
    with pytest.raises(tp.InputError, match="does not follow"):
        follower(model, epoch=1)


def test_dead_units_batch_by_batch() -> None:
    layer = nn.Linear(1, 4)
    layer.weight.data = torch.tensor([[1.0], [1.0], [1.0], [-1.0]])
    layer.bias.data = torch.tensor([-9.0, 0.0, 9.0, -0.5])
    model = nn.Sequential(layer, nn.ReLU(), nn.Linear(4, 2)).eval()
    found = tp.dead_units(model, [torch.tensor([[1.0], [2.0]]), torch.tensor([[-1.0]])])
    assert found.dead["relu"].tolist() == [True, False, False, False]
    assert found.always_on["relu"].tolist() == [False, False, True, False]
    assert found.to_dataframe().to_numpy().tolist() == [[4, 1, 1]]
