"""Result files are written atomically."""

import json
import os

import pytest

import tropica as tp
from tropica.runtime.files import csv_text, writable_file, writable_folder, write_file, write_json


def test_json_has_no_numbers_that_json_lacks(tmp_path):
    file = write_json(tmp_path / "a" / "n.json", {"x": (1.5, float("inf")), "y": {"z": float("nan")}, "é": None})
    assert json.loads(file.read_text(encoding="utf-8")) == {"x": [1.5, None], "y": {"z": None}, "é": None}


def test_csv():
    text = csv_text(("a", "b"), [(1, "x,y"), (2, "")])
    assert text == 'a,b\n1,"x,y"\n2,\n'


def test_a_write_that_fails_keeps_the_old_file_and_leaves_no_other(tmp_path, monkeypatch):
    file = write_file(tmp_path / "n.txt", "old")

    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(tp.InputError, match=r"n\.txt: cannot be written \(No space left"):
        write_file(file, "new")
    assert [path.name for path in tmp_path.iterdir()] == ["n.txt"]
    assert file.read_text() == "old"


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(tp.InputError, match="a folder; a file is needed"):
        writable_file(tmp_path)
    with pytest.raises(tp.InputError, match="there is no folder"):
        writable_file(tmp_path / "none" / "x.json")
    with pytest.raises(tp.InputError, match="a folder is needed"):
        writable_folder(tmp_path / "file")
    assert writable_folder(tmp_path / "new" / "er") == tmp_path / "new" / "er"
    assert not (tmp_path / "new").exists()
