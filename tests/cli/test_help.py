"""Help texts: their examples run in an empty folder, and they name what there is to name, without torch."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.folder import succeed
from tropica.cli.app import APP_EXAMPLES, COMMANDS
from tropica.cli.options import DATA_SETS
from tropica.studies.architectures import MODELS
from tropica.studies.datasets.load import EMBEDDED, SHORTHANDS
from tropica.studies.names import STUDY_TITLES
from tropica.studies.registry import STUDIES

NAMES = {one.__name__.replace("_", "-"): one for one in COMMANDS}
QUICK = ("trace", "check", "region")
"""Commands whose examples run with every test; those of the others are slow."""
ORDER = (
    *("data", "subset", "limit", "test-limit", "label", "train", "weights", "arg"),
    *("dtype", "memory", "device", "figure", "csv", "json", "threads", "help"),
)
NOISY = """
import torch
print("hello")
net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))
"""
HEAVY = ("torch", "numpy", "matplotlib", "sklearn", "pandas", "rich")


def help_of(name: str) -> str:
    return " ".join(succeed(name, "--help").stdout.split())


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in NAMES])
def test_every_example_of_every_help_text_runs_in_an_empty_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TROPICA_DATA", raising=False)
    lines = re.findall(r"^    (tropica .*)$", succeed(name, "--help").stdout.split("Examples:")[1], re.MULTILINE)
    assert lines == list(NAMES[name].examples)
    assert any(line.split()[1] == name for line in lines)
    for line in lines:
        succeed(*shlex.split(line)[1:])


@pytest.mark.slow
def test_the_examples_of_the_explorer_load_what_they_name(tmp_path, monkeypatch):
    """Its server would run until Ctrl-C; what it loads is loaded here."""
    monkeypatch.chdir(tmp_path)
    seen = []
    monkeypatch.setattr("tropica.app.serve.serve", lambda load, *_, **__: seen.append(load(lambda *_: None)))
    for line in APP_EXAMPLES:
        succeed(*shlex.split(line)[1:])
    namespace: dict = {}
    exec(seen[0].lines, namespace)  # the Python lines that the page shows
    assert namespace["net"].fingerprint == seen[0].net.fingerprint


@pytest.mark.parametrize("name", NAMES)
def test_options_have_one_order_and_every_command_has_json(name):
    options = re.findall(r"^  (?:-\w, )?--([a-z-]+)", succeed(name, "--help").stdout, re.MULTILINE)
    assert [one for one in ORDER if one in options] == [one for one in options if one in ORDER]
    assert options[-3:] == ["json", "threads", "help"]


def test_help_names_studies_networks_and_data_sets():
    assert list(STUDY_TITLES) == list(STUDIES)
    assert set(DATA_SETS) == {*EMBEDDED, *SHORTHANDS}
    study, train = help_of("study"), help_of("train")
    assert f"{', '.join(STUDY_TITLES)}; or all" in study.replace("- ", "-")
    assert ", ".join(MODELS) in train.replace("- ", "-")
    assert all(word in study for word in (*DATA_SETS, "TROPICA_DATA", *MODELS))


def test_help_loads_nothing_heavy():
    code = f"""
import sys
from typer.testing import CliRunner
from tropica.cli import app
for arguments in (["--help"], *([command, "--help"] for command in {list(NAMES)!r})):
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    loaded = [name for name in {HEAVY!r} if name in sys.modules]
    assert not loaded, (arguments, loaded)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def complete(words: str, shell: str = "bash") -> list[str]:
    """What the shell would offer for the last of the words."""
    environment = os.environ | {
        "_TROPICA_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    code = "import sys; sys.argv[0] = 'tropica'; from tropica.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout.split()


def test_the_shell_completes_commands_and_names():
    assert complete("tropica infl") == ["influence"]
    assert complete("tropica study figure") == [f"figure{k}" for k in range(1, 6)]
    assert complete("tropica trace m --data mn") == ["mnist1d", "mnist"]


def test_json_on_standard_output_stands_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "noisy.py").write_text(NOISY)
    monkeypatch.setattr(sys, "path", sys.path[:])
    from typer.testing import CliRunner

    from tropica.cli import app

    result = CliRunner().invoke(app, ["trace", "noisy:net", "--data", "digits", "--json", "-"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["num_outputs"] == 3
    assert "hello" in result.stderr
    assert "3 logits" in result.stderr
    assert not Path("-").exists()
