"""Names and paths of data."""

from __future__ import annotations

import os

import numpy as np
import pytest

from tropica.errors import DataError
from tropica.studies.datasets.load import load_data

REAL_DATA = os.environ.get("TROPICA_DATA")


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch):
    monkeypatch.delenv("TROPICA_DATA", raising=False)


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        ("digit", {}, "no data at digit .*TROPICA_DATA.*data may be digits, mnist1d, mnist, cifar10"),
        ("/nowhere/x.npz", {}, "no data at /nowhere/x.npz"),
        ("digits", {"split": "valid"}, "the split must be one of train, test; found 'valid'"),
        ("digits", {"limit": 0}, "limit must be a whole number of points, 1 or more, or None; found 0"),
        ("digits", {"limit": 1.5}, "found 1.5"),
        ("mnist", {}, r"'mnist' is short for \$TROPICA_DATA/mnist.npz: set TROPICA_DATA"),
        ("cifar10", {}, r"\$TROPICA_DATA/cifar10-\{split\}.parquet"),
    ],
)
def test_specification_errors(spec, options, message):
    with pytest.raises(DataError, match=message):
        load_data(spec, **options)


def test_unknown_kind_of_file(tmp_path):
    (tmp_path / "x.xlsx").touch()
    with pytest.raises(DataError, match=r"this kind of file is not known; data may be .*npz"):
        load_data(str(tmp_path / "x.xlsx"))


def test_data_folder_is_searched_second(tmp_path, monkeypatch):
    monkeypatch.setenv("TROPICA_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=f"nor at {tmp_path}/data/x.npz"):
        load_data("x.npz")
    with pytest.raises(DataError, match=f"no data at {tmp_path}/data/mnist.npz"):
        load_data("mnist")
    (tmp_path / "data").mkdir()
    np.savez(tmp_path / "data" / "x.npz", x=np.ones((1, 2)))
    assert load_data("x.npz").inputs.sum() == 2
    np.savez(tmp_path / "x.npz", x=np.zeros((1, 2)))
    assert load_data("x.npz").inputs.sum() == 0
    np.savez(tmp_path / "data" / "mnist.npz", x_train=np.zeros((1, 28, 28), np.uint8))
    assert load_data("mnist").name == "mnist"


@pytest.mark.skipif(REAL_DATA is None, reason="needs TROPICA_DATA")
@pytest.mark.parametrize(("spec", "shape"), [("mnist", (1, 28, 28)), ("cifar10", (3, 32, 32))])
def test_real_files(monkeypatch, spec, shape):
    monkeypatch.setenv("TROPICA_DATA", str(REAL_DATA))
    data = load_data(spec, split="test", limit=200)
    assert (data.input_shape, len(data), data.num_classes, data.name) == (shape, 200, 10, spec)
    assert data.inputs.min() == 0
    assert data.inputs.max() == 1
