"""``TermBlock``: the linear terms of consecutive points, as extraction computes and shards store them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

TENSORS = ("labels", "local", "local_bias", "minus", "minus_bias")
"""The tensors that every block has."""
OPTIONAL = ("rounding", "margin", "minus_low", "minus_bias_low")
"""The tensors that a block may have."""


@dataclass(frozen=True, eq=False)
class TermBlock:
    """The terms of B consecutive points.

        a_k(x) = ⟨local_k, x⟩ + local_bias_k,   a⁻_k(x) = ⟨center + minus_k, x⟩ + minus_bias_k,   a⁺_k = a_k + a⁻_k

    with one center for all points of a data set.

    Attributes:
        labels: the label that N gives each point, (B,) int64.
        local, minus: coefficients, (B, d).
        local_bias, minus_bias: constant parts, (B,) float64.
        rounding: only if coefficients are stored in a coarser dtype than that of the extraction: bounds on the resulting
            errors, (B, 4) float64. |a⁺ as stored − a⁺|(x) ≤ r₀‖x‖ + r₁, and likewise a⁻ with r₂ and r₃.
        margin: the difference of the two largest scores of N at each point, (B,) float64; None if unknown.
        minus_low, minus_bias_low: only for terms in double-double: what is left of minus and minus_bias after rounding to
            float64, (B, d) and (B,).
        smallest_cotangent: the smallest cotangent of F⁻ and F⁺_i at any nonlinearity for any of the points, relative to the
            largest at that nonlinearity; None if cotangents were not checked.
    """

    labels: Tensor
    local: Tensor
    local_bias: Tensor
    minus: Tensor
    minus_bias: Tensor
    rounding: Tensor | None = None
    margin: Tensor | None = None
    smallest_cotangent: float | None = None
    minus_low: Tensor | None = None
    minus_bias_low: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The tensors that the block has, by name."""
        return {name: x for name in (*TENSORS, *OPTIONAL) if (x := getattr(self, name)) is not None}

    def rows(self, start: int, count: int) -> TermBlock:
        """``count`` consecutive terms, which share the block's memory."""
        return replace(self, **{name: x[start : start + count] for name, x in self.tensors.items()})

    def to(self, dtype: torch.dtype, device: torch.device | None = None) -> TermBlock:
        """The same terms with coefficients in a wider dtype and, if a device is given, on that device."""
        if self.local.dtype == dtype and device in (None, self.local.device):
            return self
        moved = {name: x.to(device) if device else x for name, x in self.tensors.items()}
        return replace(self, **{**moved, "local": moved["local"].to(dtype), "minus": moved["minus"].to(dtype)})


class LazyBlocks(Sequence[TermBlock]):
    """Blocks that are read on use.

    Attributes:
        lengths: the number of terms in each block.
        dtype: the dtype of coefficients.
        device: the device of the tensors.
        names: the tensors that every block has.
    """

    lengths: list[int]
    dtype: torch.dtype
    device: torch.device
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.lengths)

    @abstractmethod
    def tensor(self, number: int, name: str) -> Tensor:
        """One tensor of one block; the others are not read."""
