"""`FileRequest`: the points of a file that a reader loads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from tropica.data.arrays import Labels, labelled
from tropica.data.labelled import SPLITS, LabelledData, Split
from tropica.data.readers.paths import PLACEHOLDER, data_name, locate
from tropica.errors import DataError


@dataclass(frozen=True)
class FileRequest:
    """The first ``limit`` points of one split in the file or folder ``path``.

    Attributes:
        spec: the specification that the path was made from.
        label: the column or array of labels; "" for none; None for the one with a usual name.
        columns: the columns of a table that are the points; None for all but the labels.
        splits_inside: both splits lie in one file.
        targets: labels that are no classes are the targets of a regression, and left out.
    """

    path: Path
    name: str
    split: Split
    limit: int | None
    spec: str
    label: str | None = None
    columns: tuple[str, ...] | None = None
    splits_inside: bool = False
    targets: bool = False

    @classmethod
    def from_spec(
        cls,
        spec: str,
        split: Split,
        limit: int | None,
        label: str | None = None,
        columns: Sequence[str] | None = None,
        targets: bool = False,
    ) -> FileRequest:
        """The request for the file or folder that ``spec`` names.

        Raises:
            DataError: there is no such file or folder.
        """
        chosen = None if columns is None else tuple(columns)
        return cls(locate(spec, split), data_name(spec), split, limit, spec, label, chosen, targets=targets)

    @property
    def paired(self) -> bool:
        """Whether the path was made from a pattern with ``{split}``, so that the other split has another path."""
        return PLACEHOLDER in self.spec

    def splits(self) -> list[FileRequest]:
        """The requests for all splits whose files exist: classes are numbered alike in all of them."""
        if self.splits_inside:
            return [replace(self, split=split) for split in SPLITS]
        if not self.paired:
            return [self]
        found: list[FileRequest] = []
        for split in SPLITS:
            try:
                found.append(replace(self, path=locate(self.spec, split), split=split))
            except DataError:
                continue
        return found

    def refuse_unknown_split(self, found: str) -> None:
        """Raise `DataError` for the test split of a file that holds one set only.

        Training points used as test points would inflate every accuracy.
        """
        if self.split == "test" and not self.paired:
            raise DataError(
                f"{self.path} holds one set, without a test split ({found}): load it with split='train', "
                f"or name two files or folders by one pattern such as 'name-{PLACEHOLDER}'"
            )

    def refuse_columns(self, what: str, *, label: bool = True) -> None:
        """Raise `DataError` where columns (or a label) are asked of data that has none."""
        for name, given in (("columns", self.columns), ("label", self.label if label else None)):
            if given is not None:
                raise DataError(f"{self.path}: {name}={given!r} names columns of a table; {what} has none")

    def labelled(self, inputs: Tensor, labels: Labels | None, feature_names: Sequence[str] | None = None) -> LabelledData:
        """The first ``limit`` points as `LabelledData`."""
        settings = {"name": self.name, "split": self.split, "limit": self.limit, "feature_names": feature_names}
        return labelled(inputs, labels, **settings)
