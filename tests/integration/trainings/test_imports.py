"""Runs of other tools become trainings: with every point, with their pictures, refused whole where they are none."""

from __future__ import annotations

import io
import struct

from integration_tools import EngineUnderTest
from PIL import Image

from jupyter_ext.client.imports.encoding import encode
from jupyter_ext.client.imports.found import FoundRun, Picture
from jupyter_ext.client.requests.async_client import AsyncClient


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (3, 2), (9, 8, 7)).save(file, "PNG")
    return file.getvalue()


async def test_an_imported_run_is_a_training(client: AsyncClient, engine: EngineUnderTest) -> None:
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
    page = await client.page(q="brought along")
    assert [training.id for training in page.trainings] == [made.id]
    engine.kill()
    async with AsyncClient(engine.where) as again:
        assert (await again.get(made.id)).num_media == 3
        await again.delete(made.id)
        assert not engine.run_dir(made).exists()


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
