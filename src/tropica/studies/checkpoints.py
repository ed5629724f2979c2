"""Measurements on disk: complete runs, and parts of long runs, each in a JSON file with its settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tropica.errors import DataError, InputError
from tropica.runtime.files import plain, write_json


def read_measurement(file: Path, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """Read an earlier measurement; None where there is none.

    Args:
        file: the JSON file; its key "settings" holds the settings of the measurement.
        settings: the settings that the measurement must have.

    Raises:
        InputError: the measurement has other settings; the message lists the differences.
        DataError: the file was not written by a study.
    """
    if not file.exists():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        found = content["settings"]
    except (ValueError, KeyError, OSError) as error:
        raise DataError(f"{file}: not written by a study; remove it to measure this run again") from error
    differing = [key for key in settings if found.get(key) != settings[key]]
    if differing:
        listed = "; ".join(f"{key} {found.get(key)} there and {settings[key]} here" for key in differing)
        raise InputError(f"{file.parent} holds runs with other settings: {listed}; choose another --out, or remove the folder")
    return content


@dataclass(frozen=True)
class Checkpoints:
    """Parts of one run, such as its epochs: each is kept when it is measured, so that an interrupted run resumes after it.

    Attributes:
        folder: the folder of the parts of this run, made with the first part; None keeps nothing.
        settings: the settings that the parts depend on.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checkpoints = Checkpoints(Path(folder) / "parts")
    ...     checkpoints.get("epoch-1", lambda: [1.5]), checkpoints.get("epoch-1", lambda: "not measured again")
    ([1.5], [1.5])
    """

    folder: Path | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def get(self, name: str, measure: Callable[[], Any]) -> Any:
        """Read a part, or measure and keep it; returns plain JSON content."""
        if self.folder is None:
            return plain(measure())
        file = self.folder / f"{name}.json"
        earlier = read_measurement(file, self.settings)
        if earlier is not None:
            return earlier["part"]
        part = plain(measure())
        write_json(file, {"settings": self.settings, "part": part})
        return part

    def clear(self) -> None:
        """Remove all parts, once the complete run has a file of its own."""
        if self.folder is not None and self.folder.is_dir():
            for file in self.folder.glob("*.json"):
                file.unlink()
            self.folder.rmdir()
