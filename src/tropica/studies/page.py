"""A study's report: one HTML page that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from tropica.studies.demo_report import STYLE, picture, table
from tropica.studies.study import Results, Study, Table


def study_page(study: Study, results: Results, pictures: Mapping[str, bytes]) -> str:
    """The whole page; ``pictures`` are PNG files by name."""
    head = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>tropica study {escape(study.name)}</title><style>{STYLE}</style></head>\n<body>\n"
    )
    return head + f"<h1>{escape(study.title)}</h1>\n" + study_body(study, results, pictures) + "\n</body></html>\n"


def study_body(study: Study, results: Results, pictures: Mapping[str, bytes]) -> str:
    """The page without its head and title, for reports of several studies."""
    findings = "".join(f"<li>{escape(line)}</li>" for line in study.findings(results))
    parts = [
        f"<p>{escape(study.question)}</p>",
        f"<h2>What the paper found</h2><p>{escape(study.paper)}</p>",
        f"<h2>What this run found</h2><ul>{findings}</ul>",
        *(_table(one) for one in study.tables(results)),
        *(picture(pictures, name, f"{study.title}: {name}", "") for name in pictures),
        "<h2>Settings</h2>",
        _settings(study, results),
    ]
    return "\n".join(parts)


def _table(one: Table) -> str:
    numbers = [i >= len(one.headings) - one.numbers for i in range(len(one.headings))]
    note = f'<p class="small">{escape(one.note)}</p>' if one.note else ""
    return f"<h3>{escape(one.title)}</h3>" + table(one.headings, one.rows, numbers) + note


def _command(study: Study, results: Results) -> str:
    """The command that gives these numbers, with every option said."""
    facts, training = results.settings, results.settings["training"]
    options = {
        "data": facts["data"],
        "runs": len(facts["seeds"]),
        "seed": facts["seeds"][0],
        **{f"model {name}": "" for name in facts["models"]},
        **{key.replace("_", "-"): training[key] for key in ("epochs", "batch_size", "lr", "optimiser")},
        "limit": facts["training_points"],
        "terms": facts["terms"],
        "test-limit": facts["test_points"],
        "dtype": facts["dtype"],
    }
    return f"tropica study {study.name} " + " ".join(f"--{name} {value}".rstrip() for name, value in options.items())


def _settings(study: Study, results: Results) -> str:
    facts, training = results.settings, results.settings["training"]
    lines = {
        "command": _command(study, results),
        "data": f"{facts['data']}, points of {' × '.join(map(str, facts['shape']))}: {facts['training_points']:,} to train, "
        f"{facts['terms']:,} terms, {facts['test_points']:,} to test",
        **({"seen as": facts["view"]} if "view" in facts else {}),
        "networks": f"{', '.join(facts['models'])}; seeds {', '.join(map(str, facts['seeds']))}",
        "training": ", ".join(f"{key} {value}" for key, value in training.items()),
        "computed in": facts["dtype"],
        "versions": ", ".join(f"{name} {number}" for name, number in facts["versions"].items()),
        "seconds": f"{facts['seconds']:.0f} for the measurements of all runs, training not counted",
    }
    rows = [[key, str(value)] for key, value in lines.items()]
    return table(["", ""], rows, [False, False]).replace("<td>", '<td style="white-space: normal">')
