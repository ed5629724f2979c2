"""Shards of a pass over the data."""

from __future__ import annotations

import torch

from tropica.data.passes import Walk, cut

X = torch.arange(46.0).view(23, 2)


def test_a_walk_is_cut_the_same_way_each_time() -> None:
    shards = cut([1000, 1000, 1000, 0, 5], 3)
    assert [(s.number, list(s.batches), s.first, s.points) for s in shards] == [(0, [0, 1, 2], 0, 3000), (1, [3, 4], 3000, 5)]
    walk = Walk.over([X[:1], X[1:12], X[12:12], X[12:]], 1, dtype=torch.float32, device=torch.device("cpu"), shape=(2,))
    assert torch.equal(torch.cat(list(walk.batches())), X)
    assert [len(group) for _, group in walk.groups()] == [3]
