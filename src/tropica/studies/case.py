"""``Case``: one trained network of a study with its data, decompositions, terms and extracted functions."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from tropica.data.labelled import LabelledData
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.decomposition.decompose import decompose, minimize
from tropica.decomposition.extract import extract
from tropica.evaluation.function import ExtractedFunction
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import trace
from tropica.runtime.progress import ProgressCallback
from tropica.studies.checkpoints import Checkpoints
from tropica.studies.deciding import DecidingPoints, deciding_points
from tropica.studies.given import GivenNetwork
from tropica.studies.networks import family
from tropica.studies.training.runs import TrainedRun
from tropica.terms.linear_terms import LinearTerms

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Case:
    """A trained network; all objects derived from it are computed at first use and cached.

    Attributes:
        run: the training, with the weights after each epoch, or a network of the user's own.
        points: the training points that terms are extracted from, X of N^(X).
        test: the test points, with labels.
        dtype: the dtype of all computations.
        report: a progress callback, or None.
        epoch: the epoch after which the network's weights are taken; None for the last one.
        other_runs: trainings of the same model with the next seeds, for studies that compare networks.
        checkpoints: the parts of a measurement that are kept on disk until it is complete.
        cache: the derived objects so far; copies of a case that differ only in the study share it.
    """

    run: TrainedRun | GivenNetwork
    points: LabelledData
    test: LabelledData
    dtype: torch.dtype
    report: ProgressCallback | None = None
    epoch: int | None = None
    other_runs: tuple[TrainedRun, ...] = ()
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    cache: dict[Any, Any] = field(default_factory=dict, repr=False)

    def after_epoch(self, epoch: int) -> Case:
        """The network of the same training after an epoch."""
        return replace(self, epoch=epoch, cache={})

    def with_run(self, run: TrainedRun | GivenNetwork) -> Case:
        """The network of another training, on the same points and after the same epoch."""
        return replace(self, run=run, cache={})

    def with_dtype(self, dtype: torch.dtype) -> Case:
        """The same network in another dtype."""
        return replace(self, dtype=dtype, cache={})

    def checkpoint(self, name: str, measure: Callable[[], Any]) -> Any:
        """A part of the measurement, kept on disk until the run is complete: an interrupted run resumes after it."""
        return self.checkpoints.get(name, measure)

    @property
    def title(self) -> str:
        """Model and seed, for progress bars and legends."""
        return f"{self.run.model}, seed {self.run.seed}"

    @property
    def family(self) -> str:
        """FCN or CNN."""
        return self.run.family if isinstance(self.run, GivenNetwork) else family(self.run.model)

    @property
    def true_labels(self) -> Tensor:
        """The labels of the test points: (B,) int64."""
        assert self.test.labels is not None  # the runner has checked it
        return self.test.labels

    @property
    def net(self) -> PiecewiseLinearNetwork:
        """The traced network, in ``dtype``."""
        run = self.run
        if isinstance(run, GivenNetwork):
            return self._once("net", lambda: run.net.to(self.dtype))
        return self._once("net", lambda: trace(run.load(self.epoch), self.points.inputs[:2]).to(self.dtype))

    @property
    def network_labels(self) -> Tensor:
        """The labels that the network gives the test points: (B,) int64."""
        return self._once("network labels", lambda: self.predict(self.test.inputs))

    def predict(self, x: Tensor) -> Tensor:
        """The network's labels (B,), computed in batches."""
        return torch.cat([self.net.predict(part.to(self.dtype)) for part in x.split(512)])

    def progress(self, what: str) -> ProgressCallback | bool:
        """A progress callback that reports all inner computations under one name."""
        report = self.report
        when = "" if self.epoch is None else f"epoch {self.epoch}, "
        return (lambda done, total, message: report(done, total, f"{self.title}: {when}{what}")) if report else False

    def decomposition(self, method: str) -> DCDecomposition:
        """The network's DC decomposition; the calibrated and the minimal one use the training points."""

        def make() -> DCDecomposition:
            progress = self.progress(f"{method} decomposition")
            if method == "minimal":
                return minimize(self.decomposition("calibrated"), self.points, progress=progress)
            return decompose(self.net, self.points, method=method, progress=progress)

        return self._once(("decomposition", method), make)

    def terms(self, method: str) -> LinearTerms:
        """The training points' linear terms, whether their certificate holds or not."""

        def make() -> LinearTerms:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the studies report a failed certificate
                progress = self.progress(f"terms, {method} decomposition")
                return extract(self.net, self.points, self.decomposition(method), on_failure="warn", progress=progress)

        return self._once(("terms", method), make)

    def function(self, method: str) -> ExtractedFunction:
        """N^(X) of the training points' terms."""
        return ExtractedFunction(self.terms(method))

    def deciding_points(self, method: str) -> DecidingPoints:
        """The training point whose term is active at each test point."""

        def make() -> DecidingPoints:
            x, progress = self.test.inputs.to(self.dtype), self.progress(f"active terms, {method} decomposition")
            return deciding_points(self.decomposition(method), self.terms(method), x, progress=progress)

        return self._once(("deciding points", method), make)

    def _once(self, key: Any, make: Callable[[], T]) -> T:
        if key not in self.cache:
            self.cache[key] = make()
        return self.cache[key]


def equal_share(a: Tensor, b: Tensor, chosen: Tensor | None = None) -> float | None:
    """The share of points at which two label tensors are equal, among the ``chosen`` points; None without points.

    >>> a, b = torch.tensor([1, 2]), torch.tensor([1, 3])
    >>> equal_share(a, b), equal_share(a, b, a > 1), equal_share(a, b, a > 2)
    (0.5, 0.0, None)
    """
    equal = (a == b) if chosen is None else (a == b)[chosen]
    return float(equal.double().mean()) if len(equal) else None
