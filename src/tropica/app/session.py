"""The state of a server: what is loaded, what is computed, what is under way. All tabs share it; the address holds the view."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tropica.app.inputs import METHODS, Inputs, Loader
from tropica.app.jobs import Job, Report

if TYPE_CHECKING:
    from tropica.app.decompositions import Decided
    from tropica.app.tables import Columns, FeatureTable

WAIT = 0.15
"""Seconds that a request waits for work that may be finished at once."""


class NotReady(Exception):
    """What was asked for is still under way; the text says what is."""


class Session:
    """Everything that the requests read.

    Attributes:
        loading: the job that loads the network and the data, and then fills the tables.
    """

    def __init__(self, loader: Loader, version: str) -> None:
        self.version = version
        self._inputs: Inputs | None = None
        self._labels: FeatureTable | None = None
        self._nearest: FeatureTable | None = None
        self._folders: dict[str, Path] = {}
        self._jobs: dict[str, Job[None]] = {}
        self._others: dict[str, Job[Any]] = {}
        self._decided: dict[str, Decided] = {}
        self._lock, self._threads, self._cores = threading.Lock(), threading.local(), 1
        self.loading: Job[None] = Job(lambda report: self._load(loader, report), "starting")

    # ── what there is ──────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def inputs(self) -> Inputs:
        """Network and data. Raises NotReady before they are loaded, and InputError if they cannot be."""
        if self._inputs is not None:
            return self._inputs
        if self.loading.state in ("failed", "cancelled"):
            import tropica as tp

            raise tp.InputError(self.loading.error or "loading was cancelled")
        raise NotReady(self.loading.progress[2])

    @property
    def labels(self) -> FeatureTable:
        """The network's ``network`` label of each test point."""
        return self._of_data(self._labels)

    @property
    def nearest(self) -> FeatureTable:
        """The training point nearest to each test point: ``index`` and ``distance``."""
        return self._of_data(self._nearest)

    def _of_data(self, table: FeatureTable | None) -> FeatureTable:
        if self.inputs.test is None:
            import tropica as tp

            raise tp.InputError("the model was opened without data: tropica app MODEL --data DATA shows decisions")
        if table is None:
            raise NotReady("data")
        return table

    def decided(self, method: str) -> Decided:
        """N^(X) of a decomposition. Its extraction begins when it is first asked for; NotReady until it has ended."""
        _ = self.labels
        job = self.start(method)
        if method not in self._decided:
            job.wait(WAIT)
        if method in self._decided:
            return self._decided[method]
        if job.state in ("failed", "cancelled"):
            import tropica as tp

            raise tp.InputError(job.error or f"the extraction ({method}) was cancelled")
        raise NotReady(job.progress[2])

    def is_ready(self, method: str) -> bool:
        """Whether N^(X) of a decomposition is there."""
        return method in self._decided

    def status(self) -> dict[str, Any]:
        """What the page shows before anything else."""
        found: dict[str, Any] = {"version": self.version, "loading": self.loading.to_json(), "inputs": None}
        if self._inputs is not None:
            found["inputs"] = self._inputs.to_json()
            found["first_method"] = self.first_method
            found["methods"] = {m: self._state(m) for m in METHODS}
        return found

    @property
    def first_method(self) -> str:
        """The decomposition that the page begins with."""
        return next(iter(self._folders), METHODS[0])

    def folder(self, method: str) -> Path | None:
        """The store of a method."""
        return self._folders.get(method)

    def _state(self, method: str) -> dict[str, Any]:
        job = self._jobs.get(method)
        found = {"state": "absent", "done": 0, "total": 0, "message": "", "error": ""} if job is None else job.to_json()
        decided = self._decided.get(method)
        return found | {"ready": decided is not None, "note": "" if decided is None else decided.note}

    def enter_request(self) -> None:
        """Begin a request, in its thread: NotReady before PyTorch and the inputs are there.

        One point is little work: threads that wait for each other would cost more than they bring.
        """
        _ = self.inputs
        if not getattr(self._threads, "alone", False):
            import torch

            torch.set_num_threads(1)
            self._threads.alone = True

    # ── what is to be done ─────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, method: str, again: bool = False) -> Job[None]:
        """Begin the work of a decomposition, unless it has begun; with ``again`` also one that failed or was cancelled."""
        with self._lock:
            job = self._jobs.get(method)
            if job is None or (again and job.state in ("failed", "cancelled")):
                job = self._jobs[method] = Job(lambda report: self._decide(method, report), f"terms ({method})")
            return job

    def job(self, name: str, work: Callable[[Report], Any]) -> Job[Any]:
        """The job of a name: it begins when it is first asked for, and again if it failed."""
        with self._lock:
            job = self._others.get(name)
            if job is None or job.state in ("failed", "cancelled"):
                job = self._others[name] = Job(work, name)
            return job

    def cancel(self, method: str) -> None:
        """End the work of a decomposition; finished shards of its store are kept."""
        job = self._jobs.get(method)
        if job is not None:
            job.cancel()

    def _load(self, loader: Loader, report: Report) -> None:
        report(0, 0, "loading PyTorch")
        import torch

        import tropica as tp
        from tropica.app.decompositions import stores_by_method
        from tropica.app.tables import FeatureTable

        self._cores = torch.get_num_threads()
        inputs = loader(report)
        test, net = inputs.test, inputs.net
        if test is not None:
            self._folders = stores_by_method(inputs.stores)

            def labels(numbers: np.ndarray) -> Columns:
                return {"network": net.predict(test.inputs[numbers].to(net.dtype)).numpy()}

            def nearest(numbers: np.ndarray) -> Columns:
                found = tp.nearest_neighbors(inputs.training, test.inputs[numbers])
                return {"index": found.index.numpy(), "distance": found.distance.numpy()}

            self._labels = FeatureTable(len(test), labels, "the network's labels")
            self._nearest = FeatureTable(len(test), nearest, "nearest training points")
        self._inputs = inputs
        if self._labels is not None and self._nearest is not None:
            self._labels.fill(report)
            first = self.start(self.first_method)
            while first.state == "running":
                report(*first.progress)
                first.wait(0.2)
            self._nearest.fill(report)
        report(0, 0, "the region engine, for planes")
        from tropica.app.engine import warm

        warm(inputs.net)

    def _decide(self, method: str, report: Report) -> None:
        import torch

        from tropica.app.decompositions import make_decided

        torch.set_num_threads(self._cores)
        made = self._decided[method] = make_decided(self.inputs, method, self._folders.get(method), report)
        made.table.fill(report)
