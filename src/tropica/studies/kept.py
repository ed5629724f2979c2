"""What is measured is kept: whole runs, and parts of long ones, each in a file that says what it was measured on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tropica.errors import DataError, InputError
from tropica.runtime.files import plain, write_json


def kept(file: Path, about: Mapping[str, Any]) -> dict[str, Any] | None:
    """What was measured before, or None.

    Raises:
        InputError: it was measured on something else; the message says what differs.
        DataError: the file is not what a study wrote.
    """
    if not file.exists():
        return None
    try:
        numbers = json.loads(file.read_text(encoding="utf-8"))
        found = numbers["about"]
    except (ValueError, KeyError, OSError) as error:
        raise DataError(f"{file}: not what a study wrote; remove it to measure this run again") from error
    differing = [key for key in about if found.get(key) != about[key]]
    if differing:
        said = "; ".join(f"{key} {found.get(key)} there and {about[key]} here" for key in differing)
        raise InputError(f"{file.parent} holds runs of something else: {said}; choose another --out, or remove the folder")
    return numbers


@dataclass(frozen=True)
class Parts:
    """Parts of one run, such as its epochs: each is kept as it is measured, so that an interrupted run goes on after the last.

    Attributes:
        folder: of this run's parts, made when the first one is measured; None keeps nothing.
        about: what they depend on.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     parts = Parts(Path(folder) / "parts")
    ...     parts.of("epoch-1", lambda: [1.5]), parts.of("epoch-1", lambda: "not measured again")
    ([1.5], [1.5])
    """

    folder: Path | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    def of(self, name: str, measure: Callable[[], Any]) -> Any:
        """A part by name, plain as JSON has it: read, or else measured and kept."""
        if self.folder is None:
            return plain(measure())
        file = self.folder / f"{name}.json"
        before = kept(file, self.about)
        if before is not None:
            return before["part"]
        found = plain(measure())
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(file, {"about": self.about, "part": found})
        return found

    def clear(self) -> None:
        """Remove them: the run that they are parts of is whole, and kept in a file of its own."""
        if self.folder is not None and self.folder.is_dir():
            for file in self.folder.glob("*.json"):
                file.unlink()
            self.folder.rmdir()
