"""Text to tropical functions: against Python's own arithmetic on Fractions."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tropica as tp
from tests.sizes import examples
from tropica.errors import InputError

NUMBERS = st.sampled_from(["0", "1", "2.5", "1/3", "3", "-2", "1e-2"])


def expressions():
    atoms = st.one_of(NUMBERS, st.sampled_from(["x", "y", "2*x", "y/3", "-x"]))

    def more(inner):
        pair = st.tuples(inner, inner)
        return st.one_of(
            pair.map(lambda t: f"max({t[0]}, {t[1]})"),
            pair.map(lambda t: f"min({t[0]}, {t[1]}, 1)"),
            pair.map(lambda t: f"({t[0]}) - ({t[1]})"),
            pair.map(lambda t: f"{t[0]} + {t[1]}"),
            inner.map(lambda e: f"-2*({e})/3"),
        )

    return st.recursive(atoms, more, max_leaves=5)


@examples(120)
@given(expressions(), st.sampled_from([None, "max", "min"]), st.tuples(*[st.fractions(-9, 9, max_denominator=6)] * 2))
def test_values(text, convention, point) -> None:
    f = tp.parse_tropical(text, variables=["x", "y"], convention=convention)
    fractions = "".join(f"Fraction('{p}')" if p.replace(".", "").replace("e-", "").isdigit() else p for p in tokens(text))
    want = eval(fractions, {"max": max, "min": min, "Fraction": Fraction, "x": point[0], "y": point[1]})
    assert f.exact(point) == want
    assert convention in (None, f.convention)


def tokens(text: str) -> list[str]:
    import re

    return re.findall(r"\d+(?:\.\d*)?(?:e-\d+)?|\w+|.", text)


def test_types_and_names() -> None:
    f = tp.parse_tropical("max(x + 2*y + 1, 3*y, 0)")
    assert repr(f) == "max-plus: 1⊙xy² ⊕ 0⊙y³ ⊕ 0"
    assert repr(f * f) == "max-plus: 2⊙x²y⁴ ⊕ 1⊙xy⁵ ⊕ 1⊙xy² ⊕ 0⊙y⁶ ⊕ 0⊙y³ ⊕ 0"
    assert f.essential().names == (f / f).names == ("x", "y")
    assert (
        tp.parse_tropical("min(speed, 2*time) - 1").latex() == r"(-1) \odot \mathrm{speed} \oplus (-1) \odot \mathrm{time}^{2}"
    )
    assert repr(tp.parse_tropical("max(x10, x2)")) == "max-plus: 0⊙x10 ⊕ 0⊙x2"
    assert tp.parse_tropical("max(x10, x2)").names == ("x2", "x10")
    assert isinstance(tp.parse_tropical("max(x, 0) - max(y, 0)"), tp.TropicalRational)
    assert isinstance(tp.parse_tropical("min(x, max(y, 0))"), tp.TropicalRational)
    m = tp.parse_tropical("max(x, y), x - y")
    assert (len(m), m.exact([1, 3]), m.names) == (2, (3, -2), ("x", "y"))
    assert m.latex().startswith(r"\left(\left(0 \odot x \oplus 0 \odot y\right)")
    assert "<svg" in m._repr_html_()
    assert tp.parse_tropical([1, 4, None, 0]) == tp.TropicalPolynomial({0: 1, 1: 4, 3: 0})
    assert tp.parse_tropical([1, None], convention="min").convention == "min"
    assert tp.parse_tropical("3").exact([]) == 3
    assert tp.parse_tropical("max(x − 0.1, 2·x)").exact([0]) == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("max(x, y", "the end was not expected"),
        ("max x", "'x' was not expected"),
        ("x*y", "product of two functions"),
        ("1/x", "only division by a number"),
        ("x/0", "only division by a number"),
        ("x ^ 2", r"'\^' is not part"),
        ("x**2", "'\\*\\*' was not expected"),
        ("", "the end was not expected"),
        ("max()", "was not expected"),
        ("max(x, -inf)", "'inf' is not a number here"),
        ("(" * 200 + "x" + ")" * 200, "nested"),
    ],
)
def test_bad_text(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        tp.parse_tropical(text)


def test_other_bad_input() -> None:
    with pytest.raises(InputError, match="'z' is not among the variables"):
        tp.parse_tropical("x + z", variables=["x", "y"])
    with pytest.raises(InputError, match="found 'plus'"):
        tp.parse_tropical("x", convention="plus")  # type: ignore[arg-type]
