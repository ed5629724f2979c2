"""``tropica demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tropica.cli.output import print_line
from tropica.cli.study import exit_if_failed, print_study_table
from tropica.errors import CertificateError


def demo(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The folder for report, numbers and figures.")] = Path(
        "results/demo"
    ),
    epochs: Annotated[int, typer.Option("--epochs", metavar="N", min=1, help="Epochs of training.")] = 40,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="The seed of the weights and of the order of points.")
    ] = 0,
) -> None:
    """Train two small networks on digits, rebuild them from their linear terms, and write a report (under 3 minutes).

    Table 2 and Figure 2 of the TropEx paper on a small scale: a fully connected and a convolutional network on scikit-learn's
    digits, with three DC decompositions. Runs on one thread unless --threads says otherwise.
    """
    from tropica.studies.demo import run_demo  # imports matplotlib and pandas

    result = run_demo(out, epochs=epochs, seed=seed, threads=ctx.obj or 1)
    exit_if_failed(result)
    table2 = result.done["table2"]
    for table in table2.study.tables(table2.results)[1:]:
        print_study_table(table)
    print_line(f"done in {result.seconds:.0f} s; written to {out}:")
    print_line(f"  {result.files['report.html']}  the report: open this")
    print_line(f"  {result.files['numbers.json']}  settings and findings")
    for one in result.done.values():
        files = ", ".join(sorted(name for name in one.files if name != "report.html"))
        print_line(f"  {one.files['report.html'].parent}: {files}")
    if not table2.to_dataframe()["certificate_holds"].all():
        raise CertificateError("a certificate fails; the table says which")
