"""A Cog project folder becomes a bundle: which trainer, which inputs, which files."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from jupyter_ext.bundles import cog_project
from jupyter_ext.bundles.cog_project import capture_folder
from jupyter_ext.errors import InvalidInput

TRAINER = """
from cog import BaseModel, Input, Path, Secret
SIZES = ["small", "large"]

class TrainingOutput(BaseModel):
    weights: Path

def train(
    data: Path,
    size: str = Input(default="small", choices=SIZES),
    lr: float = Input(description="Learning rate", default=1e-3, ge=0, le=1),
    names: list[str] = Input(default=[]),
    token: Secret = Input(default=None),
    more: list[Path] = None,
) -> TrainingOutput:
    ...
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "Digits"
    (root / "lib").mkdir(parents=True)
    (root / "cog.yaml").write_text('build:\n  python_version: "3.11"\ntrain: "train.py:train"\n')
    (root / "train.py").write_text(TRAINER)
    (root / "lib" / "net.py").write_text("x = 1\n")
    return root


def members(bundle: Any) -> set[str]:
    return set(zipfile.ZipFile(io.BytesIO(bundle.data)).namelist())


def manifest(bundle: Any) -> dict[str, Any]:
    return json.loads(zipfile.ZipFile(io.BytesIO(bundle.data)).read("manifest.json"))  # type: ignore[no-any-return]


def test_files_travel_and_what_tools_keep_does_not(project: Path) -> None:
    for name in (".git/config", "__pycache__/a.pyc", "lib/old.pyc", ".venv/x", "node_modules/x"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text("x")
    bundle = capture_folder(project)
    assert bundle.name == "Digits"
    assert members(bundle) == {"manifest.json", "folder/cog.yaml", "folder/train.py", "folder/lib/net.py"}


def test_the_same_content_is_the_same_bundle_wherever_it_lies(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "other" / "Digits"
    shutil.copytree(project, copy)
    os.utime(copy / "train.py", (1, 1))
    assert capture_folder(copy).data == capture_folder(project).data
    (copy / "lib" / "net.py").write_text("x = 2\n")
    assert capture_folder(copy).data != capture_folder(project).data


def test_large_files_are_left_out_with_a_notice(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cog_project, "MAX_FILE_BYTES", 1 << 20)
    (project / "weights.bin").write_bytes(bytes(3 << 20))
    bundle = capture_folder(project)
    assert "folder/weights.bin" not in members(bundle)
    (notice,) = manifest(bundle)["notices"]
    assert notice.startswith("weights.bin (3 MiB) did not travel")
    monkeypatch.setattr(cog_project, "MAX_FOLDER_BYTES", 100)
    with pytest.raises(InvalidInput, match="holds more than"):
        capture_folder(project)


def test_inputs_are_read_as_cog_does(project: Path) -> None:
    inputs = capture_folder(project).training_input
    assert inputs is not None
    checked, wrong = inputs.validate(
        {"data": "a.csv", "size": "large", "names": ["a"], "token": "very-secret", "more": ["b", "c"]}
    )
    assert wrong == []
    assert checked == {
        "data": "a.csv",
        "size": "large",
        "names": ["a"],
        "token": "**********",
        "more": ["b", "c"],
    }
    assert inputs.secrets({"data": "a", "token": "very-secret"}) == {"token": "very-secret"}
    assert inputs.secrets({"data": "a"}) == {}
    for given, says in (
        ({}, "data (Path) is required"),
        ({"data": "a", "size": "huge"}, "size='huge'"),
        ({"data": "a", "lr": 2}, "less than or equal to 1"),
        ({"data": "a", "tokn": "x"}, "did you mean 'token'"),
        ({"data": "a", "token": 918273}, "token: "),
    ):
        _, wrong = inputs.validate(given)
        assert says in wrong[0].description
        assert "918273" not in wrong[0].description
    schema = inputs.json_schema()["properties"]
    assert [entry["x-order"] for entry in schema.values()] == list(range(6))
    assert schema["size"]["enum"] == ["small", "large"]


@pytest.mark.parametrize("prefix", ["", "async "])
def test_a_class_is_its_train_method(project: Path, prefix: str) -> None:
    (project / "train.py").write_text(
        f"class Trainer:\n    def setup(self): ...\n    {prefix}def train(self, n: int = 3): ...\n"
    )
    (project / "cog.yaml").write_text("train: train.py:Trainer\n")
    inputs = capture_folder(project).training_input
    assert inputs is not None
    assert [parameter.name for parameter in inputs.parameters] == ["n"]


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("build: {}\n", "names no trainer"),
        ("train: train.py\n", "names no trainer"),
        ("train: ../train.py:train\n", "no file of the folder"),
        ("train: gone.py:train\n", "no file of the folder"),
        ("train: train.py:fit\n", "defines no function 'fit'"),
        ("train: [\n", "is not YAML"),
        ("", "names no trainer"),
    ],
)
def test_what_is_no_project_is_refused_in_one_line(project: Path, config: str, says: str) -> None:
    (project / "cog.yaml").write_text(config)
    with pytest.raises(InvalidInput, match=says) as refused:
        capture_folder(project)
    assert "\n" not in str(refused.value)
    (project / "cog.yaml").unlink()
    with pytest.raises(InvalidInput, match=r"has no cog\.yaml"):
        capture_folder(project)
    with pytest.raises(InvalidInput, match="There is no folder"):
        capture_folder(project / "gone")
