"""Reading of data, with the time on a bar where it takes long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

import tropica as tp

if TYPE_CHECKING:
    from tropica.data.file_data import FileData


@overload
def read_points(data: str, split: str, *, lazy: Literal[False] = False, **settings: Any) -> tp.LabelledData: ...
@overload
def read_points(data: str, split: str, *, lazy: Literal[True], **settings: Any) -> tp.LabelledData | FileData: ...
def read_points(data: str, split: str, *, lazy: bool = False, **settings: Any) -> tp.LabelledData | FileData:
    """The points of ``--data``; the arguments are those of :func:`tropica.load_data`."""
    from tropica.runtime.progress import waiting

    with waiting(f"reading {data}"):
        return tp.load_data(data, split=split, lazy=lazy, **settings)  # type: ignore[arg-type]
