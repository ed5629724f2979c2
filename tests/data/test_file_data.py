"""Data read lazily from a file: the same points as data loaded into memory."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import tropica as tp
from tropica.data.batches import as_batches, batch_lengths
from tropica.data.file_data import FileData
from tropica.studies.datasets.load import load_data

pa = pytest.importorskip("pyarrow")
pytest.importorskip("pyarrow.parquet")


def images(count: int = 23, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 6, 5, channels)[: 3 + (channels > 1)], np.uint8)


def parquet(path: Path, pixels: np.ndarray, rows: int = 7) -> Path:
    """A Parquet file of encoded images in row groups of 7, with labels."""
    from PIL import Image

    coded = []
    for picture in pixels:
        raw = io.BytesIO()
        Image.fromarray(picture).save(raw, "png")
        coded.append({"bytes": raw.getvalue(), "path": None})
    table = pa.table({"image": coded, "label": [i % 4 for i in range(len(pixels))]})
    pa.parquet.write_table(table, path, row_group_size=rows)
    return path


@pytest.mark.parametrize("limit", [None, 1, 7, 12])
@pytest.mark.parametrize("kind", ["parquet", "bytes", "gray", "floats", "doubles"])
def test_as_when_it_is_loaded_whole(tmp_path: Path, kind: str, limit: int | None) -> None:
    if kind == "parquet":
        file = parquet(tmp_path / "data.parquet", images())
    else:
        file = tmp_path / "data.npy"
        array = {"bytes": images(), "gray": images(channels=1), "floats": np.float32(images()), "doubles": images() / 7.0}[kind]
        np.save(file, array)
        np.save(tmp_path / "data.labels.npy", np.arange(23) % 4)
    kept, lazy = load_data(file, limit=limit), load_data(file, limit=limit, lazy=True)
    assert isinstance(lazy, FileData)
    assert (len(lazy), lazy.input_shape, lazy.name, lazy.num_classes) == (len(kept), kept.input_shape, "data", 4)
    assert kept.labels is not None
    assert lazy.labels is not None
    assert torch.equal(lazy.labels, kept.labels)
    for size in (1, 5, 7, 100):
        batches = list(as_batches(lazy, size))
        assert torch.equal(torch.cat(batches), kept.inputs)
        assert list(map(len, batches)) == batch_lengths(lazy, size)
    items = [item[0] for item in DataLoader(lazy, batch_size=None)]
    assert torch.equal(torch.stack(items), kept.inputs)
    if len(kept) > 10:
        assert torch.equal(
            torch.cat(list(as_batches(lazy, 2, only=[range(1, 2), range(4, 6)]))), kept.inputs[[2, 3, 8, 9, 10, 11]]
        )


def test_lazy_is_no_promise() -> None:
    assert isinstance(load_data("digits", lazy=True), tp.LabelledData)


def test_wrong_files(tmp_path: Path) -> None:
    np.save(tmp_path / "flat.npy", np.zeros(5))
    np.save(tmp_path / "whole.npy", np.zeros((5, 2), np.int64))
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00{'descr'")
    np.save(tmp_path / "few.npy", np.zeros((5, 2), np.float32))
    np.save(tmp_path / "few.labels.npy", np.zeros(3, np.int64))
    for name, said in (
        ("flat", "shape"),
        ("whole", "uint8 images or floats"),
        ("broken", "cannot be read"),
        ("few", "3 labels"),
    ):
        for lazy in (False, True):
            with pytest.raises(tp.DataError, match=said):
                load_data(tmp_path / f"{name}.npy", lazy=lazy)
    array = np.ones((5, 2), np.float32)
    array[3, 1] = np.nan
    np.save(tmp_path / "nan.npy", array)
    with pytest.raises(tp.InputError, match="point 3 has nan"):
        list(as_batches(load_data(tmp_path / "nan.npy", lazy=True), 2))
    with pytest.raises(tp.DataError, match="without a test split"):
        load_data(tmp_path / "few.npy", split="test")
