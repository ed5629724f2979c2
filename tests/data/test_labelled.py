"""`LabelledData`: its checks, and its items."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from tropica.data.labelled import LabelledData
from tropica.errors import InputError


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"inputs": torch.zeros(2, 3, dtype=torch.float64)}, "float32 tensor"),
        ({"inputs": torch.zeros(0, 3)}, "N > 0"),
        ({"labels": torch.zeros(2)}, "int64 tensor"),
        ({"labels": torch.zeros(3, dtype=torch.int64)}, r"int64 tensor \(2,\)"),
        ({"labels": torch.tensor([0, 2])}, "lie in 0 … 1; found 0 … 2"),
        ({"split": "all"}, "split must be one of"),
    ],
)
def test_labelled_data_checks_its_fields(fields, message):
    sound = {"inputs": torch.zeros(2, 3), "labels": torch.tensor([0, 1]), "name": "n", "num_classes": 2}
    assert len(LabelledData(**sound)) == 2
    with pytest.raises(InputError, match=message):
        LabelledData(**(sound | fields))


def test_labelled_data_is_a_dataset():
    x, y = torch.arange(10.0).reshape(5, 2), torch.tensor([0, 1, 2, 0, 1])
    data = LabelledData(x, y, "n", 3)
    assert isinstance(data, Dataset)
    assert torch.equal(data[1][0], x[1])
    assert int(data[1][1]) == 1
    batches = list(DataLoader(data, batch_size=2))
    assert torch.equal(torch.cat([batch[0] for batch in batches]), x)
    assert torch.equal(torch.cat([batch[1] for batch in batches]), y)
    assert torch.equal(torch.cat(list(DataLoader(LabelledData(x, None, "n"), batch_size=2))), x)
    with pytest.raises(IndexError):
        data[5]
