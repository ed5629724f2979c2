"""``tropica decompose`` shows the numbers of ``tp.decompose``."""

import pytest
import torch

import tropica as tp
from tests.cli.folder import SMALL, refuse, saved, small_network, succeed

pytestmark = pytest.mark.usefixtures("folder")


@pytest.mark.parametrize("method", ["calibrated", "paper"])
def test_multipliers_and_f_minus(method):
    result = succeed(
        "decompose", *SMALL, "--data", "few.npz", "--method", method, "--dtype", "float64", "--json", "numbers.json"
    )
    numbers, data = saved("numbers.json"), tp.load_data("few.npz")
    decomposition = tp.decompose(small_network(), data, method=method, dtype=torch.float64)
    (nonlinearity,) = numbers["nonlinearities"]
    x = data.inputs.double()
    f_minus, logits = decomposition.f_minus(x), small_network().to(torch.float64)(x)
    assert nonlinearity["largest"] == pytest.approx(decomposition.summary().rows[0].largest)
    assert numbers["f_minus"]["smallest"] == pytest.approx(float(f_minus.min()))
    assert numbers["f_minus"]["largest"] == pytest.approx(float(f_minus.max()))
    assert numbers["f_minus"]["ratio"] == pytest.approx(float((f_minus / logits.abs().amax(1)).max()))
    assert (numbers["command"], numbers["points"], numbers["dtype"]) == ("decompose", 60, "float64")
    assert f"{nonlinearity['largest']:.3g}" in result.stdout


@pytest.mark.parametrize("per", ["network", "nonlinearity"])
def test_the_minimal_decomposition(per):
    """λ and the pairwise certificate are shown and written; its terms are extracted and checked."""
    options = ("--data", "few.npz", "--method", "minimal", "--per", per, "--dtype", "float64", "--json", "numbers.json")
    result = succeed("decompose", *SMALL, *options)
    numbers = saved("numbers.json")
    decomposition = tp.decompose(small_network(), tp.load_data("few.npz"), method="minimal", per=per, dtype=torch.float64)
    assert numbers["factors"] == pytest.approx(dict(decomposition.factors))
    assert numbers["certificate"]["holds"] is True
    assert "60 points × 60 terms" in " ".join(result.stdout.split())
    assert "smallest cotangent" not in result.stdout


def test_options_of_the_minimal_decomposition_go_with_it_alone():
    line = refuse("decompose", *SMALL, "--data", "few.npz", "--per", "nonlinearity")
    assert "options of the minimal decomposition; the calibrated decomposition has none" in line
