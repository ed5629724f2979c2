"""The structure of the code base: no circular imports, absolute imports, small files, lazy public names.

The order of the layers is a contract of import-linter.
"""

from __future__ import annotations

import ast
from pathlib import Path

import networkx as nx
import pytest

import tropica as tp

SRC = Path(tp.__file__).parents[1]
FILES = sorted((SRC / "tropica").rglob("*.py"))
MOST_LINES = 400


def module_of(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


def imported(path: Path) -> set[str]:
    """Modules of tropica that a file imports, at the top level, in functions or for type checkers."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found.update(name if name in MODULES else node.module for name in names)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return found & MODULES.keys()


def test_no_circular_imports() -> None:
    graph = nx.DiGraph([(name, other) for name, path in MODULES.items() for other in imported(path)])
    graph.remove_nodes_from([name for name in graph if name == "tropica"])
    assert [sorted(circle) for circle in nx.strongly_connected_components(graph) if len(circle) > 1] == []
    assert list(nx.selfloop_edges(graph)) == []


def test_imports_are_absolute() -> None:
    relative = [
        path.name
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8")))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []


@pytest.mark.parametrize("root", ["src", "tests"])
def test_files_are_small(root: str) -> None:
    folder = SRC.parent / root
    lines = {path: len(path.read_text(encoding="utf8").splitlines()) for path in folder.rglob("*.py")}
    assert {str(path): count for path, count in lines.items() if count > MOST_LINES and path.name != "test_segment.py"} == {}


def test_public_names() -> None:
    """Every public name resolves, and no top-level module has the name of a public function."""
    for name in tp.__all__:
        assert getattr(tp, name) is not None
    tops = {path.stem for path in (SRC / "tropica").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    packages = {"bounds", "plots", "polyhedra", "studies", "tropical"}
    assert tops & set(tp.__all__) == packages
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        tp.nothing  # noqa: B018
