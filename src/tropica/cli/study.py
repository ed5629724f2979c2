"""``tropica study``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from rich.text import Text

import tropica as tp
from tropica.cli.exit_codes import FAILED, interruptible
from tropica.cli.options import DataOption, DtypeOption
from tropica.cli.output import console, print_table
from tropica.cli.training_options import (
    BatchSizeOption,
    EpochsOption,
    LrOption,
    OptimizerOption,
    RunsOption,
    SeedOption,
    TrainLimitOption,
    load_exactly,
    train_settings,
)

Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Of the study, or all; any other word lists those there are.", show_default=False),
]
Out = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--out", "-o", metavar="DIR", help="Where numbers, figures and report go (results/NAME).", show_default=False),
]
Models = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(
        "--model",
        metavar="NAME",
        help="A network, as for tropica train; may be repeated. By default some that suit the data.",
        show_default=False,
    ),
]
Terms = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option("--terms", metavar="N", min=1, help="Terms of so many training points (all).", show_default=False),
]
TestLimit = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option("--test-limit", metavar="N", min=1, help="So many test points (all).", show_default=False),
]
Networks = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--networks",
        metavar="DIR",
        help="Where trained networks are kept, for studies to share, as tropica train writes them (OUT/networks).",
        show_default=False,
    ),
]


def study(
    ctx: typer.Context,
    name: Name,
    data: DataOption,
    runs: RunsOption = 5,
    out: Out = None,
    model: Models = None,
    seed: SeedOption = 0,
    epochs: EpochsOption = None,
    batch_size: BatchSizeOption = None,
    lr: LrOption = None,
    optimizer: OptimizerOption = None,
    limit: TrainLimitOption = None,
    terms: Terms = None,
    test_limit: TestLimit = None,
    dtype: DtypeOption = None,
    networks: Networks = None,
) -> None:
    """Run one of the paper's experiments: networks are trained, measured with both splits, and reported.

    Writes report.html, numbers.json, rows.csv and figures. What was interrupted goes on with the runs that are missing, and
    more --runs add to those there are. Runs on one thread unless --threads says otherwise. NAME may be all: every study, each
    in a folder, and one report.html of them all; a study that fails is named there, and the exit code is 1.
    """
    import torch

    from tropica.studies.all import ALL
    from tropica.studies.registry import find_study  # brings matplotlib
    from tropica.studies.runner import run_study

    chosen = None if name == ALL else find_study(name)
    folder = out or Path("results") / name
    torch.set_num_threads(ctx.obj or 1)
    train = load_exactly(data, limit=limit)
    test = load_exactly(data, split="test", limit=test_limit)
    settings = train_settings(train, epochs, batch_size, lr, optimizer)

    shared: dict[str, Any] = {
        "models": model or (),
        "runs": runs,
        "seed": seed,
        "settings": settings,
        "terms": terms,
        "dtype": dtype.torch if dtype else torch.float32,
        "networks": networks,
        "progress": True,
    }

    def left() -> str:
        runs_of = "runs/" if chosen else "*/runs/"
        whole, parts = (len(list(folder.glob(runs_of + pattern))) for pattern in ("*.json", "*/*.json"))
        begun = f" and {parts} epochs of the next" if parts else ""
        return f"{whole} runs{begun} are whole in {folder}; the same command goes on with what is missing"

    with interruptible(left):
        if chosen is None:
            _whole(train, test, folder, shared)
            return
        done = run_study(name, train, test, folder, **shared)
    for table in chosen.tables(done.results):
        headings = [heading.replace("\n", " ") for heading in table.headings]
        print_table(table.title, headings, table.rows, numbers=table.numbers)
    screen = console()
    for line in chosen.findings(done.results):
        screen.print(Text(f"• {line}"))
    screen.print(Text(f"done in {done.seconds:.0f} s; written to {folder}: {', '.join(sorted(done.files))}"), soft_wrap=True)


def _whole(train: tp.LabelledData, test: tp.LabelledData, folder: Path, shared: dict[str, Any]) -> None:
    """All studies: what each found, and which failed."""
    from tropica.studies.all import run_all

    done = run_all(train, test, folder, **shared)
    screen = console()
    for name, one in done.done.items():
        screen.print(Text(f"{name}: {one.study.title}"))
        for line in one.study.findings(one.results):
            screen.print(Text(f"• {line}"))
    files = ", ".join(sorted(done.files))
    screen.print(Text(f"done in {done.seconds:.0f} s; written to {folder}: {files}, and a folder a study"), soft_wrap=True)
    for name, why in done.failed.items():
        typer.echo(f"error: the study {name} failed: {why}", err=True)
    if done.failed:
        raise typer.Exit(FAILED)
