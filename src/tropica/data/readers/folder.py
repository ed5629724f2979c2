"""A folder of images with one subfolder for each class."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

import torch

from tropica.data.arrays import Labels
from tropica.data.labelled import SPLITS, LabelledData
from tropica.data.readers.images import stack_images
from tropica.data.readers.request import FileRequest
from tropica.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp")


def load_folder(request: FileRequest) -> LabelledData:
    """The images of a folder. Classes are numbered by the sorted names of the subfolders, alike in all splits.

    If the folder has subfolders ``train`` or ``test``, the class folders lie in these. The points are ordered
    in rounds of one image of each class, so that the first points contain every class.

    Raises:
        DataError: there are no subfolders or no images, or the images have different shapes.
    """
    request.refuse_columns("an image folder")
    root = _root(request)
    classes = _class_names(request)
    if not _subfolders(root):
        raise DataError(f"{root}: an image folder must have one subfolder for each class; found none")
    files = _in_turn([_images(root / name) for name in classes])[: request.limit]
    if not files:
        raise DataError(f"{root}: no images in {len(classes)} class folders; accepted: {', '.join(SUFFIXES)}")
    inputs = stack_images(((path, str(path)) for path, _ in files), len(files))
    labels = Labels(torch.tensor([label for _, label in files]), len(classes), tuple(classes))
    return request.labelled(inputs, labels)


def _root(request: FileRequest) -> Path:
    """The folder whose subfolders are the classes."""
    if any((request.path / split).is_dir() for split in SPLITS):
        root = request.path / request.split
        if not root.is_dir():
            found = ", ".join(folder.name for folder in _subfolders(request.path))
            raise DataError(f"{request.path}: no subfolder {request.split}; found {found}")
        return root
    request.refuse_unknown_split("class folders")
    return request.path


def _class_names(request: FileRequest) -> list[str]:
    """The sorted names of the class folders of all splits, as one split may lack a class."""
    roots: set[Path] = set()
    for one in request.splits():
        inside = [one.path / split for split in SPLITS if (one.path / split).is_dir()]
        roots.update(inside or [one.path])
    return sorted({folder.name for root in roots for folder in _subfolders(root)})


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES) if folder.is_dir() else []


def _in_turn(classes: list[list[Path]]) -> list[tuple[Path, int]]:
    """The first image of every class, then the second of every class, and so on."""
    rounds = zip_longest(*classes)
    return [(path, label) for paths in rounds for label, path in enumerate(paths) if path is not None]
