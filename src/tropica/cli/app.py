"""``tropica``: the commands, and the options that precede them."""

from __future__ import annotations

from typing import Annotated

import typer

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
from tropica.cli.regions import regions
from tropica.cli.study import study
from tropica.cli.trace import trace
from tropica.cli.train import train

app = typer.Typer(
    cls=CommandGroup,
    name="tropica",
    help="The exact linear terms and the tropical geometry of piecewise-linear PyTorch networks.",
    epilog="Start with: tropica demo. Each command shows an example with --help.",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"tropica {version('tropica')}, torch {version('torch')}")
        raise typer.Exit()


@app.callback(invoke_without_command=True)
def before_all(
    ctx: typer.Context,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads", metavar="N", min=1, help="Number of PyTorch threads; by default one for each core.", show_default=False
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
        raise typer.Exit()
    ctx.obj = threads
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


app.command(epilog="Example: tropica demo --out results/demo")(demo)
app.command(epilog="Example: tropica trace mynets:small --weights small.safetensors --data digits")(trace)
app.command(epilog="Example: tropica decompose model.pt2 --data images/ --method paper --json decomposition.json")(decompose)
app.command(epilog="Example: tropica extract model.pt2 --data mnist.npz -o terms --dtype float64")(extract)
app.command(epilog="Example: tropica evaluate terms --data mnist.npz --split test --model model.pt2 --csv labels.csv")(evaluate)
app.command(epilog="Example: tropica explain terms --model model.pt2 --data mnist.npz --point 8 --out explained")(explain)
app.command(epilog="Example: tropica influence terms --data mnist.npz --csv influence.csv")(influence)
app.command(epilog="Example: tropica layerwise model.pt2 --data mnist.npz --figure layers.png")(layerwise)
app.command(epilog="Example: tropica compare one.pt2 other.pt2 --data mnist.npz --test-limit 1000")(compare)
app.command(epilog="Example: tropica check terms")(check)
app.command(epilog="Example: tropica regions mynets:small --box -1 1 --inputs 2 --out regions")(regions)
app.command("app", epilog="Example: tropica app model.pt2 --data mnist.npz --terms terms")(explorer)
app.command(epilog="Example: tropica train conv-small --data digits --runs 2 --out networks")(train)
app.command(epilog="Example: tropica study table2 --data digits --runs 3 --out results/table2")(study)


def main() -> None:
    """Run the command line."""
    app()
