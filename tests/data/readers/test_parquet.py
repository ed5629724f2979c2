"""Parquet files with encoded images."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.data.readers.pictures import png, rgb
from tropica.errors import DataError
from tropica.studies.datasets.load import load_data


def write_parquet(path: Path, images: list, labels: list | None = None, metadata: dict | None = None, **options) -> str:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns: dict = {"img": [{"bytes": image, "path": "x"} for image in images]}
    if labels is not None:
        columns["label"] = pa.array(labels, pa.int64())
    parquet.write_table(pa.table(columns, metadata=metadata), path, **options)
    return str(path)


def test_parquet_with_coded_images(tmp_path):
    names = '{"info": {"features": {"label": {"names": ["a", "b", "c", "d"], "_type": "ClassLabel"}}}}'
    images = [png(rgb(10 * i)) for i in range(5)]
    for split, order in (("train", slice(None)), ("test", slice(3))):
        path = tmp_path / f"p-{split}.parquet"
        write_parquet(path, images[order], [0, 2, 1, 2, 0][order], {"huggingface": names}, row_group_size=2)
    train = load_data(str(tmp_path / "p-{split}.parquet"), limit=3)
    assert repr(train) == "LabelledData('p', train: 3 points of shape (3, 4, 4), 4 classes)"
    assert torch.equal(train.inputs[:, 0, 0, 0], torch.tensor([0.0, 10.0, 20.0]) / 255)
    assert train.labels is not None
    assert train.labels.tolist() == [0, 2, 1]
    assert len(load_data(str(tmp_path / "p-{split}.parquet"), split="test")) == 3
    with pytest.raises(DataError, match="without a test split"):
        load_data(str(tmp_path / "p-train.parquet"), split="test")


def test_parquet_gray_images_without_labels(tmp_path):
    data = load_data(write_parquet(tmp_path / "g.parquet", [png(rgb(51)[..., 0])]))
    assert data.input_shape == (1, 4, 4)
    assert data.labels is None
    assert torch.equal(data.inputs, torch.full((1, 1, 4, 4), 0.2))


def test_parquet_classes_are_those_of_the_whole_file(tmp_path):
    path = write_parquet(tmp_path / "g.parquet", [png(rgb(0))] * 3, [0, 1, 8])
    assert load_data(path, limit=1).num_classes == 9


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        ([png(rgb(0)), b"not an image"], [0, 1], "row 1 cannot be decoded as an image"),
        ([png(rgb(0)), png(rgb(0))[:45]], [0, 1], "row 1 cannot be decoded as an image"),
        (
            [png(rgb(0)), png(rgb(0, 5))],
            [0, 1],
            r"row 1: all images must have one shape; expected \(3, 4, 4\).*\(3, 5, 5\)",
        ),
        ([png(np.zeros((4, 4), np.uint16))], [0], "8 bits per channel; found mode I;16"),
        ([png(rgb(0)), None], [0, 1], "row 1: the image is null, or has no bytes"),
        ([png(rgb(0))], [None], "column label: 1 labels are missing"),
        ([png(rgb(0))], [-1], "labels must be 0 or more; found -1"),
        ([], [], "cannot|no points|no column"),
    ],
)
def test_parquet_errors(tmp_path, images, labels, message):
    with pytest.raises(DataError, match=message):
        load_data(write_parquet(tmp_path / "bad.parquet", images, labels))


def test_parquet_of_another_layout(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet").write_table(pa.table({"pixels": [1.0]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match="which of these has the labels: 'pixels'"):
        load_data(str(tmp_path / "t.parquet"))
    twice = pa.Table.from_arrays([pa.array([1.0]), pa.array([2.0])], ["x", "x"])
    pytest.importorskip("pyarrow.parquet").write_table(twice, tmp_path / "t.parquet")
    with pytest.raises(DataError, match="several columns have the name 'x'"):
        load_data(str(tmp_path / "t.parquet"))
    (tmp_path / "t.parquet").write_bytes(b"PAR1 rubbish")
    with pytest.raises(DataError, match="cannot be read as parquet"):
        load_data(str(tmp_path / "t.parquet"))


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    (tmp_path / "t.parquet").touch()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"needs pyarrow: pip install 'tropica\[parquet\]'"):
        load_data(str(tmp_path / "t.parquet"))
