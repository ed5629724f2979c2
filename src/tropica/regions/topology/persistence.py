"""``tp.persistence`` and ``tp.critical_points``: what the sublevel sets of an output are made of, level by level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tropica.errors import InputError
from tropica.regions.complex.region_complex import RegionComplex
from tropica.regions.topology.homology import local_homology, persistence_pairs
from tropica.regions.topology.values import VertexValues
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.html import HtmlRepr

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, eq=False)
class PersistenceDiagram(HtmlRepr):
    """The homology classes over GF(2) of the sublevel sets {f ≤ c} of a function, with the levels c at which they live.

    A class of dimension 0 is a component, of 1 a tunnel, of 2 a void. Rows are in the order of dimension, then of birth.

    Attributes:
        dimension: (P,) of each class.
        birth, death: (P,) it lives for birth ≤ c < death; death is ∞ for a class of the whole domain. Of superlevel sets
            {f ≥ c} birth > death, and −∞.
        birth_points, death_points: (P, d) the vertices in t at which these values are attained; NaN for an infinite death.
        superlevel: whether sets are {f ≥ c}.

    >>> import tropica as tp
    >>> net = tp.from_layers([([[1.0], [-1.0]], [0.0, 0.0]), ([[-1.0, -1.0]], [1.0])])  # 1 − |x|: two minima, at the ends
    >>> diagram = tp.persistence(tp.linear_regions(net, tp.Box(-1, 2, d=1)))
    >>> len(diagram), diagram.birth.tolist(), diagram.death.tolist()
    (2, [-1.0, 0.0], [inf, 1.0])
    """

    dimension: np.ndarray
    birth: np.ndarray
    death: np.ndarray
    birth_points: np.ndarray
    death_points: np.ndarray
    superlevel: bool

    def __len__(self) -> int:
        return len(self.dimension)

    @property
    def lifetimes(self) -> np.ndarray:
        """(P,) |death − birth|."""
        return np.abs(self.death - self.birth)

    def betti_numbers(self, level: float) -> tuple[int, ...]:
        """How many classes of each dimension live at a level; ``cx.betti_numbers(below=level)`` decides ties exactly."""
        sign = -1 if self.superlevel else 1
        alive = (sign * self.birth <= sign * level) & (sign * level < sign * self.death)
        return tuple(np.bincount(self.dimension[alive], minlength=self.birth_points.shape[1] + 1).tolist())

    def to_dataframe(self) -> pandas.DataFrame:
        """A row a class: dimension, birth, death."""
        import pandas

        return pandas.DataFrame({"dimension": self.dimension, "birth": self.birth, "death": self.death})

    def __repr__(self) -> str:
        counts = np.bincount(self.dimension, minlength=1).tolist()
        which = "superlevel" if self.superlevel else "sublevel"
        return f"PersistenceDiagram({len(self):,} classes of {which} sets, by dimension {', '.join(map(str, counts))})"


@dataclass(frozen=True, eq=False)
class CriticalPoints(HtmlRepr):
    """The points at which the topology of the sublevel sets of a function changes, in the order of its values.

    A vertex is regular if its lower star has no homology relative to what lies below, ranks H_i(K_≤, K_<) = 0 for all i; a
    simple critical point of index i has rank 1 for i alone: 0 a minimum, d a maximum, others saddles. Connected faces on
    which the function is constant count together as one flat point. Σ (−1)^i rank H_i over all is the Euler characteristic
    of the domain, 1. On the border of the domain a point may be critical for the domain's sake.

    Attributes:
        points: (P, d) in t; of a flat point one of its vertices.
        values: (P,).
        ranks: (P, d + 1) of H_i.
        vertices: (P,) how many vertices a flat point has; 1 for others.
        inside: (P,) whether all of its vertices are inside of the domain.

    >>> import tropica as tp
    >>> net = tp.from_layers([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])  # |x|
    >>> found = tp.critical_points(tp.linear_regions(net, tp.Box(-1, 2, d=1)))
    >>> found.values[found.inside].tolist(), found.index[found.inside].tolist()
    ([0.0], [0])
    """

    points: np.ndarray
    values: np.ndarray
    ranks: np.ndarray
    vertices: np.ndarray
    inside: np.ndarray

    def __len__(self) -> int:
        return len(self.points)

    @property
    def index(self) -> np.ndarray:
        """(P,) the index of each simple critical point; −1 where ranks are not one 1."""
        return np.where(self.ranks.sum(1) == 1, self.ranks.argmax(1), -1)

    def to_dataframe(self) -> pandas.DataFrame:
        """A row a point: coordinates, value, index, ranks, number of vertices, whether it is inside."""
        import pandas

        columns: dict[str, np.ndarray] = {f"t{k}": x for k, x in enumerate(self.points.T)}
        columns |= {"value": self.values, "index": self.index}
        columns |= {f"rank{k}": rank for k, rank in enumerate(self.ranks.T)}
        return pandas.DataFrame(columns | {"vertices": self.vertices, "inside": self.inside})

    def __repr__(self) -> str:
        return f"CriticalPoints({len(self):,}, {int(self.inside.sum()):,} of them inside, ranks {self.ranks.sum(0).tolist()})"


@own_settings()
def persistence(
    cx: RegionComplex, *, output: int | None = None, label: int | None = None, superlevel: bool = False
) -> PersistenceDiagram:
    """Compute the persistence diagram of an output, or of the margin of a label, by the lower-star filtration.

    On each cell an output is affine, so that sublevel sets change only at vertices, and a face comes with the last of its
    vertices. The order of values is exact: rational numbers decide it where error bounds do not, and equal values are equal.

    Args:
        cx: the cells of a bounded domain of up to 4 dimensions.
        output: which output; not needed where there is one.
        label: instead of it the margin of this label: its logit minus the largest other one. With one output f the margin of
            label 1 is f, that of label 0 is −f.
        superlevel: filter by {f ≥ c}, from the largest value down.

    Returns:
        A :class:`PersistenceDiagram`.

    Raises:
        InputError: another complex, one with cells missing, neither or both of output and label where one is needed.

    >>> import torch, tropica as tp
    >>> net = tp.from_layers([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [-1.0])])
    >>> cx = tp.linear_regions(tp.subtract(net, tp.from_layers([([[0.5]], [0.0])])), tp.Box(-1, 2, d=1))  # |x| − 1 − x/2
    >>> diagram = tp.persistence(cx, superlevel=True)
    >>> diagram.birth.tolist(), diagram.death.tolist(), diagram.death_points.tolist()
    ([0.5, 0.0], [-inf, -1.0], [[nan], [0.0]])
    """
    values, ranks = _values(cx, output, label, superlevel)
    dimension, birth, death = persistence_pairs(values.complex, ranks)
    sign = -1 if superlevel else 1
    at, points, ends = sign * values.nearest + 0.0, values.points, np.maximum(death, 0)
    return PersistenceDiagram(
        dimension,
        at[birth],
        np.where(death < 0, sign * np.inf, at[ends]),
        points[birth],
        np.where((death < 0)[:, None], np.nan, points[ends]),
        superlevel,
    )


@own_settings()
def critical_points(cx: RegionComplex, *, output: int | None = None, label: int | None = None) -> CriticalPoints:
    """Find the critical points of an output, or of the margin of a label, with their indices.

    Args:
        cx, output, label: as in :func:`tropica.persistence`.

    Returns:
        :class:`CriticalPoints`.

    Raises:
        InputError: as :func:`tropica.persistence`.

    >>> import torch, tropica as tp
    >>> signs = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
    >>> net = tp.from_layers([(signs, [0.0] * 4), ([[1.0, 1.0, -1.0, -1.0]], [0.0])])
    >>> found = tp.critical_points(tp.linear_regions(net, tp.Box(-1, 1, d=2)))  # |x| − |y|: a saddle, and the border's minima
    >>> found, found.points[found.inside].tolist(), found.index.tolist()
    (CriticalPoints(3, 1 of them inside, ranks [2, 1, 0]), [[0.0, 0.0]], [0, 0, 1])
    """
    values, ranks = _values(cx, output, label, False)
    component, homology = local_homology(values.complex, ranks)
    order = np.lexsort((np.arange(len(ranks)), ranks, component))
    first = order[np.searchsorted(component[order], np.arange(len(homology)))]
    inside = np.ones(len(homology), bool)
    np.logical_and.at(inside, component, values.inside)
    critical = np.flatnonzero(homology.any(1))
    critical = critical[np.argsort(ranks[first[critical]], kind="stable")]
    count, at = np.bincount(component, minlength=len(homology)), first[critical]
    return CriticalPoints(values.points[at], values.nearest[at], homology[critical], count[critical], inside[critical])


def _values(cx: RegionComplex, output: int | None, label: int | None, superlevel: bool) -> tuple[VertexValues, np.ndarray]:
    if not isinstance(cx, RegionComplex):
        raise InputError(
            f"a complex is needed, tp.linear_regions(net, domain) of a Box or another polytope; found {type(cx).__name__}"
        )
    if not isinstance(superlevel, bool):
        raise InputError(f"superlevel must be True or False; found {superlevel!r}")
    values = cx.vertex_values(output=output, label=label, negated=superlevel)
    return values, values.ranks
