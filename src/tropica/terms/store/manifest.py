"""The manifest of a store: a description of its content, in JSON that is validated on reading."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tropica.errors import StoreError
from tropica.runtime import safetensors_files
from tropica.terms.certificate import Certificate
from tropica.terms.identity import ExtractionIdentity

FORMAT = 3
MANIFEST = "manifest.json"
DECOMPOSITION = "decomposition.safetensors"
CENTER = "center.safetensors"
CALIBRATION = "calibration.safetensors"
STATES = ("decomposing", "extracting", "complete")
LARGEST = 2**28
"""The largest size of a manifest in bytes."""
_CHECKSUM = re.compile(r"[0-9a-f]{64}")


def shard_file(number: int) -> str:
    """The name of a shard's file.

    >>> shard_file(3)
    'shard-00003.safetensors'
    """
    return f"shard-{number:05d}.safetensors"


@dataclass(frozen=True)
class ShardEntry:
    """A finished shard: its number of points, its size in bytes, and its checksum."""

    points: int
    bytes: int
    checksum: str


@dataclass(frozen=True)
class Manifest:
    """The content of a store.

    Attributes:
        extraction: the identity of the extraction.
        shard_points: number of points of each shard, planned or finished.
        input_shape: shape of one input.
        num_classes: number of labels.
        state: "decomposing" until the decomposition is known, then "extracting", finally "complete".
        decomposition_given: was the decomposition given to the extraction? Otherwise it was computed on these points.
        point_digests: SHA-256 of the points of each shard, "" for points not seen yet; empty once the store is complete.
        data: checksum of the digests of all shards, once the store is complete.
        decomposition, center: checksums of these files once the store is complete; "" for terms saved without a decomposition.
        shards: the finished shards, once all are finished.
        certificate: the terms' certificate, once the store is complete.
        versions: versions of the libraries that wrote the store, and their number of threads.
    """

    extraction: ExtractionIdentity
    shard_points: list[int]
    input_shape: list[int]
    num_classes: int
    state: str = "decomposing"
    decomposition_given: bool = False
    point_digests: list[str] = dataclasses.field(default_factory=list)
    data: str = ""
    decomposition: str = ""
    center: str = ""
    shards: list[ShardEntry] = dataclasses.field(default_factory=list)
    certificate: Certificate | None = None
    versions: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Are all shards finished, and the certificate known?"""
        return self.state == "complete"

    @property
    def first_points(self) -> list[int]:
        """The number of the first point of each shard."""
        return [0, *itertools.accumulate(self.shard_points)][:-1]

    def write(self, folder: Path) -> None:
        """Write the manifest atomically. Raises StoreError if it cannot be written."""
        content: dict[str, Any] = {"format": FORMAT, **dataclasses.asdict(self)}
        if self.certificate is not None:
            content["certificate"] = {name: to_json(value) for name, value in content["certificate"].items()}
        content["checksum"] = safetensors_files.checksum_of(content)
        safetensors_files.write_bytes(folder / MANIFEST, json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read and validate the manifest of a store.

        Raises:
            StoreError: the manifest is missing, damaged, or of another format; the message names the file.
        """
        path = folder / MANIFEST
        content = _json_of(path)
        check_format(path, content.get("format"))
        try:
            checksum = content.pop("checksum")
            if safetensors_files.checksum_of(content) != checksum:
                raise StoreError(f"{path}: damaged (its checksum differs)")
            return cls._from_json(content)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise StoreError(f"{path}: damaged ({type(error).__name__}: {error})") from error

    @classmethod
    def _from_json(cls, content: dict[str, Any]) -> Manifest:
        del content["format"]
        if missing := {field.name for field in dataclasses.fields(cls)} - set(content):
            raise ValueError(f"{', '.join(sorted(missing))} missing")
        content["extraction"] = ExtractionIdentity.from_dict(content["extraction"])
        content["shards"] = [ShardEntry(**entry) for entry in content["shards"]]
        if content["certificate"] is not None:
            content["certificate"] = Certificate(**{name: from_json(x) for name, x in content["certificate"].items()})
        made = cls(**content)
        made._validate()
        return made

    def _validate(self) -> None:
        """Raise ValueError if entries are out of range or contradict each other."""
        entries = [number for entry in self.shards for number in (entry.points, entry.bytes)]
        whole = [*self.shard_points, *self.input_shape, self.num_classes, *entries]
        files = [checksum for checksum in (self.decomposition, self.center, self.data) if checksum]
        checksums = [*(entry.checksum for entry in self.shards), *files]
        facts = {
            "state": self.state in STATES,
            "numbers": all(isinstance(n, int) and not isinstance(n, bool) and 0 < n < 2**48 for n in whole),
            "input_shape": bool(self.input_shape) and math.prod(self.input_shape) < 2**40,
            "shard_points": bool(self.shard_points) and sum(self.shard_points) == int(self.extraction.points),
            "point_digests": not self.point_digests or len(self.point_digests) == len(self.shard_points),
            "checksums": all(isinstance(checksum, str) and _CHECKSUM.fullmatch(checksum) for checksum in checksums),
            "shards": [entry.points for entry in self.shards] == (self.shard_points if self.is_complete else []),
            "decomposition_given": isinstance(self.decomposition_given, bool),
        }
        wrong = [name for name, right in facts.items() if not right]
        if wrong:
            raise ValueError(f"impossible {', '.join(wrong)}")
        if self.is_complete and (self.certificate is None or not (self.center and self.data)):
            raise ValueError("the state is complete, but entries are missing")


def check_format(path: Path, found: Any) -> None:
    """Raise StoreError if a file of a store has another format than this version writes."""
    if found in (1, 2):
        raise StoreError(
            f"{path}: store format {found}, which this version of tropica cannot read: extract the terms again into another "
            f"folder ({DECOMPOSITION} and its older names cannot be reused either)"
        )
    if found != FORMAT:
        raise StoreError(f"{path}: store format {found!r}; this version of tropica reads format {FORMAT}")


def format_of(folder: Path) -> Any:
    """The format that a folder's manifest names; None if there is no manifest, or no format in it."""
    try:
        return _json_of(folder / MANIFEST).get("format")
    except StoreError:
        return None


def _json_of(path: Path) -> dict[str, Any]:
    """The JSON object in a manifest. Raises StoreError if there is none."""
    try:
        if path.stat().st_size > LARGEST:
            raise StoreError(f"{path}: damaged (it is too large)")
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise StoreError(f"{path.parent}: not a store of terms (there is no {MANIFEST})") from None
    except NotADirectoryError:
        raise StoreError(f"{path.parent}: not a store of terms (it is a file, not a folder)") from None
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path}: damaged (it is not JSON: {error})") from error
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{path}: cannot be read ({error.strerror})") from error
    if not isinstance(content, dict) or "format" not in content:
        raise StoreError(f"{path}: damaged (it is not a manifest)")
    return content


def to_json(value: Any) -> Any:
    """The value, with the name of a float that is not finite, which JSON cannot express."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def from_json(value: Any) -> Any:
    """The value from which :func:`to_json` made ``value``."""
    return float(value) if value in ("nan", "inf", "-inf") else value
