"""``tropica demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tropica.cli import options
from tropica.cli.command import CommandResult, command
from tropica.cli.output import print_line
from tropica.cli.study import failed_studies, numbers_of, print_study_table

if TYPE_CHECKING:
    from tropica.studies.runner import StudiesResult


@command("tropica demo --epochs 3 --out demo")
def demo(
    epochs: Annotated[int, typer.Option("--epochs", metavar="N", min=1, help="Epochs of training.")] = 40,
    seed: options.Seed = 0,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The folder for report, numbers and figures.")] = Path(
        "results/demo"
    ),
    threads: int | None = None,
) -> CommandResult:
    """Train two small networks on digits, rebuild them from their linear terms, and write a report (under 3 minutes).

    Table 2 and Figure 2 of the TropEx paper on a small scale: a fully connected and a convolutional network on scikit-learn's
    digits, with three DC decompositions.
    """
    from tropica.studies.demo import run_demo  # imports matplotlib and pandas

    result = run_demo(out, epochs=epochs, seed=seed, threads=threads or 1)
    failure = failed_studies(result)
    if not failure and not result.done["table2"].to_dataframe()["certificate_holds"].all():
        failure = "a certificate fails; the table says which"
    return CommandResult(numbers_of(result), lambda: _show(result, out), failure=failure)


def _show(result: StudiesResult, out: Path) -> None:
    if "table2" in result.done:
        table2 = result.done["table2"]
        for table in table2.study.tables(table2.results)[1:]:
            print_study_table(table)
    print_line(f"done in {result.seconds:.0f} s; written to {out}:")
    print_line(f"  {result.files['report.html']}  the report: open this")
    print_line(f"  {result.files['numbers.json']}  settings and findings")
    for one in result.done.values():
        files = ", ".join(sorted(name for name in one.files if name != "report.html"))
        print_line(f"  {one.files['report.html'].parent}: {files}")
