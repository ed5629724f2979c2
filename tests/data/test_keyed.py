"""Data of dicts, and masked arrays."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import tropica as tp
from tropica.data.batches import as_batches
from tropica.errors import InputError

ROWS = [{"pixel_values": torch.full((2,), float(i)), "other": torch.full((2,), -1.0), "label": i} for i in range(3)]


class Rows(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return len(ROWS)

    def __getitem__(self, index: int) -> dict:
        return ROWS[index]


@pytest.mark.parametrize("data", [Rows(), DataLoader(Rows(), batch_size=2), [ROWS[0] | {"pixel_values": torch.zeros(1, 2)}]])
def test_dicts(data) -> None:
    first = next(iter(as_batches(data, 2)))
    assert torch.equal(first, torch.tensor([[0.0, 0.0], [1.0, 1.0]])[: len(first)])
    if len(first) == 2:
        other = torch.cat(list(as_batches(tp.KeyedData(data, key="other"), 2)))
        assert torch.equal(other, torch.full((3, 2), -1.0))
    with pytest.raises(InputError, match="there is no entry 'pixels'; found a dict with 'pixel_values', 'other', 'label'"):
        list(as_batches(tp.KeyedData(data, key="pixels"), 2))


def test_a_dict_of_several_points_is_refused_and_a_key_without_dicts_too() -> None:
    both = [{"image": torch.zeros(1, 2), "x": torch.zeros(1, 2)}]
    with pytest.raises(InputError, match=r"several of them may be the points, x, image; name the entry by tropica.KeyedData"):
        list(as_batches(both, 2))
    for data in (torch.zeros(3, 2), [torch.zeros(3, 2)]):
        with pytest.raises(InputError, match="'x' is for"):
            list(as_batches(tp.KeyedData(data, "x"), 2))
    shuffled = DataLoader(Rows(), shuffle=True)
    with pytest.raises(InputError, match="shuffle=False"):
        list(as_batches(tp.KeyedData(shuffled, "other"), 2))


def test_masked_arrays() -> None:
    whole = np.ma.masked_array(np.ones((3, 2)), mask=False)
    assert torch.equal(torch.cat(list(as_batches(whole, 2))), torch.ones(3, 2).double())
    whole[2, 1] = np.ma.masked
    for data in (whole, [whole]):
        with pytest.raises(InputError, match=r"masked array must not mask anything; entry \(\d, 1\) is masked"):
            list(as_batches(data, 2))
