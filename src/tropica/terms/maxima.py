"""Exact maxima of many affine functions at many points, with the functions that attain them.

A filter (:mod:`tropica.terms.score_filter`) keeps the pairs of a function and a point that may attain the maximum. These
candidates are evaluated again in float64. So the result is that of float64 throughout, ties go to the lowest index, and the
full matrix of scores never exists.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tropica.errors import CertificateError
from tropica.runtime.processes import Processes
from tropica.terms.affine_functions import BLOCK_SIZES, AffineFunctions, BlockSizes, norms_of, split_key
from tropica.terms.score_filter import Candidates, candidates

UNSET = torch.iinfo(torch.int64).max


class RunningMaxima:
    """The maximum of all functions seen so far, for every point and segment: its value in float64 and the active function.

    Blocks of functions are taken one after another and need not be kept. The result is the same as for all functions at once.

    Attributes:
        x: points (N, d), in the dtype that products are computed in.
        norm: ‖x‖, (N,) float64.
        value: (N, segments) float64, −∞ if there is no function.
        key: (N, segments) int64, ``prefer`` and index of the active function (:func:`key_of`), −1 if there is none.
    """

    def __init__(self, x: Tensor, segments: int = 1, sizes: BlockSizes = BLOCK_SIZES) -> None:
        self.x = x
        self.norm = norms_of(x)
        self.sizes = sizes
        self.value = torch.full((len(x), segments), -torch.inf, dtype=torch.float64, device=x.device)
        self.key = torch.full((len(x), segments), -1, dtype=torch.int64, device=x.device)

    @property
    def argmax(self) -> Tensor:
        """The index of the active function at every point, in every segment: (N, segments), −1 if there is none."""
        return torch.where(self.key < 0, self.key, split_key(self.key)[1])

    def update(self, functions: AffineFunctions) -> None:
        """Take a block of functions into account.

        Raises:
            CertificateError: products are less exact than their dtype.
        """
        if len(functions.bias):
            # The lower bound rises with each product, and rules out more functions.
            lower_bound = self.value.clone()
            for found in candidates(functions, self.x, self.norm, lower_bound, self.sizes):
                self.take(functions, found, lower_bound)

    def take(self, functions: AffineFunctions, found: Candidates, lower_bound: Tensor) -> None:
        """Evaluate the candidates that reach ``lower_bound`` in float64, and take them into account."""
        point, index, segment, upper = self.unknown(functions, found.above(lower_bound))
        value = functions.values(index, self.x, point, self.sizes)
        if bool((value > upper).any()):
            raise CertificateError(
                f"matrix products in {self.x.dtype} are less exact than their dtype on {self.x.device}; "
                "set torch.set_float32_matmul_precision('highest')"
            )
        self.merge(point * self.value.shape[1] + segment, value, functions.keys(index))

    def unknown(self, functions: AffineFunctions, found: Candidates) -> Candidates:
        """The candidates but the active functions themselves, whose values are known."""
        new = functions.keys(found.function) != self.key[found.point, found.segment]
        return Candidates(*(column[new] for column in found))

    def merge(self, place: Tensor, value: Tensor, key: Tensor) -> None:
        """Take values with their keys into account: the larger value is kept, among equal values the lower key.

        ``place`` is the flat index point · segments + segment.
        """
        best = self.value.flatten().scatter_reduce(0, place, value, "amax")
        kept = torch.where((self.value.flatten() == best) & (self.key.flatten() >= 0), self.key.flatten(), UNSET)
        lowest = kept.scatter_reduce(0, place, torch.where(value == best[place], key, UNSET), "amin")
        self.key = torch.where(lowest == UNSET, -1, lowest).view_as(self.key)
        self.value = best.view_as(self.value)

    def all_reduce(self, processes: Processes) -> None:
        """Replace this process's maxima by those over all processes."""
        if processes.world_size > 1:
            best = processes.all_reduce_max(self.value)
            lowest = processes.all_reduce_min(torch.where((self.value == best) & (self.key >= 0), self.key, UNSET))
            self.value, self.key = best, torch.where(lowest == UNSET, -1, lowest)
