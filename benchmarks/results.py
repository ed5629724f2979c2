"""``python -m benchmarks.results``: the tables of ``docs/results.md``, written from ``docs/results.json``.

``python -m benchmarks.results add NAME FOLDER [NETWORKS]`` first stores a finished ``tropica study table2`` in the JSON: the
rows and paired differences of all runs, the SHA-256 of the weights, the commit at that time, the machine, the versions
and the command. Tables of networks that were not kept say so: their cells are those that were recorded when they were measured.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

DOCS = Path(__file__).parents[1] / "docs"
NUMBERS, PAGE = DOCS / "results.json", DOCS / "results.md"
SHARES = ("network_extracted", "extracted_true", "pixel_fidelity", "feature_fidelity")
HEADINGS = ("N vs N^(X)", "N^(X) vs true", "nearest in pixels vs N", "nearest in features vs N")
SPACES = {"pixel": "pixels", "feature": "features"}


def page(text: str, tables: Mapping[str, Mapping[str, Any]]) -> str:
    """The page with the tables between the marks ``<!-- table: NAME -->`` and ``<!-- end -->`` written anew.

    Raises:
        SystemExit: a table that is on one side only.
    """
    marks = re.findall(r"<!-- table: (\S+) -->", text)
    if sorted(marks) != sorted(tables):
        raise SystemExit(f"{PAGE.name} has the tables {sorted(marks)}, {NUMBERS.name} has {sorted(tables)}")
    for name, table in tables.items():
        lines = measured(table) if table["kind"] == "measured" else recorded(table)
        start, end = f"<!-- table: {name} -->\n", "<!-- end -->"
        head, rest = text.split(start)
        text = head + start + "\n".join(lines) + "\n\n" + end + rest.split(end, 1)[1]
    return text


def recorded(table: Mapping[str, Any]) -> list[str]:
    """Cells as they were recorded, and from where."""
    source = f"*Recorded on {table['date']} (commit {table['commit']}) on {table['machine']}; {table['note']}.*"
    return [*rows_of(table["columns"], table["rows"]), "", source]


def measured(table: Mapping[str, Any]) -> list[str]:
    """Means over seeds of the rows of a study, its paired differences, and where it ran."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in table["rows"]:
        groups.setdefault((row["model"], row["decomposition"]), []).append(row)
    cells = [
        [model, method, spread(r["network_true"] for r in rows), *(spread(r[key] for r in rows) for key in SHARES)]
        for (model, method), rows in groups.items()
    ]
    gaps = [[d["difference"], f"{d['value']:+.1f} [{d['low']:+.1f}, {d['high']:+.1f}]"] for d in table["differences"]]
    seeds, hashes = sorted({row["seed"] for row in table["rows"]}), len(table["weights"])
    about = (
        f"*Run on {table['machine']}, stored on {table['date']} at commit {table['commit']}; "
        f"seeds {', '.join(map(str, seeds))}, "
        f"by `{table['command']}`; the SHA-256 of the {hashes} networks' weights are in `results.json`.*"
    )
    return [
        *rows_of(["network", "decomposition", "N vs true", *HEADINGS], cells),
        "",
        *rows_of(["difference, in points of fidelity", "value and 95 % interval, paired over seeds and test points"], gaps),
        "",
        about,
    ]


def spread(values: Iterable[float | None]) -> str:
    """Mean ± standard deviation, in %; – where a network has no value.

    >>> spread([0.5, 0.52, 0.54]), spread([None])
    ('52.0 ± 2.0', '–')
    """
    found = [100 * v for v in values if v is not None]
    if not found:
        return "–"
    return f"{np.mean(found):.1f}" + (f" ± {np.std(found, ddof=1):.1f}" if len(found) > 1 else "")


def rows_of(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table in Markdown."""
    head, *body = ("|" + "".join(f" {cell} |" if cell else " |" for cell in cells) for cells in (columns, *rows))
    return [head, "|" + "---|" * len(columns), *body]


def of_study(folder: Path, networks: Path) -> dict[str, Any]:
    """What the JSON keeps of a finished ``table2`` study."""
    from tropica.studies.baselines import unpack
    from tropica.studies.experiments.table2 import DECOMPOSITIONS
    from tropica.studies.intervals import paired_interval
    from tropica.studies.report import command

    numbers = json.loads((folder / "numbers.json").read_text(encoding="utf8"))
    runs = [json.loads(file.read_text(encoding="utf8")) for file in sorted((folder / "runs").glob("*.json"))]
    keys = ("decomposition", "network_true", "test_points", "terms", "certificate_holds", *SHARES)
    rows = [{"model": r["model"], "seed": r["seed"], **{k: row[k] for k in keys}} for r in runs for row in r["rows"]]
    answers: dict[str, dict[str, np.ndarray]] = {}
    for model in dict.fromkeys(r["model"] for r in runs):
        data = [r["figure_data"] for r in runs if r["model"] == model]
        kinds = set.intersection(*(set(d["fidelity"]) for d in data))
        answers[model] = {kind: np.stack([unpack(d["fidelity"][kind], d["points"]) for d in data]) for kind in kinds}
    pairs = [
        (f"{model}: {method} minus nearest in {SPACES[space]}", found[method], found[space])
        for model, found in answers.items()
        for method in DECOMPOSITIONS
        for space in SPACES
        if space in found
    ]
    models = list(answers)
    pairs += [
        (f"{models[0]} minus {other}, {method}", answers[models[0]][method], answers[other][method])
        for other in models[1:]
        for method in DECOMPOSITIONS
    ]
    pairs += [
        (
            f"{models[0]} minus {other}: gap with minimal, minus half of that with paper (H2)",
            answers[models[0]]["minimal"] + answers[other]["paper"] / 2,
            answers[other]["minimal"] + answers[models[0]]["paper"] / 2,
        )
        for other in models[1:]
    ]
    differences = [
        {"difference": what, **{k: round(100 * v, 2) for k, v in paired_interval(one, other)._asdict().items()}}
        for what, one, other in pairs
    ]
    weights = {}
    for run in runs:
        folder = networks / run.get("network", run["model"]) / f"seed-{run['seed']}"
        epoch = f"{run['epoch']:04}" if "epoch" in run else "*"
        last = sorted(folder.glob(f"epoch-{epoch}.safetensors"))[-1]
        weights[str(last.relative_to(networks))] = hashlib.sha256(last.read_bytes()).hexdigest()
    return {
        "kind": "measured",
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
        "machine": f"{os.cpu_count()} processor cores ({platform.machine()})",
        "command": numbers.get("command") or command("table2", numbers["settings"]),
        "settings": numbers["settings"],
        "seconds": sum(r["seconds"] + r["training_seconds"] for r in runs),
        "weights": weights,
        "rows": rows,
        "differences": differences,
    }


def commit() -> str:
    """The commit of the working tree, with "+" where it has changes beside the results themselves."""
    git = ("git", "-C", str(DOCS.parent))
    others = ("--", ".", *(f":!docs/{file.name}" for file in (NUMBERS, PAGE)))
    name = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    changed = subprocess.run(
        [*git, "status", "--porcelain", "-uno", *others], capture_output=True, text=True, check=True
    ).stdout.strip()
    return name + "+" * bool(changed)


def main(arguments: list[str]) -> None:
    """Store a study where one is named, then write the page."""
    tables = json.loads(NUMBERS.read_text(encoding="utf8"))
    if arguments:
        if arguments[0] != "add" or len(arguments) not in (3, 4):
            raise SystemExit("python -m benchmarks.results [add NAME FOLDER [NETWORKS]]")
        folder = Path(arguments[2])
        tables[arguments[1]] = of_study(folder, Path(arguments[3]) if len(arguments) == 4 else folder / "networks")
        NUMBERS.write_text(json.dumps(tables, indent=1, ensure_ascii=False) + "\n", encoding="utf8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf8"), tables), encoding="utf8")


if __name__ == "__main__":
    main(sys.argv[1:])
