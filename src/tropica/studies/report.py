"""The report of one or several studies: one self-contained HTML page (``templates/report.html.j2``)."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from tropica.studies.captions import caption
from tropica.studies.study import Results, Study
from tropica.studies.tables import Table
from tropica.studies.verdicts import ExperimentVerdict, verdict

TRAINING_OPTIONS = ("epochs", "batch_size", "lr", "optimizer")
"""The settings of a training that are options of the command line."""


@dataclass(frozen=True)
class Section:
    """The part of a report that one study fills.

    Attributes:
        study: the study.
        settings: the settings of all runs; empty for a study that failed.
        tables, findings, summary: the study's results as tables, as sentences and in brief.
        pictures: PNG files by name, in base64, each with its caption.
        verdict: what the paper and this run found, and whether they agree; None for a study that failed.
        failure: the reason of a failure; empty for a study that is done.
    """

    study: Study
    settings: Mapping[str, Any] = field(default_factory=dict)
    tables: Sequence[Table] = ()
    findings: Sequence[str] = ()
    summary: str = ""
    pictures: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    verdict: ExperimentVerdict | None = None
    failure: str = ""

    @classmethod
    def of_results(cls, study: Study, results: Results, pictures: Mapping[str, bytes]) -> Section:
        """The section of a study that is done, with its figures as PNG files."""
        encoded = {
            name: (base64.b64encode(content).decode("ascii"), caption(name, results.settings))
            for name, content in pictures.items()
        }
        summary = study.summarize(results)
        return cls(
            study,
            results.settings,
            study.tables(results),
            study.conclusions(results),
            summary,
            encoded,
            verdict(study, results),
        )

    @classmethod
    def of_failure(cls, study: Study, reason: str) -> Section:
        """The section of a study that failed."""
        return cls(study, failure=reason)


def render_report(
    title: str,
    sections: Sequence[Section],
    settings: Mapping[str, Any],
    commands: Sequence[str] = (),
    left_out: Mapping[str, str] | None = None,
) -> str:
    """Render the HTML page.

    Args:
        title: the title of the page.
        sections: one section for each study; a page of several sections begins with their summaries.
        settings: the settings of all studies, as in ``numbers.json``.
        commands: command lines to continue with.
        left_out: studies that were not run, with what they need.
    """
    environment = Environment(
        loader=PackageLoader("tropica.studies"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["duration"] = duration
    environment.globals["settings_table"] = settings_table
    template = environment.get_template("report.html.j2")
    return template.render(title=title, sections=sections, settings=settings, commands=commands, left_out=left_out or {})


def duration(seconds: float) -> str:
    """Seconds in words.

    >>> duration(90), duration(150)
    ('90 seconds', '2.5 minutes')
    """
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.1f} minutes"


def command(name: str, settings: Mapping[str, Any]) -> str:
    """The command line that reproduces a study's numbers, with every option; ``settings`` as in ``numbers.json``."""
    training = settings["training"]
    trained = {
        "runs": len(settings["seeds"]),
        "seed": settings["seeds"][0],
        **({"preset": "paper", "epochs": training["epochs"]} if training.get("preset") else {}),
        **{key.replace("_", "-"): training[key] for key in TRAINING_OPTIONS if key in training and not training.get("preset")},
    }
    options = {
        "data": settings["data"],
        **{f"model {model}": "" for model in settings["models"]},
        **(trained if training else {"weights": settings["weights"]} if "weights" in settings else {}),
        "limit": settings["training_points"],
        "terms": settings["terms"],
        "test-limit": settings["test_points"],
        "dtype": settings["dtype"],
    }
    return f"tropica study {name} " + " ".join(f"--{option} {value}".rstrip() for option, value in options.items())


def settings_table(name: str, settings: Mapping[str, Any]) -> dict[str, str]:
    """Names and texts of a study's settings, the command first; ``settings`` as in ``numbers.json``."""
    points = {key: f"{settings[key]:,}" for key in ("training_points", "terms", "test_points")}
    shape = " × ".join(map(str, settings["shape"]))
    lines = {
        "command": command(name, settings),
        "data": f"{settings['data']}, points of {shape}: {points['training_points']} training points, "
        f"{points['terms']} terms, {points['test_points']} test points",
        "transformed to": settings.get("transform", ""),
        "networks": f"{', '.join(settings['models'])}; seeds {', '.join(map(str, settings['seeds']))}",
        "fingerprint of the network": settings.get("network", ""),
        "training": ", ".join(f"{key} {value}" for key, value in settings["training"].items()),
        "dtype": settings["dtype"],
        "versions": ", ".join(f"{package} {number}" for package, number in settings["versions"].items()),
        "seconds": f"{settings['seconds']:.0f} for the measurements of all runs, without training"
        if "seconds" in settings
        else "",
    }
    return {key: text for key, text in lines.items() if text}


def next_commands(settings: Mapping[str, Any]) -> list[str]:
    """Command lines for the first network of a report, in the report's folder; ``settings`` as in ``numbers.json``."""
    model, data = settings["models"][0], settings["data"]
    weights = f"networks/{model}/seed-{settings['seeds'][0]}/epoch-{settings['training']['epochs']:04}.safetensors"
    network = f"tropica:{model} --weights {weights}"
    return [
        f"tropica trace {network} --data {data}",
        f"tropica decompose {network} --data {data} --method paper",
        f"tropica extract {network} --data {data} -o terms",
        f"tropica evaluate terms --data {data} --model {network}",
    ]
