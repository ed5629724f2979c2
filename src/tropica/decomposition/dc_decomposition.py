"""``DCDecomposition``: a network as a difference of convex functions, N = F⁺ − F⁻."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from tropica.errors import CertificateError
from tropica.network.graph import INPUT, NonlinearityNode
from tropica.network.network import PiecewiseLinearNetwork


@dataclass(frozen=True)
class GrowthRow:
    """One nonlinearity of a decomposition: its largest and mean K, and the share of its units that have K > 0."""

    nonlinearity: str
    path: str
    units: int
    largest: float
    mean: float
    share: float


@dataclass(frozen=True)
class PairwiseCheck:
    """What the minimal decomposition was checked for: Theorem 3.3 between all pairs of the points that it was made on.

    Attributes:
        points: points × points is the number of pairs.
        violation: the largest of max_j a_j(x_k) − a_k(x_k) over both a⁺ and a⁻, in float64 on the terms as they were computed.
        tolerance: what rounding in the dtype can make of that.
        labels_lost: points whose label the extracted function does not give, and N can tell from the one it gives.
        labels_tied: points whose label it does not give, but N itself cannot tell the two apart in the dtype.
        margin: m, for which K = (λ + mλ₀)·(calibrated K), λ the smallest factors and λ₀ the smallest common one: each a⁺_k(x_k)
            exceeds a⁺_j(x_k) by m/(1 + m) of what a⁻_k(x_k) exceeds a⁻_j(x_k) by, or more (of mλ₀ times that of the calibrated
            decomposition, for factors of their own).
        dtype: the dtype of the terms.
    """

    points: int
    violation: float
    tolerance: float
    labels_lost: int
    labels_tied: int
    margin: float
    dtype: str

    @property
    def holds(self) -> bool:
        """Is every own term the largest one at its point, and every label kept, up to the stated rounding?"""
        return self.violation <= self.tolerance and not self.labels_lost

    def __str__(self) -> str:
        return (
            f"Theorem 3.3 {'holds' if self.holds else 'FAILS'} between all {self.points:,} × {self.points:,} pairs of points; "
            f"largest violation {self.violation:.2g} (tolerance {self.tolerance:.2g}), margin {self.margin:g}, {self.dtype}"
        )


@dataclass(frozen=True, eq=False)
class DCDecomposition:
    """The tensors K_v ≥ 0 that make F⁻ and all F⁺_i = N_i + F⁻ convex (design: TropEx is autograd on an augmented scalar).

        F⁻(x) = c⁻ + Σ_v ⟨K_v, h_v(x)⟩,   h_v(x) the output of nonlinearity v

    Attributes:
        net: the network that was decomposition.
        method: "calibrated", "minimal" or "paper".
        weights: K by nonlinearity name, shaped like one point's units, in float64; nonlinearities without an entry have K = 0.
        input_weight: K of the network's input (the paper's decomposition only), which makes all coefficients nonnegative (Lemma 3.2).
        constant: c⁻ (line 2 of Algorithm 3.1).
        passes: passes over the data that finding K took, the check included (0 for the paper's decomposition).
        smallest: the smallest cotangent that the check saw, relative to the largest one at the same nonlinearity; None if unchecked.
        history: a line for each step of the calibration.
        factors: the minimal decomposition only: K by nonlinearity name in units of the calibrated K.
        pairs: the minimal decomposition only: its certificate, which is that of all pairs of data points (cotangents may be negative).
    """

    net: PiecewiseLinearNetwork
    method: str
    weights: Mapping[str, Tensor]
    input_weight: Tensor | None = None
    constant: float = 0.0
    passes: float = 0.0
    smallest: float | None = None
    history: Sequence[str] = field(default=(), repr=False)
    factors: Mapping[str, float] = field(default_factory=dict)
    pairs: PairwiseCheck | None = None

    def scaled(self, factors: Mapping[str, float]) -> DCDecomposition:
        """The decomposition whose K is λ_v K_v, by nonlinearity name (1 for nonlinearities that are not named), without a certificate.

        >>> import torch, tropica as tp
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
        >>> s = tp.decompose(model, torch.randn(100, 4))
        >>> (nonlinearity,) = s.weights
        >>> bool((s.scaled({nonlinearity: 0.5}).weights[nonlinearity] == s.weights[nonlinearity] / 2).all())
        True
        """
        weights = {name: k * factors.get(name, 1.0) for name, k in self.weights.items()}
        return replace(self, weights=weights, smallest=None, pairs=None)

    def weight(self, nonlinearity: NonlinearityNode) -> Tensor | None:
        """K of a nonlinearity in the network's dtype and on its device, or None where K = 0.

        Raises CertificateError where K is too large for the dtype.
        """
        return self._cast.get(nonlinearity.name)

    @cached_property
    def _cast(self) -> dict[str, Tensor]:
        net = self.net
        cast = {name: k.to(device=net.device, dtype=net.dtype) for name, k in self.weights.items() if bool((k != 0).any())}
        every = {**self.weights, **({} if self.input_weight is None else {INPUT: self.input_weight})}
        for name, k in every.items():
            if not float(k.max()) <= torch.finfo(net.dtype).max:
                raise CertificateError(
                    f"K at {name} reaches {float(k.max()):.3g}, which is beyond {net.dtype}; extract with dtype=torch.float64, "
                    "or use method='calibrated'"
                )
        return cast

    def potential(self, x: Tensor) -> Tensor:
        """F⁻(x) (B,) in float64, for points x (B, *input) in the network's dtype.

        >>> import torch, tropica as tp
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
        >>> x = torch.randn(100, 4)
        >>> tp.decompose(model, x).potential(x).shape
        torch.Size([100])
        """
        total = torch.full((len(x),), self.constant, dtype=torch.float64, device=x.device)

        def visit(nonlinearity: NonlinearityNode, inputs: tuple[Tensor, ...], out: Tensor) -> None:
            weight = self.weights.get(nonlinearity.name)
            if weight is not None:
                total.add_(nonlinearity.per_point(out, len(x)).flatten(1).double() @ weight.to(x.device).flatten())

        with torch.no_grad():
            self.net.graph.evaluate(self.net.check_input(x), self.net.constants, visit=visit)
        if self.input_weight is not None:
            total += x.double().flatten(1) @ self.input_weight.to(x.device).flatten()
        return total

    def growth(self) -> list[GrowthRow]:
        """A row a nonlinearity, in forward order: where K explodes with depth shows here."""
        rows: list[GrowthRow] = []
        for nonlinearity in self.net.nonlinearities:
            k = self.weights.get(nonlinearity.name, torch.zeros(nonlinearity.unit_shape, dtype=torch.float64))
            share = float((k > 0).double().mean())
            rows.append(
                GrowthRow(nonlinearity.name, nonlinearity.path, nonlinearity.units, float(k.max()), float(k.mean()), share)
            )
        return rows

    def to(self, target: torch.dtype | torch.device | str) -> DCDecomposition:
        """The same decomposition of the same network in another dtype or on another device."""
        return replace(self, net=self.net.to(target))

    @cached_property
    def fingerprint(self) -> str:
        """A digest of K, c⁻ and the network."""
        digest = hashlib.sha256(f"{self.net.fingerprint} {self.method} {self.constant!r}".encode())
        extra = {} if self.input_weight is None else {"": self.input_weight}
        for name, k in sorted({**self.weights, **extra}.items()):
            digest.update(name.encode())
            digest.update(k.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def __repr__(self) -> str:
        largest = max((row.largest for row in self.growth()), default=0.0)
        return f"DCDecomposition({self.method}, {len(self.net.nonlinearities)} nonlinearities, largest K {largest:.3g}, {self.passes:.3g} passes)"
