"""Self-describing safetensors files with checksums.

The header has one metadata entry ``tropica``, which is JSON: ``about`` describes the content, ``tensors`` holds the type,
the shape and the SHA-256 of each tensor, and ``checksum`` is the SHA-256 of both. One checksum thus covers the whole
content, each tensor can be checked alone, and only the requested tensors are read. Equal content gives equal bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from tropica.errors import StoreError
from tropica.runtime.files import replace_file

ENTRY = "tropica"
LARGEST_HEADER = 2**24
"""The largest header in bytes; a file that claims more is damaged."""


def digest_of(x: Tensor) -> str:
    """The SHA-256 of the bytes of a tensor."""
    return hashlib.sha256(x.contiguous().flatten().view(torch.uint8).numpy().data).hexdigest()


def checksum_of(content: Mapping[str, Any]) -> str:
    """The SHA-256 of JSON content in its canonical form.

    >>> checksum_of({"a": 1})[:8]
    '015abd7f'
    """
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def canonical(content: Mapping[str, Any]) -> str:
    """JSON with sorted keys and no spaces."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def pack(about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> tuple[bytes, str]:
    """The bytes of a checksummed file, and its checksum."""
    plain = {name: x.detach().cpu().contiguous() for name, x in tensors.items()}
    table = {name: [_name(x.dtype), list(x.shape), digest_of(x)] for name, x in plain.items()}
    content = {"about": dict(about), "tensors": table}
    checksum = checksum_of(content)
    # A single metadata entry, as safetensors does not fix the order of several.
    return safetensors.torch.save(plain, {ENTRY: canonical({**content, "checksum": checksum})}), checksum


def write(path: Path, about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Write a checksummed file atomically, and return its checksum.

    Raises StoreError if the file cannot be written.
    """
    raw, checksum = pack(about, tensors)
    write_bytes(path, raw)
    return checksum


def write_bytes(path: Path, raw: bytes | str) -> None:
    """Write a file of a store atomically.

    Raises StoreError if the file cannot be written.
    """
    try:
        replace_file(path, raw)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror}); finished files are kept") from error


class SafetensorsFile:
    """A checksummed file, open for reading: ``about``, ``checksum``, and memory-mapped tensors.

    Opening reads only the header. It checks the header's checksum, and the names, types and shapes of the tensors in the file.

    Raises:
        StoreError: the file does not exist, has another format, or is truncated or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise StoreError(f"{path}: {'not a file' if path.exists() else 'missing'}")
        try:
            with path.open("rb") as file:
                if int.from_bytes(file.read(8), "little") > LARGEST_HEADER:
                    raise StoreError(f"{path}: damaged (its header is too large)")
            self._file = safetensors.safe_open(path, "pt")
            entry = (self._file.metadata() or {}).get(ENTRY)
            if entry is None:
                raise StoreError(f"{path}: not a file of tropica")
            content = json.loads(entry)
            self.checksum = str(content.pop("checksum"))
            self.about: dict[str, Any] = content["about"]
            self._table: dict[str, Any] = content["tensors"]
            if checksum_of(content) != self.checksum or set(self._file.keys()) != set(self._table):
                raise StoreError(f"{path}: damaged (the checksum of its header differs)")
            for name, (dtype, shape, _) in self._table.items():
                part = self._file.get_slice(name)
                if list(part.get_shape()) != shape or part.get_dtype() != _code(dtype):
                    raise StoreError(f"{path}: damaged (the type or shape of tensor {name} differs from the header)")
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, safetensors.SafetensorError) as error:
            if isinstance(error, StoreError):
                raise
            raise StoreError(f"{path}: cannot be read, truncated or damaged ({error})") from error

    def kind(self, name: str) -> SafetensorsFile:
        """This file, if ``about["kind"]`` is ``name``. Raises StoreError for another kind."""
        if not isinstance(self.about, dict) or self.about.get("kind") != name:
            raise StoreError(f"{self.path}: not a file of kind {name!r}")
        return self

    def names(self) -> set[str]:
        """The names of the tensors."""
        return set(self._table)

    def digest(self, name: str) -> str:
        """The SHA-256 of a tensor, from the header."""
        return self._table[name][2]

    def tensor(self, name: str, check: bool = True) -> Tensor:
        """A memory-mapped tensor. ``check`` reads the tensor once and compares it with its checksum.

        Raises StoreError if the checksum differs, or no tensor has this name.
        """
        if name not in self._table:
            raise StoreError(f"{self.path}: damaged (there is no tensor {name})")
        try:
            x = self._file.get_tensor(name)
        except (OSError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
            raise StoreError(f"{self.path}: cannot be read ({error})") from error
        if check and digest_of(x) != self._table[name][2]:
            raise StoreError(f"{self.path}: damaged (the checksum of {name} differs)")
        return x

    def check(self) -> None:
        """Compare all tensors with their checksums. Raises StoreError if one differs."""
        for name in self._table:
            self.tensor(name)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _code(name: str) -> str:
    """The name of a dtype in safetensors."""
    return {"float32": "F32", "float64": "F64", "bfloat16": "BF16", "int64": "I64"}[name]
