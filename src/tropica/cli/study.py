"""``tropica study``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer
from rich.text import Text

from tropica.cli import options, training_options
from tropica.cli.exit_codes import FAILED, interruptible
from tropica.cli.output import console, print_line, print_table
from tropica.errors import InputError

if TYPE_CHECKING:
    from tropica.data.labelled import LabelledData
    from tropica.studies.given import GivenNetwork
    from tropica.studies.runner import StudiesResult, StudyResult
    from tropica.studies.tables import Table

Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="The study, or all; an unknown name lists the studies.", show_default=False),
]
Out = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--out", "-o", metavar="DIR", help="The folder for the results (results/NAME).", show_default=False),
]
Models = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(
        "--model",
        metavar="MODEL",
        help="A network, as for tropica train; may be repeated. By default networks that suit the data. Or a network of "
        "your own, as for tropica extract (package.module:factory, model.pt2, .onnx, .nnet): nothing is trained.",
        show_default=False,
    ),
]
Terms = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option("--terms", metavar="N", min=1, help="Terms of the first N training points (all).", show_default=False),
]
TestLimit = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option("--test-limit", metavar="N", min=1, help="The first N test points (all).", show_default=False),
]
Networks = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--networks",
        metavar="DIR",
        help="The folder of trained networks, which studies can share, as tropica train writes it (OUT/networks).",
        show_default=False,
    ),
]


def study(
    ctx: typer.Context,
    name: Name,
    data: options.Data,
    runs: training_options.StudyRuns = None,
    out: Out = None,
    model: Models = None,
    seed: training_options.StudySeed = None,
    epochs: training_options.Epochs = None,
    batch_size: training_options.BatchSize = None,
    lr: training_options.Lr = None,
    optimizer: training_options.Optimizer = None,
    preset: training_options.Preset = None,
    limit: training_options.TrainLimit = None,
    label: options.Label = None,
    terms: Terms = None,
    test_limit: TestLimit = None,
    dtype: options.Dtype = None,
    networks: Networks = None,
    weights: options.Weights = None,
    arg: options.Arg = None,
) -> None:
    """Run one of the paper's experiments: train networks, measure them with several DC decompositions, write a report.

    Writes report.html, numbers.json, rows.csv and figures. An interrupted command resumes with the missing runs, and a larger
    --runs adds runs to the finished ones. Runs on one thread unless --threads says otherwise. NAME may be all: every study,
    each in a folder, and one report.html of them all; a study that fails is named there, and the exit code is 1.
    """
    import torch

    from tropica.studies.registry import find_study  # imports matplotlib and pandas
    from tropica.studies.runner import ALL, run_studies, run_study

    if name != ALL:
        find_study(name)
    folder = out or Path("results") / name
    torch.set_num_threads(ctx.obj or 1)
    train = training_options.load_exactly(data, limit=limit, label=label)
    test = training_options.load_exactly(data, split="test", limit=test_limit, label=label)
    shared: dict[str, Any] = {"terms": terms, "dtype": dtype.torch if dtype else torch.float32, "progress": True}
    given = own_model(model, weights, arg, train)
    if given is not None:
        trained = {"--epochs": epochs, "--batch-size": batch_size, "--lr": lr, "--optimizer": optimizer, "--networks": networks}
        trained |= {"--runs": runs, "--seed": seed, "--preset": preset}
        ignored = [name for name, value in trained.items() if value is not None]
        if ignored:
            raise InputError(f"{ignored[0]} is for networks that the study trains; {given.name} is measured as it is")
        shared |= {"given": given}
    else:
        settings = training_options.train_settings(train, epochs, batch_size, lr, optimizer, preset)
        shared |= {"models": model or (), "runs": 5 if runs is None else runs, "seed": seed or 0}
        shared |= {"settings": settings, "networks": networks}

    def left() -> str:
        runs_of = "*/runs/" if name == ALL else "runs/"
        complete, parts = (len(list(folder.glob(runs_of + pattern))) for pattern in ("*.json", "*/*.json"))
        begun = f" and {parts} epochs of the next" if parts else ""
        return f"{complete} runs{begun} are complete in {folder}; the same command resumes with the missing ones"

    with interruptible(left):
        if name == ALL:
            print_studies(run_studies(train, test, folder, **shared), folder)
        else:
            print_study(run_study(name, train, test, folder, **shared), folder)


def own_model(
    models: list[str] | None, weights: Path | None, arg: list[str] | None, train: LabelledData
) -> GivenNetwork | None:
    """A network of the user's own; None where all names are those of tropica.studies.networks."""
    from tropica.studies.given import GivenNetwork
    from tropica.studies.networks import MODELS

    own = [name for name in models or () if name not in MODELS and (":" in name or Path(name).suffix)]
    if not own:
        if weights or arg:
            raise InputError("--weights and --arg go with a --model of your own, such as --model mynet:make")
        return None
    if len(models or ()) > 1:
        raise InputError(f"a study takes one model of your own at a time; found {', '.join(models or ())}")
    from tropica.cli.models import load_model

    return GivenNetwork(load_model(own[0], train, weights, arg), own[0], weights)


def print_study(result: StudyResult, folder: Path) -> None:
    """Print a study's tables, its findings and the names of its files."""
    for table in result.study.tables(result.results):
        print_study_table(table)
    screen = console()
    for line in result.study.findings(result.results):
        screen.print(Text(f"• {line}"))
    files = ", ".join(sorted(result.files))
    print_line(f"done in {result.seconds:.0f} s; written to {folder}: {files}")


def print_study_table(table: Table) -> None:
    """Print a table of a study."""
    print_table(table.title, table.headings, table.cells, numbers=len(table.headings) - table.num_names)


def print_studies(result: StudiesResult, folder: Path) -> None:
    """Print the findings of several studies and the failed studies; exit with code 1 if one failed."""
    screen = console()
    for name, one in result.done.items():
        screen.print(Text(f"{name}: {one.study.title}"))
        for line in one.study.findings(one.results):
            screen.print(Text(f"• {line}"))
    files = ", ".join(sorted(result.files))
    print_line(f"done in {result.seconds:.0f} s; written to {folder}: {files}, and a folder for each study")
    exit_if_failed(result)


def exit_if_failed(result: StudiesResult) -> None:
    """Print the failed studies, and exit with code 1 if there are any."""
    for name, reason in result.failed.items():
        typer.echo(f"error: the study {name} failed: {reason}", err=True)
    if result.failed:
        raise typer.Exit(FAILED)
