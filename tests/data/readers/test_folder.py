"""Folders of images."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.data.readers.pictures import rgb
from tropica.errors import DataError
from tropica.studies.datasets.load import load_data


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


def test_a_gray_image_among_color_images_is_converted(tmp_path):
    root = write_folder(tmp_path / "pets", {"a": [1, 2], "b": [3]})
    for gray in ("a/0.png", "b/0.png"):
        Image.new("L", (4, 4), 9).save(root / gray)
        data = load_data(str(root))
        assert data.input_shape == (3, 4, 4)
        assert sorted(set((data.inputs * 255).flatten().round().tolist())) == ([2, 3, 9] if gray == "a/0.png" else [2, 9])


def test_images_are_turned_as_the_camera_was_held(tmp_path):
    image = Image.new("RGB", (3, 2))
    image.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 6  # held upright: the first row is the right side
    (tmp_path / "a").mkdir()
    image.save(tmp_path / "a" / "0.png", exif=exif)
    data = load_data(str(tmp_path))
    assert data.input_shape == (3, 3, 2)
    assert data.inputs[0, 0].tolist() == [[0, 1], [0, 0], [0, 0]]
