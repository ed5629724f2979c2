"""`FileRequest`: the points of a file that a reader loads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from tropica.data.arrays import labelled
from tropica.data.labelled import LabelledData, Split
from tropica.data.readers.paths import PLACEHOLDER, data_name, locate
from tropica.errors import DataError


@dataclass(frozen=True)
class FileRequest:
    """The first ``limit`` points of one split in the file or folder ``path``.

    ``paired``: the path was made from a pattern with ``{split}``, so that the other split has another path.
    """

    path: Path
    name: str
    split: Split
    limit: int | None
    paired: bool

    @classmethod
    def from_spec(cls, spec: str, split: Split, limit: int | None) -> FileRequest:
        """The request for the file or folder that ``spec`` names.

        Raises:
            DataError: there is no such file or folder.
        """
        return cls(locate(spec, split), data_name(spec), split, limit, PLACEHOLDER in spec)

    def refuse_unknown_split(self, found: str) -> None:
        """Raise `DataError` for the test split of a file that holds one set only.

        Training points used as test points would inflate every accuracy.
        """
        if self.split == "test" and not self.paired:
            raise DataError(
                f"{self.path} holds one set, without a test split ({found}): load it with split='train', "
                f"or name two files or folders by one pattern such as 'name-{PLACEHOLDER}'"
            )

    def labelled(self, inputs: Tensor, labels: Tensor | None, classes: int | None) -> LabelledData:
        """The first ``limit`` points as `LabelledData`."""
        return labelled(inputs, labels, name=self.name, num_classes=classes, split=self.split, limit=self.limit)
