"""The demo's table: its rows, its columns, and what the paper's Table 2 has in their place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.table import Table


@dataclass(frozen=True)
class DemoRow:
    """One network with one split.

    Attributes:
        network: "FCN" or "CNN"; ``model`` is its name in `tropica.studies.networks.MODELS`.
        split: "calibrated" or "paper".
        network_extracted, network_true, extracted_true: shares in [0, 1] of the ``test_points``.
        terms: number of training points, each of which gives one term.
        largest_k: the largest entry of any K.
        largest_potential: the largest F⁻(x) over the training points.
        largest_ratio: the largest F⁻(x) / max_i |N_i(x)| over the training points; a⁺ − a⁻ loses as many digits as this has.
        passes: passes over the training points that finding K took; 0 for the paper's decomposition, which looks at weights alone.
        certificate_holds: is Theorem 3.3 certified on the training points? With the numbers behind it.
        seconds: of the split, the extraction and the evaluation.
    """

    network: str
    model: str
    decomposition: str
    network_extracted: float
    network_true: float
    extracted_true: float
    test_points: int
    terms: int
    largest_k: float
    largest_potential: float
    largest_ratio: float
    passes: float
    certificate_holds: bool
    smallest_cotangent: float | None
    largest_violation: float
    tolerance: float
    seconds: dict[str, float]


@dataclass(frozen=True)
class Column:
    """A column: its heading, what it means, and a row's entry."""

    heading: str
    meaning: str
    entry: Callable[[DemoRow], str]
    number: bool = True

    @property
    def title(self) -> str:
        """The heading on one line."""
        return self.heading.replace("-\n", "").replace("\n", " ")


def percent(share: float) -> str:
    """A share as a percentage.

    >>> percent(0.98591)
    '98.6'
    """
    return f"{100 * share:.1f}"


COLUMNS = (
    Column("net", "which network", lambda row: row.network, number=False),
    Column("decomposition", "how the tensors K were chosen", lambda row: row.decomposition, number=False),
    Column("N =\nN^(X)", "% of test points that both give the same label", lambda row: percent(row.network_extracted)),
    Column("N =\ntrue", "% of test points that the network gets right", lambda row: percent(row.network_true)),
    Column("N^(X)\n= true", "% of test points that the extracted function gets right", lambda row: percent(row.extracted_true)),
    Column("terms", "training points, one term each", lambda row: f"{row.terms:,}"),
    Column("largest\nK", "the largest entry of the split's tensors", lambda row: f"{row.largest_k:.3g}"),
    Column("largest\nF⁻", "the largest F⁻(x) on the training points", lambda row: f"{row.largest_potential:.3g}"),
    Column(
        "F⁻ /\n|logit|",
        "the largest F⁻(x) / max |N_i(x)| on the training points; a⁺ − a⁻ would lose as many digits as this has",
        lambda row: f"{row.largest_ratio:.3g}",
    ),
    Column("passes", "passes over the training points to find K (0: from the weights alone)", lambda row: f"{row.passes:.1f}"),
    Column(
        "certi-\nficate",
        "is Theorem 3.3 certified: does every training point keep its own terms as the largest, hence its label?",
        lambda row: "holds" if row.certificate_holds else "FAILS",
        number=False,
    ),
)

PAPER = (
    ("FCN, MNIST", "97.7 ± 0.2", "98.1 ± 0.2", "97.6 ± 0.2"),
    ("CNN, MNIST", "95.7 ± 0.3", "99.2 ± 0.1", "95.8 ± 0.2"),
    ("FCN, CIFAR-10", "52.5 ± 3.5", "49.2 ± 0.7", "38.2 ± 1.5"),
    ("CNN, CIFAR-10", "30.8 ± 1.3", "71.1 ± 0.5", "30.3 ± 1.4"),
)
"""Table 2 of Trimmel, Petzka, Sminchisescu, "TropEx", ICLR 2021: mean and standard deviation of five networks, in %."""


def paper_table() -> list[dict[str, str]]:
    """The paper's Table 2, a dict a row."""
    return [dict(zip(("network", "network_extracted", "network_true", "extracted_true"), row, strict=True)) for row in PAPER]


def rich_table(rows: Sequence[DemoRow], width: int = 120) -> Table:
    """The table for a terminal of so many characters; it fits 80."""
    points = rows[0].test_points
    title = f"N: network, N^(X): extracted function; % of {points} test digits with equal labels"
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1 if width >= 110 else 0), pad_edge=False)
    for column in COLUMNS:
        look: dict[str, Any] = {"justify": "right" if column.number else "left", "overflow": "fold"}
        table.add_column(column.heading, **look)
    for row in rows:
        table.add_row(*(column.entry(row) for column in COLUMNS), end_section=row.decomposition == "paper")
    return table
