"""What is asked of a source that reads files."""

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
    """The first `limit` points of one split, from `path`; `paired` where the path was chosen by split (`{split}`)."""

    path: Path
    name: str
    split: Split
    limit: int | None
    paired: bool

    @classmethod
    def of(cls, spec: str, split: Split, limit: int | None) -> FileRequest:
        """The request for the file or folder that `spec` names.

        Raises:
            DataError: nothing is there.
        """
        return cls(locate(spec, split), data_name(spec), split, limit, PLACEHOLDER in spec)

    def refuse_unknown_split(self, found: str) -> None:
        """Raise `DataError` if test points are asked of a source that holds one set and says nothing of decompositions.

        Training points passed off as test points would make every accuracy look better than it is.
        """
        if self.split == "test" and not self.paired:
            raise DataError(
                f"{self.path} holds one set, without a test split ({found}): load it with split='train', "
                f"or name two files or folders by one pattern such as 'name-{PLACEHOLDER}'"
            )

    def deliver(self, inputs: Tensor, labels: Tensor | None, classes: int | None) -> LabelledData:
        """The points as `LabelledData`, at most `limit` of them."""
        return labelled(inputs, labels, name=self.name, num_classes=classes, split=self.split, limit=self.limit)
