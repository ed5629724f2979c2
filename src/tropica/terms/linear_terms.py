"""``LinearTerms``: the affine functions a_k, a⁺_k and a⁻_k of every data point."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from tropica.data.passes import DEFAULT_SIZES, Shard, ShardSizes
from tropica.errors import InputError
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.html import MOST_PICTURES, coefficient_pictures, html_table
from tropica.terms.certificate import Certificate
from tropica.terms.double_double_maxima import scaled_block
from tropica.terms.identity import ExtractionIdentity
from tropica.terms.store.writer import StoreWriter
from tropica.terms.term_block import LazyBlocks, TermBlock
from tropica.terms.zarr_export import write_zarr


@dataclass(frozen=True, eq=False)
class AffineTerms:
    """Affine functions a_k(x) = ⟨w_k, x⟩ + b_k of flat inputs.

    Attributes:
        weight: w, (D, d).
        bias: b, (D,) float64.
        input_shape: shape of one input, d numbers.

    >>> import torch, tropica as tp
    >>> terms = tp.AffineTerms(torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([0.0, 1.0]).double(), (2,))
    >>> terms(torch.tensor([[3.0, 4.0]])).tolist()
    [[3.0, 9.0]]
    """

    weight: Tensor
    bias: Tensor
    input_shape: tuple[int, ...]

    def image(self, shape: Sequence[int] | None = None) -> Tensor:
        """Coefficients in the shape of the inputs, or in another shape of d numbers: (D, *shape).

        >>> import torch
        >>> AffineTerms(torch.zeros(3, 8), torch.zeros(3), (2, 4)).image().shape
        torch.Size([3, 2, 4])
        """
        wanted = tuple(shape or self.input_shape)
        if torch.Size(wanted).numel() != self.weight.shape[1]:
            raise InputError(f"{self.weight.shape[1]} coefficients do not fill an image of shape {wanted}")
        return self.weight.reshape(-1, *wanted)

    @own_settings()
    def __call__(self, x: Tensor) -> Tensor:
        """The values of all functions at points (B, *input_shape): (B, D) float64, the full matrix."""
        return x.double().flatten(1) @ self.weight.double().T + self.bias

    def __getitem__(self, index: Tensor | slice | Sequence[int]) -> AffineTerms:
        """Some of the functions."""
        return AffineTerms(self.weight[index], self.bias[index], self.input_shape)  # type: ignore[index]

    def __len__(self) -> int:
        return len(self.bias)

    def __repr__(self) -> str:
        return f"AffineTerms({len(self):,} affine functions of {_shape_text(self.input_shape)}, {self.weight.dtype})"

    def _repr_html_(self) -> str:
        norm = torch.linalg.vector_norm(self.weight.double(), dim=1)
        facts = {
            "functions": f"{len(self):,}",
            "input shape": _shape_text(self.input_shape),
            "‖w‖": f"{float(norm.min()):.3g} … {float(norm.max()):.3g}" if len(self) else "none",
            "b": f"{float(self.bias.min()):.3g} … {float(self.bias.max()):.3g}" if len(self) else "none",
            "dtype": self.weight.dtype,
        }
        return html_table("Affine functions ⟨w, x⟩ + b", facts) + coefficient_pictures(self.weight, self.input_shape)


@dataclass(frozen=True, eq=False)
class LinearTerms:
    """The linear terms of a data set: for each point x_k, N's affine function a_k = a⁺_k − a⁻_k and its two convex parts.

    Stored are the gradients ∇N_i and ∇F⁻; a_k is never computed as a difference of a⁺ and a⁻. ∇F⁻ is stored as its difference
    from ``center``, a float64 vector that is common to all terms and changes no label.

    Attributes:
        blocks: the terms, in the order of the points.
        center: (d,) float64.
        input_shape: shape of one input.
        num_classes: number of labels.
        method: the decomposition's method.
        certificate: the certificate of Theorem 3.3.
        about: the names and fingerprints in :class:`~tropica.terms.identity.ExtractionIdentity`.

    >>> import torch, tropica as tp
    >>> net = tp.from_layers([([[1.0, 0.0], [0.0, 1.0]], None), ([[1.0, 0.0], [0.0, 1.0]], None)])  # (relu(x₁), relu(x₂))
    >>> x = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    >>> terms = tp.extract(net, x)
    >>> terms.labels.tolist(), terms.local.weight.tolist()
    ([0, 1], [[1.0, 0.0], [0.0, 1.0]])
    """

    blocks: Sequence[TermBlock]
    center: Tensor
    input_shape: tuple[int, ...]
    num_classes: int
    method: str
    certificate: Certificate
    about: Mapping[str, str] = field(default_factory=dict)

    # ── the terms ──────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def num_targets(self) -> int:
        """Number of outputs that a point has a term of: s in regression, where term k·s + i is that of point k and output i;
        0 in classification, where each point has one term."""
        return self.num_classes if self.about.get("task") == "regression" else 0

    @property
    def num_points(self) -> int:
        """Number of data points: that of the terms, divided by the outputs in regression."""
        return len(self) // max(1, self.num_targets)

    @cached_property
    def labels(self) -> Tensor:
        """The label that N gives each point, in regression the output of each term: (D,) int64."""
        return self._join("labels")

    @property
    def local(self) -> AffineTerms:
        """a_k = N_i on the linear region of x_k, where i is the label of x_k."""
        return AffineTerms(self._join("local"), self._join("local_bias"), self.input_shape)

    @property
    def minus(self) -> AffineTerms:
        """a⁻_k in float64, 8 bytes per coefficient, computed at each access."""
        return AffineTerms(self._join("minus").double() + self.center, self._join("minus_bias"), self.input_shape)

    @property
    @own_settings()
    def plus(self) -> AffineTerms:
        """a⁺_k = a_k + a⁻_k in float64, 8 bytes per coefficient, computed at each access."""
        local, minus = self.local, self.minus
        return AffineTerms(local.weight + minus.weight, local.bias + minus.bias, self.input_shape)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype that coefficients are stored in."""
        return self.blocks.dtype if isinstance(self.blocks, LazyBlocks) else self.blocks[0].local.dtype

    @property
    def device(self) -> torch.device:
        """The device of the coefficients."""
        return self.blocks.device if isinstance(self.blocks, LazyBlocks) else self.blocks[0].local.device

    @property
    def working(self) -> torch.dtype:
        """The dtype of computations with the coefficients: that of the extraction, which may be finer than the stored one."""
        return getattr(torch, self.about["dtype"]) if "dtype" in self.about else self.dtype

    @property
    def precision(self) -> str:
        """The arithmetic of the terms: "float32", "float64", or "double-double" (F⁻ in pairs of float64)."""
        return self.about.get("precision") or _dtype_name(self.working)

    @property
    def lossy(self) -> bool:
        """Are coefficients stored in a coarser dtype than that of the extraction?"""
        return self.about.get("stored_dtype", self.about.get("dtype")) != self.about.get("dtype")

    @cached_property
    def lengths(self) -> list[int]:
        """The number of terms in each block."""
        return self.blocks.lengths if isinstance(self.blocks, LazyBlocks) else [len(block) for block in self.blocks]

    def __iter__(self) -> Iterator[TermBlock]:
        return iter(self.blocks)

    def __len__(self) -> int:
        return sum(self.lengths)

    # ── some of the terms ──────────────────────────────────────────────────────────────────────────────────────────────

    @own_settings()
    def select(self, index: Tensor | Sequence[int]) -> LinearTerms:
        """The terms of some of the points, in the order of ``index``; in regression those of all outputs.

        Args:
            index: numbers of points, in any order, or a mask (D,).

        Raises:
            InputError: ``index`` is neither numbers of points nor a mask, or selects no point.
        """
        chosen, count = torch.as_tensor(index), self.num_points
        if chosen.dtype == torch.bool:
            if chosen.shape != (count,):
                raise InputError(f"a mask must have shape ({count},), one entry for each point; got {tuple(chosen.shape)}")
            chosen = chosen.nonzero().flatten()
        whole = not chosen.is_floating_point() and not chosen.is_complex()
        if chosen.ndim != 1 or not len(chosen) or not whole or int(chosen.min()) < 0 or int(chosen.max()) >= count:
            raise InputError(f"an index must hold whole numbers in 0 … {count - 1}, at least one")
        if self.num_targets:
            chosen = (chosen.unsqueeze(1) * self.num_targets + torch.arange(self.num_targets)).flatten()
        tensors: dict[str, Any] = {name: self._select(name, chosen.long()) for name in self._names}
        return replace(self, blocks=[TermBlock(**tensors)])

    def of_output(self, output: int) -> LinearTerms:
        """The terms of one output of a regression: one term for each point, all of one label.

        Raises:
            InputError: not a regression, or no such output.

        >>> import torch, tropica as tp
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2)).eval()
        >>> terms = tp.extract(model, torch.randn(50, 4), task="regression")
        >>> bool((terms.of_output(1).local.weight == terms.local.weight[1::2]).all())
        True
        """
        outputs = self.num_targets
        if isinstance(output, bool) or not isinstance(output, int) or not 0 <= output < outputs:
            numbers = f"0 … {outputs - 1}" if outputs else "that of a regression; these terms distinguish labels"
            raise InputError(f"output must be {numbers}; found {output!r}")
        about = {name: value for name, value in self.about.items() if name != "task"}
        one = replace(self, num_classes=1, about=about)
        if outputs == 1:
            return one
        rows = torch.arange(output, len(self), outputs)
        tensors: dict[str, Any] = {name: self._select(name, rows) for name in self._names}
        return replace(one, blocks=[TermBlock(**{**tensors, "labels": torch.zeros_like(tensors["labels"])})])

    @own_settings()
    def scaled(self, factor: float) -> LinearTerms:
        """The terms of the decomposition whose multipliers K are ``factor`` times as large, without a certificate.

        F⁻ is linear in K: a⁻ becomes factor · a⁻, and a⁺ becomes a + factor · a⁻.

        Raises InputError for terms that are stored in a coarser dtype than that of the extraction.

        >>> import torch, tropica as tp
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
        >>> terms = tp.extract(model, torch.randn(50, 4))
        >>> bool(torch.allclose(terms.scaled(0.5).plus.bias, terms.local.bias + terms.minus.bias / 2))
        True
        """
        if self.lossy:
            raise InputError(f"terms that are stored in {self.dtype} cannot be scaled; extract them in their own dtype")
        blocks = [replace(scaled_block(block, factor), smallest_cotangent=None) for block in self]
        unchecked = Certificate.unchecked(str(self.working).removeprefix("torch."))
        return replace(self, blocks=blocks, center=self.center * factor, certificate=unchecked)

    @property
    def _names(self) -> Sequence[str]:
        """The tensors that all blocks have."""
        if isinstance(self.blocks, LazyBlocks):
            return self.blocks.names
        return [name for name in self.blocks[0].tensors if all(name in block.tensors for block in self.blocks)]

    def _select(self, name: str, index: Tensor) -> Tensor:
        """Rows of one of the blocks' tensors. Blocks without a selected row are not read."""
        out: Tensor | None = None
        first = 0
        for number, length in enumerate(self.lengths):
            (here,) = ((index >= first) & (index < first + length)).nonzero(as_tuple=True)
            if len(here):
                rows = self._tensor(number, name)
                out = rows.new_empty((len(index), *rows.shape[1:])) if out is None else out
                out[here] = rows[index[here].to(rows.device) - first]
            first += length
        assert out is not None  # the index is not empty
        return out

    def _tensor(self, number: int, name: str) -> Tensor:
        if isinstance(self.blocks, LazyBlocks):
            return self.blocks.tensor(number, name)
        return getattr(self.blocks[number], name)

    def _join(self, name: str) -> Tensor:
        parts = [self._tensor(number, name) for number in range(len(self.lengths))]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    # ── files ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    @own_settings()
    def save(self, folder: str | os.PathLike[str], *, shard_sizes: ShardSizes = DEFAULT_SIZES) -> None:
        """Write the terms to a store, which ``tp.load_terms`` opens; the decomposition is not part of it.

        Args:
            folder: an empty folder, or a folder to create.
            shard_sizes: the size of a full shard, for terms in memory; terms from a store keep their shards.

        Raises:
            StoreError: the folder holds other files, is being written by another run, or cannot be written.

        >>> import tempfile, torch, tropica as tp
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
        >>> terms = tp.extract(model, torch.randn(100, 4)).select(range(10))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     terms.save(folder)
        ...     len(tp.load_terms(folder))
        10
        """
        names = {"dtype": _dtype_name(self.working), "stored_dtype": _dtype_name(self.dtype), "network": ""}
        about = {**names, "method": self.method, **self.about, "points": str(len(self))}
        extraction = ExtractionIdentity.from_dict(about)
        pieces = list(self._shards(shard_sizes))
        with StoreWriter(folder) as store:
            given = {"decomposition_given": True}
            store.begin(extraction, [shard.points for shard, _ in pieces], self.input_shape, self.num_classes, **given)
            store.start_shards(extraction, {})
            center = store.center(lambda: self.center)
            written = [
                store.write(shard, self.blocks[number].rows(start, shard.points), center, "")
                for shard, (number, start) in pieces
            ]
            store.finish(written, self.certificate)

    def _shards(self, sizes: ShardSizes) -> Iterator[tuple[Shard, tuple[int, int]]]:
        """Shards, each with the number of its block and the first of its rows there."""
        dimension, first, count = self.center.numel(), 0, 0
        step = max(1, min(sizes.points, -(-sizes.numbers // dimension)))
        for number, length in enumerate(self.lengths):
            size = length if isinstance(self.blocks, LazyBlocks) else step
            for start in range(0, length, size):
                points = min(size, length - start)
                yield Shard(count, range(0), first, points), (number, start)
                first, count = first + points, count + 1

    @own_settings()
    def to_zarr(self, path: str | os.PathLike[str]) -> None:
        """Write the terms as a Zarr group (format 3), for xarray and dask, one block at a time.

        The group has the arrays ``labels``, ``local``, ``local_bias``, ``minus``, ``minus_bias`` and ``center``, with named
        dimensions and a chunk for each block:

            a_k(x) = ⟨local[k], x⟩ + local_bias[k],   a⁻_k(x) = ⟨center + minus[k], x⟩ + minus_bias[k],   a⁺_k = a_k + a⁻_k

        Coefficients that are stored in bfloat16, which NumPy does not have, become float32.

        Args:
            path: a folder that does not exist; it appears when it is complete.

        Raises:
            InputError: the package zarr is not installed (``pip install 'tropica[zarr]'``), or the folder exists.
            StoreError: the folder cannot be written.
        """
        attributes = {
            "input_shape": list(self.input_shape),
            "num_classes": self.num_classes,
            "method": self.method,
            "about": dict(self.about),
        }
        write_zarr(path, self.blocks, self.lengths, self.dtype, self.center, attributes)

    # ── display ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def __repr__(self) -> str:
        points = f"{self.num_points:,} points of {_shape_text(self.input_shape)}"
        count = f"{self.num_classes} {'outputs' if self.num_targets else 'labels'}"
        precision = "double-double" if self.precision == "double-double" else self.dtype
        return f"LinearTerms({points}, {count}, {self.method} decomposition, {precision})"

    def _repr_html_(self) -> str:
        counts = self.labels.bincount(minlength=self.num_classes).tolist()
        shares = ", ".join(f"{label}: {count:,}" for label, count in enumerate(counts))
        facts = {
            "points": f"{self.num_points:,}",
            "input shape": _shape_text(self.input_shape),
            **({"outputs": self.num_targets} if self.num_targets else {"labels": shares}),
            "decomposition": self.method,
            "precision": self.precision,
            "certificate": str(self.certificate).removeprefix("certificate "),
        }
        first = self.select(torch.arange(min(self.num_points, MOST_PICTURES))).local
        return html_table("Linear terms", facts) + coefficient_pictures(first.weight, self.input_shape)


def _shape_text(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
