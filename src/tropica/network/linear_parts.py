"""The linear part J of an affine node y = J x + c: |J| and its support for error bounds, J on digits for exact values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from tropica.errors import InputError
from tropica.exact.digits import Digits, bits_for, common_places
from tropica.exact.roundoff import UNIT_ROUNDOFF
from tropica.network.graph import AffineNode

SLACK = 1 + 2.0**-20
"""Rounding of a computed bound itself."""
UNDERFLOW = 2.0**-1020
"""An underflow loses less, also where subnormal numbers are flushed to zero."""
LARGEST_MATRIX = 2**33
"""Entries of J up to which the rows of an average or an interpolation are found."""
INEXACT = ("avg_pool", "upsample", "mean", "interpolate")
"""In the names of ops whose J may have entries that are no integers."""


@dataclass(frozen=True, eq=False)
class LinearPart:
    """The linear part of an affine node of a network in float64.

    Attributes:
        node: the node.
        constants: the network's constants.
        shapes: shapes of the inputs for one point.
    """

    node: AffineNode
    constants: Mapping[str, Tensor]
    shapes: tuple[torch.Size, ...]

    def value(self, inputs: Sequence[Tensor]) -> Tensor:
        """J x + c, as the node itself computes it."""
        return self.node.apply(inputs, self.constants)

    @cached_property
    def weight(self) -> Tensor | None:
        """The constant in which J is linear, if any."""
        return self.constants[self.node.constants["weight"]] if self.node.weighted else None

    @cached_property
    def _without_offset(self) -> dict[str, Tensor]:
        """The constants by role, all of them 0 that only contribute to c."""
        roles = self.node.roles(self.constants)
        return {
            role: torch.zeros_like(value) if value.is_floating_point() and role != "weight" else value
            for role, value in roles.items()
        }

    def linear(self, inputs: Sequence[Tensor], weight: Tensor | None = None) -> Tensor:
        """J x; with another tensor in place of the weight, if J has one."""
        roles = self._without_offset if weight is None else {**self._without_offset, "weight": weight}
        out = self.node.fn(*inputs, **roles)
        if not self._hides_offset:
            return out
        hidden = self.node.fn(*(torch.zeros_like(z) for z in inputs), **roles)
        return torch.where(hidden != 0, 0.0, out)

    @cached_property
    def _hides_offset(self) -> bool:
        """Whether the node adds a constant that is none of its roles (padding with a number); such rows of J are 0."""
        zeros = [torch.zeros(shape, dtype=torch.float64, device=self._device) for shape in self.shapes]
        hidden = self.node.fn(*zeros, **self._without_offset)
        if not bool(hidden.any()):
            return False
        moved = self.node.fn(*(z + 1 for z in zeros), **self._without_offset)
        if not torch.equal(moved[hidden != 0], hidden[hidden != 0]):
            raise InputError(f"{self.node.name} ({self.node.origin.op}) adds a constant that cannot be told from its inputs")
        return True

    @property
    def _device(self) -> torch.device:
        return next(iter(self.constants.values())).device if self.constants else torch.device("cpu")

    # ── bounds ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def absolute(self, inputs: Sequence[Tensor]) -> Tensor:
        """|J| v for v ≥ 0."""
        signs = self.node.signs or (1,) * len(inputs)
        signed = [-z if sign < 0 else z for sign, z in zip(signs, inputs, strict=True)]
        return self.linear(signed, None if self.weight is None else self.weight.abs())

    def touches(self, inputs: Sequence[Tensor]) -> Tensor:
        """Which outputs depend on an entry that is marked, by masks of the inputs."""
        marked = [z.double() for z in inputs]
        signs = self.node.signs or (1,) * len(inputs)
        signed = [-z if sign < 0 else z for sign, z in zip(signs, marked, strict=True)]
        return self.linear(signed, None if self.weight is None else (self.weight != 0).double()) != 0

    def spread(self, bounds: Sequence[Tensor], marked: Sequence[Tensor]) -> Tensor:
        """A bound on |J| v for bounds v ≥ 0, exactly 0 where no entry that is marked is read."""
        if not any(bool(m.any()) for m in marked):
            return torch.zeros_like(self.absolute(bounds))
        found = self.absolute(bounds)
        largest = max(float(z.max()) if z.numel() else 0.0 for z in bounds)
        scale = float(self.weight.abs().max()) if self.weight is not None and self.weight.numel() else 1.0
        spread = found * SLACK + (self.terms + 8) * UNDERFLOW * (1 + scale) * (1 + largest)
        if bool((found == 0).any()):
            spread = torch.where(self.touches(marked), spread, 0.0)
        return spread

    @cached_property
    def terms(self) -> int:
        """An upper bound on the number of products that one output sums."""
        ones = [torch.ones(shape, dtype=torch.float64, device=self._device) for shape in self.shapes]
        if self.weight is None and not self.integer:
            return sum(z.numel() for z in ones)
        signs = self.node.signs or (1,) * len(ones)
        signed = [-z if sign < 0 else z for sign, z in zip(signs, ones, strict=True)]
        counts = self.linear(signed, None if self.weight is None else (self.weight != 0).double())
        return int(counts.max()) if counts.numel() else 0

    @cached_property
    def rounding(self) -> float:
        """Relative rounding of J x + c: |error| ≤ rounding · (2 |J||x| + |J x + c|); 0 where entries are only moved."""
        return 0.0 if self.integer and self.terms <= 1 and not self.adds_constant else (self.terms + 8) * UNIT_ROUNDOFF * SLACK

    @cached_property
    def adds_constant(self) -> bool:
        """Whether a constant is added to values (``x + bias``), rather than put beside them."""
        zeros = [torch.zeros(shape, dtype=torch.float64, device=self._device) for shape in self.shapes]
        offset, touched = self.value(zeros), self.touches([z + 1 for z in zeros])
        return bool(((offset != 0) & touched).any())

    # ── exact values ───────────────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def integer(self) -> bool:
        """Whether J has integer entries and no weight: it moves and adds entries, as it does to integers."""
        if self.weight is not None or any(word in self.node.origin.op for word in INEXACT):
            return False
        roles = {
            role: value.to(torch.int64) if value.is_floating_point() else value for role, value in self._without_offset.items()
        }
        generator = torch.Generator().manual_seed(0)
        probes = [torch.randint(-(2**20), 2**20, shape, generator=generator).to(self._device) for shape in self.shapes]
        try:
            found = self.node.fn(*probes, **roles)
        except (RuntimeError, NotImplementedError):
            return False
        wanted = self.linear([z.double() for z in probes])
        known = torch.ones_like(wanted, dtype=torch.bool)
        if self._hides_offset:
            zeros = [torch.zeros_like(z, dtype=torch.float64) for z in probes]
            known = self.node.fn(*zeros, **self._without_offset) == 0
        return found.dtype == torch.int64 and bool((found.double() == wanted)[known].all())

    @property
    def bits(self) -> int:
        """The widest digits on which J is exact."""
        return bits_for(self._rows[1].shape[1] if self._rows is not None else self.terms)

    def digits(self, inputs: Sequence[Digits]) -> Digits:
        """J x + c of digits, exactly."""
        bits = inputs[0].bits
        stacks, low = common_places(inputs)
        limbs = [[z.double() for z in stack] for stack in stacks]
        weight = self._rows[1] if self._rows is not None else self.weight
        if weight is None:
            linear = Digits.carried(self._integers([self.linear(list(zs)) for zs in zip(*limbs, strict=True)]), low, bits)
        else:
            factors = Digits.of(weight, bits)
            apply = self.linear if self._rows is None else self._gathered
            total: Tensor | None = None
            for i, factor in enumerate(factors.limbs.double()):
                product = self._integers([apply(list(zs), factor) for zs in zip(*limbs, strict=True)])
                if total is None:
                    total = product.new_zeros(len(product) + len(factors) - 1, *product.shape[1:])
                total[i : i + len(product)] += product
            assert total is not None  # there is a limb at least
            linear = Digits.carried(total, low + factors.low, bits)
        offset = self.value([torch.zeros_like(stack[0], dtype=torch.float64) for stack in stacks])
        return linear + Digits.of(offset, bits) if bool(offset.any()) else linear

    @staticmethod
    def _integers(results: Sequence[Tensor]) -> Tensor:
        return torch.stack(list(results)).to(torch.int64)

    def _gathered(self, inputs: Sequence[Tensor], weight: Tensor) -> Tensor:
        """J x by rows: entries at the places of each row, times their factors."""
        assert self._rows is not None
        x = torch.cat([z.flatten(1) for z in inputs], 1)
        return (x[:, self._rows[0]] * weight).sum(-1).reshape(len(x), *self._rows[2])

    @cached_property
    def _rows(self) -> tuple[Tensor, Tensor, torch.Size] | None:
        """For an average or an interpolation: places and factors (out, k) of each row of J, as its derivative has them."""
        if self.weight is not None or self.integer:
            return None
        zeros = [torch.zeros(shape, dtype=torch.float64, device=self._device) for shape in self.shapes]
        shape = self.linear(zeros).shape
        width, out = sum(z.numel() for z in zeros), math.prod(shape)
        if width * out > LARGEST_MATRIX:
            raise InputError(
                f"{self.node.name} ({self.node.origin.op}) maps {width:,} values to {out:,}, too many for exact arithmetic; "
                'floating="model" takes the pattern from the model\'s own arithmetic'
            )
        places, factors = _rows_of_jacobian(self.linear, zeros, out)
        self._check_layout(places, factors, shape)
        return places, factors, shape[1:]

    def _check_layout(self, places: Tensor, factors: Tensor, shape: torch.Size) -> None:
        """Raise InputError if the first dimension of a value is not the batch, so that rows of one point say nothing."""
        generator = torch.Generator().manual_seed(0)
        many = [torch.rand(3, *s[1:], generator=generator, dtype=torch.float64).to(self._device) for s in self.shapes]
        x = torch.cat([z.flatten(1) for z in many], 1)
        found = (x[:, places] * factors).sum(-1)
        wanted = self.linear(many)
        if wanted.shape != (3, *shape[1:]) or not torch.allclose(found, wanted.flatten(1), rtol=1e-9, atol=1e-12):
            raise InputError(
                f"{self.node.name} ({self.node.origin.op}) mixes the points of a batch; exact values need them apart"
            )


def _rows_of_jacobian(linear: Callable[[Sequence[Tensor]], Tensor], zeros: Sequence[Tensor], out: int) -> tuple[Tensor, Tensor]:
    """Places and factors (out, k) of the nonzero entries of each row of J, padded with 0."""
    width = sum(z.numel() for z in zeros)
    size = max(1, 2**22 // max(width, 1))
    rows: list[tuple[Tensor, Tensor]] = []
    for start in range(0, out, size):
        count = min(size, out - start)
        with torch.inference_mode(False), torch.enable_grad():
            leaves = [z.expand(count, *z.shape[1:]).clone().requires_grad_() for z in zeros]
            chosen = linear(leaves).flatten(1)[torch.arange(count), torch.arange(start, start + count)].sum()
            gradients = torch.autograd.grad(chosen, leaves, allow_unused=True, materialize_grads=True)
        dense = torch.cat([g.flatten(1) for g in gradients], 1)
        k = int((dense != 0).sum(1).max()) if dense.numel() else 0
        order = torch.argsort((dense == 0).to(torch.int8), dim=1, stable=True)[:, : max(k, 1)]
        rows.append((order, dense.gather(1, order)))
    k = max((places.shape[1] for places, _ in rows), default=1)
    padded = [[torch.nn.functional.pad(part, (0, k - part.shape[1])) for part in pair] for pair in rows]
    return torch.cat([pair[0] for pair in padded]), torch.cat([pair[1] for pair in padded])
