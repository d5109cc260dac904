"""Runs of other tools become trainings: with every point, with their pictures, refused whole where they are none."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest
from integration_tools import EngineUnderTest
from PIL import Image

from jupyter_ext.client.imports import tensorboard
from jupyter_ext.client.imports.encoding import encode
from jupyter_ext.client.imports.found import FoundRun, Picture
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.exports import format_of


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (3, 2), (9, 8, 7)).save(file, "PNG")
    return file.getvalue()


async def test_an_imported_run_is_a_training(
    client: AsyncClient, engine: EngineUnderTest, tmp_path: Path
) -> None:
    run = FoundRun("theirs", "tensorboard", {"lr": 0.1, "odd": float("nan")})
    for step in range(2_000):
        run.add("loss", step, 1 / (step + 1), 1e9 + step)
    run.pictures.append(Picture("sample", 7, 1e9, picture()))
    run.pictures.append(Picture("script", 7, 1e9, b"<script>"))
    run.add_text("note", 3, 1e9, "went well")
    run.add_histogram("weights", 4, 1e9, [1, 2], [0, 1, 3])
    run.add_histogram("endless", 4, 1e9, [1], [0, float("inf")])
    made = await client.import_run(encode(run, "brought along"))
    assert (made.status, made.name, made.model, made.tags) == (
        "succeeded",
        "brought along",
        "imported/tensorboard",
        ["imported"],
    )
    assert made.started_at == "2001-09-09T01:46:40.000000Z"
    assert made.last["loss"].step == 1_999
    (series,) = await client.metrics(made.id)
    assert series.values.tolist() == [1 / (step + 1) for step in range(2_000)]
    assert series.times.tolist() == [1e9 + step for step in range(2_000)]
    item, text, histogram = await client.media(made.id)
    assert (text.key, text.kind, text.step, text.data) == ("note", "text", 3, "went well")
    assert (histogram.kind, histogram.data) == ("histogram", {"counts": [1, 2], "edges": [0, 1, 3]})
    assert item.file is not None
    assert await client.medium(made.id, item.file) == picture()
    await exported_as_it_came(client, made.id, tmp_path)
    page = await client.page(q="brought along")
    assert [training.id for training in page.trainings] == [made.id]
    engine.kill()
    async with AsyncClient(engine.where) as again:
        assert (await again.get(made.id)).num_media == 3
        await again.delete(made.id)
        assert not engine.run_dir(made).exists()


async def exported_as_it_came(client: AsyncClient, training_id: str, folder: Path) -> None:
    lines = await client.export(training_id, format_of("x.csv"), folder / "new folder" / "x.csv")
    assert lines.read_text().splitlines()[:2] == [
        "metric,rank,step,time,value",
        "loss,0,0.0,1000000000.0,1.0",
    ]
    archive = await client.export(training_id, format_of("x.ZIP"), folder / "x.zip")
    zipfile.ZipFile(archive).extractall(folder)
    (again,) = (tensorboard.read(path.parent, "again") for path in folder.rglob("*tfevents*"))
    assert again.metrics["loss"].steps == list(range(2_000))
    with pytest.raises(InvalidInput, match=r"x\.csv/x\.csv cannot be written: "):
        await client.export(training_id, "csv", lines / "x.csv")
    with pytest.raises(InvalidInput, match=r"'x\.xlsx' has no ending of an export"):
        format_of("x.xlsx")
    assert [path.name for path in folder.rglob("*.part")] == []


async def test_what_is_no_run_is_refused_and_leaves_nothing(
    client: AsyncClient, engine: EngineUnderTest
) -> None:
    run = FoundRun("theirs", "tensorboard")
    run.add("loss", 1, 1, 1)
    good = encode(run, "brought along")
    await client.warm()
    before = sorted(engine.where.runs_dir.iterdir()) if engine.where.runs_dir.exists() else []
    for body in (b"", b"\0\0\0", struct.pack("<I", 1 << 30), good[:-3], good[:30], b"\x02\0\0\0{}"):
        answer = await client.transport.send("POST", "/native/imported-runs", content=body)
        assert answer.status_code == 422, body
    after = sorted(engine.where.runs_dir.iterdir()) if engine.where.runs_dir.exists() else []
    assert after == before
