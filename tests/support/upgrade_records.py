"""Everything that an engine tells of a data directory, as JSON that two engines can be compared by."""

from __future__ import annotations

import http.client
import json
import math
import re
import socket
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

_LINK = re.compile(r"([?&])(expiry|signature)=[^&\"]*")
_FILE = re.compile(
    r'"(?:http://engine/v1/files/([0-9a-v]{26})/download\?[^"]*|@ROOT@/data/files/([0-9a-v]{26})/named/[^"]*)"'
)
"""A file in an output: a link, or on the Unix socket a path of this machine."""
_PORT = re.compile(r"http://(127\.0\.0\.1|engine|localhost)(:\d+)?")
CALLS = (
    ("Model/getModels", "models", "id"),
    ("Dataset/getDatasets", "datasets", "id"),
    ("PersistentLauncher/getPersistentLaunchers", "persistentLaunchers", "id"),
)
"""What is asked by Decthings' API: method, where its answer has the list, and what it is sorted by."""


class Peer:
    """An engine, asked over its Unix socket with nothing but the standard library.

    Args:
        socket_path: Where it listens.
        places: Text in its answers to be replaced, such as its data directory by `@DATA@`.
    """

    def __init__(self, socket_path: str, places: Mapping[str, str]) -> None:
        self._socket_path = socket_path
        self._places = places

    def ask(self, method: str, path: str, body: bytes | None = None, content_type: str = "") -> bytes:
        """Ask something that must succeed."""
        connection = http.client.HTTPConnection("engine", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(60)
        connection.sock.connect(self._socket_path)
        try:
            connection.request(method, path, body, {"Content-Type": content_type} if content_type else {})
            response = connection.getresponse()
            answer = response.read()
            assert response.status < 300, (method, path, response.status, answer)
            return answer
        finally:
            connection.close()

    def json(self, method: str, path: str, body: Any = None) -> Any:
        """Ask with JSON for JSON."""
        data = None if body is None else json.dumps(body).encode()
        return json.loads(self.ask(method, path, data, "application/json") or b"null")

    def rpc(self, method: str, params: Any, blobs: Sequence[bytes] = ()) -> Any:
        """Call a method of Decthings' API; gives the JSON of its answer."""
        text = json.dumps(params).encode()
        head = bytes((len(blobs),)) + _varint(len(text)) + b"".join(_varint(len(blob)) for blob in blobs)
        answer = self.ask("POST", f"/v0/{method}", head + text + b"".join(blobs))
        length, start = _read_varint(answer)
        return json.loads(answer[start : start + length])

    def steady(self, answer: Any) -> Any:
        """Replace what differs between two engines over the same records: places, ports, links that expire."""
        text = json.dumps(_short(answer), sort_keys=True, allow_nan=True)
        for place, name in self._places.items():
            text = text.replace(json.dumps(place)[1:-1], name)
        text = _PORT.sub(r"http://\1", _LINK.sub(r"\1\2=…", text))
        return json.loads(_FILE.sub(lambda found: f'"file {found[1] or found[2]}"', text))

    def records(self) -> dict[str, Any]:
        """List everything."""
        trainings = self.json("GET", "/native/trainings?limit=1000")["trainings"]
        models = self.json("GET", "/v1/models")["results"]
        told = {
            "trainings": trainings,
            "training": [self.json("GET", f"/native/trainings/{one['id']}") for one in trainings],
            "logs": {one["id"]: self.json("GET", f"/native/trainings/{one['id']}/logs") for one in trainings},
            "v1 trainings": self.json("GET", "/v1/trainings"),
            "v1 predictions": self.json("GET", "/v1/predictions"),
            "v1 files": self.json("GET", "/v1/files"),
            "v1 models": models,
            "v1 versions": {
                f"{one['owner']}/{one['name']}": self.json(
                    "GET", f"/v1/models/{one['owner']}/{one['name']}/versions"
                )
                for one in models
            },
            "sessions": self.json("GET", "/native/sessions"),
            "session": [
                self.json("GET", f"/native/sessions/{one['id']}")
                for one in self.json("GET", "/native/sessions?ended=1")["sessions"]
            ],
            "datasets": self.json("GET", "/native/datasets"),
            "models": self.json("GET", "/native/models")["models"],
            "model": [
                self.json("GET", f"/native/models/{quote(one['id'], safe='')}")
                for one in self.json("GET", "/native/models")["models"]
            ],
            "decthings": {method: self.rpc(method, {}) for method, *_ in CALLS},
        }
        return dict(self.steady(told))

    def download(self, file_id: str) -> bytes:
        """Return a file's bytes, by the link that the engine gives for it."""
        urls = self.json("GET", f"/v1/files/{file_id}")["urls"]
        return self.ask("GET", re.sub(r"^http://[^/]+", "", urls["get"]) + "/download")


def _short(answer: Any) -> Any:
    """Leave out of OpenAPI schemas what is the same for all of them."""
    if isinstance(answer, list):
        return [_short(item) for item in answer]
    if not isinstance(answer, dict):
        return answer
    short = {key: _short(value) for key, value in answer.items()}
    if schema := short.get("openapi_schema"):
        found = schema["components"]["schemas"]
        short["openapi_schema"] = {name: found[name] for name in ("Input", "TrainingInput") if name in found}
    return short


def plain(series: Any) -> dict[str, Any]:
    """Return a series as JSON."""
    return {
        "key": series.key,
        "rank": series.rank,
        "steps": [_number(x) for x in series.steps.tolist()],
        "values": [_number(x) for x in series.values.tolist()],
        "times": [_number(x) for x in series.times.tolist()],
    }


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _varint(number: int) -> bytes:
    if number < 253:
        return bytes((number,))
    return b"\xfd" + number.to_bytes(2, "big") if number < 1 << 16 else b"\xfe" + number.to_bytes(4, "big")


def _read_varint(data: bytes) -> tuple[int, int]:
    size = {253: 2, 254: 4, 255: 8}.get(data[0], 0)
    return (int.from_bytes(data[1 : 1 + size], "big"), 1 + size) if size else (data[0], 1)
