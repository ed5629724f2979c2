"""``tropica demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from tropica.cli.output import console
from tropica.errors import CertificateError


def demo(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Where the report and its figures go.")] = Path(
        "results/demo"
    ),
    epochs: Annotated[int, typer.Option("--epochs", metavar="N", min=1, help="Passes of training.")] = 40,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of weights and shuffles.")] = 0,
) -> None:
    """Train two small networks on digits, rebuild them from their linear terms, and write a report (seconds).

    Table 2 and Figure 2 of the TropEx paper in small: a fully connected and a convolutional network on scikit-learn's
    digits, with both DC decompositions. Runs on one thread unless --threads says otherwise.
    """
    from tropica.studies.demo.demo import run_demo  # brings matplotlib
    from tropica.studies.demo.rows import rich_table

    result = run_demo(out, epochs=epochs, seed=seed, threads=ctx.obj or 1)
    screen = console()
    screen.print(rich_table(result.rows, screen.width))
    screen.print(f"done in {result.seconds:.0f} s; written to {out}:")
    meanings = {"report.html": "the report: open this", "demo.json": "all numbers"}
    for name in sorted(result.files, key=lambda name: (name not in meanings, name)):
        screen.print(Text(f"  {result.files[name]}  {meanings.get(name, '')}".rstrip()), soft_wrap=True)
    if not result.holds:
        raise CertificateError("a certificate fails; the table says which")
