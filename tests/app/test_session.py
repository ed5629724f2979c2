"""Terms that the explorer extracts itself: cancelled, resumed and read from the store; what is too large for the memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import tropica as tp
from tests.app.explored import small_inputs
from tropica.app.decompositions import make_decided, stores_by_method
from tropica.app.jobs import Cancelled, Job
from tropica.app.session import Session


def quiet(done: int, total: int, message: str) -> None:
    """A report that nobody reads."""


def test_an_extraction_is_cancelled_and_resumed(tmp_path: Path):
    inputs, folder = small_inputs(), tmp_path / "terms"
    seen = []

    def stop(done: int, total: int, message: str) -> None:
        seen.append((done, message))
        if message.startswith("extracting") and done:
            raise Cancelled

    with pytest.raises(Cancelled):
        make_decided(inputs, "calibrated", folder, stop)
    assert any(done for done, _ in seen)
    made = make_decided(inputs, "calibrated", folder, quiet)
    assert str(folder) in made.lines
    assert len(made.terms) == len(inputs.training)
    assert tp.check_terms(folder)[1] == []
    x = inputs.test.inputs
    assert torch.equal(made.f.predict(x), tp.ExtractedFunction(tp.extract(inputs.net, inputs.training)).predict(x))
    tp.extract(inputs.net, inputs.training, "paper", out=tmp_path / "paper")
    found = stores_by_method((tmp_path / "new", tmp_path / "paper", folder))
    assert found == {"paper": tmp_path / "paper", "calibrated": folder, "minimal": tmp_path / "new"}


def test_a_store_of_other_points_is_said(tmp_path: Path):
    inputs = small_inputs()
    tp.extract(inputs.net, inputs.training.inputs[:50], out=tmp_path / "few")
    with pytest.raises(tp.InputError, match="the terms are of 50 points, the training data has 120"):
        make_decided(inputs, "calibrated", tmp_path / "few", quiet)
    with pytest.raises(tp.InputError, match=r"give a folder for them, --terms DIR"):
        make_decided(replace(inputs, memory=1000), "calibrated", None, quiet)


def test_a_session_cancels_and_begins_again():
    session = Session(lambda report: small_inputs(), "0")
    session.loading.wait(120)
    assert session.loading.state == "done", session.loading.error
    job = session.start("minimal")
    session.cancel("minimal")
    job.wait(60)
    assert job.state in ("cancelled", "done")
    session.start("minimal", again=True).wait(60)
    assert session.decided("minimal").table.complete


def test_a_failed_job_says_what_was_wrong():
    def fail(report):
        raise OSError(2, "No such file or directory", "weights.safetensors")

    job = Job(fail, "loading")
    job.wait(10)
    assert (job.state, job.error) == ("failed", "weights.safetensors: No such file or directory")
