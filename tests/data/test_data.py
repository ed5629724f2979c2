"""Data: the sources behind `load_data`, and passes of checked batches over any kind of data."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn import datasets
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    TensorDataset,
)

from tropica.data.arrays import as_inputs, as_labels
from tropica.data.batches import as_batches, count_points, first_points
from tropica.data.labelled import LabelledData
from tropica.data.validate import validate_points
from tropica.errors import DataError, InputError
from tropica.studies.datasets.load import load_data

REAL_DATA = os.environ.get("TROPICA_DATA")


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch):
    monkeypatch.delenv("TROPICA_DATA", raising=False)


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


def rgb(value: int, side: int = 4) -> np.ndarray:
    return np.full((side, side, 3), value, np.uint8)


# ── embedded sets ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("spec", "shape", "sizes"), [("digits", (1, 8, 8), (1442, 355)), ("mnist1d", (1, 40), (4000, 1000))])
def test_embedded_sets(spec, shape, sizes):
    train, test = load_data(spec), load_data(spec, split="test")
    assert (len(train), len(test)) == sizes
    assert train.input_shape == test.input_shape == shape
    assert (train.name, train.num_classes, train.split, test.split) == (spec, 10, "train", "test")
    for data in (train, test):
        assert data.labels is not None
        shares = torch.bincount(data.labels, minlength=10) / len(data)
        assert shares.min() > 0.07
        assert shares.max() < 0.13
    assert len(torch.cat([train.inputs, test.inputs]).flatten(1).unique(dim=0)) == sum(sizes)
    assert torch.equal(load_data(spec, limit=3).inputs, train.inputs[:3])


def test_digits_are_scaled_to_the_unit_interval():
    inputs = load_data("digits").inputs
    assert inputs.min() == 0
    assert inputs.max() == 1
    assert torch.equal(inputs * 16, (inputs * 16).round())


def test_mnist1d_is_the_same_everywhere():
    train, test = load_data("mnist1d"), load_data("mnist1d", split="test")
    assert train.labels is not None
    assert test.labels is not None
    assert train.labels[:8].tolist() == [5, 3, 8, 5, 3, 0, 5, 5]
    assert test.labels[-5:].tolist() == [7, 1, 9, 2, 2]
    first = torch.tensor([-0.0315, 0.0799, -0.5841, -0.8933])
    last = torch.tensor([-0.7566, -1.7017, -2.0283, -1.7497])
    torch.testing.assert_close(train.inputs[0, 0, :4], first, atol=1e-4, rtol=0)
    torch.testing.assert_close(test.inputs[-1, 0, -4:], last, atol=1e-4, rtol=0)


# ── npz ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_npz_in_the_keras_layout(tmp_path):
    x = np.arange(5 * 28 * 28).reshape(5, 28, 28).astype(np.uint8)
    np.savez(tmp_path / "m.npz", x_train=x, y_train=np.array([3, 1, 4, 1, 5], np.uint8), x_test=x[:2], y_test=[[0], [6]])
    train = load_data(str(tmp_path / "m.npz"), limit=3)
    test = load_data(str(tmp_path / "m.npz"), split="test")
    assert (train.name, train.input_shape, len(train), len(test)) == ("m", (1, 28, 28), 3, 2)
    assert torch.equal(train.inputs[:, 0], torch.from_numpy(x[:3]) / 255)
    assert train.labels is not None
    assert train.labels.tolist() == [3, 1, 4]
    assert test.labels is not None
    assert test.labels.tolist() == [0, 6]
    assert train.num_classes == test.num_classes == 7


@pytest.mark.parametrize(("points", "labels"), [("x", "y"), ("inputs", "labels")])
def test_npz_with_one_set(tmp_path, points, labels):
    x = np.linspace(-1, 1, 12).reshape(4, 3)
    np.savez(tmp_path / "s.npz", **{points: x, labels: np.array([0, 1, 0, 2])})
    data = load_data(str(tmp_path / "s.npz"))
    assert data.num_classes == 3
    torch.testing.assert_close(data.inputs, torch.from_numpy(x).float())
    with pytest.raises(DataError, match=r"holds one set, without a test split \(arrays .*\{split\}"):
        load_data(str(tmp_path / "s.npz"), split="test")


def test_npz_pair_named_by_split_and_no_labels(tmp_path):
    np.savez(tmp_path / "a-train.npz", x=np.zeros((2, 3)))
    np.savez(tmp_path / "a-test.npz", x=np.ones((1, 3)))
    test = load_data(str(tmp_path / "a-{split}.npz"), split="test")
    assert repr(test) == "LabelledData('a', test: 1 points of shape (3,), no labels)"
    assert test.inputs.sum() == 3
    assert test.labels is None
    assert test.num_classes is None


def test_npz_channels_last_become_channels_first(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (2, 6, 5, 3), np.uint8)
    np.savez(tmp_path / "c.npz", x=x)
    assert torch.equal(load_data(str(tmp_path / "c.npz")).inputs, torch.from_numpy(x).permute(0, 3, 1, 2) / 255)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"x_test": np.zeros((1, 2))},
            "no points for the train split; found arrays x_test; accepted: x_train, x, inputs",
        ),
        ({}, "found arrays none"),
        ({"x": np.zeros((0, 2))}, "there are no points"),
        ({"x": np.zeros(3)}, r"points must be an array \(N, \*shape\); found shape \(3,\)"),
        ({"x": np.zeros((3, 2), np.int64)}, "points must be uint8 images or floats; found int64"),
        ({"x": np.zeros((3, 2)), "y": np.zeros(2, int)}, "3 points, but 2 labels"),
        ({"x": np.zeros((3, 2)), "y": np.zeros(3)}, "labels must be whole numbers"),
        ({"x": np.zeros((3, 2)), "y": np.array([0, -4, 1])}, "labels must be 0 or more; found -4 at point 1"),
        ({"x": np.array([[0.0], [np.inf]])}, r"all values must be finite; point 1 has inf at \(0,\)"),
        ({"x": np.array([[None]])}, "cannot be read as a NumPy archive of plain arrays"),
    ],
)
def test_npz_errors(tmp_path, arrays, message):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(InputError, match=message):
        load_data(str(tmp_path / "bad.npz"))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "cannot be read"), (b"PK\x03\x04 rubbish", "cannot be read"), (None, "single NumPy array")],
)
def test_damaged_npz(tmp_path, content, message):
    path = tmp_path / "bad.npz"
    if content is None:
        with path.open("wb") as file:
            np.save(file, np.zeros((2, 2)))
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_data(str(path))


def test_array_conventions():
    assert as_inputs(np.zeros((2, 3, 5, 5), np.uint8), "x").shape == (2, 3, 5, 5)
    assert as_inputs(np.full((2, 9), 255, np.uint8), "x").max() == 1
    assert as_inputs(np.full((2, 4, 4), 7.0), "x").shape == (2, 4, 4)
    assert as_labels(np.array([2, 0], np.uint16), "y").dtype == torch.int64


# ── parquet ─────────────────────────────────────────────────────────────────────────────────────────────────────────


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
        ([png(np.zeros((4, 4), np.uint16))], [0], "8 bits a channel; found mode I;16"),
        ([png(rgb(0)), None], [0, 1], "row 1: the image has no bytes"),
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
    with pytest.raises(DataError, match=r"no column of coded images .* found pixels: double"):
        load_data(str(tmp_path / "t.parquet"))
    (tmp_path / "t.parquet").write_bytes(b"PAR1 rubbish")
    with pytest.raises(DataError, match="cannot be read as parquet"):
        load_data(str(tmp_path / "t.parquet"))


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    (tmp_path / "t.parquet").touch()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"needs pyarrow: pip install 'tropica\[parquet\]'"):
        load_data(str(tmp_path / "t.parquet"))


# ── image folders ───────────────────────────────────────────────────────────────────────────────────────────────────


def write_folder(root: Path, classes: dict[str, list[int]]) -> Path:
    for name, values in classes.items():
        (root / name).mkdir(parents=True)
        (root / name / "notes.txt").touch()
        for index, value in enumerate(values):
            Image.fromarray(rgb(value)).save(root / name / f"{index}.png")
    return root


def test_image_folder_takes_classes_in_turn(tmp_path):
    write_folder(tmp_path / "pets", {"dog": [4, 5], "cat": [1, 2, 3]})
    (tmp_path / "pets" / ".hidden").mkdir()
    data = load_data(str(tmp_path / "pets"))
    assert (data.name, data.num_classes, data.input_shape) == ("pets", 2, (3, 4, 4))
    assert data.labels is not None
    assert data.labels.tolist() == [0, 1, 0, 1, 0]
    assert torch.equal(data.inputs[:, 0, 0, 0], torch.tensor([1.0, 4, 2, 5, 3]) / 255)
    assert torch.equal(load_data(str(tmp_path / "pets"), limit=2).inputs, data.inputs[:2])
    with pytest.raises(DataError, match="without a test split"):
        load_data(str(tmp_path / "pets"), split="test")


@pytest.mark.parametrize("spec", ["pets", "pets/{split}"])
def test_image_folder_with_splits(tmp_path, spec):
    for split, value in (("train", 1), ("test", 2)):
        write_folder(tmp_path / "pets" / split, {"a": [value]})
    data = load_data(f"{tmp_path}/{spec}", split="test")
    assert (data.name, len(data)) == ("pets", 1)
    assert data.inputs.max() == torch.tensor(2 / 255)


def test_image_folder_errors(tmp_path):
    with pytest.raises(DataError, match="one subfolder for each class; found none"):
        load_data(str(tmp_path))
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match=r"no images in 1 class folders; accepted: .png"):
        load_data(str(tmp_path))
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match="no subfolder test; found a, train"):
        load_data(str(tmp_path), split="test")


# ── OpenML ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def answer(monkeypatch, data, target):
    monkeypatch.setattr(datasets, "fetch_openml", lambda name, **_: SimpleNamespace(data=data, target=target))


def test_openml_images_and_classes(monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 9)).astype(float)
    pixels[0, :2] = 0, 255
    answer(monkeypatch, pixels, np.array(["b", "a"] * 10, object))
    train, test = load_data("openml:tiny"), load_data("openml:tiny", split="test")
    assert (train.name, train.input_shape, train.num_classes, len(train), len(test)) == ("tiny", (1, 3, 3), 2, 16, 4)
    assert train.labels is not None
    assert train.labels[:2].tolist() == [1, 0]
    assert torch.equal(train.inputs[0].flatten(), torch.from_numpy(pixels[0] / 255).float())


def test_openml_measurements(monkeypatch):
    class Sparse:
        def toarray(self):
            return np.linspace(0, 1, 20).reshape(10, 2)

    answer(monkeypatch, Sparse(), np.linspace(0, 1, 10))
    data = load_data("openml:costs", split="test")
    assert (data.input_shape, data.labels, len(data)) == ((2,), None, 2)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (URLError("no route"), "could not be fetched from openml.org .*no route"),
        (TimeoutError("slow"), "could not be fetched from openml.org .*slow"),
        (ValueError("No active version"), "not a set that can be loaded: No active version"),
    ],
)
def test_openml_errors(monkeypatch, error, message):
    def fail(name, **_):
        raise error

    monkeypatch.setattr(datasets, "fetch_openml", fail)
    with pytest.raises(DataError, match=message):
        load_data("openml:none")


def test_openml_words_are_refused(monkeypatch):
    answer(monkeypatch, np.array([["red"]], object), None)
    with pytest.raises(DataError, match="features must be numbers"):
        load_data("openml:words")


# ── specifications and paths ────────────────────────────────────────────────────────────────────────────────────────


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
    (tmp_path / "x.csv").touch()
    with pytest.raises(DataError, match=r"this kind of file is not known; data may be .*npz"):
        load_data(str(tmp_path / "x.csv"))


def test_data_folder_is_looked_up_second(tmp_path, monkeypatch):
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


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"inputs": torch.zeros(2, 3, dtype=torch.float64)}, "float32 tensor"),
        ({"inputs": torch.zeros(0, 3)}, "N > 0"),
        ({"labels": torch.zeros(2)}, "int64 tensor"),
        ({"labels": torch.zeros(3, dtype=torch.int64)}, r"int64 tensor \(2,\)"),
        ({"labels": torch.tensor([0, 2])}, "0 … classes − 1; found 0 … 2"),
        ({"split": "all"}, "split must be one of"),
    ],
)
def test_labelled_data_checks_its_fields(fields, message):
    sound = {"inputs": torch.zeros(2, 3), "labels": torch.tensor([0, 1]), "name": "n", "classes": 2}
    assert len(LabelledData(**sound)) == 2
    with pytest.raises(InputError, match=message):
        LabelledData(**(sound | fields))


# ── batches ─────────────────────────────────────────────────────────────────────────────────────────────────────────

X = torch.arange(14.0).reshape(7, 2)
Y = torch.arange(7)


class Items(Dataset):
    """Items as a user's dataset gives them."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


class Flow(IterableDataset):
    def __iter__(self):
        return zip(X, Y, strict=True)


class Again:
    """Batches that can be walked again."""

    def __iter__(self):
        return iter([X[:3], X[:0], X[3:].numpy()])


KINDS = {
    "tensor": (X, [3, 3, 1]),
    "grad": (X.clone().requires_grad_(), [3, 3, 1]),
    "array": (X.numpy(), [3, 3, 1]),
    "big-endian": (X.numpy().astype(">f4"), [3, 3, 1]),
    "reversed": (X.flip(0).numpy()[::-1], [3, 3, 1]),
    "labelled": (LabelledData(X, Y, "x", 7), [3, 3, 1]),
    "tensor-dataset": (TensorDataset(X, Y), [3, 3, 1]),
    "subset": (Subset(TensorDataset(X, Y), range(7)), [3, 3, 1]),
    "items": (Items(list(X)), [3, 3, 1]),
    "pairs": (Items(list(zip(X.numpy(), Y, strict=True))), [3, 3, 1]),
    "iterable-dataset": (Flow(), [3, 3, 1]),
    "loader": (DataLoader(TensorDataset(X, Y), batch_size=4), [4, 3]),
    "loader-of-flow": (DataLoader(Flow(), batch_size=5), [5, 2]),
    "loader-batch-sampler": (
        DataLoader(TensorDataset(X), batch_sampler=BatchSampler(SequentialSampler(X), 2, False)),
        [2] * 3 + [1],
    ),
    "batches": ([X[:5], (X[5:], Y[5:])], [5, 2]),
    "again": (Again(), [3, 4]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_data_gives_the_same_points_each_pass(kind):
    data, sizes = KINDS[kind]
    for _ in range(2):
        batches = list(as_batches(data, 3, dtype=torch.float64, device="cpu"))
        assert [len(batch) for batch in batches] == sizes
        assert all(batch.dtype == torch.float64 and not batch.requires_grad for batch in batches)
        assert torch.equal(torch.cat(batches), X.double())
    assert count_points(data) == 7
    assert torch.equal(first_points(data, 4), X[:4])
    assert torch.equal(first_points(data, 99), X)


def test_loader_that_drops_the_last_batch():
    loader = DataLoader(TensorDataset(X), batch_size=4, drop_last=True)
    assert count_points(loader) == sum(len(batch) for batch in as_batches(loader, 1)) == 4


def test_counting_a_loader_does_not_load():
    class Unreadable(Items):
        def __getitem__(self, index):
            raise AssertionError

    assert count_points(DataLoader(Unreadable(range(7)), batch_size=2)) == 7


def test_first_points_takes_no_more_items_than_it_needs():
    class Watched(Items):
        taken = 0

        def __getitem__(self, index):
            self.taken += 1
            return self.items[index]

    data = Watched(list(X))
    first_points(data, 2)
    assert data.taken == 2


def test_memory_map_is_read_without_a_warning(tmp_path, recwarn):
    np.save(tmp_path / "x.npy", X.numpy())
    rows = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert torch.equal(torch.cat(list(as_batches(rows, 2))), X)
    assert not recwarn.list


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_floating_dtypes_are_cast_or_kept(dtype):
    assert next(as_batches(X.to(dtype), 7, dtype=torch.float32)).dtype == torch.float32
    assert next(as_batches(X.to(dtype), 7)).dtype == dtype


def random_batches() -> BatchSampler:
    return BatchSampler(RandomSampler(X), 2, False)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (iter([X]), "can be walked only once"),
        ((batch for batch in [X]), "a generator can be walked only once"),
        (DataLoader(TensorDataset(X), shuffle=True), "RandomSampler; make it with shuffle=False"),
        (DataLoader(TensorDataset(X), batch_sampler=random_batches()), "has a RandomSampler"),
        ((X, Y), "found tuple; labels are not needed"),
        ({"x": X}, "found dict"),
        ("digits", "found str"),
        (3, "expected a tensor or array .* found int"),
        (Dataset(), "must have a length; Dataset has no __len__"),
        ([], "at least one point is needed; found none"),
        (X[:0], "at least one point is needed; found none"),
        (Items([]), "at least one point is needed; found none"),
        (torch.zeros(3), r"points must be \(N, \*shape\); found shape \(3,\)"),
        ([torch.tensor(1.0)], "one axis or more"),
        (Items([torch.tensor(1.0)]), "one axis or more"),
        (Y[:, None], r"found torch.int64; scale them to floats first, as x.float\(\) / 255"),
        (X.to(torch.uint8), "found torch.uint8; scale them"),
        (X.bool().numpy(), "found torch.bool; scale them"),
        (X.to(torch.complex64), "of dtype float16, bfloat16, float32, float64; found torch.complex64"),
        (np.array([[None]]), "expected an array of floats; found dtype object"),
        (Items([X[0], torch.zeros(3)]), r"expected \(2,\), as item 0; item 1 has \(3,\)"),
        (Items([{"image": X[0], "label": 1}]), "item 0: expected a tensor .* found a dict with image, label"),
        (Items([Image.new("L", (2, 2))]), "item 0: expected a tensor or an array.* found Image"),
        ([X, torch.zeros(1, 3)], r"points of shape \(2,\) are expected.*found \(1, 3\)"),
        ([[1.0, 2.0]], "batch 0: expected a tensor or an array.*found float"),
        (torch.where(X == 9, torch.nan, X), r"point 4 has nan at \(1,\)"),
    ],
)
def test_refused_data(data, message):
    with pytest.raises(InputError, match=f"(?s)images: .*{message}|images: {message}"):
        list(as_batches(data, 2, where="images"))


def test_a_value_too_large_for_the_dtype_is_named():
    with pytest.raises(InputError, match=r"point 1 has inf at \(0,\) \(torch.float32\)"):
        list(as_batches(torch.tensor([[1.0], [1e300]], dtype=torch.float64), 1, dtype=torch.float32))


@pytest.mark.parametrize("number", [0, -1, 2.0, True, None])
def test_batch_size_and_n_are_positive(number):
    with pytest.raises(InputError, match="batch_size must be a whole number, 1 or more"):
        as_batches(X, number)
    with pytest.raises(InputError, match="n must be a whole number, 1 or more"):
        first_points(X, number)


def test_batches_of_a_given_shape():
    assert len(list(as_batches(X, 4, shape=(2,)))) == 2
    with pytest.raises(InputError, match=r"points of shape \(5,\) are expected.*found \(4, 2\)"):
        list(as_batches(X, 4, shape=(5,)))


@pytest.mark.parametrize(
    ("x", "shape", "message"),
    [
        (torch.zeros(3, 4, 4), (3, 4, 4), r"add the batch axis: x.unsqueeze\(0\)"),
        (torch.zeros(2, 4, 5, 3), (3, 4, 5), r"channels come first: x.permute\(0, 3, 1, 2\)"),
        (torch.zeros(2, 48), (3, 4, 4), r"as many numbers a point: x.reshape\(-1, 3, 4, 4\)"),
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
