"""The code blocks of the README and the documentation run unchanged, and their links resolve."""

from __future__ import annotations

import doctest
import importlib
import re
import shlex
import sys
from pathlib import Path

import nbformat
import pytest
from typer.testing import CliRunner

import tropica as tp
from tropica.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(p for p in (ROOT / "docs").rglob("*.md") if "_build" not in p.parts),
]
NOTEBOOKS = ["regions.ipynb", "tropical.ipynb", "what_decided.ipynb"]

MODELS = """
import tropica.studies.networks

def make():
    return tropica.studies.networks.build("fcn-small", (1, 8, 8), seed=0)
"""


def name_of(page: Path) -> str:
    """A page's path in the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    """Fenced code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf8"), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page, "python"):
        exec(compile(block, str(page), "exec"), namespace)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_tropica_commands_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process: tests/cli/test_app.py runs the program in its own."""
    if page.name != "README.md":  # its commands need no file that a reader has not got
        (tmp_path / "mymodels.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    for line in "".join(blocks(page, "bash")).replace("\\\n", " ").splitlines():
        if line.startswith("tropica "):
            done = CliRunner().invoke(app, shlex.split(line, comments=True)[1:])
            sys.modules.pop("mymodels", None)
            assert done.exit_code == 0, f"{line}\n{done.output}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_resolve(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf8")):
        assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_every_public_name_has_an_api_entry_and_an_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    pages = importlib.import_module("public_names")
    assert pages.missing() == []
    names = [name for _, names in pages.lists().values() for name in names]
    assert len(names) == len(set(names)) >= 218
    assert pages.without_example() == []
    runner = doctest.DocTestRunner()
    for name in pages.constants():  # pytest runs the examples of classes and functions only
        runner.run(doctest.DocTestParser().get_doctest(pages.documented(name), {"tp": tp}, name, None, 0))
    assert (runner.tries >= 4, runner.failures) == (True, 0)


def notebook(name: str) -> nbformat.NotebookNode:
    """A notebook of the documentation, with the outputs that it shows."""
    return nbformat.read(ROOT / "docs" / "notebooks" / name, as_version=4)


def shown(cell: nbformat.NotebookNode) -> list[list[str]]:
    """The kinds of a cell's outputs."""
    return [sorted(output.get("data", {"stream": ""})) for output in cell.get("outputs", ())]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebooks_show_a_whole_run(name: str) -> None:
    cells = [cell for cell in notebook(name).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert sum(map(len, map(shown, cells))) >= len(cells) - 1
    outputs = [output for cell in cells for output in cell.outputs]
    assert all(output.output_type in ("display_data", "execute_result") for output in outputs)
    assert any("image/png" in output.data for output in outputs)
    assert "<progress" not in str(outputs)  # a bar leaves nothing behind


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebooks_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "notebooks"))
    found = importlib.import_module("make").run(ROOT / "docs" / "notebooks" / name, tmp_path)
    assert list(map(shown, found.cells)) == list(map(shown, notebook(name).cells))
