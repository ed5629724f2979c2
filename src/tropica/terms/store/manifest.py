"""The manifest of a store: what it holds, in JSON that is checked before it is believed."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tropica.errors import StoreError
from tropica.runtime import safetensors_files
from tropica.terms.certificate import Certificate

FORMAT = 2
MANIFEST = "manifest.json"
STATES = ("calibrating", "extracting", "complete")
LARGEST = 2**28
"""Bytes of a manifest; one that is larger is none."""
_SEAL = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Entry:
    """A finished shard: its points, its size in bytes, and its checksum."""

    points: int
    bytes: int
    checksum: str


@dataclass
class Manifest:
    """What a store holds.

    Attributes:
        run: what the terms are of: fingerprints of network and decomposition, method, dtype, dtype on disk, points, batches.
        state: one of STATES.
        plan: points of each shard.
        shape: shape of one input.
        num_classes: number of labels.
        data: fingerprint of all points, once all were seen.
        inputs: SHA-256 of the points of each shard, as far as they were seen ("" where not); only while it is not complete.
        given: was the decomposition given? (Else it was made for these very points, whose cotangents need not be looked at again.)
        decomposition, center: the checksums of these files, "" where they are not there yet.
        shards: finished shards, once all are.
        certificate: that of the terms.
        versions: of the libraries that wrote it, and the threads they ran on.
    """

    run: dict[str, str]
    plan: list[int]
    shape: list[int]
    num_classes: int
    state: str = "calibrating"
    data: str = ""
    inputs: list[str] = field(default_factory=list)
    given: bool = False
    decomposition: str = ""
    center: str = ""
    shards: list[Entry] = field(default_factory=list)
    certificate: Certificate | None = None
    versions: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write it, whole or not at all. Raises StoreError where it cannot be written."""
        content: dict[str, Any] = dataclasses.asdict(self)
        content["format"] = FORMAT
        content["shards"] = [[entry.points, entry.bytes, entry.checksum] for entry in self.shards]
        if self.certificate is not None:
            content["certificate"] = {name: _plain(value) for name, value in content["certificate"].items()}
        content["checksum"] = safetensors_files.checksum_of(content)
        safetensors_files.write_bytes(folder / MANIFEST, json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of a store, checked.

        Raises:
            StoreError: there is none, it is of another format, or it is damaged; names the file.
        """
        path = folder / MANIFEST
        try:
            if path.stat().st_size > LARGEST:
                raise StoreError(f"{path}: damaged (it is far too large)")
            content = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise StoreError(f"{folder}: not a store of terms (there is no {MANIFEST})") from None
        except NotADirectoryError:
            raise StoreError(f"{folder}: not a store of terms (it is a file, not a folder)") from None
        except (ValueError, RecursionError) as error:
            raise StoreError(f"{path}: damaged (it is not JSON: {error})") from error
        except OSError as error:
            if isinstance(error, StoreError):
                raise
            raise StoreError(f"{path}: cannot be read ({error.strerror})") from error
        if not isinstance(content, dict) or "format" not in content:
            raise StoreError(f"{path}: damaged (it is not a manifest)")
        if content["format"] != FORMAT:
            raise StoreError(f"{path}: of format {content['format']!r}; this version of tropica reads format {FORMAT}")
        try:
            checksum = content.pop("checksum")
            if safetensors_files.checksum_of(content) != checksum:
                raise StoreError(f"{path}: damaged (its checksum differs)")
            return cls._from(content)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise StoreError(f"{path}: damaged ({type(error).__name__}: {error})") from error

    @classmethod
    def _from(cls, content: dict[str, Any]) -> Manifest:
        content.pop("format")
        content["shards"] = [Entry(*entry) for entry in content["shards"]]
        if content["certificate"] is not None:
            content["certificate"] = Certificate(**{k: _number(v) for k, v in content["certificate"].items()})
        made = cls(**content)
        made._check()
        return made

    def _check(self) -> None:
        """Raise ValueError where numbers do not fit each other or are absurd."""
        whole = [*self.plan, *self.shape, self.num_classes, *(n for entry in self.shards for n in (entry.points, entry.bytes))]
        checksums = [
            *(entry.checksum for entry in self.shards),
            *(checksum for checksum in (self.decomposition, self.center, self.data) if checksum),
        ]
        facts = {
            "state": self.state in STATES,
            "numbers": all(isinstance(n, int) and not isinstance(n, bool) and 0 < n < 2**48 for n in whole),
            "shape": bool(self.shape) and math.prod(self.shape) < 2**40,
            "plan": bool(self.plan) and sum(self.plan) == int(self.run["points"]),
            "inputs": not self.inputs or len(self.inputs) == len(self.plan),
            "checksums": all(isinstance(checksum, str) and _SEAL.fullmatch(checksum) for checksum in checksums),
            "shards": [entry.points for entry in self.shards] == (self.plan if self.state == "complete" else []),
            "given": isinstance(self.given, bool),
            "run": all(isinstance(value, str) for value in self.run.values()),
        }
        wrong = [name for name, right in facts.items() if not right]
        if wrong:
            raise ValueError(f"its {', '.join(wrong)} cannot be")
        if self.state == "complete" and (self.certificate is None or not (self.decomposition and self.center and self.data)):
            raise ValueError("it says that it is complete, and is not")


def _plain(value: Any) -> Any:
    """A number that JSON has a word for, or its name."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: Any) -> Any:
    """What :func:`_plain` made of a number."""
    return float(value) if value in ("nan", "inf", "-inf") else value
