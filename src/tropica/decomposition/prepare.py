"""Preparation of an extraction: the network, the points and the decomposition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from tropica.data.batches import Data
from tropica.data.passes import DEFAULT_SIZES, DataPass, PointDigests, ShardSizes
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.decomposition.decompose import METHODS, decomposition_of_data
from tropica.decomposition.paper import paper_decomposition
from tropica.decomposition.rows import for_task, rows_of
from tropica.errors import InputError
from tropica.network.batch_size import batch_size_for
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import as_network
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.processes import SINGLE_PROCESS, Processes
from tropica.runtime.progress import ProgressCallback
from tropica.runtime.safetensors_files import checksum_of
from tropica.terms.identity import ExtractionIdentity

DTYPES = (torch.bfloat16, torch.float32, torch.float64)
"""The dtypes that coefficients may be stored in, coarse to fine."""


@dataclass(frozen=True)
class Extraction:
    """A prepared extraction.

    Attributes:
        net: the network; with ``at=``, the part of the network behind that tensor.
        data_pass: the points; with ``at=``, the values of that tensor.
        stored_dtype: the dtype that coefficients are stored in.
        identity: the identity of the extraction, without the decomposition.
    """

    net: PiecewiseLinearNetwork
    data_pass: DataPass
    stored_dtype: torch.dtype
    identity: ExtractionIdentity

    def asked(self, text: str) -> Extraction:
        """The same extraction, with what was asked for where that did not leave enough digits."""
        return replace(self, identity=replace(self.identity, asked=text))


def prepare_extraction(
    net: PiecewiseLinearNetwork | torch.nn.Module,
    data: Data,
    *,
    at: str | None = None,
    dtype: torch.dtype | None = None,
    stored_dtype: torch.dtype | None = None,
    batch_size: int | None = None,
    memory: int | None = None,
    processes: Processes = SINGLE_PROCESS,
    shard_sizes: ShardSizes = DEFAULT_SIZES,
    task: str | None = None,
    decomposition: DCDecomposition | str = "",
) -> Extraction:
    """Trace the network, cut it at a tensor, and cut the data into batches and shards; arguments as for ``tp.extract``.

    The task is that of a given decomposition, unless it is named.

    Raises InputError if the arguments do not fit each other.
    """
    net = as_network(net, data)
    net = for_task(net if dtype is None else net.to(dtype), task, decomposition)
    if stored_dtype is not None and (stored_dtype not in DTYPES or DTYPES.index(stored_dtype) > DTYPES.index(net.dtype)):
        names = ", ".join(map(dtype_name, DTYPES[: DTYPES.index(net.dtype) + 1]))
        raise InputError(f"terms that are computed in {net.dtype} can be stored in {names}; got {stored_dtype!r}")
    stored_dtype = stored_dtype or net.dtype
    size = processes.run_on_first(lambda: batch_size_for(net, batch_size, memory))
    head, tail = (None, net) if at is None else net.cut(at)
    data_pass = rows_of(tail, data, size, shard_sizes, net)
    identity = ExtractionIdentity(
        network=tail.fingerprint,
        dtype=dtype_name(net.dtype),
        stored_dtype=dtype_name(stored_dtype),
        points=str(data_pass.num_points),
        at=at or "",
        head="" if head is None else head.fingerprint,
        batch_size=str(size),
        batches=checksum_of({"lengths": data_pass.lengths}),
        shard_points=str(shard_sizes.points),
        shard_numbers=str(shard_sizes.numbers),
        task="" if net.task == "classification" else net.task,
    )
    return Extraction(tail, data_pass if head is None else data_pass.map(_outputs_of(head)), stored_dtype, identity)


def fitted(decomposition: DCDecomposition, net: PiecewiseLinearNetwork, *, at: str | None = None) -> DCDecomposition:
    """The decomposition in the dtype and on the device of this network.

    Raises InputError if it is the decomposition of another network.
    """
    if decomposition.net.fingerprint != net.fingerprint:
        hint = " (with at= it must be a decomposition of the part behind that tensor: net.cut(at)[1])" if at else ""
        raise InputError(f"the decomposition was made for another network{hint}")
    moved = decomposition.to(net.dtype).to(str(net.device))
    return replace(moved, double_double=moved.double_double and net.dtype == torch.float64)


def decomposition_for(
    extraction: Extraction,
    decomposition: str | DCDecomposition,
    *,
    memory: int | None = None,
    processes: Processes = SINGLE_PROCESS,
    checkpoint: Path | None = None,
    digests: PointDigests | None = None,
    progress: ProgressCallback | None = None,
    unchecked: bool = False,
) -> DCDecomposition:
    """The given decomposition, fitted to the network, or the one that a method computes on these points.

    With ``unchecked`` a calibrated decomposition may come without the check of all cotangents.

    Raises InputError for an unknown method, or the decomposition of another network.
    """
    if isinstance(decomposition, DCDecomposition):
        return fitted(decomposition, extraction.net, at=extraction.identity.at)
    check_method(decomposition)
    if decomposition == "paper":
        return paper_decomposition(extraction.net)
    return decomposition_of_data(
        decomposition,
        extraction.net,
        extraction.data_pass,
        memory=memory,
        processes=processes,
        checkpoint=checkpoint,
        digests=digests,
        progress=progress,
        unchecked=unchecked,
    )


def check_method(decomposition: object) -> None:
    """Raise InputError unless ``decomposition`` is a DC decomposition or the name of a method."""
    if not isinstance(decomposition, DCDecomposition) and decomposition not in METHODS:
        names = ", ".join(map(repr, METHODS))
        raise InputError(f"unknown decomposition {decomposition!r}; accepted are {names}, or what tp.decompose returns")


@own_settings()
def inner_points(head: PiecewiseLinearNetwork, data: Data, batch_size: int) -> DataPass:
    """The outputs of the first part of a network on data, computed batch by batch in every pass: data for the second part.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> head, tail = tp.trace(model, torch.zeros(2, 4)).cut("1")
    >>> tp.extract(tail, inner_points(head, torch.randn(10, 4), 5)).input_shape
    (8,)
    """
    return DataPass(data, batch_size, head.dtype, head.device, head.input_shape).map(_outputs_of(head))


def _outputs_of(head: PiecewiseLinearNetwork) -> Callable[[Tensor], Tensor]:
    def outputs(x: Tensor) -> Tensor:
        with torch.no_grad():
            return head.graph.evaluate(x, head.constants)

    return outputs


def dtype_name(dtype: torch.dtype) -> str:
    """The name of a dtype in files.

    >>> dtype_name(torch.float32)
    'float32'
    """
    return str(dtype).removeprefix("torch.")
