"""``Case``: one trained network of a study with its data, splits, terms and extracted functions, made when asked for."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from tropica.data.labelled import LabelledData
from tropica.data.passes import DataPass
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.decomposition.decompose import decompose
from tropica.decomposition.extract import extract
from tropica.decomposition.minimal import minimal_decomposition
from tropica.evaluation.function import ExtractedFunction
from tropica.network.batch_size import batch_size_for
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import trace
from tropica.runtime.progress import ProgressCallback, progress_callback
from tropica.studies.experiments.deciders import Deciders, deciders
from tropica.studies.kept import Parts
from tropica.studies.networks import family
from tropica.studies.training.runs import TrainedRun
from tropica.terms.linear_terms import LinearTerms


@dataclass(eq=False)
class Case:
    """A trained network.

    Attributes:
        run: the training, with the weights of its epochs.
        points: the training points that terms are extracted from, X of N^(X).
        test: the test points, with labels.
        dtype: what to compute in.
        report: progress, or None.
        epoch: the weights are those after this epoch, the last by default.
        others: the same model trained with the next seeds, for studies that compare networks.
        parts: where what is measured is kept part by part, see :meth:`part`.
    """

    run: TrainedRun
    points: LabelledData
    test: LabelledData
    dtype: torch.dtype
    report: ProgressCallback | None = None
    epoch: int | None = None
    others: tuple[TrainedRun, ...] = ()
    parts: Parts = field(default_factory=Parts)
    _splits: dict[str, DCDecomposition] = field(default_factory=dict, init=False)
    _terms: dict[str, LinearTerms] = field(default_factory=dict, init=False)
    _deciders: dict[str, Deciders] = field(default_factory=dict, init=False)

    def at(self, epoch: int) -> Case:
        """The same training after an epoch, with nothing made yet: what is made there goes with it."""
        return replace(self, epoch=epoch)

    def of(self, run: TrainedRun) -> Case:
        """Another training on the same points, at the same epoch."""
        return replace(self, run=run)

    def shared(self, *, report: ProgressCallback | None, others: tuple[TrainedRun, ...], parts: Parts) -> Case:
        """The same network for another study, with what was made of it and what will be: network, splits, terms."""
        assert self.net  # made here, so that it is made once
        twin = copy(self)
        twin.report, twin.others, twin.parts = report, others, parts
        return twin

    def part(self, name: str, measure: Callable[[], Any]) -> Any:
        """A part of what is measured, kept on disk until the run is whole: an interrupted run goes on after it."""
        return self.parts.of(name, measure)

    @property
    def title(self) -> str:
        """For progress bars and legends."""
        return f"{self.run.model}, seed {self.run.seed}"

    @property
    def family(self) -> str:
        """FCN or CNN."""
        return family(self.run.model)

    @property
    def truth(self) -> Tensor:
        """The test points' labels."""
        assert self.test.labels is not None  # the study has checked it
        return self.test.labels

    @cached_property
    def net(self) -> PiecewiseLinearNetwork:
        """The network, in ``dtype``."""
        return trace(self.run.load(self.epoch), self.points.inputs[:2]).to(self.dtype)

    @cached_property
    def labels(self) -> Tensor:
        """The labels that the network gives the test points."""
        return self.predict(self.net, self.test.inputs)

    def predict(self, net: PiecewiseLinearNetwork, x: Tensor) -> Tensor:
        """The network's labels, some points at a time."""
        return torch.cat([net.predict(part.to(net.dtype)) for part in x.split(512)])

    def step(self, what: str) -> ProgressCallback | bool:
        """Progress of any inner work, under one name."""
        report = self.report
        when = "" if self.epoch is None else f"epoch {self.epoch}, "
        return (lambda done, total, message: report(done, total, f"{self.title}: {when}{what}")) if report else False

    def decomposition(self, method: str) -> DCDecomposition:
        """The network's split."""
        if method not in self._splits:
            step = self.step(f"{method} split")
            if method == "minimal":  # of the calibrated decomposition that the study has anyway
                with progress_callback(step) as report:
                    made = minimal_decomposition(self.decomposition("calibrated"), self._pass(), progress=report)
            else:
                made = decompose(self.net, self.points, method=method, progress=step)
            self._splits[method] = made
        return self._splits[method]

    def _pass(self) -> DataPass:
        net = self.net
        size = batch_size_for(net, None, None)
        return DataPass(self.points, size, net.dtype, net.device, net.input_shape)

    def terms(self, method: str) -> LinearTerms:
        """The training points' terms, with a certificate that the study reports, whether it holds or not."""
        if method not in self._terms:
            step = self.step(f"terms, {method} split")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a certificate that fails
                self._terms[method] = extract(self.net, self.points, self.decomposition(method), check="warn", progress=step)
        return self._terms[method]

    def function(self, method: str) -> ExtractedFunction:
        """N^(X)."""
        return ExtractedFunction(self.terms(method))

    def deciders(self, method: str) -> Deciders:
        """Which training point decides each test point."""
        if method not in self._deciders:
            made, terms = self.decomposition(method), self.terms(method)
            x = self.test.inputs.to(self.dtype)
            self._deciders[method] = deciders(made, terms, x, progress=self.step(f"deciding terms, {method} split"))
        return self._deciders[method]
