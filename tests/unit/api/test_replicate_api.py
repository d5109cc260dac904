"""Parts of Replicate's API without an engine: links, pages, events, schemas, duplicates, logs."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from starlette.requests import Request

from jupyter_ext.engine.api.http.requests import PAGE_SIZE, after, cursor_of, page
from jupyter_ext.engine.api.replicate.events import event, with_pings
from jupyter_ext.engine.api.replicate.idempotency import WINDOW_S, DuplicateGuard
from jupyter_ext.engine.api.replicate.models import _plain
from jupyter_ext.engine.api.replicate.predictions import _wait_s
from jupyter_ext.engine.common.paging import Cursor, window
from jupyter_ext.engine.files.names import safe_name
from jupyter_ext.engine.trainings.delivery.signed_links import VALID_S, SignedLinks
from jupyter_ext.protocol.log_text import plain
from jupyter_ext.protocol.problems import Problem
from jupyter_ext.protocol.schema.openapi import document
from jupyter_ext.protocol.schema.signature import from_source

FILE = "0123456789abcdefghijklmnop"
OTHER = "p" * 26
OFFICIAL_PROGRESS = re.compile(r"^\s*(?P<percentage>\d+)%\s*\|.+?\|\s*(?P<current>\d+)\/(?P<total>\d+)")


def request(
    path: str = "/v1/trainings", query: str = "", headers: dict[str, str] | None = None, body: bytes = b""
) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    given = {"host": "127.0.0.1:8765"} | (headers or {})
    return Request(
        {
            "type": "http",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "server": ("127.0.0.1", 8765),
        },
        receive,
    )


# -- links ----------------------------------------------------------------------------------------------------------


def test_a_link_is_signed_as_replicate_does() -> None:
    query = dict(parse_qsl(urlsplit(SignedLinks(b"key").file(FILE, 0)).query))
    message = f"{query['owner']} {FILE} {query['expiry']}".encode()
    expected = base64.b64encode(hmac.digest(b"key", message, hashlib.sha256)).decode()
    assert query["signature"] == expected


def test_a_link_opens_one_thing_for_a_while() -> None:
    links = SignedLinks(b"key")
    for link in (links.file(FILE, 1000), links.stream("training", FILE, 1000)):
        parts = urlsplit(link)
        query = dict(parse_qsl(parts.query))
        assert links.allow(parts.path, query, 1000 + VALID_S)
        assert not links.allow(parts.path, query, 1000 + VALID_S + 3601)
        assert not links.allow(parts.path.replace(FILE, OTHER), query, 1000)
        assert not SignedLinks(b"other").allow(parts.path, query, 1000)
        for name in ("expiry", "signature"):
            assert not links.allow(parts.path, query | {name: "9" + query[name]}, 1000)
            assert not links.allow(
                parts.path, {key: value for key, value in query.items() if key != name}, 1000
            )
        assert not links.allow("/v1/trainings", query, 1000)
        assert not links.allow(f"/v1/files/{FILE}", query, 1000)
    stream = dict(parse_qsl(urlsplit(links.stream("training", FILE, 1000)).query))
    assert not links.allow(f"/v1/files/{FILE}/download", stream | {"owner": "local"}, 1000)


def test_a_link_stays_the_same_while_somebody_polls() -> None:
    links = SignedLinks(b"key")
    assert links.file(FILE, 7200) == links.file(FILE, 7200 + 3599)


# -- pages ----------------------------------------------------------------------------------------------------------


def test_pages_neither_repeat_nor_lose_what_was_made_in_one_instant() -> None:
    items = sorted(((f"2026-01-0{n % 3 + 1}", f"id{n:04}") for n in range(3 * PAGE_SIZE)), reverse=True)
    seen: list[tuple[str, str]] = []
    query = ""
    for number in range(3):
        asked = request(query=query)
        found = page(
            asked, after(items, lambda item: item, cursor_of(asked)), lambda item: item, lambda item: item
        )
        seen += found["results"]
        assert len(found["results"]) == PAGE_SIZE
        assert (found["next"] is None) == (number == 2)  # no empty page follows a full last one
        if found["next"]:
            assert found["next"].startswith("http://127.0.0.1:8765/v1/trainings?cursor=")
            query = urlsplit(found["next"]).query
    assert seen == items


def test_previous_leads_back_to_the_page_before() -> None:
    items = [(f"2026-01-01T{n:06}", f"id{n:04}") for n in reversed(range(2 * PAGE_SIZE + 7))]

    def get(query: str) -> dict[str, Any]:
        asked = request(query=query)
        place = lambda item: item  # noqa: E731
        return page(asked, after(items, place, cursor_of(asked)), place, place)

    pages = [get("")]
    while pages[-1]["next"]:
        pages.append(get(urlsplit(pages[-1]["next"]).query))
    assert [len(found["results"]) for found in pages] == [PAGE_SIZE, PAGE_SIZE, 7]
    assert pages[0]["previous"] is None
    second = get(urlsplit(pages[2]["previous"]).query)
    assert second["results"] == pages[1]["results"]
    first = get(urlsplit(second["previous"]).query)
    assert (first["results"], first["previous"]) == (pages[0]["results"], None)
    assert get(urlsplit(first["next"]).query)["results"] == pages[1]["results"]
    items[:0] = [("2026-02", "new")]
    newer = get(urlsplit(second["previous"]).query)
    assert (newer["results"], newer["previous"] is None) == (pages[0]["results"], False)


@pytest.mark.parametrize("oldest_first", [False, True])
@pytest.mark.parametrize("newer", [False, True])
def test_a_window_lies_next_to_its_cursor(oldest_first: bool, newer: bool) -> None:
    items = sorted((("t", f"{n:02}") for n in range(10)), reverse=not oldest_first)
    found = window(items, lambda item: item, Cursor(items[5], newer), 3, oldest_first=oldest_first)
    assert found == (items[2:5] if newer else items[6:9])


def test_a_search_is_plain_text_or_a_json_string() -> None:
    assert [_plain(text) for text in ("a b", '"a b"', ' "ü" ', '"open')] == ["a b", "a b", "ü", '"open']


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("d ü.zip", "d ü.zip"),
        ("数据 2.tar.gz", "数据 2.tar.gz"),
        ("../../etc/passwd", "passwd"),
        ("C:\\data\\x.csv", "x.csv"),
        ("a\x00b\n.txt", "a-b-.txt"),
        (".hidden", "hidden"),
        ("..", "file"),
        ("ü" * 300 + ".csv", "ü" * 98 + ".csv"),
        ("x\udcff.bin", "x-.bin"),
    ],
)
def test_the_name_of_an_upload_keeps_its_letters(given: str, kept: str) -> None:
    assert safe_name(given) == kept


def test_a_cursor_of_somebody_else_is_refused() -> None:
    for text in (
        "!",
        "cD0yMDI2",
        base64.urlsafe_b64encode(b"[1, 2]").decode(),
        base64.urlsafe_b64encode(b"{}").decode(),
    ):
        with pytest.raises(Problem) as caught:
            cursor_of(request(query=f"cursor={text}"))
        assert caught.value.status == 400


# -- events ---------------------------------------------------------------------------------------------------------


def test_an_event_carries_any_text() -> None:
    assert event("logs", "a\nb\n", 7) == "event: logs\nid: 7\ndata: a\ndata: b\ndata: \n\n"
    assert event("done", "{}", 8) == "event: done\nid: 8\ndata: {}\n\n"
    assert event("output", "", 1) == "event: output\nid: 1\ndata: \n\n"
    assert event("logs", "x\u2028y\x0bz", 1).count("data: ") == 3  # clients split lines as Python does


async def test_silence_is_broken_by_comments() -> None:
    async def slow() -> AsyncIterator[str]:
        yield "one"
        await asyncio.sleep(0.1)
        yield "two"

    got = [item async for item in with_pings(slow(), 0.03)]
    assert got[0] == "one"
    assert got[-1] == "two"
    assert set(got[1:-1]) == {": ping\n\n"}


async def test_a_viewer_that_leaves_closes_the_stream() -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[str]:
        try:
            while True:
                yield "x"
                await asyncio.sleep(10)
        finally:
            closed.set()

    stream = with_pings(endless(), 0.01)
    assert await anext(stream) == "x"
    assert await anext(stream) == ": ping\n\n"
    await stream.aclose()
    assert closed.is_set()


# -- logs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Epoch 1:  25%|##   | 1/4 [00:00]\rEpoch 1:  75%|#### | 3/4 [00:01]",
        "\r  0%|     | 0/4\r 75%|#### | 3/4 [00:01<00:00,  3.2it/s]\n",
        "train: loss: 75%|####| 3/4\n",
    ],
)
def test_the_official_progress_parsers_read_bars(text: str) -> None:
    found = [match for line in plain(text).split("\n") if (match := OFFICIAL_PROGRESS.match(line))]
    assert [(match["percentage"], match["current"], match["total"]) for match in found] == [("75", "3", "4")]


def test_other_lines_stay() -> None:
    text = "loss: 3\nnote: 50% | done\nkey: value\n"
    assert plain(text) == text


# -- schemas --------------------------------------------------------------------------------------------------------


def test_the_schema_has_cogs_form() -> None:
    source = """
def train(a: int, lr: float = Input(0.1, gt=0, le=1), mode: str = Input("x", choices=["x", "y"]),
          data: Path | None = None, names: list[str] = None): ...
"""
    schemas = document(from_source(source), None)["components"]["schemas"]
    inputs = schemas["TrainingInput"]
    assert inputs["required"] == ["a"]
    properties = inputs["properties"]
    assert properties["a"] == {"title": "A", "type": "integer", "x-order": 0}
    assert (properties["lr"]["minimum"], properties["lr"]["exclusiveMinimum"]) == (0, True)
    assert properties["mode"]["allOf"] == [{"$ref": "#/components/schemas/mode"}]
    assert schemas["mode"]["enum"] == ["x", "y"]
    assert properties["data"] == {
        "title": "Data",
        "type": "string",
        "format": "uri",
        "nullable": True,
        "x-order": 3,
    }
    assert properties["names"]["nullable"] is True
    assert "Input" not in schemas
    assert "Output" in document(None, from_source(source))["components"]["schemas"]


# -- creating twice -------------------------------------------------------------------------------------------------


class Making:
    """Counts what was made."""

    def __init__(self) -> None:
        self.made = 0
        self.now = 0.0
        self.guard = DuplicateGuard(lambda: self.now)

    async def _make(self) -> Any:
        self.made += 1
        return SimpleNamespace(id=str(self.made))

    async def _find(self, id: str) -> Any:
        return SimpleNamespace(id=id)

    async def ask(self, body: bytes = b"{}", token: str = "t", retry: str = "0", gone: bool = False) -> str:
        asked = request(headers={"authorization": token, "x-stainless-retry-count": retry}, body=body)

        async def is_gone() -> bool:
            return gone

        asked.is_disconnected = is_gone  # type: ignore[method-assign]
        return str((await self.guard.once(asked, self._make, self._find)).id)


async def test_a_retry_gets_the_first_run_and_a_second_wish_its_own() -> None:
    making = Making()
    assert await making.ask() == "1"
    assert await making.ask() == "2"
    assert await making.ask(retry="1") == "2"
    assert await making.ask(retry="2") == "2"
    assert await making.ask(b'{"other": 1}', retry="1") == "3"
    assert await making.ask(token="else", retry="1") == "4"


async def test_the_same_wish_after_a_broken_connection_is_one_wish() -> None:
    making = Making()
    assert await making.ask(gone=True) == "1"
    assert await making.ask() == "1"
    assert await making.ask() == "2"


async def test_a_retry_while_the_first_is_being_made_waits_for_it() -> None:
    making = Making()
    assert await asyncio.gather(making.ask(), *(making.ask(retry="1") for _ in range(5))) == ["1"] * 6


async def test_what_is_old_is_forgotten() -> None:
    making = Making()
    await making.ask()
    making.now = WINDOW_S + 1
    assert await making.ask(retry="1") == "2"


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait", 60),
        ("wait=5", 5),
        ("respond-async, wait = 7", 7),
        ("wait=999", 60),
        ("wait=0", 1),
        ("", None),
        ("respond-async", None),
    ],
)
def test_how_long_a_client_prefers_to_wait(prefer: str, seconds: int | None) -> None:
    assert _wait_s(prefer) == seconds
