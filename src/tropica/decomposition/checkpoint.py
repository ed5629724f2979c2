"""A calibration between two passes, on disk: a run that is killed goes on behind its last finished pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from tropica.data.passes import DataPass, PointDigests
from tropica.errors import StoreError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.runtime import safetensors_files
from tropica.runtime.processes import Processes
from tropica.runtime.safetensors_files import SafetensorsFile

KIND = "calibration"


@dataclass(frozen=True)
class State:
    """K after some passes, in the network's dtype, with all that the next pass needs to know."""

    weights: Mapping[str, Tensor]
    headroom: Mapping[str, float]
    passes: float
    history: Sequence[str]


class Checkpoint:
    """A file for the state of a calibration of one network on one data set (no file: nothing is kept)."""

    def __init__(
        self,
        path: Path | None,
        net: PiecewiseLinearNetwork,
        data_pass: DataPass,
        digests: PointDigests,
        processes: Processes,
    ) -> None:
        self.path = path
        self.net = net
        self.digests = digests
        self.processes = processes
        self.about: dict[str, Any] = {
            "kind": KIND,
            "format": 1,
            "network": net.fingerprint,
            "dtype": str(net.dtype).removeprefix("torch."),
            "points": data_pass.num_points,
            "batches": safetensors_files.checksum_of({"lengths": data_pass.lengths}),
        }

    def load(self) -> State | None:
        """The state to go on from, the same for all processes; None where there is none, or only a damaged one.

        Raises:
            StoreError: the file is the calibration of something else.
        """
        path = self.path
        if path is None or not self.processes.run_on_first(path.exists):
            return None
        self.processes.run_on_first(self._refuse_others)
        return self._read() if self.processes.run_on_first(lambda: self._read() is not None) else None

    def save(self, state: State) -> None:
        """Write the state, whole or not at all. Raises StoreError where it cannot be written."""
        path = self.path
        if path is None:
            return
        about = {
            **self.about,
            "headroom": dict(state.headroom),
            "passes": state.passes,
            "history": list(state.history),
            "digests": {str(number): digest for number, digest in self.digests.gather(self.processes).items()},
        }
        self.processes.run_on_first(lambda: safetensors_files.write(path, about, state.weights))

    def _refuse_others(self) -> None:
        assert self.path is not None
        try:
            file = SafetensorsFile(self.path).kind(KIND)
        except StoreError:
            return  # damaged: nothing to go on from
        differs = [name for name, value in self.about.items() if file.about.get(name) != value]
        if differs:
            raise StoreError(f"{self.path}: the calibration of something else ({', '.join(differs)} differ)")

    def _read(self) -> State | None:
        assert self.path is not None
        try:
            file = SafetensorsFile(self.path).kind(KIND)
            weights = {name: file.tensor(name).clone().to(self.net.device) for name in file.names()}
            about = file.about
            nonlinearities = {nonlinearity.name: tuple(nonlinearity.unit_shape) for nonlinearity in self.net.nonlinearities}
            if {name: tuple(k.shape) for name, k in weights.items()} != nonlinearities:
                return None
            digests = {int(number): str(digest) for number, digest in about["digests"].items()}
            state = State(weights, dict(about["headroom"]), float(about["passes"]), tuple(map(str, about["history"])))
        except (StoreError, KeyError, TypeError, ValueError, AttributeError):
            return None
        self.digests.known |= digests
        return state
