"""A network of the user's own in a study, in place of networks that the study trains."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from tropica.errors import InputError
from tropica.network.network import PiecewiseLinearNetwork

CONVOLUTIONS = ("conv", "pool")


@dataclass(frozen=True, eq=False)
class GivenNetwork:
    """A network that is measured as it is; a counterpart of :class:`tropica.studies.training.runs.TrainedRun`.

    Attributes:
        net: the traced network.
        name: the name in tables and figures, such as "mynet:make".
        weights: the file of its weights, for the report; None if the model has its own.
        seed: of the random numbers of the measurements.
    """

    net: PiecewiseLinearNetwork
    name: str
    weights: Path | None = None
    seed: int = 0

    @property
    def model(self) -> str:
        """The name."""
        return self.name

    @property
    def family(self) -> str:
        """FCN for a network without convolutions and pooling, else CNN.

        >>> import torch, tropica as tp
        >>> GivenNetwork(tp.trace(torch.nn.Linear(2, 2).eval(), torch.zeros(2, 2)), "mine").family
        'FCN'
        """
        ops = [node.origin.op for node in self.net.graph.nodes]
        return "CNN" if any(part in op for op in ops for part in CONVOLUTIONS) else "FCN"

    @property
    def epochs(self) -> list[int]:
        """The one state of the network, which counts as epoch 0."""
        return [0]

    @property
    def milestones(self) -> list[int]:
        """No epoch: nothing is trained."""
        return []

    @property
    def file_name(self) -> str:
        """The name with other characters than letters, digits, "." and "_" replaced by "-".

        >>> import torch, tropica as tp
        >>> GivenNetwork(tp.trace(torch.nn.Linear(2, 2).eval(), torch.zeros(2, 2)), "my.nets:make").file_name
        'my.nets-make'
        """
        return re.sub(r"[^\w.]+", "-", self.name).strip("-") or "network"

    def load(self, epoch: int | None = None) -> nn.Sequential:
        """Raise InputError: only the traced network is known."""
        raise InputError(f"{self.name} is a network of the user's own, whose layers are those of its trace")
