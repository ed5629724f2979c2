"""Notebook representations and tables of tropical results."""

from __future__ import annotations

from fractions import Fraction

import pandas as pd
import pytest
import torch

import tropica as tp
from tests.tropical.networks import c2, graph, mlp
from tropica.tropical.dc_polynomials import decomposition_polynomials
from tropica.tropical.generator_pruning import drop_generators
from tropica.tropical.monomial_pruning import simplify
from tropica.tropical.overlay import overlay


def test_polynomials_are_latex() -> None:
    p = tp.TropicalPolynomial({(2, 0): -1, (0, 1): "1/3", (0, 0): 0.1})
    assert p.latex() == (
        r"(-1) \odot x_{1}^{2} \oplus \tfrac{1}{3} \odot x_{2} \oplus \tfrac{3602879701896397}{36028797018963968}"
    )
    assert p._repr_latex_() == r"$\text{max-plus: } (-1) \odot x_{1}^{2} \oplus \tfrac{1}{3} \odot x_{2} \oplus 0.1\ldots$"
    assert p._repr_html_().startswith(p._repr_latex_() + "<svg")
    for result in (p.hypersurface(), p.dual_subdivision(), tp.MinPlusPolynomial(p).hypersurface(), p / p):
        assert result._repr_html_().count("M") >= 3
        assert "<svg" in result._repr_html_()
    assert "svg" not in tp.TropicalPolynomial({(1, 0, 0): 0, (0, 0, 0): 1}).hypersurface()._repr_html_()
    assert "svg" in tp.TropicalPolynomial({(1, 0): 0, (0, 0): 1}).hypersurface()._repr_html_()  # a line without a vertex
    many = tp.TropicalPolynomial({i: -i * i for i in range(2000)})
    assert many._repr_html_() == r"$\text{max-plus: } \text{2,000 monomials}$"
    r = tp.TropicalPolynomial({1: 0}) / many
    assert r._repr_html_() == r"$\text{max-plus: } \left(0 \odot x_{1}\right) \oslash \left(\text{2,000 monomials}\right)$"
    assert tp.MinPlusPolynomial({1: 0, 0: 2})._repr_html_() == r"$\text{min-plus: } 0 \odot x_{1} \oplus 2$"


def test_hypersurfaces_and_subdivisions_are_latex() -> None:
    line = tp.parse_tropical("min(x, y, 1/2)")
    curve = line.hypersurface()
    ways = ("(0, 1)", "(1, 0)", "(-1, -1)")
    ray = r"(\left\{{(\tfrac{{1}}{{2}}, \tfrac{{1}}{{2}})\right\}} + \operatorname{{cone}}\{{{}\}})"
    assert sorted(curve.latex().split(r" \cup ")) == sorted(map(ray.format, ways))
    assert curve._repr_latex_() == rf"$\text{{min-plus: }} {curve.latex()}$"
    assert line.dual_subdivision().latex() == r"\left\{\operatorname{conv}\{(1, 0), (0, 1), (0, 0)\}\right\}"
    point = tp.TropicalPolynomial({(1, 2): 0})
    assert (point.hypersurface().latex(), point.dual_subdivision().latex()) == (
        r"\varnothing",
        r"\left\{\left\{(1, 2)\right\}\right\}",
    )
    flat = tp.TropicalPolynomial({(1, 0): 0, (0, 0): 10**20}).hypersurface()
    assert flat.latex() == r"\left\{(100000000000000000000, 0)\right\} + \operatorname{span}\{(0, 1)\}"
    assert r"(1e+20\ldots, 0)" in flat._repr_latex_()
    many = tp.TropicalPolynomial({i: -i * i for i in range(20)})
    assert many.hypersurface()._repr_latex_() == r"$\text{max-plus: } \text{19 facets}$"


def test_results_are_tables() -> None:
    m = tp.to_tropical(c2(last=True))
    assert m.to_dataframe().values.tolist() == [[0, 8, 4]]
    cells = overlay(m)
    table = cells.to_dataframe()
    assert list(table) == ["region", "map", "f0", "g0"]
    assert (len(table), table["region"].nunique(), table["map"].nunique()) == (len(cells), cells.regions, cells.maps)
    (polytopes,) = tp.zonotopes(c2(last=True))
    table = polytopes.to_dataframe().set_index("polytope")
    assert table["dimension"].to_dict() == {"P(F)": 3, "P(G)": 2, "P(H)": 3}
    assert pd.isna(table.loc["P(F)", "generators"])
    superset = tp.boundary_superset(c2(), threshold=Fraction(1, 4))
    table = superset.to_dataframe()
    assert len(table) == len(superset.polynomial)
    assert {label for labels in table["labels"] for label in labels} == {0, 1}
    for result in (m, cells, polytopes, superset):
        assert "<table" in result._repr_html_()
    assert repr(polytopes).startswith("LayerPolytopes(vertices of P(F): ")
    assert repr(superset) == f"BoundarySuperset({len(superset.polynomial)} monomials in 2 variables, threshold 1/4)"


def test_reprs_are_one_line() -> None:
    model = mlp(2, 4, 2, seed=1)
    net = graph(model, 2)
    results = (
        tp.boundary_superset(net),
        decomposition_polynomials(tp.decompose(net, method="paper")),
        simplify(tp.TropicalPolynomial({2: 0, 1: -1, 0: 0}), [[-2.0], [2.0]]),
        drop_generators(model, tp.Box(-1, 1, d=2), keep=2),
    )
    for result in results:
        assert "\n" not in repr(result)
        assert len(repr(result)) < 200
    assert repr(results[2]) == "Simplified(TropicalPolynomial, 2 of 3 monomials kept, error 0)"


def test_margins() -> None:
    p = tp.TropicalPolynomial({(1, 0): 0, (0, 1): 0, (0, 0): -1})
    x = torch.tensor([[1.0, 1.0], [2.0, 0.0]])
    assert p.margin(x).tolist() == [0, 2]
    assert p.margin([2.0, 0.0]) == 2
    assert tp.TropicalPolynomial({(1, 0): 0}).margin(x).tolist() == [float("inf")] * 2
    with pytest.raises(tp.InputError, match="shape"):
        p.margin([[1.0]])
