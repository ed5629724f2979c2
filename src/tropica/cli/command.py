"""How every command runs: the options that all have, numbers before pictures, files by one rule, one exit code."""

from __future__ import annotations

import functools
import inspect
import io
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext, redirect_stdout
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO, get_type_hints

import typer

from tropica.cli import options
from tropica.cli.exit_codes import FAILED, interruptible
from tropica.cli.output import print_facts, print_written, resources, resources_text
from tropica.errors import InputError
from tropica.runtime.files import json_text, writable_file, writable_folder, write_file
from tropica.runtime.interrupts import interrupt_from_here, stop_at_once

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STDOUT = Path("-")
THREADS_HELP = "The number of threads; by default one for each core (1 for demo and study)."
JSON_HELP = "Write all numbers to this JSON file; - is standard output, and tables then go to standard error."

Function = Callable[..., "CommandResult | None"]


@dataclass(frozen=True)
class CommandResult:
    """What a command found; :func:`command` prints and writes it in this order.

    Attributes:
        numbers: all numbers, for ``--json``.
        show: prints the tables.
        csv: the text of the table for ``--csv``.
        picture: the picture for ``--figure``, drawn when the numbers are written.
        files: the contents of further files, made when the numbers are written.
        failure: why the result is bad, and then the exit code.
    """

    numbers: Mapping[str, Any]
    show: Callable[[], object] = lambda: None
    csv: Callable[[], str] | None = None
    picture: Callable[[], Figure] | None = None
    files: Mapping[Path, Callable[[], bytes | str]] = field(default_factory=dict)
    failure: str = ""
    code: int = FAILED


@dataclass(frozen=True)
class Destinations:
    """The files that a command was asked for: numbers, a table and a picture."""

    json: tuple[Path, ...] = ()
    csv: tuple[Path, ...] = ()
    figure: tuple[Path, ...] = ()

    @classmethod
    def checked(cls, name: str, json: Path | None, csv: Path | None, figure: Path | None, out: Path | None) -> Destinations:
        """The files of the options ``--json``, ``--csv``, ``--figure`` and ``--out``.

        Raises:
            InputError: a file or folder that cannot be written, or two files on standard output.
        """
        for file in (json, csv, figure):
            if file is not None and file != STDOUT:
                writable_file(file)
        if json == csv == STDOUT:
            raise InputError("--json - and --csv -: one of them can be standard output")
        if figure == STDOUT:
            raise InputError("--figure -: a picture needs a file, such as picture.png")
        if figure is not None and figure.suffix.lower() != ".png":
            raise InputError(f"--figure {figure}: pictures are PNG files; name one *.png")
        numbers, pictures = ([file] if file is not None else [] for file in (json, figure))
        if out is not None and writable_folder(out).is_dir():
            for ending in ("json", "png"):
                writable_file(out / f"{name}.{ending}")
        if out is not None:
            numbers.append(out / f"{name}.json")
            pictures.append(out / f"{name}.png")
        return cls(tuple(numbers), () if csv is None else (csv,), tuple(pictures))

    @property
    def on_stdout(self) -> bool:
        """Whether standard output is for one of the files."""
        return STDOUT in (*self.json, *self.csv)


def command(*examples: str, csv: str = "", figure: str = "") -> Callable[[Function], Callable[..., None]]:
    """Make a function a command: it gets ``--threads`` and ``--json``, and its result is printed and written.

    A parameter whose type is a dataclass stands for its fields, a group of options that several commands have.

    Args:
        examples: command lines that run one after the other in an empty folder; the help text shows them.
        csv: the help of ``--csv``, for a function that returns a table.
        figure: the help of ``--figure``, for a function that returns a picture; it gets ``--out`` as well.
    """

    def decorate(function: Function) -> Callable[..., None]:
        name = function.__name__.replace("_", "-")
        signature = inspect.signature(function, eval_str=True)
        added = _added_options(name, csv, figure)
        groups: dict[str, Any] = {p.name: p.annotation for p in signature.parameters.values() if is_dataclass(p.annotation)}
        own = [one for p in signature.parameters.values() if p.name not in added for one in _written_out(p)]
        also = [key for key in added if key in signature.parameters]

        @functools.wraps(function)
        def run(**given: Any) -> None:
            asked = {key: given.pop(key) for key in added}
            given |= {key: kind(**{one.name: given.pop(one.name) for one in fields(kind)}) for key, kind in groups.items()}
            files = (asked.get("csv"), asked.get("figure"), asked["out"] if figure else None)
            places = Destinations.checked(name, asked["json"], *files)
            _set_threads(asked["threads"])
            start, stdout = time.perf_counter(), sys.stdout
            with redirect_stdout(sys.stderr) if places.on_stdout else nullcontext():
                found = function(**given, **{key: asked[key] for key in also})
                if found is not None:  # the first of several processes reports
                    _report(name, found, places, resources(start), stdout)

        run.__signature__ = inspect.Signature([*own, *added.values()])  # type: ignore[attr-defined]
        run.examples = examples  # type: ignore[attr-defined]
        return run

    return decorate


def _written_out(parameter: inspect.Parameter) -> list[inspect.Parameter]:
    """A parameter, or those that a group of options stands for: the fields of a dataclass."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    if not is_dataclass(parameter.annotation):
        return [parameter.replace(kind=keyword)]
    kinds = get_type_hints(parameter.annotation, include_extras=True)
    default = [inspect.Parameter.empty if one.default is MISSING else one.default for one in fields(parameter.annotation)]
    return [inspect.Parameter(k, keyword, default=v, annotation=kinds[k]) for k, v in zip(kinds, default, strict=True)]


def _added_options(name: str, csv: str, figure: str) -> dict[str, inspect.Parameter]:
    """The options that are not the function's own, by name."""
    kinds: dict[str, Any] = {}
    if figure:
        kinds["figure"] = Annotated[Path | None, options.optional("--figure", "FILE", figure)]
        both = f"Write {name}.json and {name}.png to this folder."
        kinds["out"] = Annotated[Path | None, options.optional("--out", "DIR", both, short="-o")]
    if csv:
        kinds["csv"] = Annotated[Path | None, options.optional("--csv", "FILE", csv)]
    kinds["json"] = Annotated[Path | None, options.optional("--json", "FILE", JSON_HELP)]
    kinds["threads"] = Annotated[int | None, options.optional("--threads", "N", THREADS_HELP, min=1)]
    keyword = inspect.Parameter.KEYWORD_ONLY
    return {key: inspect.Parameter(key, keyword, default=None, annotation=kind) for key, kind in kinds.items()}


def _set_threads(threads: int | None) -> None:
    """Import torch, during which Ctrl-C ends the program at once, and set its number of threads."""
    with stop_at_once():
        import torch
    interrupt_from_here()
    if threads is not None:
        torch.set_num_threads(threads)


def _report(name: str, found: CommandResult, places: Destinations, used: Mapping[str, float], stdout: TextIO) -> None:
    """Print and write what was found: tables, numbers, then pictures."""
    from importlib.metadata import version

    from tropica.runtime.progress import progress_callback

    written: list[Path] = []

    def write(file: Path, content: bytes | str) -> None:
        if file == STDOUT:
            stdout.write(str(content))
            return
        written.append(write_file(file, content))
        print_written(file)

    with interruptible(lambda: f"{', '.join(map(str, written)) or 'no file'} was written"):
        found.show()
        print_facts(resources_text(used))
        for file in places.json:
            write(file, json_text({"tropica": version("tropica"), "command": name, **used, **found.numbers}))
        for file in places.csv if found.csv is not None else ():
            assert found.csv is not None
            write(file, found.csv())
        with progress_callback(True) as progress:
            for i, (file, content) in enumerate(pictures := [*_pictures(found, places)]):
                if progress is not None:
                    progress(i, len(pictures), "drawing")
                write(file, content())
    if found.failure:
        typer.echo(f"error: {found.failure}", err=True)
        raise typer.Exit(found.code)


def _pictures(found: CommandResult, places: Destinations) -> Iterator[tuple[Path, Callable[[], bytes | str]]]:
    """The files that are made last, with what makes them."""
    yield from found.files.items()
    if found.picture is not None:
        for file in places.figure:
            yield file, functools.partial(png_of, found.picture)


def png_of(picture: Callable[[], Figure]) -> bytes:
    """A picture as a PNG file, in the style of the house."""
    from tropica.plots import style

    content = io.BytesIO()
    with style.applied():
        picture().savefig(content, format="png")
    return content.getvalue()
