"""The demo, small: all files are there, and its numbers are those that the library gives for the networks it saved."""

import json
import re
from html.parser import HTMLParser

import pytest
import safetensors.torch
import torch
from PIL import Image

import tropica as tp
from tropica.studies.demo.demo import run_demo
from tropica.studies.demo.figures import examples
from tropica.studies.experiments.sizes import potential_sizes
from tropica.studies.networks import build

FILES = {
    "angle-distance.png",
    "conv-small.safetensors",
    "demo.json",
    "fcn4.safetensors",
    "report.html",
    "term-images.png",
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "new" / "folder"
    steps: list[str] = []
    result = run_demo(folder, epochs=2, seed=3, progress=lambda done, total, message: steps.append(message))
    return folder, result, steps


def network(folder, model) -> torch.nn.Module:
    net = build(model, (1, 8, 8), 10)
    net.load_state_dict(safetensors.torch.load_file(folder / f"{model}.safetensors"))
    return net.eval()


def test_files_and_nothing_else(demo):
    folder, result, _ = demo
    assert {path.name for path in folder.iterdir()} == set(result.files) == FILES
    assert all(result.files[name] == folder / name for name in FILES)


@pytest.mark.parametrize(("name", "model"), [("FCN", "fcn4"), ("CNN", "conv-small")])
@pytest.mark.parametrize("method", ["calibrated", "paper"])
def test_numbers_are_the_library_s(demo, name, model, method):
    numbers = json.loads((demo[0] / "demo.json").read_text())
    (row,) = (row for row in numbers["rows"] if (row["network"], row["decomposition"]) == (name, method))
    points = numbers["points"][name][method]
    data, test = tp.load_data("digits"), tp.load_data("digits", split="test")
    net = tp.trace(network(demo[0], model), data.inputs[:2])
    decomposition = tp.decompose(net, data, method=method)
    terms = tp.extract(net, data, decomposition)
    f = tp.ExtractedFunction(terms)
    shares = tp.agreement(net, f, test)
    assert row["model"] == model
    assert row["terms"] == len(data) == 1442
    for key in ("network_extracted", "network_true", "extracted_true"):
        assert row[key] == getattr(shares, key)
    assert row["certificate_holds"] is terms.certificate.holds is True
    assert row["passes"] == decomposition.passes
    assert row["largest_k"] == pytest.approx(decomposition.summary().largest, rel=1e-6)
    assert row["largest_potential"] == pytest.approx(float(decomposition.f_minus(data.inputs).max()), rel=1e-6)
    assert row["largest_ratio"] == pytest.approx(potential_sizes(decomposition, data).ratio, rel=1e-6)
    winner = f.active_term(test)
    own = tp.extract(net, test, decomposition, check=False)
    assert test.labels is not None
    assert points["true"] == test.labels.tolist()
    assert points["winner"] == winner.tolist()
    assert points["extracted"] == terms.labels[winner].tolist()
    assert points["network"] == own.labels.tolist() == net.predict(test.inputs).tolist()
    torch.testing.assert_close(torch.tensor(points["angle"], dtype=torch.float64), tp.angles(own.local, terms.local[winner]))
    found = tp.distances(own.local, terms.local[winner])
    torch.testing.assert_close(torch.tensor(points["distance"], dtype=torch.float64), found)


def test_result_is_the_file(demo):
    folder, result, _ = demo
    saved = json.loads((folder / "demo.json").read_text())
    assert [row["extracted_true"] for row in saved["rows"]] == [row.extracted_true for row in result.rows]
    assert saved["settings"] | {"epochs": 2, "seed": 3, "threads": 1} == saved["settings"]
    assert set(saved["versions"]) >= {"tropica", "torch", "python"}
    assert 0 < saved["seconds"] <= result.seconds
    assert result.holds


def test_figures_can_be_read(demo):
    for name in FILES:
        if name.endswith(".png"):
            with Image.open(demo[0] / name) as image:
                assert image.width == 1050
                assert image.height > 300
                assert len(image.convert("RGB").getcolors(10**7) or []) > 20


class _Outline(HTMLParser):
    """Open tags, and all text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.images: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.images.append(dict(attrs)["src"] or "")
            assert dict(attrs)["alt"]
        elif tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_report_is_whole_and_needs_nothing_beside_it(demo):
    folder, result, _ = demo
    page = _Outline()
    source = (folder / "report.html").read_text(encoding="utf-8")
    page.feed(source)
    assert not page.open
    assert len(page.images) == 2
    assert all(image.startswith("data:image/png;base64,") for image in page.images)
    assert not re.search(r'(src|href)="(?!data:)', source)
    for row in result.rows:
        assert f"{100 * row.extracted_true:.1f}" in page.text
    for wanted in ("97.7 ± 0.2", "calibrated", "holds", "Adam", "torch", "seconds", "tropica extract"):
        assert wanted in page.text
    assert str(folder) not in source


def test_one_bar_a_step(demo):
    assert set(demo[2]) == {
        f"{name}: {step}"
        for name in ("FCN", "CNN")
        for step in ("training", "terms, calibrated decomposition", "terms, paper decomposition")
    }


def test_threads_are_given_back(demo, tmp_path):
    before = torch.get_num_threads()
    with pytest.raises(tp.InputError, match="epochs"):
        run_demo(tmp_path / "x", epochs=0, threads=before + 1, progress=False)
    assert torch.get_num_threads() == before
    assert not (tmp_path / "x").exists()


def test_a_file_in_the_way_is_refused_at_once(tmp_path):
    (tmp_path / "taken").write_text("mine")
    for out in (tmp_path / "taken", tmp_path / "taken" / "below"):
        with pytest.raises(tp.InputError, match="a folder is needed"):
            run_demo(out, progress=False)
    assert (tmp_path / "taken").read_text() == "mine"


def test_examples_with_nothing_right_or_nothing_wrong():
    truth = torch.tensor([0, 1, 2, 3, 3])
    assert examples(truth, truth).tolist() == [0, 1, 2]
    assert examples(truth + 1, truth).tolist() == [0, 1, 2]
