"""All studies in one report: every study is included, the page is self-contained, and a failed study is named."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import shutil
from html.parser import HTMLParser

import matplotlib.image
import pandas as pd
import pytest

import tropica as tp
from tests.studies.conftest import quick_studies
from tropica.data.labelled import LabelledData
from tropica.studies.datasets.load import load_data
from tropica.studies.prepare import PreparedStudy, prepare_study
from tropica.studies.registry import STUDIES
from tropica.studies.runner import ALL, run_studies, run_study
from tropica.studies.training.settings import TrainSettings

ONE = TrainSettings(epochs=1, batch_size=20, lr=1e-3)
VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """The content of a page; raises AssertionError for unclosed or wrongly nested tags."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.links, self.sources, self.text, self.tables = [], [], [], [], [], 0
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        found = dict(attrs)
        assert len(found) == len(attrs), f"{tag} has an attribute twice"
        self.tables += tag == "table"
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if "href" in found else []
        self.sources += [found["src"]] if "src" in found else []
        assert tag not in {"script", "link", "iframe", "object"}

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def small():
    return load_data("digits", limit=60), load_data("digits", split="test", limit=30)


def go(small, folder, **more):
    return run_studies(*small, folder, **{"models": ["fcn-small", "conv-small"], "runs": 1, "settings": ONE, **more})


@pytest.fixture(scope="module")
def whole(small, tmp_path_factory):
    """All studies, with fewer segments and random points."""
    folder = tmp_path_factory.mktemp("all")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tropica.studies.registry.STUDIES", quick_studies())
        return go(small, folder), folder


def only(monkeypatch, **changed):
    """A registry of a few quick studies, some of them changed."""
    few = quick_studies("table2", "cross", "implications", "share")
    studies = {name: dataclasses.replace(one, **changed.get(name, {})) for name, one in few.items()}
    monkeypatch.setattr("tropica.studies.registry.STUDIES", studies)
    return studies


def copied(whole, folder, names):
    """A copy of the runs of some studies, and of the networks."""
    for name in (*names, "networks"):
        shutil.copytree(whole[1] / name, folder / name)
    return folder


def stamps(folder):
    return {str(path): path.stat().st_mtime_ns for path in folder.glob("*/runs/*.json")}


@pytest.mark.slow
def test_every_study_is_in_the_report(whole):
    result, folder = whole
    assert result.failed == {}
    assert list(result.done) == list(STUDIES)
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert set(STUDIES) <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    text = " ".join(" ".join(page.text).split())
    for name, one in result.done.items():
        assert page.links.count(f"#{name}") == 1, "on the first screen"
        assert STUDIES[name].title in text
        for line in one.study.conclusions(one.results):
            assert " ".join(line.split()) in text
    tables = sum(len(one.study.tables(one.results)) for one in result.done.values())
    assert page.tables == tables + 3, "verdicts, settings and seconds once"
    assert text.index("verdict") < text.index(STUDIES["table2"].question[:40]) < text.index("seeds 0")
    for said in ("fcn-small, conv-small", "seeds 0", "torch", "epochs 1", "tropica study all --data digits"):
        assert said in text


@pytest.mark.slow
def test_the_report_needs_nothing_beside_it(whole):
    result, folder = whole
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert all(link.removeprefix("#") in page.ids for link in page.links)
    pictures = [path for one in result.done.values() for path in one.files.values() if path.suffix == ".png"]
    assert len(page.sources) == len(pictures) >= len(STUDIES)
    for source in page.sources:
        head, _, data = source.partition(",")
        assert head == "data:image/png;base64"
        height, width = matplotlib.image.imread(io.BytesIO(base64.b64decode(data, validate=True)), format="png").shape[:2]
        assert min(height, width) > 100
    assert "url(" not in (folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_numbers_and_folders(whole):
    result, folder = whole
    saved = json.loads((folder / "numbers.json").read_text(encoding="utf-8"))
    assert list(saved["studies"]) == list(STUDIES)
    assert saved["failed"] == {}
    assert saved["settings"]["seeds"] == [0]
    assert {"tropica", "torch", "python"} <= set(saved["settings"]["versions"])
    for name, one in result.done.items():
        assert (folder / name / "report.html").exists()
        assert saved["studies"][name]["findings"] == one.study.conclusions(one.results)
        assert saved["studies"][name]["seconds"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["table2", "cross", "shift", "leaky"])
def test_shared_decompositions_and_terms_change_nothing(small, whole, tmp_path, name):
    result, folder = whole
    alone = run_study(
        name, *small, tmp_path, models=["fcn-small", "conv-small"], runs=1, settings=ONE, networks=folder / "networks"
    )
    pd.testing.assert_frame_equal(alone.to_dataframe(), result.done[name].to_dataframe())


@pytest.mark.slow
def test_what_is_missing_is_measured_and_nothing_else(small, whole, tmp_path, monkeypatch):
    folder = copied(whole, tmp_path, only(monkeypatch))
    before = stamps(folder)
    missing = folder / "cross" / "runs" / "conv-small-0.json"
    missing.unlink()
    again = go(small, folder)
    after = stamps(folder)
    assert after.keys() == before.keys()
    assert [path for path in before if before[path] != after[path]] == [str(missing)]
    pd.testing.assert_frame_equal(again.done["cross"].to_dataframe(), whole[0].done["cross"].to_dataframe())


def test_an_interruption_keeps_what_is_whole(small, tmp_path, monkeypatch):
    studies, measure = only(monkeypatch), PreparedStudy.measure

    def interrupted(self, model, seed, cases=None):
        if self.study.name == "share":
            raise KeyboardInterrupt
        return measure(self, model, seed, cases)

    with monkeypatch.context() as patched:
        patched.setattr(PreparedStudy, "measure", interrupted)
        with pytest.raises(KeyboardInterrupt):
            go(small, tmp_path, models=["fcn-small"])
    before = stamps(tmp_path)
    assert len(before) == len(studies) - 1
    assert not (tmp_path / "report.html").exists()
    assert go(small, tmp_path, models=["fcn-small"]).failed == {}
    assert {path: stamp for path, stamp in stamps(tmp_path).items() if path in before} == before


@pytest.mark.slow
def test_a_study_that_fails_is_named_and_the_others_are_whole(small, whole, tmp_path, monkeypatch):
    def broken(case):
        raise ZeroDivisionError("one <by>\nnothing")

    def unfinished(results):
        raise tp.InputError("no figure today")

    only(monkeypatch, cross={"measure": broken}, share={"figures": unfinished})
    folder = copied(whole, tmp_path, ("table2", "implications", "share"))
    result = go(small, folder)
    assert list(result.done) == ["table2", "implications"]
    assert result.failed == {
        "cross": "fcn-small, seed 0: ZeroDivisionError: one <by> nothing",
        "share": "tables and figures: no figure today",
    }
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    text = " ".join(" ".join(page.text).split())
    assert "The study cross failed: fcn-small, seed 0: ZeroDivisionError: one <by> nothing" in text
    assert set(page.ids) == {"table2", "cross", "implications", "share"}
    assert json.loads((folder / "numbers.json").read_text())["failed"] == result.failed


@pytest.mark.slow
def test_a_study_that_the_models_do_not_suit_is_named(small, whole, tmp_path, monkeypatch):
    only(monkeypatch)

    def picky(name, *args, **more):
        if name == "cross":
            raise tp.InputError("cross takes no convolutions")
        return prepare_study(name, *args, **more)

    monkeypatch.setattr("tropica.studies.runner.prepare_study", picky)
    result = go(small, copied(whole, tmp_path, ("table2", "implications", "share")))
    assert result.failed == {"cross": "cross takes no convolutions"}
    assert list(result.done) == ["table2", "implications", "share"]


@pytest.mark.slow
def test_what_will_not_do_is_refused_before_anything_is_written(small, whole, tmp_path):
    train, test = small
    with pytest.raises(tp.DataError, match="have no labels"):
        go((LabelledData(train.inputs, None, "bare"), test), tmp_path / "x")
    with pytest.raises(tp.InputError, match="there is no model 'resnet'"):
        go(small, tmp_path / "x", models=["resnet"])
    with pytest.raises(tp.InputError, match="1 … 60; found 61"):
        go(small, tmp_path / "x", terms=61)
    assert not (tmp_path / "x").exists()
    with pytest.raises(tp.InputError, match="holds runs with other settings: terms 60 there and 50 here"):
        go(small, whole[1], terms=50)
    assert ALL not in STUDIES
