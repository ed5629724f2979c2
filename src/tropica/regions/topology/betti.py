"""Betti numbers of a complex, of sublevel and superlevel sets, and of decision regions."""

from __future__ import annotations

import numpy as np

from tropica.errors import InputError
from tropica.regions.complex.enumerated import Enumerated
from tropica.regions.complex.output_cells import clip, label_functions
from tropica.regions.topology.homology import betti_numbers
from tropica.regions.topology.parts import cell_complex, check_topology, part_complex
from tropica.regions.topology.values import checked_number, output_values


def betti_of(
    found: Enumerated, below: float | None, above: float | None, output: int | None, label: int | None
) -> tuple[int, ...]:
    """As :meth:`RegionComplex.betti_numbers`.

    A level set's lower side has the homotopy type of the faces all of whose vertices are in it: on each cell the output is
    affine, and the part of the cell that is in the set shrinks to those of its faces that are.
    """
    check_topology(found)
    given = [name for name, value in (("below", below), ("above", above), ("label", label)) if value is not None]
    if len(given) > 1:
        raise InputError(f"one of below=, above= and label= says which set is meant; found {' and '.join(given)}")
    if output is not None and not {"below", "above"} & set(given):
        raise InputError("output= says whose level below= or above= is; found neither")
    if label is not None:
        return _of_label(found, label)
    if not given:
        return betti_numbers(cell_complex(found))
    level = _finite(below if above is None else above, given[0])
    values = output_values(found, output, None)
    signs = values.signs(level)
    return betti_numbers(values.complex, signs <= 0 if above is None else signs >= 0)


def _of_label(found: Enumerated, label: int) -> tuple[int, ...]:
    outputs = found.maps[0].shape[1]
    number = checked_number(label, max(2, outputs), "label")
    parts = clip(found, label_functions(outputs))
    return betti_numbers(part_complex(parts, parts.piece == number))


def _finite(level: object, name: str) -> float:
    if isinstance(level, bool) or not isinstance(level, int | float | np.number) or not np.isfinite(level):
        raise InputError(f"{name}= must be a finite number; found {level!r}")
    return float(level)
