"""``tp.dead_units``: the units that take one piece alone at all points of the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tropica.compare.batched import batched
from tropica.data.batches import Data
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import as_network
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.html import TableRepr
from tropica.runtime.progress import ProgressCallback

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, eq=False, repr=False)
class DeadUnits(TableRepr):
    """The units of each nonlinearity that do not bend on the data, by the name of the nonlinearity.

    Attributes:
        dead: (units,) bool: the unit takes its lower piece at all points; a relu is 0 at all of them.
        always_on: (units,) bool: it takes its upper piece at all points; a relu is the identity. For a window (max-pool) the
            first input is the lower piece, and all others are upper ones.

    >>> import torch, tropica as tp
    >>> net = tp.from_layers([([[1.0, 0.0], [0.0, 1.0]], None), ([[1.0, 0.0], [0.0, 1.0]], None)])  # (relu(x₁), relu(x₂))
    >>> found = tp.dead_units(net, torch.tensor([[-1.0, 2.0], [-3.0, 1.0]]).double())
    >>> found.count, found.to_dataframe()
    (1,        units  dead  always_on
    relu0      2     1          1)
    """

    dead: dict[str, Tensor]
    always_on: dict[str, Tensor]

    @property
    def count(self) -> int:
        """The number of dead units of the whole network."""
        return sum(int(mask.sum()) for mask in self.dead.values())

    def to_dataframe(self) -> DataFrame:
        """A pandas table with a row for each nonlinearity: units, dead, always on."""
        import pandas as pd

        rows = {
            name: {"units": len(mask), "dead": int(mask.sum()), "always_on": int(self.always_on[name].sum())}
            for name, mask in self.dead.items()
        }
        return pd.DataFrame.from_dict(rows, orient="index", columns=["units", "dead", "always_on"])

    def __repr__(self) -> str:
        units = sum(map(len, self.dead.values()))
        on = sum(int(mask.sum()) for mask in self.always_on.values())
        return f"DeadUnits({self.count:,} of {units:,} units dead, {on:,} always on)"


@own_settings()
def dead_units(
    net: PiecewiseLinearNetwork | torch.nn.Module, data: Data, *, progress: bool | ProgressCallback = False
) -> DeadUnits:
    """Find the units that take one piece alone at all points, in the network's own arithmetic.

    Args:
        net: the network, traced or not.
        data: the points (N, *input).
        progress: True for a bar, or a function (done, total, message).

    Raises:
        InputError: the data does not fit the network.

    >>> import torch, tropica as tp
    >>> layer = torch.nn.Linear(1, 3)
    >>> _ = layer.weight.data.copy_(torch.ones(3, 1)), layer.bias.data.copy_(torch.tensor([-9.0, 0.0, 9.0]))
    >>> found = tp.dead_units(torch.nn.Sequential(layer, torch.nn.ReLU()).eval(), torch.tensor([[-1.0], [1.0]]))
    >>> found, found.dead["relu"]
    (DeadUnits(1 of 3 units dead, 1 always on), tensor([ True, False, False]))
    """
    net = as_network(net, data)
    seen: dict[str, tuple[Tensor, Tensor]] = {}

    def pieces(x: Tensor) -> None:
        for node, piece, _ in net.active_pieces(x, floating="model"):
            upper = piece.reshape(len(x), -1) > 0
            some, every = upper.any(0).cpu(), upper.all(0).cpu()
            before = seen.get(node.name)
            seen[node.name] = (some, every) if before is None else (before[0] | some, before[1] & every)

    for _ in batched(pieces, net, data, message="dead units", progress=progress):
        pass
    return DeadUnits({name: ~some for name, (some, _) in seen.items()}, {name: every for name, (_, every) in seen.items()})
