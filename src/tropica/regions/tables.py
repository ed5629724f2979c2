"""The cells of a complex as a table and as graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from tropica.errors import InputError

if TYPE_CHECKING:
    import pandas
    from networkx import Graph

    from tropica.regions.complex import RegionComplex


def neighbor_matrix(cx: RegionComplex) -> csr_array:
    """As :meth:`RegionComplex.dual_graph`."""
    a, b = cx.adjacency.T
    return csr_array((np.ones(2 * len(a), np.int8), (np.append(a, b), np.append(b, a))), shape=(len(cx), len(cx)))


def networkx_graph(cx: RegionComplex) -> Graph:
    """As :meth:`RegionComplex.to_networkx`."""
    try:
        import networkx
    except ImportError:
        raise InputError("to_networkx needs the package networkx: pip install 'tropica[networkx]'") from None
    graph = networkx.Graph()
    names = "center", "volume", "map", "region"
    rows = zip(cx.centers.tolist(), cx.volumes.tolist(), cx.map_of.tolist(), cx.region_of.tolist(), strict=True)
    graph.add_nodes_from((i, dict(zip(names, (tuple(c), *more), strict=True))) for i, (c, *more) in enumerate(rows))
    graph.add_edges_from(cx.adjacency.tolist())
    return graph


def cells_dataframe(cx: RegionComplex) -> pandas.DataFrame:
    """As :meth:`RegionComplex.to_dataframe`."""
    import pandas

    weight, bias = cx.logits
    columns: dict[str, np.ndarray] = {"region": cx.region_of, "map": cx.map_of, "volume": cx.volumes}
    columns |= {f"t{k}": column for k, column in enumerate(cx.centers.T)}
    columns |= {f"weight{i}_{k}": weight[:, i, k] for i in range(weight.shape[1]) for k in range(weight.shape[2])}
    columns |= {f"bias{i}": column for i, column in enumerate(bias.T)}
    return pandas.DataFrame(columns).rename_axis("cell")
