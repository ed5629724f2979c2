"""A study's report: one HTML page that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from tropica.studies.demo.report import STYLE, picture, table
from tropica.studies.study import Results, Study, Table


def study_page(study: Study, results: Results, pictures: Mapping[str, bytes]) -> str:
    """The whole page; ``pictures`` are PNG files by name."""
    return whole_page(study.name, f"<h1>{escape(study.title)}</h1>\n" + study_body(study, results, pictures))


def whole_page(name: str, body: str, *, look: str = "") -> str:
    """A page that needs nothing beside it; ``look`` is CSS of its own."""
    head = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>tropica study {escape(name)}</title><style>{STYLE}{look}</style></head>\n<body>\n"
    )
    return head + body + "\n</body></html>\n"


def study_body(study: Study, results: Results, pictures: Mapping[str, bytes], *, level: int = 2) -> str:
    """The page without its head and title, for reports of several studies.

    Args:
        study, results: of the study.
        pictures: PNG files by name.
        level: of its headings.
    """
    parts = [
        f"<p>{escape(study.question)}</p>",
        f"<h{level}>What the paper found</h{level}><p>{escape(study.paper)}</p>",
        f"<h{level}>What this run found</h{level}>{bullets(study.findings(results))}",
        *(_table(one, level + 1) for one in study.tables(results)),
        *(picture(pictures, name, f"{study.title}: {name}", "") for name in pictures),
        f"<h{level}>Settings</h{level}>",
        _settings(study, results),
    ]
    return "\n".join(parts)


def bullets(lines: Iterable[str]) -> str:
    """A list of sentences."""
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _table(one: Table, level: int) -> str:
    numbers = [i >= len(one.headings) - one.numbers for i in range(len(one.headings))]
    note = f'<p class="small">{escape(one.note)}</p>' if one.note else ""
    return f"<h{level}>{escape(one.title)}</h{level}>" + table(one.headings, one.rows, numbers) + note


def command(name: str, facts: Mapping[str, Any]) -> str:
    """The command that gives a study's numbers, with every option said; ``facts`` are its settings."""
    training = facts["training"]
    options = {
        "data": facts["data"],
        "runs": len(facts["seeds"]),
        "seed": facts["seeds"][0],
        **{f"model {model}": "" for model in facts["models"]},
        **{key.replace("_", "-"): training[key] for key in ("epochs", "batch_size", "lr", "optimizer")},
        "limit": facts["training_points"],
        "terms": facts["terms"],
        "test-limit": facts["test_points"],
        "dtype": facts["dtype"],
    }
    return f"tropica study {name} " + " ".join(f"--{option} {value}".rstrip() for option, value in options.items())


def _settings(study: Study, results: Results) -> str:
    facts, training = results.settings, results.settings["training"]
    lines = {
        "command": command(study.name, facts),
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
