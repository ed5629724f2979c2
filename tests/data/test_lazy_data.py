"""Data that stays in its file: the same points as when it is loaded whole, from any batch on, and the terms of it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import tropica as tp
from tests.cli.case import done, refused
from tropica.data.batches import as_batches, batch_lengths
from tropica.data.passes import DataPass, ShardSizes
from tropica.data.readers.mapped import FileData
from tropica.studies.datasets.load import load_data

pa = pytest.importorskip("pyarrow")
pytest.importorskip("pyarrow.parquet")


def images(count: int = 23, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 6, 5, channels)[: 3 + (channels > 1)], np.uint8)


def parquet(path: Path, pixels: np.ndarray, rows: int = 7) -> Path:
    """Coded images in row groups of 7, with labels."""
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


class Items(Dataset):
    """Points one by one; notes which were loaded."""

    def __init__(self, x: Tensor) -> None:
        self.x, self.loaded = x, []

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        self.loaded.append(index)
        return self.x[index], 0


class Endless(IterableDataset):
    def __init__(self, x: Tensor) -> None:
        self.x = x

    def __iter__(self):
        return iter(self.x)

    def __len__(self) -> int:
        return len(self.x)


X = torch.arange(46.0).view(23, 2)
KINDS = {
    "tensor": lambda: X,
    "array": lambda: X.numpy(),
    "items": lambda: Items(X),
    "iterable": lambda: Endless(X),
    "loader": lambda: DataLoader(Items(X), batch_size=5),
    "loader of workers": lambda: DataLoader(TensorDataset(X), batch_size=5, num_workers=1),
    "loader, last dropped": lambda: DataLoader(TensorDataset(X), batch_size=5, drop_last=True),
    "list": lambda: list(X.split(5)),
    "uneven": lambda: [X[:1], X[1:12], X[12:12], X[12:]],
}


@pytest.mark.parametrize("kind", KINDS)
def test_from_any_batch_on(kind: str) -> None:
    """Some batches of a pass are those of the whole pass; no point is left out, none is twice."""
    data = KINDS[kind]()
    every, lengths = list(as_batches(data, 5)), batch_lengths(data, 5)
    assert [n for n in lengths if n] == list(map(len, every))
    filled = [i for i, n in enumerate(lengths) if n]
    for only in ([range(1)], [range(1, 3)], [range(len(lengths))], [range(0, 1), range(2, len(lengths))], []):
        found = list(as_batches(data, 5, only=only))
        wanted = [every[filled.index(i)] for part in only for i in part if i in filled]
        assert len(found) == len(wanted)
        assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_what_is_left_out_is_not_loaded() -> None:
    for make in (lambda items: items, lambda items: DataLoader(items, batch_size=5)):
        items = Items(X)
        list(as_batches(make(items), 5, only=[range(3, 4)]))
        assert items.loaded == [15, 16, 17, 18, 19]


def test_a_pass_is_cut_the_same_way_each_time() -> None:
    shards = ShardSizes().cut([1000, 1000, 1000, 0, 5], 3)
    assert [(s.number, list(s.batches), s.first, s.points) for s in shards] == [(0, [0, 1, 2], 0, 3000), (1, [3, 4], 3000, 5)]
    data_pass = DataPass([X[:1], X[1:12], X[12:12], X[12:]], 1, torch.float32, torch.device("cpu"), (2,))
    assert torch.equal(torch.cat(list(data_pass)), X)
    assert [len(group) for _, group in data_pass.iter_shards()] == [3]


@pytest.mark.parametrize("kind", ["npy", "parquet"])
def test_terms_of_data_in_a_file(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Extraction and both evaluations, at the command line: as of data in memory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / f"lazy_{kind}.py").write_text(
        "import torch\n"
        "def net():\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(90, 8), torch.nn.ReLU(), torch.nn.Linear(8, 4))\n"
    )
    pixels = images()
    np.savez(tmp_path / "whole.npz", x_train=pixels, y_train=np.arange(23) % 4, x_test=pixels, y_test=np.arange(23) % 4)
    if kind == "npy":
        np.save(tmp_path / "data.npy", pixels)
    else:
        parquet(tmp_path / "data.parquet", pixels)
    model = f"lazy_{kind}:net"
    done("extract", model, "--data", f"data.{kind}", "-o", "lazy", "--memory", "500MB")
    done("extract", model, "--data", "whole.npz", "-o", "kept")
    assert torch.equal(tp.load_terms("lazy").plus.weight, tp.load_terms("kept").plus.weight)
    done("evaluate", model, "--streaming", "--train", f"data.{kind}", "--data", "whole.npz", "--csv", "a.csv")
    done("evaluate", model, "--streaming", "--data", "whole.npz", "--csv", "b.csv")
    assert Path("a.csv").read_text() == Path("b.csv").read_text()
    done("extract", model, "--data", f"data.{kind}", "-o", "coarse", "--store-dtype", "bfloat16")
    result = done("evaluate", "coarse", "--data", "whole.npz")
    assert "stored in fewer digits" in result.stdout
    done("evaluate", "coarse", "--data", "whole.npz", "--model", model, "--train", f"data.{kind}", "--csv", "c.csv")
    assert Path("c.csv").read_text() == Path("b.csv").read_text()
    assert "a size is a number" in refused("extract", model, "--data", f"data.{kind}", "-o", "x", "--memory", "much")
    assert "goes with" in refused("evaluate", "coarse", "--data", "whole.npz", "--train", "whole.npz")


def test_verify_at_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.cli.case import run

    monkeypatch.chdir(tmp_path)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 8), torch.nn.ReLU(), torch.nn.Linear(8, 10)).eval()
    tp.extract(model, load_data("digits", limit=50), out="terms")
    assert "none" in done("check", "terms", "--json", "v.json").stdout
    shard = tmp_path / "terms" / "shard-00000.safetensors"
    raw = bytearray(shard.read_bytes())
    raw[-1] ^= 1
    shard.write_bytes(raw)
    result = run("check", "terms", "--json", "v.json")
    assert result.exit_code == 1
    assert "shard-00000.safetensors: damaged (the checksum of" in result.stdout.replace("\n", " ")
    assert result.stderr == "error: terms: 1 of its files must be made anew; run its extraction again\n"
    assert "not a store of terms" in refused("check", "nowhere")
