"""``tropica study``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tropica.cli import options, training_options
from tropica.cli.command import CommandResult, command
from tropica.cli.exit_codes import interruptible
from tropica.cli.output import print_line, print_table
from tropica.errors import InputError
from tropica.studies.names import STUDY_TITLES

if TYPE_CHECKING:
    from tropica.data.labelled import LabelledData
    from tropica.studies.given import GivenNetwork
    from tropica.studies.runner import StudiesResult, StudyResult
    from tropica.studies.tables import Table

MODEL_HELP = (
    f"{training_options.MODEL_HELP} May be repeated; by default networks that suit the data. Or one network of your own, "
    "as for tropica extract (a folder of tropica train, package.module:factory or file.py:factory, model.pt2, "
    ".onnx, .nnet): nothing is trained."
)
NETWORKS_HELP = "The folder of trained networks, which studies can share, as tropica train writes it (OUT/networks)."


def complete_study(incomplete: str) -> list[tuple[str, str]]:
    """The names of studies that begin so, for the shell."""
    return [(name, title) for name, title in {**STUDY_TITLES, "all": "every study"}.items() if name.startswith(incomplete)]


NAME_HELP = f"The study: {', '.join(STUDY_TITLES)}; or all."
Name = Annotated[str, typer.Argument(metavar="NAME", help=NAME_HELP, show_default=False, autocompletion=complete_study)]
Models = Annotated[
    list[str] | None,
    options.optional("--model", "MODEL", MODEL_HELP, autocompletion=training_options.complete_model),
]
Terms = Annotated[int | None, options.optional("--terms", "N", "Terms of the first N training points; by default all.", min=1)]
Networks = Annotated[Path | None, options.optional("--networks", "DIR", NETWORKS_HELP)]
Out = Annotated[Path | None, options.optional("--out", "DIR", "The folder for the results (results/NAME).", short="-o")]


@command("tropica study table2 --data digits --model fcn-small --runs 1 --epochs 3 --out table2")
def study(
    name: Name,
    data: options.Data,
    limit: training_options.TrainLimit = None,
    test_limit: options.TestLimit = None,
    label: options.Label = None,
    model: Models = None,
    weights: options.Weights = None,
    arg: options.Arg = None,
    runs: training_options.StudyRuns = None,
    seed: training_options.StudySeed = None,
    epochs: training_options.Epochs = None,
    batch_size: training_options.BatchSize = None,
    lr: training_options.Lr = None,
    optimizer: training_options.Optimizer = None,
    preset: training_options.Preset = None,
    networks: Networks = None,
    terms: Terms = None,
    dtype: options.Dtype = None,
    out: Out = None,
    threads: int | None = None,
) -> CommandResult:
    """Run one of the papers' experiments: train networks, measure them with several DC decompositions, write a report.

    Writes report.html, numbers.json, rows.csv and figures. An interrupted command resumes with the missing runs, and a larger
    --runs adds runs to the finished ones. NAME may be all: every study, each in a folder, and one report.html of them all; a
    study that fails is named there, and the exit code is 1.
    """
    import torch

    from tropica.studies.registry import find_study  # imports matplotlib and pandas
    from tropica.studies.runner import ALL, run_studies, run_study

    if name != ALL:
        find_study(name)
    folder = out or Path("results") / name
    torch.set_num_threads(threads or 1)
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
            studies = run_studies(train, test, folder, **shared)
            return CommandResult(numbers_of(studies), lambda: print_studies(studies, folder), failure=failed_studies(studies))
        one = run_study(name, train, test, folder, **shared)
    return CommandResult(numbers_of(one), lambda: print_study(one, folder))


def numbers_of(result: StudyResult | StudiesResult) -> Mapping[str, Any]:
    """The content of ``numbers.json``; of several studies with the numbers of each."""
    numbers = json.loads(result.files["numbers.json"].read_text(encoding="utf-8"))
    each = {name: numbers_of(one) for name, one in getattr(result, "done", {}).items()}
    return {**numbers, "results": each} if each else numbers


def own_model(
    models: list[str] | None, weights: Path | None, arg: list[str] | None, train: LabelledData
) -> GivenNetwork | None:
    """A network of the user's own; None where all names are those of tropica.studies.networks."""
    from tropica.cli.trained import is_training
    from tropica.studies.architectures import MODELS
    from tropica.studies.given import GivenNetwork

    own = [name for name in models or () if name not in MODELS and (":" in name or Path(name).suffix or is_training(name))]
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
    for line in result.study.conclusions(result.results):
        print_line(f"• {line}")
    files = ", ".join(sorted(result.files))
    print_line(f"done in {result.seconds:.0f} s; written to {folder}: {files}")


def print_study_table(table: Table) -> None:
    """Print a table of a study."""
    print_table(table.title, table.headings, table.cells, numbers=len(table.headings) - table.num_names)


def print_studies(result: StudiesResult, folder: Path) -> None:
    """Print the findings of several studies."""
    for name, one in result.done.items():
        print_line(f"{name}: {one.study.title}")
        for line in one.study.conclusions(one.results):
            print_line(f"• {line}")
    files = ", ".join(sorted(result.files))
    print_line(f"done in {result.seconds:.0f} s; written to {folder}: {files}, and a folder for each study")


def failed_studies(result: StudiesResult) -> str:
    """The failed studies and their reasons, a line each; "" where none failed."""
    return "\nerror: ".join(f"the study {name} failed: {reason}" for name, reason in result.failed.items())
