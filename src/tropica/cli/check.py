"""``tropica check``."""

from __future__ import annotations

from pathlib import Path

import tropica as tp
from tropica.cli import options
from tropica.cli.command import CommandResult, command
from tropica.cli.output import print_facts, shape_text


@command(
    "tropica train fcn-small --data digits --runs 1 --epochs 3",
    "tropica extract networks/fcn-small/seed-0 --data digits --out terms",
    "tropica check terms",
)
def check(terms: options.Terms) -> CommandResult:
    """Compare every file in a folder of terms with its checksum, and list damaged and missing files (exit code 1).

    To repair the folder, repeat the command that made it: these files are written again, the others are kept.
    """
    manifest, faults = tp.check_terms(terms, progress=True)
    certificate, folder = manifest.certificate, Path(terms)
    shards = len(manifest.shards) or len(list(folder.glob("shard-*.safetensors")))
    facts = {
        "terms": f"{sum(manifest.shard_points):,} of {shape_text(manifest.input_shape)}, in {manifest.extraction.stored_dtype}",
        "state": manifest.state if manifest.state == "complete" else f"not finished ({manifest.state})",
        "shards": f"{shards} of {len(manifest.shard_points)}",
        "decomposition": manifest.extraction.method,
        "certificate": certificate or "not checked yet",
        "faults": len(faults) or "none",
    }
    numbers = {
        "state": manifest.state,
        "shards": len(manifest.shard_points),
        "faults": faults,
        "extraction": manifest.extraction.to_dict(),
        "certificate": certificate and certificate.to_dict(),
    }
    damaged = f"{terms}: damaged or missing files: {len(faults)}; repeat the extraction to write them again"
    shown = facts | {"": "\n".join(faults)} if faults else facts
    return CommandResult(numbers, lambda: print_facts(shown), failure=damaged if faults else "")
