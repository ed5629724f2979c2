"""``tropica influence``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from tropica.cli import options
from tropica.cli.output import check_writable, print_facts, print_table, print_written, resources, resources_text, save_json

TERMS_HELP = "A folder of terms, as tropica extract writes it."
MOST = 20


def influence(
    terms: Annotated[str, typer.Argument(metavar="TERMS", help=TERMS_HELP, show_default=False)],
    data: options.Data,
    split: options.Split = options.SplitName.test,
    limit: options.Limit = None,
    label: options.Label = None,
    memory: options.Memory = None,
    device: options.Device = options.DeviceName.cpu,
    csv: Annotated[
        Path | None, options.optional("--csv", "FILE", "Write how many points each deciding training point decides.")
    ] = None,
    json: options.Json = None,
) -> None:
    """Count how often each training point decides the label of N^(X), rightly and wrongly, and how many never do."""
    import tropica as tp
    from tropica.cli.compared import load_terms
    from tropica.errors import InputError
    from tropica.runtime.files import write_file

    check_writable(json, csv)
    start = time.perf_counter()
    stored = load_terms(terms)
    if at := stored.about.get("at"):
        raise InputError(f"these terms are functions of the inner layer {at!r}; use tp.influence with the points' values there")
    points = tp.load_data(data, split=split.value, limit=limit, label=label)
    f = tp.ExtractedFunction(stored, memory=memory, device=device.torch)
    found = tp.influence(f, points, progress=True)
    frame = found.to_dataframe()
    rows = [[index, *row] for index, row in zip(frame.index[:MOST].tolist(), frame[:MOST].to_numpy().tolist(), strict=True)]
    title = f"The training points that decide most often on {points.name}, {points.split}"
    print_table(title, ["training point", *frame.columns], rows, numbers=len(frame.columns))
    wrong = found.wrong
    numbers = {
        "points": found.points,
        "training_points": len(found.decides),
        "deciding": len(frame),
        "never": found.never,
        "deciding_half": found.deciding_half,
        "wrong": None if wrong is None else int(wrong.sum()),
        **resources(start),
    }
    facts = {
        "deciding": f"{numbers['deciding']:,} of {numbers['training_points']:,} training points; {found.never:,} never decide",
        "half": f"{found.deciding_half:,} training points decide half of the {found.points:,} points",
    }
    facts |= {} if wrong is None else {"wrong": f"{int(wrong.sum()):,} points"}
    print_facts(facts | resources_text(numbers))
    if csv is not None:
        print_written(write_file(csv, frame.to_csv(lineterminator="\n")))
    save_json(json, "influence", numbers)
