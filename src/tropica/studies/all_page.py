"""The report of all studies: one HTML page with a summary on top, that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from tropica.studies.demo.report import table
from tropica.studies.page import bullets, command, study_body, whole_page
from tropica.studies.registry import STUDIES
from tropica.studies.runner import StudyResult

LOOK = """
table.sides td, table.contents td:nth-child(2) { white-space: normal; }
table.sides td { width: 44%; } table.sides td:first-child { width: 12%; }
table.sides ul { margin: 0; padding-left: 1.1rem; }
h2.study { border-top: 2px solid #444; padding-top: 1rem; margin-top: 3.5rem; font-size: 1.35rem; }
.failed { color: #8a1c00; font-weight: 600; }
"""


def all_page(done: Mapping[str, StudyResult], failed: Mapping[str, str], facts: Mapping[str, Any]) -> str:
    """The whole page.

    Args:
        done: studies by name.
        failed: studies that failed, by name, with what went wrong.
        facts: settings, versions, and seconds by study, as in ``numbers.json``.
    """
    names = [name for name in STUDIES if name in done or name in failed]
    parts = [
        "<h1>The paper's study, whole</h1>",
        _introduction(done, failed, facts),
        "<h2>Contents, and the findings in short</h2>",
        _contents(names, done, facts),
        "<h2>What the paper found, and what this run found</h2>",
        _sides(names, done, failed),
        "<h2>Settings of all studies</h2>",
        _settings(facts),
        *(_section(name, done, failed) for name in names),
    ]
    return whole_page("all", "\n".join(parts), look=LOOK)


def _introduction(done: Mapping[str, StudyResult], failed: Mapping[str, str], facts: Mapping[str, Any]) -> str:
    settings = facts["settings"]
    total = sum(one["seconds"] + one["training_seconds"] for one in facts["studies"].values())
    text = (
        f"{len(done)} of {len(done) + len(failed)} studies of “TropEx: An Algorithm for Extracting Linear Terms in Deep Neural "
        f"Networks” (Trimmel, Petzka and Sminchisescu, ICLR 2021) on {settings['data']}: {len(settings['seeds'])} networks "
        f"each of {', '.join(settings['models'])}; {settings['terms']:,} terms, {settings['test_points']:,} test points. "
        f"All runs took {_minutes(total)}."
    )
    lines = "".join(
        f'<p class="failed">The study <a href="#{name}">{escape(name)}</a> failed: {escape(why)}</p>'
        for name, why in failed.items()
    )
    return f"<p>{escape(text)}</p>{lines}"


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.1f} minutes"


def _contents(names: list[str], done: Mapping[str, StudyResult], facts: Mapping[str, Any]) -> str:
    """A line a study: its link, what it found in short, and its time."""
    rows = []
    for name in names:
        study = STUDIES[name]
        took = facts["studies"].get(name)
        times = ["", ""] if took is None else [f"{took['seconds']:.1f}", f"{took['training_seconds']:.1f}"]
        short = escape(study.in_short(done[name].results)) if name in done else '<span class="failed">failed</span>'
        cells = "".join(f'<td class="number">{time}</td>' for time in times)
        link = f'<a href="#{name}">{escape(name)}</a>'
        rows.append(f"<tr><td>{link}</td><td><b>{escape(study.title)}</b><br>{short}</td>{cells}</tr>\n")
    head = '<th></th><th></th><th class="number">seconds to<br>measure</th><th class="number">to train</th>'
    return f'<table class="contents"><thead><tr>{head}</tr></thead><tbody>\n{"".join(rows)}</tbody></table>' + (
        '<p class="small">Means over runs; FCN: fully connected networks, CNN: convolutional ones. Seconds are of all runs '
        "together. Studies share networks, splits and terms: whichever needs them first makes them, and its time counts "
        "that.</p>"
    )


def _sides(names: list[str], done: Mapping[str, StudyResult], failed: Mapping[str, str]) -> str:
    """Paper and run, side by side."""
    rows = []
    for name in names:
        found = (
            f'<span class="failed">failed: {escape(failed[name])}</span>'
            if name in failed
            else bullets(done[name].study.findings(done[name].results))
        )
        link = f'<a href="#{name}">{escape(name)}</a>'
        rows.append(f"<tr><td>{link}</td><td>{escape(STUDIES[name].paper)}</td><td>{found}</td></tr>\n")
    head = "<thead><tr><th></th><th>the paper</th><th>this run</th></tr></thead>"
    return f'<table class="sides">{head}<tbody>\n{"".join(rows)}</tbody></table>'


def _settings(facts: Mapping[str, Any]) -> str:
    settings = facts["settings"]
    training = ", ".join(f"{key} {value}" for key, value in settings["training"].items() if key != "activation")
    lines = {
        "command": command("all", settings),
        "data": f"{settings['data']}, points of {' × '.join(map(str, settings['shape']))}: {settings['training_points']:,} to "
        f"train, {settings['terms']:,} terms, {settings['test_points']:,} to test",
        "networks": f"{', '.join(settings['models'])}; seeds {', '.join(map(str, settings['seeds']))}",
        "training": f"{training}; activations are relu but where a study says otherwise",
        "computed in": settings["dtype"],
        "versions": ", ".join(f"{name} {number}" for name, number in settings["versions"].items()),
    }
    rows = [[key, value] for key, value in lines.items()]
    return table(["", ""], rows, [False, False]).replace("<td>", '<td style="white-space: normal">')


def _section(name: str, done: Mapping[str, StudyResult], failed: Mapping[str, str]) -> str:
    study = STUDIES[name]
    head = f'<section id="{name}"><h2 class="study">{escape(study.title)}</h2>'
    if name in failed:
        return f'{head}<p class="failed">This study failed: {escape(failed[name])}</p></section>'
    result = done[name]
    pictures = {file: path.read_bytes() for file, path in result.files.items() if file.endswith(".png")}
    return f"{head}{study_body(study, result.results, pictures, level=3)}</section>"
