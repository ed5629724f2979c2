"""The identity of an extraction: what its terms are of, in names and fingerprints."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ExtractionIdentity:
    """What terms are of. Extractions of equal identity give the same terms, up to rounding that depends on the machine.

    Attributes:
        network: fingerprint of the network (with ``at``, of the part behind that tensor).
        dtype: the dtype of the extraction.
        stored_dtype: the dtype that coefficients are stored in.
        points: number of points.
        at: name of the inner tensor that the terms are functions of; "" for the input.
        head: with ``at``, fingerprint of the part of the network in front.
        batch_size: points a batch.
        batches: checksum of the number of points of each batch.
        shard_points, shard_numbers: the points, and the coordinates, at which a shard is full.
        method: method of the decomposition.
        decomposition: fingerprint of the decomposition; "" where it is not known yet.
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

    @classmethod
    def from_dict(cls, content: Mapping[str, str]) -> ExtractionIdentity:
        """The identity that :meth:`to_dict` wrote. Raises TypeError and ValueError where it is none."""
        made = cls(**content)
        if not all(isinstance(value, str) for value in content.values()) or int(made.points) < 1:
            raise ValueError("an identity holds strings, and the number of points")
        return made

    def to_dict(self) -> dict[str, str]:
        """The identity as JSON has it."""
        return dataclasses.asdict(self)

    def differences(self, there: ExtractionIdentity) -> str:
        """What differs from the identity that was found elsewhere, in words; "" where nothing does.

        >>> here = ExtractionIdentity("a", "float64", "float64", "10")
        >>> here.differences(ExtractionIdentity("a", "float32", "float64", "10"))
        'dtype is float32 there, float64 here'
        """
        pairs = ((field.name, getattr(there, field.name), getattr(self, field.name)) for field in dataclasses.fields(self))
        found = [f"{name} is {_short(other)} there, {_short(own)} here" for name, other, own in pairs if other != own]
        return "; ".join(found)


def _short(value: str) -> str:
    return (f"{value[:8]}…" if len(value) > 40 else value) or "none"
