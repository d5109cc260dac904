"""Archives that somebody else made: whoever reads one refuses a damaged one in his own words, and no other way."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from jupyter_ext.engine.common import archives
from jupyter_ext.engine.decthings.model_store import BadArchive
from jupyter_ext.engine.decthings.model_store import unpack as unpack_model
from jupyter_ext.engine.models.hosts.directory import _unpack as unpack_factory
from jupyter_ext.engine.sessions.pending_code import PendingCode
from jupyter_ext.engine.trainings.artifacts.versions import _unpack as unpack_bundle
from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.problems import Problem

Read = Callable[[bytes, Path], Any]
READERS: dict[str, tuple[Read, type[Exception]]] = {
    "training": (unpack_bundle, Problem),
    "session": (lambda data, path: PendingCode(path).add(data), Problem),
    "factory": (unpack_factory, InvalidInput),
    "model": (lambda data, path: unpack_model(data), BadArchive),
}


def archive(compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", compression) as file:
        file.writestr("manifest.json", '{"kind": "model", "entry": "x"}' + " " * 300)
        file.writestr("code.py", "def train(): ...\n" * 40)
        file.writestr("main.py", "class Model: ...\n")
    return data.getvalue()


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_a_damaged_archive_is_refused_by_its_reader(tmp_path: Path, reader: str, compression: int) -> None:
    read, refusal = READERS[reader]
    chance, whole = random.Random(compression), archive(compression)
    for number in range(150):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        if chance.random() < 0.2:
            del data[chance.randrange(len(data)) :]
        with suppress(refusal):
            read(bytes(data), tmp_path / str(number))


@pytest.mark.parametrize("reader", ["training", "session", "factory"])
def test_one_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(
    tmp_path: Path, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, refusal = READERS[reader]
    data = bytearray(archive())
    for at in (at for at in range(len(data)) if data.startswith(b"PK\x01\x02", at)):
        data[at + 24 : at + 28] = (0xFFFFFFF0).to_bytes(
            4, "little"
        )  # the unpacked size, as the directory tells it
    with pytest.raises(refusal, match="unpacks to"):
        read(bytes(data), tmp_path / "big")
    monkeypatch.setattr(archives, "MAX_MEMBERS", 2)
    with pytest.raises(refusal, match="3 files, over 2"):
        read(archive(), tmp_path / "many")


@pytest.mark.parametrize(
    "manifest", ['{"kind": ["model"]}', '{"kind": {}}', "[" * 100_000, "[]", "\x00", '{"kind": 1}']
)
def test_a_sessions_manifest_of_another_form_is_refused(tmp_path: Path, manifest: str) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("manifest.json", manifest)
    with pytest.raises(Problem, match="no bundle"):
        PendingCode(tmp_path).add(data.getvalue())
