"""Data sets of OpenML, without the network."""

from __future__ import annotations

from types import SimpleNamespace
from urllib.error import URLError

import numpy as np
import pytest
import torch
from sklearn import datasets

from tropica.errors import DataError
from tropica.studies.datasets.load import load_data


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
        (ValueError("No active version"), "not a data set that can be loaded: No active version"),
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
