"""The cells of a complex as a table and as graphs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from tropica.errors import InputError

if TYPE_CHECKING:
    import pandas
    from networkx import Graph


def neighbor_matrix(pairs: np.ndarray, count: int) -> csr_array:
    """The symmetric matrix (count, count) with a 1 for each of the pairs (A, 2)."""
    a, b = pairs.T
    return csr_array((np.ones(2 * len(a), np.int8), (np.append(a, b), np.append(b, a))), shape=(count, count))


def networkx_graph(pairs: np.ndarray, attributes: Mapping[str, np.ndarray]) -> Graph:
    """The graph with these edges, and for each attribute a number or a row of numbers for each node."""
    try:
        import networkx
    except ImportError:
        raise InputError("to_networkx needs the package networkx: pip install 'tropica[networkx]'") from None
    graph = networkx.Graph()
    columns = [[tuple(x) if isinstance(x, list) else x for x in column.tolist()] for column in attributes.values()]
    graph.add_nodes_from((i, dict(zip(attributes, row, strict=True))) for i, row in enumerate(zip(*columns, strict=True)))
    graph.add_edges_from(pairs.tolist())
    return graph


def cells_dataframe(
    numbers: Mapping[str, np.ndarray], centers: np.ndarray, weight: np.ndarray, bias: np.ndarray
) -> pandas.DataFrame:
    """A row a cell: some numbers, the center, and the outputs as affine functions of t."""
    import pandas

    columns = dict(numbers) | {f"t{k}": column for k, column in enumerate(centers.T)}
    columns |= {f"weight{i}_{k}": weight[:, i, k] for i in range(weight.shape[1]) for k in range(weight.shape[2])}
    columns |= {f"bias{i}": column for i, column in enumerate(bias.T)}
    return pandas.DataFrame(columns).rename_axis("cell")
