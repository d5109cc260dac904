"""Models of a running service, driven through the engine like our own; the service is a second engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from integration_tools import EngineUnderTest
from pieces_tools import SLOW_BYTES_PER_S, PiecesEngine, pieces_engine

from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.errors import RequestRefused, UnknownId

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def service() -> Iterator[PiecesEngine]:
    with pieces_engine() as opened:
        yield opened


async def test_a_service_is_driven_like_our_own(
    service: PiecesEngine, engine: EngineUnderTest, client: AsyncClient
) -> None:
    with service.open_http() as http:
        seed = {"name": "MiniLM", "version": "1", "unique": "acme/minilm"}
        assert http.post("/models/create", json=seed).status_code == 200
    models = client.models
    page = await models.page(service.open_url)
    model = next(model for model in page.models if model.name == "MiniLM")
    assert (model.id, model.source, model.state) == (
        f"service:{service.open_url}#hub:acme/minilm",
        "service",
        "absent",
    )

    service.hub.bytes_per_s = SLOW_BYTES_PER_S
    try:
        begun = await models.download(model.id)
        assert begun.state == "downloading"

        def some(found: object) -> bool:
            transfer = getattr(found, "transfer", None)
            return transfer is not None and 0 < transfer.bytes_done < transfer.bytes_total

        half = await models.until(model.id, some, 60)
        assert half.transfer is not None
        await models.cancel(model.id)
        with pytest.raises(RequestRefused, match="canceled"):
            await models.downloaded(model.id, 60)
    finally:
        service.hub.bytes_per_s = None
    await models.download(model.id)
    whole = await models.downloaded(model.id, 60)
    assert (whole.state, whole.transfer is not None and whole.transfer.status) == ("downloaded", "completed")
    assert whole.bytes is not None
    assert whole.bytes > 90_000_000

    assert (await models.load(model.id)).state == "loaded"
    with pytest.raises(RequestRefused, match="unload it first"):
        await models.delete(model.id)
    assert (await models.unload(model.id)).state == "downloaded"
    assert (await models.change(model.id, description="ours")).description == "ours"
    assert model.id in {found.id for found in (await models.page()).models}
    assert (await models.delete_files(model.id)).state == "absent"
    await models.delete(model.id)
    with pytest.raises(UnknownId):
        await models.get(model.id)


async def test_a_token_is_sent_where_one_is_wanted_and_written_nowhere(
    service: PiecesEngine, engine: EngineUnderTest, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JUPYTER_EXT_SERVICE_TOKEN", raising=False)
    with pytest.raises(RequestRefused, match="401"):
        await client.models.page(service.url)
    monkeypatch.setenv("JUPYTER_EXT_SERVICE_TOKEN", service.token)
    await client.models.page(service.url)
    for path in (*engine.where.data_dir.rglob("*"), *engine.where.runtime_dir.rglob("*")):
        if path.is_file():
            assert service.token.encode() not in path.read_bytes(), path


async def test_pieces_is_looked_for_in_its_range(
    service: PiecesEngine, engine: EngineUnderTest, client: AsyncClient
) -> None:
    page = await client.models.page("pieces")
    assert all(model.id.startswith("service:http://127.0.0.1:393") for model in page.models)
    assert any(model.cloud for model in page.models)
