"""Tables, labels that are asked for and never guessed, and classes numbered alike in all splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.data.readers.pictures import png, rgb
from tropica.data.labelled import LabelledData
from tropica.errors import DataError
from tropica.studies.datasets.load import load_data

COLUMNS = {"width": [1.5, 2.5, 3.5], "height": [4, 5, 6], "kind": ["dog", "cat", "dog"]}


def written(path: Path, columns: dict) -> str:
    """The columns as a file of the format that the suffix names."""
    if path.suffix == ".parquet":
        pa = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(pa.table(columns), path, row_group_size=2)
    else:
        lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
        path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table(tmp_path, suffix):
    path = written(tmp_path / f"t{suffix}", COLUMNS)
    with pytest.raises(DataError, match=r"which of these has the labels: 'width', 'height', 'kind'\? Give it as label='NAME'"):
        load_data(path)
    for lazy in (False, True):
        data = load_data(path, label="kind", lazy=lazy)
        data = data if isinstance(data, LabelledData) else data.in_memory()
        assert torch.equal(data.inputs, torch.tensor([[1.5, 4], [2.5, 5], [3.5, 6]]))
        assert data.labels is not None
        assert data.labels.tolist() == [1, 0, 1]
        assert (data.class_names, data.feature_names, data.num_classes) == (("cat", "dog"), ("width", "height"), 2)
    chosen = load_data(path, label="", columns=["height"], limit=2)
    assert (chosen.inputs.tolist(), chosen.labels, chosen.feature_names) == ([[4], [5]], None, ("height",))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize(
    ("columns", "label", "message"),
    [
        ({"a": [1.0, 2.0], "label": [0.5, 1.0]}, None, "labels must be whole numbers, names or booleans"),
        ({"a": [1.0, 2.0], "label": [0, 10**9]}, None, r"below 1,000,000; found 1000000000 at point 1 \(is it an identifier"),
        (
            {"a": [1.0, 2.0], "label": np.array([0, 2**64 - 1], np.uint64)},
            None,
            "below 1,000,000; found (18446744073709551615|9223372036854775807)",
        ),
        ({"a": ["x", "y"], "label": [0, 1]}, None, "column a"),
        ({"id": [1, 10**9], "label": [0, 1]}, None, r"row 1, column id: points are float32.* found 1,000,000,000"),
        ({"a": [1.0, 2.0]}, "b", "there is no column 'b' of labels; found 'a'"),
        ({"label": [1, 2]}, None, "no columns are left for the points"),
    ],
)
def test_refusals(tmp_path, suffix, columns, label, message):
    with pytest.raises(DataError, match=message):
        load_data(written(tmp_path / f"t{suffix}", columns), label=label)


def test_booleans_and_class_names_that_look_missing(tmp_path):
    path = written(tmp_path / "t.csv", {"a": [1.0, 2.0, 3.0], "label": ["None", "NA", "None"]})
    assert load_data(path).class_names == ("NA", "None")
    for suffix in (".csv", ".parquet"):
        found = load_data(written(tmp_path / f"b{suffix}", {"a": [1.0, 2.0], "label": [True, False]}))
        assert found.labels is not None
        assert (found.labels.tolist(), found.class_names) == ([1, 0], ("False", "True"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1.0,2.0\n3.0,4.0\n", "the first line must name the columns; found 1.0, 2.0"),
        (",a,label\n0,1.0,1\n", "column 1 has no name"),
        ("a,label\n1.0,0\n,1\n", "row 1, column a: a number is needed; the entry is empty"),
        ("a,label\n1.0,0\n2.0,\n", "column label: 1 labels are missing; the first is in row 1"),
        ("a,label\n1.0,0,7\n", "more entries than the first line has names"),
        ("", "cannot be read as a table"),
        ("a,label\n", "there are no points"),
    ],
)
def test_csv_refusals(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        load_data(str(tmp_path / "t.csv"))


def test_images_with_other_columns_ask_for_the_label(tmp_path):
    images = [{"bytes": png(rgb(i)), "path": None} for i in (0, 9)]
    path = written(tmp_path / "i.parquet", {"image": images, "width": [4, 4], "image_id": [7, 8]})
    with pytest.raises(DataError, match="which of these has the labels: 'width', 'image_id'"):
        load_data(path)
    assert load_data(path, label="").labels is None
    null = written(tmp_path / "n.parquet", {"image": [*images, None], "label": ["b", "a", "b"]})
    with pytest.raises(DataError, match="row 2: the image is null"):
        load_data(null)
    assert load_data(null, limit=2).class_names == ("a", "b")


@pytest.mark.parametrize("names", [("X", "Y"), ("X", "y"), ("data", "target"), ("images", "label")])
def test_npz_names(tmp_path, names):
    arrays = {names[0]: np.zeros((3, 2)), names[1]: np.array(["b", "a", "b"])}
    np.savez(tmp_path / "t.npz", **arrays)
    found = load_data(str(tmp_path / "t.npz"))
    assert found.labels is not None
    assert (found.labels.tolist(), found.class_names) == ([1, 0, 1], ("a", "b"))


def test_npz_asks(tmp_path):
    path = str(tmp_path / "t.npz")
    np.savez(path, x=np.zeros((3, 2)), ids=np.arange(3), kinds=np.array([1, 0, 1]))
    with pytest.raises(DataError, match="which of these has the labels: 'ids', 'kinds'"):
        load_data(path)
    assert load_data(path, label="kinds").num_classes == 2
    np.savez(path, x=np.zeros((3, 2)), y=np.array([0, 2**63, 1], np.uint64))
    with pytest.raises(DataError, match=r"below 1,000,000; found 9223372036854775808 at point 1"):
        load_data(path)


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz", "inside", "folder"])
def test_classes_are_numbered_alike_in_both_splits(tmp_path, kind):
    sets = {"train": ["c", "a", "b"], "test": ["c", "b", "c"]}
    if kind == "inside":
        spec = str(tmp_path / "t.npz")
        arrays = {f"x_{split}": np.zeros((3, 2)) for split in sets} | {f"y_{split}": np.array(y) for split, y in sets.items()}
        np.savez(spec, **arrays)
    elif kind == "folder":
        spec = str(tmp_path)
        for split, labels in sets.items():
            for i, label in enumerate(labels):
                (tmp_path / split / label).mkdir(parents=True, exist_ok=True)
                (tmp_path / split / label / f"{i}.png").write_bytes(png(rgb(0)))
    else:
        spec = str(tmp_path / f"t-{{split}}.{kind}")
        for split, labels in sets.items():
            if kind == "npz":
                np.savez(spec.format(split=split), x=np.zeros((3, 2)), y=np.array(labels))
            else:
                written(Path(spec.format(split=split)), {"a": [0.0] * 3, "label": labels})
    test = load_data(spec, split="test")
    assert (test.class_names, test.num_classes) == (("a", "b", "c"), 3)
    assert test.labels is not None
    assert sorted(test.labels.tolist()) == [1, 2, 2]


def test_label_and_columns_are_refused_where_they_would_be_ignored(tmp_path):
    for settings in ({"label": "a"}, {"columns": ["a"]}):
        with pytest.raises(DataError, match="has its own labels"):
            load_data("digits", **settings)
    np.save(tmp_path / "a.npy", np.zeros((2, 2)))
    with pytest.raises(DataError, match="an array has none"):
        load_data(str(tmp_path / "a.npy"), label="a")


@pytest.mark.parametrize("values", [[0.5, 1.5, -2.0], [-3, 10**9, 2]])
@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz", ".npy"])
def test_targets_of_a_regression_are_no_points(tmp_path, suffix, values):
    path, points = tmp_path / f"t{suffix}", np.array([[1, 2], [3, 4], [5, 6]], np.float32)
    if suffix == ".npz":
        np.savez(path, x=points, y=np.array(values))
    elif suffix == ".npy":
        np.save(path, points)
        np.save(tmp_path / "t.labels.npy", np.array(values))
    else:
        written(path, {"a": points[:, 0].tolist(), "b": points[:, 1].tolist(), "label": values})
    with pytest.raises(DataError, match="labels"):
        load_data(path)
    for lazy in (False, True):
        data = load_data(path, targets=True, lazy=lazy)
        data = data if isinstance(data, LabelledData) else data.in_memory()
        assert data.inputs.tolist() == points.tolist()
        assert data.labels is None


def test_classes_stay_labels_where_there_may_be_targets(tmp_path):
    data = load_data(written(tmp_path / "t.csv", COLUMNS), label="kind", targets=True)
    assert data.class_names == ("cat", "dog")
