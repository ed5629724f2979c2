"""What a RegionComplex is made of: cells as they were enumerated, or as a file has them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tropica.errors import InputError
from tropica.regions.complex.cell_arrays import CellArrays
from tropica.regions.complex.enumerated import Enumerated
from tropica.regions.domains.domain import Domain
from tropica.regions.engine.cell_blocks import CellBlock


@dataclass(frozen=True, eq=False)
class Stored(CellArrays):
    """Cells from a file, without their network: an :class:`Enumerated` says what the arrays are."""

    domain: Domain
    cells: CellBlock
    undecided: int
    undecided_maps: int
    map_of: np.ndarray
    adjacency: np.ndarray
    written: np.ndarray | None
    stopped: str | None
    simplify: bool
    upto: str | None
    proven: bool
    layout_digest: str

    @property
    def as_written(self) -> bool:
        """Whether each cell has one activation pattern of the network as written."""
        return self.written is not None

    @property
    def patterns(self) -> np.ndarray:
        """The activation patterns (C, bytes)."""
        if self.written is None:
            raise InputError("nonlinearities were merged: a cell may have several activation patterns")
        return self.written


Cells = Stored | Enumerated
