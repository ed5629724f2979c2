"""``tropica check``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import tropica as tp
from tropica.cli import options
from tropica.cli.exit_codes import FAILED
from tropica.cli.output import check_writable, print_facts, save_json, shape_text


def check(
    terms: Annotated[Path, typer.Argument(metavar="TERMS", help="A folder of terms.", show_default=False)],
    json: options.Json = None,
) -> None:
    """Compare every file in a folder of terms with its checksum, and list damaged and missing files (exit code 1).

    To repair the folder, repeat the command that made it: these files are written again, the others are kept.
    """
    check_writable(json)
    manifest, faults = tp.check_terms(terms)
    certificate, shards = manifest.certificate, len(manifest.shards) or len(list(terms.glob("shard-*.safetensors")))
    facts = {
        "terms": f"{sum(manifest.shard_points):,} of {shape_text(manifest.input_shape)}, in {manifest.extraction.stored_dtype}",
        "state": manifest.state if manifest.state == "complete" else f"not finished ({manifest.state})",
        "shards": f"{shards} of {len(manifest.shard_points)}",
        "decomposition": manifest.extraction.method,
        "certificate": certificate or "not checked yet",
        "faults": len(faults) or "none",
    }
    print_facts(facts | {"": "\n".join(faults)} if faults else facts)
    numbers = {
        "state": manifest.state,
        "shards": len(manifest.shard_points),
        "faults": faults,
        "extraction": manifest.extraction.to_dict(),
        "certificate": certificate and certificate.to_dict(),
    }
    save_json(json, "check", numbers)
    if faults:
        typer.echo(
            f"error: {terms}: damaged or missing files: {len(faults)}; repeat the extraction to write them again", err=True
        )
        raise typer.Exit(FAILED)
