"""The state of a calibration between two passes, on disk. An interrupted run continues after its last finished pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from tropica.data.passes import DataPass, PointDigests
from tropica.decomposition.history import DecompositionStep, steps_from_json
from tropica.errors import StoreError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.runtime import safetensors_files
from tropica.runtime.processes import Processes
from tropica.runtime.safetensors_files import SafetensorsFile

KIND = "calibration"
FORMAT = 2


@dataclass(frozen=True)
class CalibrationState:
    """The state after some passes: K in the network's dtype and the margins, by the name of the nonlinearity; the number of
    passes; the steps so far."""

    multipliers: Mapping[str, Tensor]
    margins: Mapping[str, float]
    passes: float
    history: Sequence[DecompositionStep]


class Checkpoint:
    """The file with the state of the calibration of one network on one data set. Without a path no state is saved."""

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
            "format": FORMAT,
            "network": net.fingerprint,
            "dtype": str(net.dtype).removeprefix("torch."),
            "points": data_pass.num_points,
            "batches": safetensors_files.checksum_of({"lengths": data_pass.lengths}),
        }

    def load(self) -> CalibrationState | None:
        """The saved state, the same in all processes; None if the file is missing or damaged.

        Raises:
            StoreError: the file belongs to the calibration of another network or of other data.
        """
        path = self.path
        if path is None or not self.processes.run_on_first(path.exists):
            return None
        self.processes.run_on_first(lambda: self._refuse_others(path))
        return self._read(path) if self.processes.run_on_first(lambda: self._read(path) is not None) else None

    def save(self, state: CalibrationState) -> None:
        """Write the state atomically. Raises StoreError if the file cannot be written."""
        path = self.path
        if path is None:
            return
        about = {
            **self.about,
            "margins": dict(state.margins),
            "passes": state.passes,
            "history": [step.to_json() for step in state.history],
            "digests": {str(number): digest for number, digest in self.digests.gather(self.processes).items()},
        }
        self.processes.run_on_first(lambda: safetensors_files.write(path, about, state.multipliers))

    def _refuse_others(self, path: Path) -> None:
        try:
            file = SafetensorsFile(path).kind(KIND)
        except StoreError:
            return  # damaged: the calibration starts from the beginning
        differs = [name for name, value in self.about.items() if file.about.get(name) != value]
        if differs:
            raise StoreError(f"{path}: another calibration ({', '.join(differs)} differ); remove the file or name another file")

    def _read(self, path: Path) -> CalibrationState | None:
        shapes = {node.name: tuple(node.unit_shape) for node in self.net.nonlinearities}
        try:
            file = SafetensorsFile(path).kind(KIND)
            multipliers = {name: file.tensor(name).clone().to(self.net.device) for name in file.names()}
            about = file.about
            if {name: tuple(k.shape) for name, k in multipliers.items()} != shapes:
                return None
            digests = {int(number): str(digest) for number, digest in about["digests"].items()}
            history = steps_from_json(about["history"])
            state = CalibrationState(multipliers, dict(about["margins"]), float(about["passes"]), history)
        except (StoreError, KeyError, TypeError, ValueError, AttributeError):
            return None
        self.digests.known |= digests
        return state
