"""Media of a training that a real engine serves: read back as they were, by range, and harmless where they are opened."""

from __future__ import annotations

from integration_tools import EngineUnderTest, finish, start, until

from jupyter_ext.client.requests.async_client import AsyncClient

CODE = """
import numpy as np
import jupyter_ext as jx
def train(hang: bool = False):
    for step in range(3):
        jx.log({"loss": 1 / (step + 1), "image": jx.Image(np.full((200, 200, 3), step, np.uint8)),
                "page": jx.Html("<script>alert(1)</script>"), "rows": jx.Table([[step]], columns=["step"])}, step=step)
    jx.alert("look here", level="error")
    while hang: pass
"""


async def test_what_was_logged_is_listed_and_served(client: AsyncClient) -> None:
    done = await finish(client, CODE)
    assert done.num_media == 9
    assert [(alert.text, alert.level, alert.step) for alert in done.alerts] == [("look here", "error", 2)]
    items = await client.media(done.id)
    assert [(item.key, item.step) for item in items][-3:] == [("image", 2), ("page", 2), ("rows", 2)]
    by_key = {item.key: item for item in items}
    assert by_key["rows"].data == {"columns": ["step"], "rows": [[2]]}
    image = by_key["image"].file
    assert image is not None
    whole = await client.medium(done.id, image)
    assert whole.startswith(b"\x89PNG")
    path = f"/native/trainings/{done.id}/media/{image}"
    part = await client.transport.send("GET", path, headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, b"PNG")
    page = await client.transport.send("GET", f"/native/trainings/{done.id}/media/{by_key['page'].file}")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["x-content-type-options"] == "nosniff"
    policy = page.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts; default-src 'none';")
    assert "allow-same-origin" not in policy
    for name in ("..%2Fspec.json", "items.jsonl", "0" * 32 + ".png"):
        assert (
            await client.transport.send("GET", f"/native/trainings/{done.id}/media/{name}")
        ).status_code == 404


async def test_what_was_logged_before_a_kill_is_there(client: AsyncClient, engine: EngineUnderTest) -> None:
    training = await start(client, CODE, hang=True)
    items = engine.run_dir(training) / "media" / "items.jsonl"
    until(lambda: items.exists() and items.read_bytes().count(b"\n") == 9, "all media")
    engine.kill()
    async with AsyncClient(engine.where) as again:
        assert len(await again.media(training.id)) == 9
        assert (await again.get(training.id)).num_media == 9
        await again.cancel(training.id)
        await again.wait(training.id, 30)
