"""``DCDecomposition``: a network as a difference of convex functions, N = F⁺ − F⁻."""

from __future__ import annotations

import hashlib
import html
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tropica.decomposition.history import DecompositionStep
from tropica.errors import CertificateError
from tropica.network.graph import INPUT, NonlinearityNode
from tropica.network.network import PiecewiseLinearNetwork
from tropica.runtime import safetensors_files
from tropica.runtime.arithmetic import own_settings
from tropica.terms.certificate import Certificate

if TYPE_CHECKING:
    import pandas as pd

KIND = "DC decomposition"
FORMAT = 2
"""The format of the file that :meth:`DCDecomposition.save` writes."""


@dataclass(frozen=True)
class MultiplierRow:
    """The multipliers K of one nonlinearity: the largest, the mean, and the share of units with K > 0."""

    nonlinearity: str
    path: str
    units: int
    largest: float
    mean: float
    share: float


@dataclass(frozen=True)
class DecompositionSummary:
    """A row for each nonlinearity, in forward order. The rows show where K grows with depth."""

    rows: tuple[MultiplierRow, ...]

    @property
    def largest(self) -> float:
        """The largest K; 0 without nonlinearities."""
        return max((row.largest for row in self.rows), default=0.0)

    def to_dataframe(self) -> pd.DataFrame:
        """The rows as a pandas DataFrame."""
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self.rows], columns=[column.name for column in fields(MultiplierRow)])

    def __str__(self) -> str:
        lines = [f"{row.nonlinearity}: {row.units:,} units, largest K {row.largest:.3g}" for row in self.rows]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return self.to_dataframe().to_html(index=False, float_format="{:.3g}".format)


@dataclass(frozen=True, eq=False)
class DCDecomposition:
    """A network as a difference of convex functions, N_i = F⁺_i − F⁻, given by multipliers K_v ≥ 0.

        F⁻(x) = c⁻ + Σ_v ⟨K_v, h_v(x)⟩,   F⁺_i = N_i + F⁻,   h_v(x) the output of nonlinearity v

    Attributes:
        net: the network.
        method: "calibrated", "minimal" or "paper".
        multipliers: K by the name of the nonlinearity, in the shape of one point's units, in float64. A nonlinearity without
            an entry has K = 0.
        input_multiplier: K of the network's input, which makes all coefficients nonnegative (Lemma 3.2); only the paper's
            decomposition has one.
        constant: c⁻ (line 2 of Algorithm 3.1).
        passes: the passes over the data for computing K, the certifying pass included; 0 for the paper's decomposition.
        smallest_cotangent: the smallest cotangent of the certifying pass, relative to the largest one at the same
            nonlinearity; None if the cotangents were not checked.
        history: the steps of the computation of K, with their numbers.
        factors: the minimal decomposition only: K by the name of the nonlinearity, in units of the calibrated K.
        certificate: the certificate over all pairs of data points; minimal decompositions only.
        double_double: are terms computed and stored in double-double (the network is then in float64)?
        escalations: what was tried before, and the digits of f(x) that it left.

    >>> import torch, tropica as tp
    >>> net = tp.from_layers([([[1.0, 0.0], [0.0, 1.0]], None), ([[1.0, 0.0], [0.0, 1.0]], None)])  # (relu(x₁), relu(x₂))
    >>> x = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    >>> decomposition = tp.decompose(net, x)
    >>> bool((decomposition.f_plus(x) - decomposition.f_minus(x)[:, None] == net(x)).all())
    True
    """

    net: PiecewiseLinearNetwork
    method: str
    multipliers: Mapping[str, Tensor]
    input_multiplier: Tensor | None = None
    constant: float = 0.0
    passes: float = 0.0
    smallest_cotangent: float | None = None
    history: Sequence[DecompositionStep] = field(default=(), repr=False)
    factors: Mapping[str, float] = field(default_factory=dict)
    certificate: Certificate | None = None
    double_double: bool = False
    escalations: Sequence[str] = ()

    @own_settings(gradients=None)
    def f_plus(self, x: Tensor) -> Tensor:
        """F⁺(x) = N(x) + F⁻(x), (B, num_outputs) in float64, for points x (B, *input) in the network's dtype.

        >>> import torch, tropica as tp
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
        >>> net, x = tp.trace(model, torch.zeros(2, 4)), torch.randn(100, 4)
        >>> dec = tp.decompose(net, x)
        >>> torch.allclose(dec.f_plus(x) - dec.f_minus(x)[:, None], net(x).double())
        True
        """
        outputs, minus = self._evaluate(x)
        return outputs.double() + minus[:, None]

    @own_settings(gradients=None)
    def f_minus(self, x: Tensor) -> Tensor:
        """F⁻(x), (B,) in float64, for points x (B, *input) in the network's dtype.

        >>> import torch, tropica as tp
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
        >>> x = torch.randn(100, 4)
        >>> tp.decompose(model, x).f_minus(x).shape
        torch.Size([100])
        """
        return self._evaluate(x)[1]

    def _evaluate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The outputs N(x) and F⁻(x), by one forward pass."""
        minus = torch.full((len(x),), self.constant, dtype=torch.float64, device=x.device)

        def add(nonlinearity: NonlinearityNode, _: tuple[Tensor, ...], h: Tensor) -> None:
            k = self.multipliers.get(nonlinearity.name)
            if k is not None:
                minus.add_(nonlinearity.per_point(h, len(x)).flatten(1).double() @ k.to(x.device).flatten())

        with torch.no_grad():
            outputs = self.net.graph.evaluate(self.net.check_input(x), self.net.constants, visit=add)
        if self.input_multiplier is not None:
            minus += x.double().flatten(1) @ self.input_multiplier.to(x.device).flatten()
        return outputs, minus

    def multiplier(self, node: NonlinearityNode) -> Tensor | None:
        """K of a nonlinearity in the network's dtype and on its device, or None if K = 0.

        Raises CertificateError if K exceeds the range of the dtype.
        """
        return self._cast.get(node.name)

    @cached_property
    def _cast(self) -> dict[str, Tensor]:
        net = self.net
        for name, k in self._all_multipliers.items():
            if not float(k.max()) <= torch.finfo(net.dtype).max:
                raise CertificateError(
                    f"K at {name} reaches {float(k.max()):.3g}, which exceeds the range of {net.dtype}; "
                    "extract with dtype=torch.float64, or use method='calibrated'"
                )
        return {name: k.to(device=net.device, dtype=net.dtype) for name, k in self.multipliers.items() if bool((k != 0).any())}

    @property
    def _all_multipliers(self) -> dict[str, Tensor]:
        """K by name, with the K of the input under INPUT."""
        return {**self.multipliers, **({} if self.input_multiplier is None else {INPUT: self.input_multiplier})}

    @own_settings()
    def scaled(self, factors: Mapping[str, float]) -> DCDecomposition:
        """The decomposition with K multiplied by a factor for each named nonlinearity (1 for the others), not certified.

        >>> import torch, tropica as tp
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
        >>> dec = tp.decompose(model, torch.randn(100, 4))
        >>> (name,) = dec.multipliers
        >>> torch.equal(dec.scaled({name: 0.5}).multipliers[name], dec.multipliers[name] / 2)
        True
        """
        multipliers = {name: k * factors.get(name, 1.0) for name, k in self.multipliers.items()}
        return replace(self, multipliers=multipliers, smallest_cotangent=None, certificate=None)

    @own_settings()
    def to(self, target: torch.dtype | torch.device | str) -> DCDecomposition:
        """The same decomposition of the same network in another dtype or on another device."""
        return replace(self, net=self.net.to(target))

    def summary(self) -> DecompositionSummary:
        """A row for each nonlinearity: the number of units, the largest and the mean K, the share of units with K > 0."""
        rows: list[MultiplierRow] = []
        for node in self.net.nonlinearities:
            k = self.multipliers.get(node.name, torch.zeros(node.unit_shape, dtype=torch.float64)) + 0.0  # no −0
            share = float((k > 0).double().mean())
            rows.append(MultiplierRow(node.name, node.path, node.units, float(k.max()), float(k.mean()), share))
        return DecompositionSummary(tuple(rows))

    @own_settings()
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file for :func:`tropica.load_decomposition`; a failed call leaves no partial file.

        Raises StoreError if the file cannot be written.
        """
        about = {
            "kind": KIND,
            "format": FORMAT,
            "network": self.net.fingerprint,
            "task": self.net.task,
            "fingerprint": self.fingerprint,
            "method": self.method,
            "constant": self.constant,
            "passes": self.passes,
            "smallest_cotangent": self.smallest_cotangent,
            "history": [step.to_json() for step in self.history],
            "factors": dict(self.factors),
            "certificate": None if self.certificate is None else asdict(self.certificate),
            "double_double": self.double_double,
            "escalations": list(self.escalations),
        }
        tensors = {f"k.{name}": k.double() for name, k in self.multipliers.items()}
        if self.input_multiplier is not None:
            tensors[INPUT] = self.input_multiplier.double()
        safetensors_files.write(Path(path), about, tensors)

    @property
    def rows(self) -> int:
        """The number of terms of a point: one for each output in regression, else 1."""
        return max(1, self.net.num_targets)

    @property
    def precision(self) -> str:
        """The arithmetic of the terms: "float32", "float64" or "double-double"."""
        return "double-double" if self.double_double else str(self.net.dtype).removeprefix("torch.")

    def in_precision(self, precision: str) -> DCDecomposition:
        """The same K, with the terms in another precision."""
        dtype = torch.float32 if precision == "float32" else torch.float64
        return replace(self, net=self.net.to(dtype), double_double=precision == "double-double")

    @cached_property
    def fingerprint(self) -> str:
        """A digest of K, c⁻, the network, and whether terms are in double-double."""
        precise = " double-double" if self.double_double else ""
        digest = hashlib.sha256(f"{self.net.fingerprint} {self.method} {self.constant!r}{precise}".encode())
        for name, k in sorted(self._all_multipliers.items()):
            digest.update(name.encode())
            digest.update(k.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def __repr__(self) -> str:
        size = f"{len(self.net.nonlinearities)} nonlinearities, largest K {self.summary().largest:.3g}"
        return f"DCDecomposition({self.method}, {size}, {self.passes:.3g} passes)"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>{self.summary()._repr_html_()}"
