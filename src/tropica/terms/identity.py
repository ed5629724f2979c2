"""The identity of an extraction: its network, points and decomposition, by names and fingerprints."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ExtractionIdentity:
    """The identity of an extraction. Equal identities give the same terms, up to rounding that depends on the machine.

    Attributes:
        network: fingerprint of the network (with ``at``, of the part of the network behind that tensor).
        dtype: the dtype of the extraction.
        stored_dtype: the dtype that coefficients are stored in.
        points: number of terms: of points, times the number of outputs in regression.
        at: name of the inner tensor that the terms are functions of; "" for the input.
        head: with ``at``, fingerprint of the part of the network in front.
        batch_size: points per batch.
        batches: checksum of the number of points of each batch.
        shard_points, shard_numbers: the points, and the coordinates, at which a shard is full.
        method: method of the decomposition.
        decomposition: fingerprint of the decomposition; "" as long as it is unknown.
        precision: "double-double" if F⁻ is computed and stored in pairs of float64; "" otherwise.
        task: "regression" if every point has a term for each output, point after point; "" otherwise.
        asked: the decomposition and the dtype that were asked for, where they did not leave enough digits; "" otherwise.
    """

    network: str
    dtype: str
    stored_dtype: str
    points: str
    at: str = ""
    head: str = ""
    batch_size: str = ""
    batches: str = ""
    shard_points: str = ""
    shard_numbers: str = ""
    method: str = ""
    decomposition: str = ""
    precision: str = ""
    task: str = ""
    asked: str = ""

    @classmethod
    def from_dict(cls, content: Mapping[str, str]) -> ExtractionIdentity:
        """The identity that :meth:`to_dict` wrote. Raises TypeError or ValueError for other content."""
        made = cls(**content)
        if not all(isinstance(value, str) for value in content.values()) or int(made.points) < 1:
            raise ValueError("the entries of an identity must be strings, with at least one point")
        return made

    def to_dict(self) -> dict[str, str]:
        """The identity as a dictionary for JSON."""
        content = dataclasses.asdict(self)
        return {name: value for name, value in content.items() if value or name not in ("precision", "task", "asked")}

    def differences(self, there: ExtractionIdentity) -> str:
        """A description of the differences from an identity found in a file; "" if there are none.

        >>> here = ExtractionIdentity("a", "float64", "float64", "10")
        >>> here.differences(ExtractionIdentity("a", "float32", "float64", "10"))
        'dtype is float32 there, float64 here'
        """
        pairs = ((field.name, getattr(there, field.name), getattr(self, field.name)) for field in dataclasses.fields(self))
        found = [f"{name} is {_short(other)} there, {_short(own)} here" for name, other, own in pairs if other != own]
        return "; ".join(found)


def _short(value: str) -> str:
    return (f"{value[:8]}…" if len(value) > 40 else value) or "none"
