"""``tropica check``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from tropica.cli.failures import FAILED
from tropica.cli.options import Json
from tropica.cli.output import checked, save_json, shape_text, show_facts
from tropica.terms.store.load import check_terms


def check(
    terms: Annotated[Path, typer.Argument(metavar="TERMS", help="A folder of terms.", show_default=False)],
    json: Json = None,
) -> None:
    """Read all of a folder of terms and compare it with its checksums: damaged and missing files are named (exit code 1).

    The command that made the folder, given again, makes them anew and leaves the others as they are.
    """
    checked(json)
    manifest, faults = check_terms(terms)
    shards = manifest.shards
    facts = {
        "terms": f"{sum(manifest.plan):,} of {shape_text(manifest.shape)}, stored in {manifest.run['stored_dtype']}",
        "state": manifest.state if manifest.state == "complete" else f"not finished ({manifest.state})",
        "shards": f"{len(shards) or len(list(terms.glob('shard-*.safetensors')))} of {len(manifest.plan)}",
        "decomposition": manifest.run["method"],
        "certificate": str(manifest.certificate).removeprefix("certificate ") if manifest.certificate else "not yet",
        "faults": str(len(faults)) if faults else "none",
    }
    show_facts(facts | {"": "\n".join(faults)} if faults else facts)
    certificate = None
    if manifest.certificate is not None:
        certificate = {**dataclasses.asdict(manifest.certificate), "holds": manifest.certificate.holds}
    numbers = {"state": manifest.state, "shards": len(manifest.plan), "faults": faults, "run": manifest.run}
    save_json(json, "verify", numbers | {"certificate": certificate})
    if faults:
        typer.echo(f"error: {terms}: {len(faults)} of its files must be made anew; run its extraction again", err=True)
        raise typer.Exit(FAILED)
