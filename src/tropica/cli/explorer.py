"""``tropica app``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tropica.cli import options
from tropica.cli.output import print_line
from tropica.errors import DataError, InputError, StoreError

if TYPE_CHECKING:
    import tropica as tp
    from tropica.app.inputs import Inputs
    from tropica.app.jobs import Report
    from tropica.data.labelled import Split

TERMS_HELP = (
    "A folder of terms, as tropica extract writes it; one that does not exist is written, one that is not finished is resumed. "
    "May be repeated, for several decompositions."
)
TEST_HELP = "The points to look at; by default the test points of --data, or its training points where there are no others."
Test = Annotated[str | None, options.optional("--test", "SPEC", TEST_HELP)]
Terms = Annotated[list[Path] | None, options.optional("--terms", "DIR", TERMS_HELP)]
OTHER_HELP = (
    "Another model to compare with, or a file of other weights of MODEL, such as those of another epoch. May be repeated."
)
Other = Annotated[list[str] | None, options.optional("--other", "MODEL|FILE", OTHER_HELP)]
PORT_HELP = "The port on this machine; by default one that is free."
TASK_HELP = "classification or regression; by default that of the first finished store of --terms."
Task = Annotated[options.TaskName | None, options.optional("--task", None, TASK_HELP)]
Port = Annotated[int | None, options.optional("--port", "N", PORT_HELP, min=1, max=65535)]


def explorer(
    model: options.Model,
    data: Annotated[str | None, options.optional("--data", "SPEC", options.DATA_HELP)] = None,
    test: Test = None,
    terms: Terms = None,
    other: Other = None,
    limit: options.TrainingLimit = None,
    test_limit: options.TestLimit = None,
    label: options.Label = None,
    task: Task = None,
    weights: options.Weights = None,
    arg: options.Arg = None,
    memory: options.Memory = None,
    port: Port = None,
) -> None:
    """Look at what a network computes, in the browser: decisions, planes and segments, comparisons.

    The page is served to this machine alone, at an address with a random token; Ctrl-C ends it. Without --terms the terms are
    extracted while the page shows their progress. Nothing is sent anywhere.
    """
    try:
        from tropica.app.serve import PortBusy, serve
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("tropica"):
            raise
        raise InputError(f"tropica app needs {error.name}, which is not installed: pip install 'tropica[app]'") from None
    need_data = {"--test": test, "--terms": terms, "--label": label, "--other": other, "--task": task}
    if data is None and (given := [name for name, value in need_data.items() if value is not None]):
        raise InputError(f"{given[0]} needs --data, the points of the terms")
    _check_names(model, data)
    from importlib.metadata import version

    wanted: dict[str, Any] = {"data": data, "test": test, "terms": terms or [], "limit": limit, "test_limit": test_limit}
    wanted |= {"label": label, "weights": weights, "arg": arg or [], "memory": memory, "other": other or []}
    wanted["task"] = task.value if task else None

    def announce(address: str) -> None:
        print_line(f"open {address}")
        print_line("this page is for this machine alone; Ctrl-C ends it")

    try:
        serve(lambda report: load(model, report, **wanted), version("tropica"), port=port, announce=announce)
    except PortBusy as busy:
        raise InputError(str(busy)) from None


def _check_names(model: str, data: str | None) -> None:
    """Refuse what cannot be a model, and a model that needs data without them: at once, before a server starts."""
    path = Path(model)
    if path.is_dir() and not any(path.rglob("*.json")):
        raise InputError(f"{model} is not a model: the folder holds no training of tropica train")
    if ":" not in model and not path.exists():
        raise InputError(f"{model}: no such file or folder")
    if data is None and path.suffix.lower() not in options.MODEL_SUFFIXES:
        raise InputError(f"{model} is traced on data: name some with --data")


def load(
    model: str,
    report: Report,
    *,
    data: str | None,
    test: str | None = None,
    terms: list[Path],
    limit: int | None = None,
    test_limit: int | None = None,
    label: str | None = None,
    weights: Path | None = None,
    arg: list[str],
    memory: int | None = None,
    other: Sequence[str] = (),
    task: str | None = None,
) -> Inputs:
    """What the options name.

    Raises:
        InputError, DataError, StoreError: it does not exist, cannot be read, or does not fit together.
    """
    import tropica as tp
    from tropica.app.inputs import Inputs
    from tropica.cli.models import load_model, refuse_pickle
    from tropica.cli.trained import as_built_in, is_training

    refuse_pickle(model)
    _check_names(model, data)
    if is_training(model) and data is not None:
        if weights or arg:
            raise InputError(f"{model} has its own weights and layers: leave out --weights and --arg")
        model, weights, arg = as_built_in(model)
    if data is None:
        report(0, 0, "loading the network")
        return Inputs(
            model, tp.load_network(model), memory=memory, lines=f"import tropica as tp\n\nnet = tp.load_network({model!r})\n"
        )
    report(0, 0, "loading the data")
    stored = _first_stored(terms)
    task = task or ("regression" if stored and stored.num_targets else "classification")
    targets, most = task == "regression", limit or (stored.num_points if stored else None)
    training = tp.load_data(data, split="train", limit=most, lazy=True, label=label, targets=targets)
    points, line = _test_points(data, test, test_limit, label, targets)
    report(0, 0, "loading the network")
    net = load_model(model, training, weights, arg).for_task(task)
    if points.input_shape != training.input_shape:
        raise InputError(f"{points.name} has points of {points.input_shape}, {training.name} of {training.input_shape}")
    points = replace(points, num_classes=training.num_classes, class_names=training.class_names)
    named = f"{data!r}, split='train'{_options(limit=limit, label=label, targets=targets)}"
    lines = f"import tropica as tp\n\ntraining = tp.load_data({named})\n{line}\n{_model_lines(model, weights, arg)}"
    lines += "net = net.for_task('regression')\n" if task == "regression" else ""
    others = tuple((spec, _other_model(spec, model, training, weights, arg)) for spec in other)
    return Inputs(model, net, training, points, tuple(terms), memory, lines, others, task)


def _other_model(spec: str, model: str, training: Any, weights: Path | None, arg: list[str]) -> tp.PiecewiseLinearNetwork:
    """The network of another model, or of other weights of the same one."""
    from tropica.cli.models import load_model
    from tropica.cli.weights import TORCH_SUFFIXES

    if Path(spec).suffix.lower() not in (*TORCH_SUFFIXES, ".safetensors"):
        return load_model(spec, training)
    if weights is None:
        raise InputError(f"--other {spec} has weights alone: they need a MODEL with --weights of its own")
    return load_model(model, training, Path(spec), arg)


def _first_stored(terms: list[Path]) -> tp.LinearTerms | None:
    """The first finished store."""
    import tropica as tp

    for folder in terms:
        try:
            return tp.load_terms(folder, check="none")
        except (StoreError, OSError):
            continue
    return None


def _test_points(
    data: str, test: str | None, limit: int | None, label: str | None, targets: bool
) -> tuple[tp.LabelledData, str]:
    """The points to look at, and the Python line that loads them."""
    import tropica as tp

    about = _options(limit=limit, label=label, targets=targets)

    def load(spec: str, split: Split) -> tuple[tp.LabelledData, str]:
        found = tp.load_data(spec, split=split, limit=limit, label=label, targets=targets)
        return found, f"test = tp.load_data({spec!r}, split={split!r}{about})"

    try:
        return load(test or data, "test")
    except DataError:
        return load(test or data, "train")


def _options(**options: object) -> str:
    """Keyword arguments after others, as Python text; None and False are left out."""
    return "".join(f", {name}={value!r}" for name, value in options.items() if value is not None and value is not False)


def _model_lines(model: str, weights: Path | None, arg: list[str]) -> str:
    """The Python lines that load the network."""
    from tropica.cli.models import BUILT_IN, parse_arguments

    if Path(model).suffix.lower() in options.MODEL_SUFFIXES:
        return f"net = tp.load_network({model!r})\n"
    arguments = "".join(f", {name}={value!r}" for name, value in parse_arguments(arg).items())
    if model.startswith(BUILT_IN):
        given = {"num_classes": None, **parse_arguments(arg)}
        classes = "" if given["num_classes"] is not None else ", num_classes=training.num_classes"
        made = f"build({model.removeprefix(BUILT_IN)!r}, training.input_shape{classes}{arguments})"
        lines = "from tropica.studies.networks import build\n"
    else:
        module, _, name = model.partition(":")
        made = f"{name}({arguments.removeprefix(', ')})"
        lines = f"from {module} import {name.split('.')[0]}\n"
    lines += f"model = {made}\n"
    if weights is not None and weights.suffix == ".safetensors":
        lines = f"from safetensors.torch import load_model\n{lines}load_model(model, {str(weights)!r})\n"
    elif weights is not None:
        lines = f"import torch\n{lines}model.load_state_dict(torch.load({str(weights)!r}, weights_only=True))\n"
    return f"{lines}net = tp.trace(model.eval(), test.inputs[:2])\n"
