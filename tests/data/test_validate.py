"""The check of points."""

from __future__ import annotations

import pytest
import torch

from tropica.data.validate import validate_points
from tropica.errors import InputError


@pytest.mark.parametrize(
    ("x", "shape", "message"),
    [
        (torch.zeros(3, 4, 4), (3, 4, 4), r"add the batch axis: x.unsqueeze\(0\)"),
        (torch.zeros(2, 4, 5, 3), (3, 4, 5), r"channels come first: x.permute\(0, 3, 1, 2\)"),
        (torch.zeros(2, 48), (3, 4, 4), r"each point has the right number of values: x.reshape\(-1, 3, 4, 4\)"),
        (torch.zeros(2, 7), (3,), r"points of shape \(3,\) are expected, so a tensor \(N, \*shape\); found \(2, 7\)$"),
        (torch.zeros(0, 3), (3,), r"at least one point is needed; found a tensor \(0, 3\)"),
        (torch.full((2, 1, 2), -torch.inf), (1, 2), r"point 0 has -inf at \(0, 0\)"),
        ([[1.0]], (1,), "points must be a torch.Tensor; found list"),
    ],
)
def test_validate_points(x, shape, message):
    with pytest.raises(InputError, match=message):
        validate_points(x, shape, "x")


def test_validate_points_counts_from_the_first():
    x = torch.zeros(4, 1)
    validate_points(x, (1,), "x")
    x[2] = torch.nan
    with pytest.raises(InputError, match="point 102 has nan"):
        validate_points(x, [1], "x", first=100)
