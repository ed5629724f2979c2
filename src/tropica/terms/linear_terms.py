"""``LinearTerms``: the affine functions a⁺_k and a⁻_k of every data point, as extraction gives them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from tropica.errors import InputError
from tropica.terms.certificate import Certificate
from tropica.terms.term_block import TENSORS, LazyBlocks, TermBlock


@dataclass(frozen=True)
class AffineTerms:
    """Affine functions a_k(x) = ⟨w_k, x⟩ + b_k of flat inputs: ``weight`` (D, d), ``bias`` (D,) in float64."""

    weight: Tensor
    bias: Tensor
    input_shape: tuple[int, ...]

    def image(self, shape: Sequence[int] | None = None) -> Tensor:
        """Coefficients in the shape of the inputs, (D, *shape).

        >>> import torch
        >>> AffineTerms(torch.zeros(3, 8), torch.zeros(3), (2, 4)).image().shape
        torch.Size([3, 2, 4])
        """
        wanted = tuple(shape or self.input_shape)
        if torch.Size(wanted).numel() != self.weight.shape[1]:
            raise InputError(f"{self.weight.shape[1]} coefficients do not fill an image of shape {wanted}")
        return self.weight.reshape(-1, *wanted)

    def __call__(self, x: Tensor) -> Tensor:
        """All values (B, D) in float64, for points (B, *input): for a look at a few (the full matrix is made)."""
        return x.double().flatten(1) @ self.weight.double().T + self.bias

    def __getitem__(self, index: Tensor | slice | Sequence[int]) -> AffineTerms:
        """Some of the functions."""
        return AffineTerms(self.weight[index], self.bias[index], self.input_shape)  # type: ignore[index]

    def __len__(self) -> int:
        return len(self.bias)


@dataclass(frozen=True, eq=False)
class LinearTerms:
    """Terms of a data set: one a_k = a⁺_k − a⁻_k a point, with the convex parts (TropEx's output).

    The gradients ∇N_i and ∇F⁻ are kept, never a⁺ and a⁻ to subtract; ∇F⁻ is kept as its difference from ``center``, one
    float64 vector that is common to all terms and moves no label.

    Attributes:
        blocks: the stored terms, in the order of the points.
        center: (d,) float64.
        input_shape: shape of one input.
        num_classes: number of labels.
        method: the decomposition's method.
        certificate: what was checked.
        about: fingerprints of network and decomposition, versions.
    """

    blocks: Sequence[TermBlock]
    center: Tensor
    input_shape: tuple[int, ...]
    num_classes: int
    method: str
    certificate: Certificate
    about: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def labels(self) -> Tensor:
        """The label that N gives each point: (D,) int64."""
        return self._joined("labels")

    @property
    def local(self) -> AffineTerms:
        """a_k = N_i on the linear region of x_k, i the label of x_k."""
        return AffineTerms(self._joined("local"), self._joined("local_bias"), self.input_shape)

    @property
    def minus(self) -> AffineTerms:
        """a⁻_k, in float64 (made on request, 8 bytes a coefficient)."""
        return AffineTerms(self._joined("minus").double() + self.center, self._joined("minus_bias"), self.input_shape)

    @property
    def plus(self) -> AffineTerms:
        """a⁺_k = a_k + a⁻_k, in float64 (made on request, 8 bytes a coefficient)."""
        local, minus = self.local, self.minus
        return AffineTerms(local.weight + minus.weight, local.bias + minus.bias, self.input_shape)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype that coefficients are stored in."""
        return self.blocks.dtype if isinstance(self.blocks, LazyBlocks) else self.blocks[0].local.dtype

    @property
    def device(self) -> torch.device:
        """Where coefficients lie."""
        return self.blocks.device if isinstance(self.blocks, LazyBlocks) else self.blocks[0].local.device

    @property
    def working(self) -> torch.dtype:
        """The dtype that they are used in: that of the extraction, which may be finer than the one they are stored in."""
        return getattr(torch, self.about["dtype"]) if "dtype" in self.about else self.dtype

    @cached_property
    def lengths(self) -> list[int]:
        """Terms of each block."""
        return self.blocks.lengths if isinstance(self.blocks, LazyBlocks) else [len(block) for block in self.blocks]

    @property
    def lossy(self) -> bool:
        """Are coefficients kept in fewer digits than they were computed in?"""
        return self.about.get("stored_dtype", self.about.get("dtype")) != self.about.get("dtype")

    def select(self, index: Tensor | Sequence[int]) -> LinearTerms:
        """The terms of some of the points, in the order of ``index`` (a share of the data, one class, ...).

        Args:
            index: numbers of points, in any order, or a mask with an entry for each point.

        Raises InputError where it is neither, or picks nothing.
        """
        chosen = torch.as_tensor(index)
        if chosen.dtype == torch.bool:
            if chosen.shape != (len(self),):
                raise InputError(f"a mask must have shape ({len(self)},), one entry a point; got {tuple(chosen.shape)}")
            chosen = chosen.nonzero().flatten()
        whole = not chosen.is_floating_point() and not chosen.is_complex()
        if chosen.ndim != 1 or not len(chosen) or not whole or int(chosen.min()) < 0 or int(chosen.max()) >= len(self):
            raise InputError(f"an index must hold whole numbers in 0 … {len(self) - 1}, at least one")
        names = (*TENSORS, "rounding") if self.lossy else TENSORS
        tensors: dict[str, Any] = {name: self._picked(name, chosen.long()) for name in names}
        block = TermBlock(**tensors)
        return LinearTerms([block], self.center, self.input_shape, self.num_classes, self.method, self.certificate, self.about)

    def _picked(self, name: str, index: Tensor) -> Tensor:
        """Rows of one of the blocks' tensors, block by block: what is on disk is read only where it is wanted."""
        out: Tensor | None = None
        first = 0
        for number, length in enumerate(self.lengths):
            (here,) = ((index >= first) & (index < first + length)).nonzero(as_tuple=True)
            if len(here):
                rows = self._part(number, name)
                out = rows.new_empty((len(index), *rows.shape[1:])) if out is None else out
                out[here] = rows[index[here].to(rows.device) - first]
            first += length
        assert out is not None  # the index is not empty
        return out

    def __iter__(self) -> Iterator[TermBlock]:
        return iter(self.blocks)

    def __len__(self) -> int:
        return sum(self.lengths)

    def _part(self, number: int, name: str) -> Tensor:
        """A tensor of a block."""
        if isinstance(self.blocks, LazyBlocks):
            return self.blocks.tensor(number, name)
        return getattr(self.blocks[number], name)

    def _joined(self, name: str) -> Tensor:
        parts = [self._part(number, name) for number in range(len(self.lengths))]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def to_zarr(self, path: str | os.PathLike[str]) -> None:
        """Write the terms as a Zarr group, for xarray and dask: see :func:`tropica.terms.zarr_export.to_zarr`."""
        from tropica.terms.zarr_export import to_zarr

        to_zarr(self, path)

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.input_shape))
        return f"LinearTerms({len(self):,} points of {shape}, {self.num_classes} labels, {self.method} decomposition, {self.dtype})"
