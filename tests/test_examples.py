"""The scripts in examples/ run unchanged, and print the paper's numbers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"

SAYS = {
    "figure1.py": ["6 of 6 monomials", "2 bounded edges, 6 rays"],
    "example_c2.py": [
        "G: 4 upper vertices; curve: 1 vertices, 0 bounded edges, 4 rays",
        "H: 7 upper vertices; curve: 3 vertices, 3 bounded edges, 6 rays",
        "F: 8 upper vertices; curve: 7 vertices, 9 bounded edges, 5 rays",
        "[(1, 7), (6, 1), (7, 0), (10, 13), (14, 12)]",
        "P(G) is a zonotope of dimension 2 in ℝ³, P(H) one of dimension 3",
        "linear output: 16 activation cells, 16 linear regions, 16 cells",
        "ReLU output: 23 activation cells, 15 linear regions, 17 cells",
        "Theorem 6.3: 16",
    ],
}


def test_every_example_is_run() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAYS)


@pytest.mark.parametrize("name", SAYS)
def test_examples(name: str, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    environment = {**os.environ, "PYTHONIOENCODING": "utf8"}
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), str(picture)], capture_output=True, text=True, encoding="utf8", env=environment
    )
    assert done.returncode == 0, done.stderr
    for words in SAYS[name]:
        assert words in done.stdout
    height, width = matplotlib.image.imread(picture).shape[:2]
    assert min(height, width) > 100
