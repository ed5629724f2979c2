"""All bounds that cover an architecture."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tropica.bounds.architecture import Architecture, NotCovered, layer_widths
from tropica.bounds.convolution import ConvNet
from tropica.bounds.histograms import hinz2019
from tropica.bounds.logs import log10
from tropica.bounds.lower import arora2018, montufar2014, serra2018_lower
from tropica.bounds.maxout import montufar2022, serra2018_maxout
from tropica.bounds.upper import montufar2017, raghu2017, serra2018, zaslavsky, zhang2018
from tropica.bounds.xiong import is_exact, xiong2020_lower, xiong2020_one_layer, xiong2020_upper
from tropica.errors import InputError

if TYPE_CHECKING:
    import pandas

UPPER = (zaslavsky, raghu2017, montufar2017, zhang2018, serra2018, hinz2019)
LOWER = (montufar2014, arora2018, serra2018_lower)
MAXOUT_UPPER = (serra2018_maxout, montufar2022)
CONVOLUTION_UPPER = (xiong2020_one_layer, xiong2020_upper)
CONVOLUTION_LOWER = (xiong2020_lower,)


class Bound(NamedTuple):
    """An upper or a lower bound on the largest number of regions, or, with kind "exact", the largest number itself.

    >>> import tropica as tp
    >>> tp.bounds.bounds_of((2, 6, 6))["serra2018"]
    Bound(kind='upper', value=484)
    """

    kind: Literal["upper", "lower", "exact"]
    value: int

    def _repr_html_(self) -> str:
        return f"<code>{self.kind}: {_shortened(self.value)}</code>"


class BoundTable(dict[str, Bound]):
    """Bounds by name: {name: (kind, value)}.

    >>> bounds_of((2, 6, 6))
    BoundTable(8 bounds: 352 ≤ largest number of regions ≤ 484)
    """

    def to_dataframe(self) -> pandas.DataFrame:
        """One row per bound: its name, kind, value (a Python int) and decimal logarithm."""
        import pandas

        rows = [(name, bound.kind, bound.value, log10(bound.value)) for name, bound in self.items()]
        return pandas.DataFrame(rows, columns=["bound", "kind", "value", "log10"]).astype({"value": object})

    def __repr__(self) -> str:
        lower = max((b.value for b in self.values() if b.kind != "upper"), default=None)
        upper = min((b.value for b in self.values() if b.kind != "lower"), default=None)
        left = "" if lower is None else f"{_shortened(lower)} ≤ "
        right = "" if upper is None else f" ≤ {_shortened(upper)}"
        return f"{type(self).__name__}({len(self)} bounds: {left}largest number of regions{right})"

    def _repr_html_(self) -> str:
        frame = self.to_dataframe().assign(value=[_shortened(bound.value) for bound in self.values()])
        return frame.to_html(index=False, float_format="{:.2f}".format)


def _shortened(value: int) -> str:
    """A number of up to 15 digits in full, a larger number as a power of ten."""
    return f"{value:,}" if value < 10**15 else f"10^{log10(value):.2f}"


def bounds_of(architecture: Architecture | ConvNet, rank: int | None = None) -> BoundTable:
    """Every bound whose assumptions the architecture meets, by name. A bound too large to be computed is left out.

    Args:
        architecture: (n_0, n_1, ..., n_L), a traced network, or a ConvNet.
        rank: the rank of maxout units; None for (leaky) ReLU.

    Returns:
        {name: (kind, value)}, a dict: kind is "upper", "lower" or "exact", value an int.

    Raises:
        InputError: an invalid architecture, a rank below 2, or a rank for a ConvNet.

    >>> for name, (kind, value) in bounds_of((2, 6, 6)).items():
    ...     print(f"{name:<16}{kind:<6}{value:>5}")
    raghu2017       upper   484
    montufar2017    upper   484
    zhang2018       upper   484
    serra2018       upper   484
    hinz2019        upper   484
    montufar2014    lower   198
    arora2018       lower    36
    serra2018_lower lower   352
    """
    if isinstance(architecture, ConvNet):
        if rank is not None:
            raise InputError(f"a ConvNet has ReLU units, which have no rank; found rank={rank!r}")
        found = _covering(CONVOLUTION_UPPER, CONVOLUTION_LOWER, architecture)
        if "xiong2020_one_layer" in found and is_exact(architecture):
            found["xiong2020_one_layer"] = found["xiong2020_one_layer"]._replace(kind="exact")
        return found
    layer_widths(architecture)  # raises InputError for an invalid architecture
    return _covering(UPPER, LOWER, architecture) if rank is None else _covering(MAXOUT_UPPER, (), architecture, rank)


def _covering(upper: tuple[Callable[..., int], ...], lower: tuple[Callable[..., int], ...], *arguments: Any) -> BoundTable:
    """The values of the bounds whose theorems cover the arguments."""
    found = BoundTable()
    for bound in (*upper, *lower):
        try:
            found[bound.__name__] = Bound("upper" if bound in upper else "lower", bound(*arguments))
        except NotCovered:
            continue
    return found
