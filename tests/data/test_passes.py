"""Shards of a pass over the data."""

from __future__ import annotations

import torch

from tropica.data.passes import DataPass, ShardSizes

X = torch.arange(46.0).view(23, 2)


def test_a_pass_is_cut_the_same_way_each_time() -> None:
    shards = ShardSizes().cut([1000, 1000, 1000, 0, 5], 3)
    assert [(s.number, list(s.batches), s.first, s.points) for s in shards] == [(0, [0, 1, 2], 0, 3000), (1, [3, 4], 3000, 5)]
    data_pass = DataPass([X[:1], X[1:12], X[12:12], X[12:]], 1, torch.float32, torch.device("cpu"), (2,))
    assert torch.equal(torch.cat(list(data_pass)), X)
    assert [len(group) for _, group in data_pass.iter_shards()] == [3]
