"""Writing and damaging torch.export archives."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

BATCH = ({0: Dim.DYNAMIC},)
MODEL, WEIGHTS = "models/model.json", "data/weights/model_weights_config.json"


def save(model: nn.Module, example: Tensor, path: Path, **settings: Any) -> Path:
    """Export a model with a free batch, and save it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(model, (example,), dynamic_shapes=settings.pop("dynamic_shapes", BATCH), **settings)
        torch.export.save(program, path)
    return path


def rewrite(path: Path, changes: dict[str, Callable[[bytes], bytes | None]], compress: bool = False) -> Path:
    """A copy of an archive with changed entries, selected by the end of their names; None removes an entry."""
    out = path.with_name(f"changed-{path.name}")
    kind = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w", kind) as new:
        for name in old.namelist():
            content: bytes | None = old.read(name)
            for end, change in changes.items():
                if name.endswith(end) and content is not None:
                    content = change(content)
            if content is not None:
                new.writestr(name, content)
    return out


def rewrite_json(path: Path, end: str, change: Callable[[Any], object]) -> Path:
    """A copy of an archive with one of its JSON entries changed in place."""

    def edit(content: bytes) -> bytes:
        tree = json.loads(content)
        change(tree)
        return json.dumps(tree).encode()

    return rewrite(path, {end: edit})


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a JSON tree."""
    found: list[tuple[Any, Any]] = []
    if isinstance(tree, dict | list):
        for key in tree if isinstance(tree, dict) else range(len(tree)):
            found += [(tree, key), *places(tree[key])]
    return found
