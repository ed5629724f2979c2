"""Terms as a Zarr group: the same numbers, readable with xarray, and never a partial group."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import tropica as tp
from tests.cached import network, points
from tropica.data.passes import ShardSizes


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zarr", None)
    terms = tp.extract(network("mlp"), points("mlp"))
    with pytest.raises(tp.InputError, match=r"pip install 'tropica\[zarr\]'"):
        terms.to_zarr(tmp_path / "z")


@pytest.mark.parametrize("stored", [None, torch.bfloat16, torch.float32], ids=str)
def test_the_same_numbers(tmp_path: Path, stored: torch.dtype | None) -> None:
    zarr = pytest.importorskip("zarr")
    settings = {"stored_dtype": stored, "batch_size": 5, "shard_sizes": ShardSizes(points=8), "on_failure": "warn"}
    terms = tp.extract(network("mnist_conv"), points("mnist_conv"), out=tmp_path / "t", **settings)
    terms.to_zarr(tmp_path / "z")
    group = zarr.open_group(str(tmp_path / "z"), mode="r")
    expected = {"labels": terms.labels, "local": terms.local.weight, "local_bias": terms.local.bias, "center": terms.center}
    for name, tensor in expected.items():
        np.testing.assert_array_equal(group[name][:], (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy())
    minus = torch.from_numpy(group["minus"][:]).double() + torch.from_numpy(group["center"][:])
    assert torch.equal(minus, terms.minus.weight)
    assert group.attrs["about"]["network"] == terms.about["network"]
    assert [path.name for path in tmp_path.iterdir() if "~" in path.name] == []
    with pytest.raises(tp.InputError, match="exists already"):
        terms.to_zarr(tmp_path / "z")
    with pytest.raises(tp.InputError, match="there is no folder"):
        terms.to_zarr(tmp_path / "no" / "z")


def test_with_xarray(tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    xarray = pytest.importorskip("xarray")
    terms = tp.extract(network("mlp"), points("mlp"))
    terms.to_zarr(tmp_path / "z")
    data = xarray.open_zarr(tmp_path / "z", consolidated=False)
    assert dict(data["local"].sizes) == {"point": 32, "coefficient": 4}
    np.testing.assert_array_equal(data["local"].values, terms.local.weight.numpy())
