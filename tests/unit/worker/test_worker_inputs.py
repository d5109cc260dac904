"""What arrives in a function's arguments: files, secrets, defaults. And what never gets out."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any, Optional

import pytest

from jupyter_ext.worker.runtime import arguments as calling
from jupyter_ext.worker.runtime.redaction import LiveText, Redactor
from jupyter_ext.worker.sdk import logging
from jupyter_ext.worker.training import cog_stub
from jupyter_ext.worker.training.cog_stub import BaseModel, Input, Secret, current_scope


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> calling.Files:
    monkeypatch.setitem(sys.modules, "cog", cog_stub)
    (tmp_path / "here.csv").write_text("1")
    return calling.Files(tmp_path, tmp_path / "inputs", must_exist=True)


def take(function: Any, files: calling.Files, **inputs: Any) -> dict[str, Any]:
    return calling.arguments(function, inputs, files)


def test_a_local_path_is_meant_from_the_notebook(files: calling.Files, tmp_path: Path) -> None:
    def train(data: cog_stub.Path, more: list[Path], maybe: Optional[Path] = None) -> None: ...  # noqa: UP045

    given = take(train, files, data="here.csv", more=["here.csv", str(tmp_path)], maybe=None)
    assert given["data"] == tmp_path / "here.csv"
    assert isinstance(given["data"], cog_stub.Path)
    assert isinstance(given["data"], Path)
    assert given["more"] == [tmp_path / "here.csv", tmp_path]
    assert given["maybe"] is None
    with pytest.raises(FileNotFoundError, match="input data: there is no file"):
        take(train, files, data="gone.csv")


@pytest.mark.parametrize(
    ("uri", "ending", "content"),
    [
        ("data:text/csv;base64,YSxi", ".csv", b"a,b"),
        ("data:text/plain,a%20b", ".txt", b"a b"),
        ("data:;base64,AAE=", "", b"\0\1"),
    ],
)
def test_a_data_uri_is_written_to_a_file(files: calling.Files, uri: str, ending: str, content: bytes) -> None:
    def train(data: Path) -> None: ...

    path = take(train, files, data=uri)["data"]
    assert path.read_bytes() == content
    assert (path.parent, path.suffix) == (files.directory, ending)
    with pytest.raises(ValueError, match="comma"):
        take(train, files, data="data:nothing")


def test_defaults_of_input_are_filled_in(files: calling.Files) -> None:
    def train(
        a: int = Input(3), b: str = Input(default="x"), c: int = 5, d: int = Input(default=None)
    ) -> None: ...

    assert take(train, files, a=1) == {"a": 1, "b": "x", "d": None}


def test_a_list_that_declares_no_path_stays_itself(files: calling.Files) -> None:
    def train(around: Any) -> None: ...

    around: list[Any] = [3]
    around.append(around)
    assert take(train, files, around=around)["around"] is around


def test_a_secret_arrives_and_does_not_show_itself(files: calling.Files) -> None:
    def train(token: Secret, plain: str) -> None: ...

    given = take(train, files, token="very-secret", plain="here.csv")
    assert given["plain"] == "here.csv"
    assert given["token"].get_secret_value() == "very-secret"
    assert f"{given['token']} {given['token']!r}" == "********** Secret(**********)"


def test_outputs_of_a_model_are_dataclasses() -> None:
    class TrainingOutput(BaseModel):
        note: str = "x"
        weights: Path

    made = TrainingOutput(weights=Path("w"))
    assert (made.note, made.weights) == ("x", Path("w"))


def test_recorded_metrics_become_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []
    monkeypatch.setattr(logging, "log", lambda values, step: said.append((values, step)))
    monkeypatch.setattr(logging, "recorded", lambda *told: modes.append(told))
    modes: list[Any] = []
    scope = current_scope()
    for value in (1.0, 2.0):
        scope.record_metric("test.loss", value, mode="append")
    scope.record_metric("tokens", 5, mode="incr")
    scope.record_metric("tokens", 5, mode="incr")
    scope.metrics["other"] = 1
    assert said == [
        ({"test/loss": 1.0}, 0),
        ({"test/loss": 2.0}, 1),
        ({"tokens": 5}, 0),
        ({"tokens": 10}, 1),
        ({"other": 1}, 0),
    ]
    assert modes == [("test.loss", "append"), ("tokens", "incr"), ("other", "replace")]
    with pytest.raises(ValueError, match="Cog's own"):
        scope.record_metric("predict_time", 1)


def test_secrets_are_blotted_out_of_text_streams_and_json() -> None:
    redactor = Redactor({"token": "very-secret", "list": ["other-one", "very-secret-2"], "short": "a"})
    assert redactor.text("a very-secret-2, very-secret") == "a **********, **********"
    assert redactor.json({"a very-secret": ["other-one", 1]}) == {"a **********": ["**********", 1]}
    raw = io.BytesIO()
    stream = redactor.stream(raw)  # type: ignore[arg-type]
    print("token is", "very-secret", file=stream)
    stream.flush()
    assert raw.getvalue() == b"token is **********\n"
    stream.detach()
    assert type(Redactor().stream(io.BytesIO())) is LiveText  # type: ignore[arg-type]


class Raw(io.RawIOBase):
    """Keeps what was written, write by write."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self.writes.append(bytes(data))
        return len(data)


@pytest.mark.parametrize("end", ["", " ", ". "])
@pytest.mark.parametrize("secrets", [{}, {"token": "very-secret"}])
def test_a_part_of_a_line_is_live(end: str, secrets: dict[str, str]) -> None:
    raw = Raw()
    stream = Redactor(secrets).stream(raw)  # type: ignore[arg-type]
    print(".", end=end, file=stream)
    assert b"".join(raw.writes).startswith(b".")
    stream.detach()


def test_a_flood_of_parts_is_written_in_pieces() -> None:
    raw = Raw()
    stream = Redactor().stream(raw)  # type: ignore[arg-type]
    for _ in range(1000):
        stream.write("x")
    stream.write("\n")
    assert b"".join(raw.writes) == b"x" * 1000 + b"\n"
    assert len(raw.writes) < 500
    stream.detach()
