"""``tropica``: the commands, and the options that precede them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from tropica.cli.attributions import attributions
from tropica.cli.check import check
from tropica.cli.compare import compare
from tropica.cli.decompose import decompose
from tropica.cli.demo import demo
from tropica.cli.evaluate import evaluate
from tropica.cli.exit_codes import CommandGroup
from tropica.cli.explain import explain
from tropica.cli.explorer import explorer
from tropica.cli.extract import extract
from tropica.cli.influence import influence
from tropica.cli.layerwise import layerwise
from tropica.cli.output_range import output_range
from tropica.cli.region import region
from tropica.cli.regions import regions
from tropica.cli.study import study
from tropica.cli.trace import trace
from tropica.cli.train import train
from tropica.cli.verify import verify

COMMANDS = (
    *(demo, train, trace, decompose, extract, check, evaluate, explain, influence, layerwise, compare),
    *(regions, region, output_range, verify, attributions, study),
)
"""In the order of the help: networks, terms, what decides, regions and questions asked of them, the papers' experiments."""
APP_EXAMPLES = (
    "tropica train fcn-small --data digits --runs 1 --epochs 3",
    "tropica app networks/fcn-small/seed-0 --data digits --terms terms",
)
EPILOG = """Start with: tropica demo. Each command shows examples with --help.

\b
Exit codes:
  0    success
  1    a bad result (a certificate fails, a property is violated), or a fault of tropica
  2    a command line, a model or data that cannot be used; one line says why
  3    a limit was reached before a property was decided
  130  stopped by Ctrl-C; finished parts are kept

With TROPICA_DEBUG=1 an error shows where it arose. TROPICA_DATA is the folder of data sets."""

app = typer.Typer(
    cls=CommandGroup,
    name="tropica",
    help="The exact linear terms and the tropical geometry of piecewise-linear PyTorch networks.",
    epilog=EPILOG,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 110},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"tropica {version('tropica')}, torch {version('torch')}")
        raise typer.Exit()


@app.callback(invoke_without_command=True)
def before_all(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
        raise typer.Exit()


def add(name: str, function: Callable[..., Any], examples: Sequence[str]) -> None:
    """Add a command with its examples."""
    lines = "\n".join(f"  {example}" for example in examples)
    app.command(name, help=inspect.getdoc(function), epilog=f"\b\nExamples:\n{lines}")(function)


for each in COMMANDS:
    add(each.__name__.replace("_", "-"), each, each.examples)  # type: ignore[attr-defined]
add("app", explorer, APP_EXAMPLES)
app.command("cell", hidden=True, help=inspect.getdoc(region))(region)  # the name in Python, tp.cell


def main() -> None:
    """Run the command line."""
    app()
