"""``tp.ExtractedFunction``: N^(X), the network rebuilt from the terms of the data alone (equation 2)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from tropica.data.batches import Data, as_batches, count_points, merged_batches
from tropica.data.passes import DEFAULT_SIZES, ShardSizes
from tropica.data.point_order import PointOrder
from tropica.data.sources import Observer
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.decomposition.precision import MorePrecision, asking_for_more, escalate, require_digits
from tropica.decomposition.prepare import decomposition_for, prepare_extraction
from tropica.errors import InputError
from tropica.evaluation.search.search import ExactSearch, SearchReport
from tropica.evaluation.settings import EVALUATION_SETTINGS, EvaluationSettings
from tropica.evaluation.sources import KeptTerms, TermSource
from tropica.evaluation.storage_rounding import PossibleTerms, TermRecomputation
from tropica.evaluation.streaming import StreamedTerms, facts_of_terms
from tropica.evaluation.top_terms import TopTerms, find_top, margin_of, terms_to_rank, values_of
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import as_network
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.html import html_table
from tropica.runtime.memory import BatchHalving, budget
from tropica.runtime.processes import Processes
from tropica.runtime.progress import ProgressCallback, progress_callback
from tropica.terms.affine_functions import Family, functions_of, split_key
from tropica.terms.double_double_maxima import functions_for, maxima_for
from tropica.terms.linear_terms import LinearTerms
from tropica.terms.maxima import RunningMaxima

SEARCHES = ("exact", "full")


class ExtractedFunction:
    """The extracted function of a data set,

        N_i^(X)(x) = max over k with label i of a⁺_k(x)  −  max over all k of a⁻_k(x),    label(x) = argmax_i.

    The value is −∞ for a label without data points. For terms of a regression (``tp.extract(..., task="regression")``) every
    data point has a term for each output i, and N^(X) is the prediction. All results are those of float64 arithmetic on the
    stored terms: products are computed in the terms' dtype, and terms within the error bound of the maximum are evaluated
    again in float64. Points are converted to the terms' dtype, as for the network. Memory beyond terms and points: a few blocks
    (some 100 MB), never terms × points.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> x = torch.randn(200, 4)
    >>> f = tp.ExtractedFunction(tp.extract(model, x))
    >>> f
    ExtractedFunction(200 terms of 4, 3 classes, calibrated decomposition)
    >>> f(x).shape, f.predict(x).shape, f.active_term(x).shape
    (torch.Size([200, 3]), torch.Size([200]), torch.Size([200]))
    >>> bool((f.predict(x) == model(x).argmax(1)).all())       # Theorem 3.3
    True
    """

    @own_settings()
    def __init__(
        self,
        terms: LinearTerms | StreamedTerms,
        *,
        net: PiecewiseLinearNetwork | torch.nn.Module | None = None,
        data: Data | None = None,
        device: torch.device | str | None = None,
        memory: int | None = None,
        distributed: bool = False,
        search: str = "exact",
        settings: EvaluationSettings = EVALUATION_SETTINGS,
    ) -> None:
        """Create the function from the terms of ``tp.extract`` or ``tp.load_terms``.

        Args:
            terms: the terms.
            net, data: the network and the points of the terms, for terms that are stored in a coarser dtype than that of the
                extraction: labels and active terms are then those of the terms as extracted. Terms whose order is uncertain
                after rounding are extracted again. (Without ``net`` and ``data`` results are those of the stored terms;
                ``label_is_certified`` gives the labels that rounding cannot have changed.)
            device: the device of the computation; by default that of the terms (the CPU for a store).
            memory: bytes to work in; by default a quarter of the free memory.
            distributed: share the work among the processes of torch.distributed, all of which make the same calls.
            search: the method for labels and active terms: "exact" excludes most terms by bounds if that is faster
                (``search_report`` says whether it was), "full" evaluates every term at every point. Results are the same,
                ties included.
            settings: sizes of blocks.

        Raises:
            InputError: ``terms`` or ``search`` has another value, or ``net`` or ``data`` are not those of the terms.
        """
        if not isinstance(terms, (LinearTerms, StreamedTerms)):
            raise InputError(f"ExtractedFunction takes the terms that tp.extract gives, got {type(terms).__name__}")
        if (net is None) != (data is None):
            raise InputError("to extract terms again, both the network and its data are needed: net=, data=")
        if search not in SEARCHES:
            raise InputError(f"search must be one of {', '.join(map(repr, SEARCHES))}; got {search!r}")
        self._processes = processes = Processes.join(distributed)
        self._memory, self._settings = memory, settings
        self._search: ExactSearch | None = None
        self._recomputation: TermRecomputation | None = None
        self._rounded = isinstance(terms, LinearTerms) and terms.lossy
        self._terms: TermSource
        if isinstance(terms, StreamedTerms):
            self._terms = terms
            return
        place = torch.empty(0, device=terms.device if device is None else device).device
        self._terms = kept = KeptTerms(terms, place)
        if kept.num_targets and data is not None:
            raise InputError("net= and data= decide labels of rounded terms; a regression has none: leave both out")
        if search == "exact" and kept.precision != "double-double" and not kept.num_targets:
            self._search = ExactSearch(partial(kept.stored_blocks, processes), kept.dtype, memory, settings.search)
        if self._rounded and net is not None and data is not None:
            self._recomputation = TermRecomputation(terms, as_network(net, data).to(place), data, processes)

    @classmethod
    @own_settings()
    def streaming(
        cls,
        net: PiecewiseLinearNetwork | torch.nn.Module,
        data: Data,
        decomposition: str | DCDecomposition = "calibrated",
        *,
        task: str | None = None,
        dtype: torch.dtype | None = None,
        batch_size: int | None = None,
        memory: int | None = None,
        distributed: bool = False,
        progress: Any = False,
        shard_sizes: ShardSizes = DEFAULT_SIZES,
    ) -> ExtractedFunction:
        """Create the function without stored terms: each call extracts the terms batch by batch, uses them, and discards them.

        Pass all points in one call, as each call is a pass over the data. Arguments as in :func:`tropica.extract`; several
        processes need no folder.
        """
        processes = Processes.join(distributed)
        with progress_callback(progress if processes.is_first else False) as report:
            sizes = {"batch_size": batch_size, "memory": memory, "processes": processes, "shard_sizes": shard_sizes}
            net, settings = as_network(net, data), {"memory": memory, "processes": processes, "progress": report}
            sizes |= {"task": task, "decomposition": decomposition}
            prepared = prepare_extraction(net, data, dtype=dtype, **sizes)
            may_escalate = dtype in (None, torch.float64)
            try:
                with asking_for_more(may_escalate and isinstance(decomposition, str)):
                    made = decomposition_for(prepared, decomposition, **settings)
                if may_escalate:
                    require_digits(made, prepared.data_pass, processes)
            except MorePrecision as needed:
                prepared = prepare_extraction(net, data, dtype=torch.float64, **sizes)
                made = escalate(prepared, decomposition, needed, **settings)
        return cls(StreamedTerms(made, prepared.data_pass), memory=memory, distributed=distributed)

    @property
    def num_classes(self) -> int:
        """Number of labels; in regression of outputs."""
        return self._terms.num_classes

    @property
    def task(self) -> str:
        """The task of the terms: "classification" or "regression"."""
        return "regression" if self._terms.num_targets else "classification"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return self._terms.input_shape

    @property
    def source(self) -> TermSource:
        """The terms, kept or extracted in each pass."""
        return self._terms

    @property
    def search_report(self) -> SearchReport:
        """The report on the search so far: ``used`` is "exact" or "full" (for the reason ``why``)."""
        if self._search is not None:
            return self._search.report
        asked = "all values are asked for" if self._terms.num_targets else "as asked"
        return SearchReport(why=asked if isinstance(self._terms, KeptTerms) else "terms are not kept")

    def __call__(self, x: Data, *, progress: Any = False) -> Tensor:
        """N^(X)(x): (B, num_classes) in float64, −∞ for labels without a term."""
        return self._map(lambda part, report: values_of(*self._maxima(part, ("plus by label", "minus"), report)), x, progress)

    def values_and_margins(self, x: Data, *, progress: Any = False) -> tuple[Tensor, Tensor]:
        """N^(X)(x) and the margins, as `__call__` and `margin` give them, from one pass over the terms."""
        self._require_labels()

        def both(part: Tensor, report: ProgressCallback | None) -> Tensor:
            plus, minus = self._maxima(part, ("plus by label", "minus"), report)
            return torch.cat([values_of(plus, minus), margin_of(plus).unsqueeze(1)], 1)

        found = self._map(both, x, progress)
        return found[:, :-1], found[:, -1]

    def predict(self, x: Data, *, progress: Any = False) -> Tensor:
        """Labels (B,): the label of the largest a⁺_k(x), the lowest label at a tie; in regression f(x)."""
        if self._terms.num_targets:
            return self(x, progress=progress)
        return self.labels_and_terms(x, progress=progress)[0]

    def active_term(self, x: Data, *, progress: Any = False) -> Tensor:
        """The index of the data point whose a⁺_k is largest at x: (B,) int64; at a tie, the first point of the lowest label.

        In regression for each output, (B, num_classes), the first point at a tie.
        """
        if targets := self._terms.num_targets:
            return self._map(
                lambda part, report: self._maxima(part, ("plus by label",), report)[0].argmax // targets, x, progress
            )
        return self.labels_and_terms(x, progress=progress)[1]

    def active_minus_term(self, x: Data, *, progress: Any = False) -> Tensor:
        """The index of the data point whose a⁻_k is largest at x: (B,) int64, the first point at a tie."""
        rows = max(1, self._terms.num_targets)
        return self._map(lambda part, report: self._maxima(part, ("minus",), report)[0].argmax[:, 0] // rows, x, progress)

    def margin(self, x: Data, *, progress: Any = False) -> Tensor:
        """The largest entry of N^(X)(x) minus the second largest: (B,) float64, ∞ if all terms have one label.

        It is computed from a⁺ alone, since max a⁻ is common to all labels.

        >>> import torch, tropica as tp
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
        >>> x = torch.randn(200, 4)
        >>> f = tp.ExtractedFunction(tp.extract(model, x))
        >>> two = f(x).topk(2).values
        >>> bool(torch.allclose(f.margin(x), two[:, 0] - two[:, 1]))
        True
        """
        self._require_labels()
        return self._map(lambda part, report: margin_of(self._maxima(part, ("plus by label",), report)[0]), x, progress)

    def top_terms(self, x: Data, k: int = 5, *, output: int | None = None, progress: Any = False) -> TopTerms:
        """The k terms with the largest a⁺_k(x), largest first, in the order of :meth:`active_term`: label, then index, at ties.

        In regression they are the terms of one ``output``, which must be given unless there is only one.

        >>> import torch, tropica as tp
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
        >>> x = torch.randn(200, 4)
        >>> f = tp.ExtractedFunction(tp.extract(model, x))
        >>> top = f.top_terms(x, k=3)
        >>> top, bool((top.index[:, 0] == f.active_term(x)).all())
        (TopTerms(3 terms at each of 200 points), True)
        """
        source = terms_to_rank(self._terms, k, output)
        settings = (k, self._settings, self._processes, self._recomputation)

        def found(part: Tensor, report: ProgressCallback | None) -> Tensor:
            return find_top(source, part, *settings, report)

        return TopTerms.of(self._map(found, x, progress), output or 0)

    def f_plus(self, x: Data, *, progress: Any = False) -> Tensor:
        """The maximum of a⁺_k(x) over the data points with label i, for each i: (B, num_classes) in float64, −∞ if none.

        >>> import torch, tropica as tp
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
        >>> x = torch.randn(200, 4)
        >>> terms = tp.extract(model, x)
        >>> f_plus = tp.ExtractedFunction(terms).f_plus(x)
        >>> bool(torch.allclose(f_plus.amax(1), terms.plus(x).amax(1)))
        True
        """

        def values(part: Tensor, report: ProgressCallback | None) -> Tensor:
            center = self._terms.center(self._processes).to(part.device)
            return self._maxima(part, ("plus by label",), report)[0].value + (part.double() @ center).unsqueeze(1)

        return self._map(values, x, progress)

    @own_settings()
    def labels_and_terms(self, x: Data, *, progress: Any = False) -> tuple[Tensor, Tensor]:
        """Labels and active terms, (B,) each, from one pass over the terms.

        Raises InputError in regression, where there are no labels.
        """
        self._require_labels()

        def keys(part: Tensor, report: ProgressCallback | None) -> Tensor:
            if self._recomputation is not None:
                return self._recomputation.active_keys(self._possible_terms(part, report), self._processes)
            return self._maxima(part, ("plus",), report)[0].key[:, 0]

        return split_key(self._map(keys, x, progress))

    @own_settings()
    def label_is_certified(self, x: Data, *, progress: Any = False) -> Tensor:
        """For each point, is its label proven to be that of the terms as extracted, before rounding to the stored dtype?

        (B,) bool, True if all terms that can be active within the stored bounds have the same label. For terms stored in the
        dtype of the extraction all entries are True.

        Raises InputError in regression, where there are no labels.
        """
        self._require_labels()
        if not self._rounded:
            return torch.ones(count_points(x, where="points"), dtype=torch.bool)
        return self._map(lambda part, report: self._possible_terms(part, report).has_one_label(self._processes), x, progress)

    def _require_labels(self) -> None:
        if self._terms.num_targets:
            raise InputError("a regression has no labels: f(x) are its values, f.active_term(x) the points that decide them")

    def _maxima(self, x: Tensor, families: tuple[Family, ...], report: ProgressCallback | None) -> list[RunningMaxima]:
        """Compute the maxima of families of functions over all terms."""
        segments = {"plus": 1, "plus by label": self.num_classes, "minus": 1}
        precise = self._terms.precision == "double-double"
        state = [maxima_for(x, precise, segments[family], self._settings.maxima) for family in families]
        if not (families == ("plus",) and self._search is not None and self._search.update(state[0])):
            for first, block in self._terms.blocks(self._processes, report):
                for family, maxima in zip(families, state, strict=True):
                    maxima.update(functions_for(block, family, first))
        for maxima in state:
            maxima.all_reduce(self._processes)
        return state

    def _possible_terms(self, x: Tensor, report: ProgressCallback | None) -> PossibleTerms:
        """Find the terms that can be active at each point within the rounding bounds."""
        found = PossibleTerms(x, self._settings)
        if self._search is None or not self._search.update(found):
            for first, block in self._terms.blocks(self._processes, report):
                found.update(functions_of(block, "plus", first, uncertain=True))
        found.all_reduce(self._processes)
        return found

    def groups(
        self,
        x: Data,
        order: PointOrder,
        total: int,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
        observer: Observer | None = None,
    ) -> Iterator[Tensor]:
        """One pass over points, in groups as large as the memory allows: the terms are read once for each group.

        Args:
            x: the points (B, *input).
            order: the points of earlier passes.
            total: the number of points.
            dtype, device: of the groups; by default those of the points.
            observer: as in :func:`tropica.data.batches.as_batches`.
        """
        terms, settings, kept = self._terms, self._settings, isinstance(self._terms, KeptTerms)
        size = settings.points if kept else total  # streamed terms are extracted only once
        room = self._processes.run_on_first(lambda: budget(self._memory, terms.device) // (4 * terms.dtype.itemsize))
        about = {"dtype": dtype, "device": device, "shape": terms.input_shape, "where": "points"}
        batches = as_batches(x, size, **about, order=order, observer=observer)
        yield from merged_batches(batches, size, min(settings.numbers, room) if kept else sys.maxsize)

    @own_settings()
    def _map(self, work: Callable[[Tensor, ProgressCallback | None], Tensor], x: Data, progress: Any) -> Tensor:
        """Apply ``work`` to groups of flat points as large as the memory allows, with a pass over the terms for each group."""
        terms, processes = self._terms, self._processes
        kept, order = isinstance(terms, KeptTerms), PointOrder()
        total = count_points(x, where="points", order=order)
        groups = self.groups(x, order, total, dtype=terms.dtype, device=terms.device)
        # All processes must make equally many passes, so only a single process may halve a group that does not fit.
        halving = BatchHalving() if kept and processes.world_size == 1 else None
        results: list[Tensor] = []
        done = 0
        with progress_callback(progress if processes.is_first else False) as report:
            for group in groups:
                part = group.flatten(1)
                results += halving(lambda rows: work(rows, report), part) if halving else [work(part, report)]
                done += len(part)
                if report and kept:
                    report(done, total, "evaluating")
        return torch.cat(results).cpu()

    def summary(self) -> dict[str, str]:
        """The terms, their precision, and the digits of f(x) that it leaves, as texts by name.

        >>> import torch, tropica as tp
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
        >>> tp.ExtractedFunction(tp.extract(model, torch.randn(200, 4))).summary()["precision"]
        'float32'
        """
        return facts_of_terms(self._terms)

    def __repr__(self) -> str:
        facts, streamed = self.summary(), ", streamed" if isinstance(self._terms, StreamedTerms) else ""
        terms = facts["terms"].replace(" of", " terms of")
        count = f"{facts['outputs']} outputs" if "outputs" in facts else f"{facts['classes']} classes"
        return f"ExtractedFunction({terms}, {count}, {facts['decomposition']} decomposition{streamed})"

    def _repr_html_(self) -> str:
        return html_table("Extracted function N<sup>(X)</sup>", self.summary())
