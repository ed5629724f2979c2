"""The rows of a data set: the points; in regression each point once for each output.

A term belongs to a point and to one output. In classification that output is the label that N gives the point. In regression
every output of every point counts, and the point is repeated: row k·s + i is that of point k and output i of s. All passes,
batches, blocks and shards then hold rows, and nothing else distinguishes the two tasks but which output a row asks for
(:func:`tropica.decomposition.cotangents.targets`), and which rows are compared (those of the same output).
"""

from __future__ import annotations

from tropica.data.batches import Data
from tropica.data.passes import DEFAULT_SIZES, DataPass, ShardSizes
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.errors import InputError
from tropica.network.network import PiecewiseLinearNetwork


def rows_of(
    net: PiecewiseLinearNetwork,
    data: Data,
    batch_size: int,
    sizes: ShardSizes = DEFAULT_SIZES,
    head: PiecewiseLinearNetwork | None = None,
) -> DataPass:
    """A pass over the rows of the points.

    Args:
        net: the network whose terms are wanted.
        data: the points.
        batch_size: the rows in a batch, at least those of one point.
        sizes: the size of a full shard, in rows.
        head: the network that takes the points, if it is another one.
    """
    rows, source = max(1, net.num_targets), net if head is None else head
    valid = isinstance(batch_size, int) and batch_size > 0  # if not, the reader of the data refuses it
    points = max(1, batch_size // rows) if rows > 1 and valid else batch_size
    return DataPass(data, points, source.dtype, source.device, source.input_shape, sizes, repeat=rows)


def for_task(
    net: PiecewiseLinearNetwork, task: str | None, decomposition: DCDecomposition | str = ""
) -> PiecewiseLinearNetwork:
    """The network for a task; by default for that of a given decomposition, or its own.

    Raises InputError if the decomposition is for another task.
    """
    if isinstance(decomposition, DCDecomposition):
        found = decomposition.net.task
        if task not in (None, found):
            raise InputError(f"the decomposition was made for {found}; compute one with task={task!r}")
        task = found
    return net if task is None else net.for_task(task)
