"""A small demo: its files, and its numbers recomputed by the library from the saved networks."""

import json

import pytest
import safetensors.torch
import torch

import tropica as tp
from tests.studies.conftest import rows
from tests.studies.test_several import Page
from tropica.studies.demo import MODELS, STUDIES, run_demo
from tropica.studies.networks import build

# The demo on all of digits is slow; the example of `run_demo` runs it in the default suite.
slow = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "new" / "folder"
    steps: list[str] = []
    result = run_demo(folder, epochs=2, seed=3, progress=lambda done, total, message: steps.append(message))
    return folder, result, steps


@slow
def test_folder(demo):
    folder, result, _ = demo
    assert {path.name for path in folder.iterdir()} == {*STUDIES, "networks", "numbers.json", "report.html"}
    assert result.failed == {}
    assert tuple(result.done) == STUDIES
    for name, one in result.done.items():
        assert {path.name for path in (folder / name).iterdir()} == {*one.files, "runs"}
    weights = [path.name for path in (folder / "networks" / "fcn4" / "seed-3").glob("epoch*")]
    assert sorted(weights) == ["epoch-0000.safetensors", "epoch-0002.safetensors"]


@slow
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("method", ["calibrated", "paper"])
def test_numbers_are_the_library_s(demo, model, method):
    folder, result, _ = demo
    (row,) = rows(result.done["table2"], model=model, decomposition=method)
    data, test = tp.load_data("digits"), tp.load_data("digits", split="test")
    network = build(model, (1, 8, 8), 10)
    network.load_state_dict(safetensors.torch.load_file(folder / "networks" / model / "seed-3" / "epoch-0002.safetensors"))
    net = tp.trace(network.eval(), data.inputs[:2])
    decomposition = tp.decompose(net, data, method=method)
    terms = tp.extract(net, data, decomposition)
    f = tp.ExtractedFunction(terms)
    shares = tp.agreement(net, f, test)
    assert row["terms"] == len(data) == 1442
    for key in ("network_extracted", "network_true", "extracted_true"):
        assert row[key] == getattr(shares, key)
    assert row["certificate_holds"] is terms.certificate.holds is True
    assert row["passes"] == decomposition.passes
    assert row["largest_multiplier"] == pytest.approx(decomposition.summary().largest, rel=1e-6)
    f_minus = decomposition.f_minus(data.inputs)
    assert row["largest_f_minus"] == pytest.approx(float(f_minus.max()), rel=1e-6)
    with torch.no_grad():
        ratio = f_minus / net(data.inputs).double().abs().amax(1)
    assert row["largest_f_minus_ratio"] == pytest.approx(float(ratio.max()), rel=1e-6)
    active, own = f.active_term(test), tp.extract(net, test, decomposition, check="none")
    points = result.done["figure2"].results.first_run(model)[method]
    angle, distance = tp.angles(own.local, terms.local[active]), tp.distances(own.local, terms.local[active])
    torch.testing.assert_close(torch.tensor(points["angle"], dtype=torch.float64), angle, atol=6e-4, rtol=0)
    torch.testing.assert_close(torch.tensor(points["distance"], dtype=torch.float64), distance, atol=0, rtol=1e-4)
    assert points["right"] == (terms.labels[active] == test.labels).tolist()


@slow
def test_report(demo):
    folder, result, _ = demo
    source = (folder / "report.html").read_text(encoding="utf-8")
    page = Page(source)
    assert set(page.ids) == set(STUDIES)
    assert len(page.sources) == sum(file.endswith(".png") for one in result.done.values() for file in one.files) == 5
    assert all(image.startswith("data:image/png;base64,") for image in page.sources)
    text = " ".join(page.text)
    for share in result.done["table2"].to_dataframe()["extracted_true"]:
        assert f"{100 * share:.1f}" in text
    for wanted in ("97.7 ± 0.2", "calibrated", "of 1 hold", "adam", "torch", "seconds", "tropica extract"):
        assert wanted in text
    assert str(folder) not in source
    saved = json.loads((folder / "numbers.json").read_text())
    assert (saved["settings"]["training"]["epochs"], saved["settings"]["seeds"]) == (2, [3])


@slow
def test_one_bar_for_each_study(demo):
    """All progress is reported under the name of a study."""
    assert {"all studies: networks", "study table2", "study figure2"} <= set(demo[2])
    assert set(demo[2]) <= {"all studies: networks", *(f"study {name}" for name in STUDIES)}


def test_threads_are_restored(tmp_path):
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
