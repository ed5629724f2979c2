"""``tropica explain``, ``influence``, ``layerwise`` and ``compare`` print and write the numbers of the library."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import tropica as tp
from tests.cli.folder import assert_matches, refuse, saved, small_network, succeed

pytestmark = pytest.mark.usefixtures("folder")
MODEL = ("--model", "small.pt2", "--data", "few.npz")


@pytest.fixture
def f(folder: Path) -> tp.ExtractedFunction:
    succeed("extract", "small.pt2", "--data", "few.npz", "-o", "terms", "--check", "none")
    return tp.ExtractedFunction(tp.load_terms("terms"))


def test_explain(f: tp.ExtractedFunction):
    result = succeed("explain", "terms", *MODEL, "--point", 4, "--point", 2, "-k", 3, "--out", "why", "--json", "e.json")
    train, test = (tp.load_data("few.npz", split=split) for split in ("train", "test"))
    chosen = tp.LabelledData(test.inputs[[4, 2]], test.labels[[4, 2]], "few")  # type: ignore[index]
    expected = tp.explain(small_network(), f, chosen, k=3, data=train)
    numbers = saved("e.json")
    assert [row["point"] for row in numbers["points"]] == [4, 2]
    assert [[t["term"] for t in row["terms"]] for row in numbers["points"]] == expected.top.index.tolist()
    assert [row["margin"] for row in numbers["points"]] == expected.margin.tolist()
    assert numbers["same_network"]
    assert expected.heading(0).replace("point 0", "point 4") in result.stdout
    assert {path.name for path in Path("why").iterdir()} == {"explain.csv", "point-4.png", "point-2.png"}
    with open("why/explain.csv", newline="") as file:
        assert [int(row["point"]) for row in csv.DictReader(file)] == [4] * 3 + [2] * 3
    wrong = (f.predict(test) != test.labels).nonzero().flatten().tolist()[:5]
    succeed("explain", "terms", *MODEL, "--json", "e.json")
    assert [row["point"] for row in saved("e.json")["points"]] == wrong
    assert_matches("--point 30: .*0 … 29", refuse("explain", "terms", *MODEL, "--point", 30))
    assert_matches("not a folder of terms", refuse("explain", "small.pt2", *MODEL))


def test_influence(f: tp.ExtractedFunction):
    succeed("influence", "terms", "--data", "few.npz", "--csv", "i.csv", "--json", "i.json")
    expected = tp.influence(f, tp.load_data("few.npz", split="test"))
    numbers = saved("i.json")
    assert (numbers["never"], numbers["deciding_half"]) == (expected.never, expected.deciding_half)
    with open("i.csv", newline="") as file:
        assert [int(row["decides"]) for row in csv.DictReader(file)] == expected.to_dataframe()["decides"].tolist()


def test_layerwise():
    succeed("layerwise", "small.pt2", "--data", "few.npz", "--figure", "l.png", "--json", "l.json", "--test-limit", 20)
    train, test = tp.load_data("few.npz"), tp.load_data("few.npz", split="test", limit=20)
    expected = tp.layerwise(small_network(), train, test)
    assert saved("l.json")["rows"] == [vars(row) for row in expected.rows]
    assert Path("l.png").stat().st_size > 1000
    assert_matches("nothing in the network is called", refuse("layerwise", "small.pt2", "--data", "few.npz", "--at", "no"))


def test_compare():
    arguments = ("nets:small", "small.pt2", "--data", "few.npz", "--arg-a", "width=5")
    succeed("compare", *arguments, "--figure", "c.png", "--json", "c.json")
    numbers = saved("c.json")
    assert numbers["network b = extracted b"] is not None
    assert -1 <= numbers["mean correlation of coefficients"] <= 1
    assert Path("c.png").stat().st_size > 1000


def test_a_regression_with_its_targets_in_the_table():
    rows = [f"{i / 7},{i % 3},{i / 2 - 1}" for i in range(12)]
    for split in ("train", "test"):
        Path(f"reg-{split}.csv").write_text("\n".join(["a,b,price", *rows]))
    data = ("--data", "reg-{split}.csv", "--label", "price")
    assert_matches("floats are no classes.*--task regression", refuse("extract", "nets:plain", *data, "-o", "r0"))
    succeed("trace", "nets:plain", *data)
    succeed("extract", "nets:plain", *data, "--task", "regression", "-o", "r")
    succeed("decompose", "nets:plain", *data, "--task", "regression")
    assert "R²" in succeed("evaluate", "r", "--model", "nets:plain", *data).stdout
    assert "R²" in succeed("evaluate", "nets:plain", *data, "--streaming", "--task", "regression").stdout
    assert "output" in succeed("explain", "r", "--model", "nets:plain", *data, "--output", 1).stdout
