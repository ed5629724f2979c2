"""NumPy archives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tropica.errors import DataError, InputError
from tropica.studies.datasets.load import load_data


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
            "no points for the train split; found arrays x_test; accepted: x_train, x, X, inputs",
        ),
        ({}, "found arrays none"),
        ({"x": np.zeros((0, 2))}, "there are no points"),
        ({"x": np.zeros(3)}, r"points must be an array \(N, \*shape\); found shape \(3,\)"),
        ({"x": np.zeros((3, 2), np.int64)}, "points must be uint8 images or floats; found int64"),
        ({"x": np.zeros((3, 2)), "y": np.zeros(2, int)}, "3 points, but 2 labels"),
        ({"x": np.zeros((3, 2)), "y": np.zeros(3)}, "labels must be whole numbers"),
        ({"x": np.zeros((3, 2)), "y": np.array([0, -4, 1])}, "labels must be 0 or more; found -4 at point 1"),
        ({"x": np.array([[0.0], [np.inf]])}, r"all values must be finite; point 1 has inf at \(0,\)"),
        ({"x_train": np.zeros((1, 2)), "Y_train": np.zeros(1, int)}, "in Y_train\\? Name them y_train"),
        ({"x": np.array([[None]])}, "plain arrays: it holds Python objects, which are never loaded"),
    ],
)
def test_npz_errors(tmp_path, arrays, message):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(InputError, match=message):
        load_data(str(tmp_path / "bad.npz"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is no file that NumPy wrote"),
        (b"\x80\x04 rubbish", "it is no file that NumPy wrote"),
        (b"PK\x03\x04 rubbish", "cannot be read"),
        (None, "single NumPy array"),
    ],
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
