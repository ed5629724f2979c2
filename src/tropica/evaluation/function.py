"""``tp.ExtractedFunction``: N^(X), the network rebuilt from the terms of the data alone (equation 2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

from tropica.data.batches import Data, as_batches, count_points
from tropica.data.passes import DEFAULT_SIZES, DataPass, ShardSizes
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.decomposition.extraction import extract_batches, find_center
from tropica.decomposition.prepare import decomposition_for, prepare_extraction
from tropica.errors import InputError
from tropica.evaluation.combine import combined
from tropica.evaluation.gather import NUMBERS, gathered
from tropica.evaluation.lossy import Candidates, Rescue, rounded
from tropica.evaluation.search.search import SEARCHES, Search, SearchReport
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import as_network
from tropica.runtime.memory import BatchHalving, budget
from tropica.runtime.processes import Processes
from tropica.runtime.progress import ProgressCallback, progress_callback
from tropica.terms.linear_terms import LazyBlocks, LinearTerms, TermBlock
from tropica.terms.maxima import Part, RunningMaxima, functions_of

T = TypeVar("T")

POINTS_AT_ONCE = 16384


@dataclass(frozen=True)
class _Source:
    """Where terms come from: kept in memory or a store, or extracted anew on every walk.

    ``blocks`` gives this process's part of them, each block with the index of its first term.
    """

    blocks: Callable[[ProgressCallback | None], Iterator[tuple[int, TermBlock]]]
    input_shape: tuple[int, ...]
    num_classes: int
    dtype: torch.dtype
    device: torch.device
    labels: Callable[[], Tensor]
    kept: bool
    processes: Processes
    memory: int | None
    search: Search | None = None


class ExtractedFunction:
    """The extracted function of a data set,

        N_i^(X)(x) = max over k with label i of a⁺_k(x)  −  max over all k of a⁻_k(x),    label(x) = argmax_i.

    A label that no data point has gives −∞. All answers are those of float64 arithmetic on the stored terms: products run in
    the terms' dtype, and whatever lies within their rounding bound of a tie is evaluated again in float64. Points are taken in
    the terms' dtype, as the network takes them. Memory beyond terms and points: a few blocks (some 100 MB), never terms ×
    points.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> x = torch.randn(200, 4)
    >>> f = tp.ExtractedFunction(tp.extract(model, x))
    >>> f(x).shape, f.predict(x).shape, f.active_term(x).shape
    (torch.Size([200, 3]), torch.Size([200]), torch.Size([200]))
    >>> bool((f.predict(x) == model(x).argmax(1)).all())       # Theorem 3.3
    True
    """

    def __init__(
        self,
        terms: LinearTerms,
        *,
        net: PiecewiseLinearNetwork | torch.nn.Module | None = None,
        data: Data | None = None,
        device: torch.device | str | None = None,
        memory: int | None = None,
        distributed: bool = False,
        search: str = "exact",
    ) -> None:
        """Take the terms that ``tp.extract`` or ``tp.load_terms`` gave.

        Args:
            terms: the terms.
            net, data: the network and the points that they are of, where they are stored in fewer digits than they were
                computed in: labels and winners are then those of the terms as computed. What rounding leaves open is
                computed again from the network. (Without them answers are those of the terms as stored; ``certain`` says
                which labels rounding cannot have changed.)
            device: where to compute; by default where the terms lie (a store's on the processor).
            memory: bytes to work in; by default a quarter of what is free.
            distributed: share the work among the processes of torch.distributed, all of which make the same calls.
            search: how labels and winners are found: "exact" rules most terms out by bounds where that pays (``searched``
                says whether it did), "full" evaluates every term at every point. Answers are the same, ties included.

        Raises:
            InputError: no terms, a network or data that they are not of, or another kind of search.
        """
        if not isinstance(terms, LinearTerms):
            raise InputError(f"ExtractedFunction takes the terms that tp.extract gives, got {type(terms).__name__}")
        if (net is None) != (data is None):
            raise InputError("to compute terms again both the network and its data are needed: net=, data=")
        if search not in SEARCHES:
            raise InputError(f"search must be one of {', '.join(map(repr, SEARCHES))}; got {search!r}")
        processes = Processes.join(distributed)
        place = torch.empty(0, device=terms.device if device is None else device).device
        self._source = _Source(
            blocks=partial(_kept, terms, place, processes),
            input_shape=terms.input_shape,
            num_classes=terms.num_classes,
            dtype=terms.working,
            device=place,
            labels=lambda: terms.labels,
            kept=True,
            processes=processes,
            memory=memory,
            search=Search(partial(_pieces, terms, processes), terms.working, memory) if search == "exact" else None,
        )
        self._lossy = terms.lossy
        self._rescue = None
        if terms.lossy and net is not None and data is not None:
            self._rescue = Rescue(terms, as_network(net, data).to(place), data, processes)

    @classmethod
    def streaming(
        cls,
        net: PiecewiseLinearNetwork | torch.nn.Module,
        data: Data,
        decomposition: DCDecomposition | None = None,
        *,
        method: str = "calibrated",
        dtype: torch.dtype | None = None,
        batch_size: int | None = None,
        memory: int | None = None,
        distributed: bool = False,
        progress: Any = False,
        shard_sizes: ShardSizes = DEFAULT_SIZES,
    ) -> ExtractedFunction:
        """The same function without keeping terms: each call extracts them batch by batch, uses them, and drops them.

        Give all points to one call, as each call walks over the data. Arguments as in :func:`tropica.extract`; no folder is
        needed for several processes.
        """
        processes = Processes.join(distributed)
        with progress_callback(progress if processes.is_first else False) as report:
            settings = {"batch_size": batch_size, "memory": memory, "processes": processes, "shard_sizes": shard_sizes}
            job = prepare_extraction(net, data, dtype=dtype, **settings)
            wanted = decomposition or method
            made = decomposition_for(job, wanted, memory=memory, processes=processes, progress=report)
        labels = torch.zeros(job.data_pass.num_points, dtype=torch.int64)

        function = cls.__new__(cls)
        function._source = _Source(
            blocks=partial(_streamed, made, job.data_pass, processes, labels),
            input_shape=job.net.input_shape,
            num_classes=job.net.num_classes,
            dtype=job.net.dtype,
            device=job.net.device,
            labels=lambda: labels,
            kept=False,
            processes=processes,
            memory=memory,
        )
        function._lossy, function._rescue = False, None
        return function

    @property
    def num_classes(self) -> int:
        """Number of labels."""
        return self._source.num_classes

    @property
    def searched(self) -> SearchReport:
        """How labels and winners were found in the calls so far: ``used`` is "exact" or "full" (``why`` says why it was)."""
        search = self._source.search
        return (
            SearchReport(why="terms are not kept" if not self._source.kept else "as asked") if search is None else search.report
        )

    def __call__(self, x: Data, *, progress: Any = False) -> Tensor:
        """N^(X)(x): (B, s) in float64, −∞ for labels without a term."""
        plus, minus = self._maxima(x, ("labels", "minus"), progress)
        return (plus.value - minus.value).cpu()

    def predict(self, x: Data, *, progress: Any = False) -> Tensor:
        """Labels (B,): that of the single largest a⁺_k(x), the lowest label at a tie."""
        return self.decide(x, progress=progress)[0]

    def active_term(self, x: Data, *, progress: Any = False) -> Tensor:
        """The index of the data point whose a⁺_k is largest at x: (B,) int64; at a tie, the first one of the lowest label."""
        return self.decide(x, progress=progress)[1]

    def decide(self, x: Data, *, progress: Any = False) -> tuple[Tensor, Tensor]:
        """Labels and winners (B,), (B,) in one walk over the terms."""
        if self._rescue is not None:
            found = self._walked(x, self._possible, progress)
            winner = torch.cat([self._rescue.winner(candidates) for candidates in found]).cpu()
        else:
            (plus,) = self._maxima(x, ("plus",), progress)
            winner = plus.winner[:, 0].cpu()
        return self._source.labels().cpu()[winner], winner

    def certain(self, x: Data, *, progress: Any = False) -> Tensor:
        """For each point, is its label that of the terms as they were computed, whatever rounding did in storing them?

        Proven from the bounds that are stored with the terms: every term that can be the largest one has the same label.
        True throughout where terms are stored as they were computed.
        """
        if not self._lossy:
            return torch.ones(count_points(x, where="points"), dtype=torch.bool)
        return torch.cat([candidates.one_label() for candidates in self._walked(x, self._possible, progress)]).cpu()

    def _maxima(self, x: Data, wanted: tuple[Part, ...], progress: Any) -> list[RunningMaxima]:
        """Running maxima of a⁺ over all terms ("plus"), of a⁺ by label ("labels"), of a⁻ ("minus")."""
        source = self._source
        segments = {"plus": 1, "labels": source.num_classes, "minus": 1}

        def work(part: Tensor, report: ProgressCallback | None) -> list[RunningMaxima]:
            state = [RunningMaxima(part, segments[name]) for name in wanted]
            if not (wanted == ("plus",) and source.search is not None and source.search.update(state[0])):
                for first, block in source.blocks(report):
                    for name, maxima in zip(wanted, state, strict=True):
                        maxima.update(functions_of(block, name, first))
            for maxima in state:
                maxima.value, maxima.key = combined(maxima.value, maxima.key, source.processes)
            return state

        return [_joined(list(column)) for column in zip(*self._walked(x, work, progress), strict=True)]

    def _possible(self, part: Tensor, report: ProgressCallback | None) -> Candidates:
        """The terms that rounding leaves possible as the largest a⁺ of each point."""
        found = Candidates(part, self._source.processes)
        if self._source.search is None or not self._source.search.update(found):
            for first, block in self._source.blocks(report):
                found.update(rounded(block, first))
        found.close()
        return found

    def _walked(self, x: Data, work: Callable[[Tensor, ProgressCallback | None], T], progress: Any) -> list[T]:
        """Work for the points (flat), as many at a time as the memory allows; each time a walk over the terms."""
        source = self._source
        total = count_points(x, where="points")
        # Kept terms are walked once for every so many points; extracted ones once in all.
        size = POINTS_AT_ONCE if source.kept else total
        numbers = source.processes.run_on_first(lambda: budget(source.memory, source.device) // (4 * source.dtype.itemsize))
        parts = as_batches(x, size, dtype=source.dtype, device=source.device, shape=source.input_shape, where="points")
        groups = gathered(parts, size, min(NUMBERS, numbers)) if source.kept else [list(parts)]
        # Each process must walk as often as the others: only one process alone may halve a group that does not fit.
        fitting = BatchHalving() if source.kept and source.processes.world_size == 1 else None
        results: list[T] = []
        done = 0
        with progress_callback(progress if source.processes.is_first else False) as report:
            for group in groups:
                part = (group[0] if len(group) == 1 else torch.cat(group)).flatten(1)
                results += fitting(lambda rows: work(rows, report), part) if fitting else [work(part, report)]
                done += len(part)
                if report and source.kept:
                    report(done, total, "evaluating")
        return results


def _kept(
    terms: LinearTerms, device: torch.device, processes: Processes, report: ProgressCallback | None
) -> Iterator[tuple[int, TermBlock]]:
    """This process's part of terms that are there, ready to be used."""
    for index, part in _pieces(terms, processes):
        yield index, part.to(terms.working, device)


def _pieces(terms: LinearTerms, processes: Processes) -> Iterator[tuple[int, TermBlock]]:
    """This process's part as it lies: whole blocks of a store, or pieces of what lies in memory."""
    first = 0
    pieces: list[tuple[int, int, int, int]] = []
    for number, length in enumerate(terms.lengths):
        step = length if processes.world_size == 1 or isinstance(terms.blocks, LazyBlocks) else DEFAULT_SIZES.points
        pieces += [(number, start, min(step, length - start), first + start) for start in range(0, length, step)]
        first += length
    for number, start, count, index in processes.share(pieces):
        block = terms.blocks[number]
        yield index, block if count == len(block) else block.rows(start, count)


def _streamed(
    decomposition: DCDecomposition,
    data_pass: DataPass,
    processes: Processes,
    labels: Tensor,
    report: ProgressCallback | None,
) -> Iterator[tuple[int, TermBlock]]:
    """This process's part of the terms, extracted; ``labels`` then holds those of all."""
    center, halving = find_center(decomposition, data_pass, processes), BatchHalving()
    labels.zero_()
    mine, done = processes.share(data_pass.shards), 0
    total = sum(shard.points for shard in mine)
    for shard, group in data_pass.iter_shards(mine):
        first = shard.first
        for x in group:
            block = extract_batches(decomposition, [x], center, halving=halving)
            labels[first : first + len(x)] = block.labels.cpu()
            yield first, block
            first += len(x)
            done += len(x)
            if report:
                report(done, total, "extracting and evaluating")
    labels.copy_(processes.all_reduce_max(labels))


def _joined(parts: list[RunningMaxima]) -> RunningMaxima:
    """Results for consecutive points as one."""
    if len(parts) == 1:
        return parts[0]
    whole = RunningMaxima.__new__(RunningMaxima)
    whole.value, whole.key = (torch.cat([getattr(p, name) for p in parts]) for name in ("value", "key"))
    return whole
