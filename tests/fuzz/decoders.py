"""Every decoder of bytes that others made: what to feed it with, and the only errors that it may raise."""

from __future__ import annotations

import asyncio
import atexit
import io
import json
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import python_multipart  # noqa: F401  so that it is watched for coverage
import starlette.formparsers  # noqa: F401
from starlette.exceptions import HTTPException
from starlette.requests import Request

from jupyter_ext.engine.decthings.model_store import BadArchive
from jupyter_ext.engine.decthings.model_store import unpack as unpack_model
from jupyter_ext.engine.metrics.journal.journal_reader import JournalTail
from jupyter_ext.engine.metrics.serving.index import Index
from jupyter_ext.engine.models.download import resume_journal
from jupyter_ext.engine.sessions.pending_code import PendingCode
from jupyter_ext.ipc import frames, values
from jupyter_ext.ipc.decthings import tensors
from jupyter_ext.ipc.decthings.codec import decode_parameters
from jupyter_ext.ipc.decthings.varint import WireError
from jupyter_ext.ipc.journal_format import FRAME_HEAD, KEY_HEAD, MANY_HEAD, frame, key_frame, mark_frame
from jupyter_ext.protocol import metrics_codec
from jupyter_ext.protocol.decthings import framing
from jupyter_ext.protocol.problems import Problem
from jupyter_ext.weights import safetensors

MAX_MEMORY_BYTES = 2 << 30
"""Of address space; each input is far below a MiB."""
_FOLDER = Path(tempfile.mkdtemp(prefix="jx-fuzz-"))
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)


@dataclass(frozen=True)
class Decoder:
    """One decoder.

    Attributes:
        decode: Takes bytes.
        errors: All that it may raise, as its docstring says.
        seeds: Inputs that it takes, to begin with.
    """

    decode: Callable[[bytes], object]
    errors: tuple[type[Exception], ...]
    seeds: tuple[bytes, ...]


def _journal(data: bytes) -> None:
    path = _FOLDER / "metrics-0-0.jnl"
    path.write_bytes(data)
    tail = JournalTail(path)
    try:
        for _ in range(100):
            if not tail.read(4096).more:
                return
    finally:
        tail.close()


def _framed(data: bytes) -> None:
    """Feed what is in frames, so that the checksum does not keep everything from the decoder."""
    bodies, left = [], data
    while left:
        size, left = left[0] + 1, left[1:]
        bodies.append(frame(left[:size]))
        left = left[size:]
    _journal(b"".join(bodies))


def _index(data: bytes) -> None:
    run_dir = _FOLDER / "run"
    run_dir.mkdir(exist_ok=True)
    (run_dir / "index.bin").write_bytes(data)
    (run_dir / "streams.json").write_text('{"streams": ["0", "system"], "boot_id": "x"}')
    index = Index(run_dir)
    index.open()
    index.ends()
    index.close()


def _channel(data: bytes) -> None:
    parser = frames.Parser()
    for at in range(0, len(data), 100):
        parser.feed(data[at : at + 100], [])


def _value(data: bytes) -> None:
    parser = frames.Parser()
    try:
        messages = parser.feed(data, [])
    except frames.MalformedFrame:
        return
    for message in messages:
        values.decode(message.header, message.blobs)


def _parameters(data: bytes) -> None:
    decode_parameters([{"name": "x"}], [memoryview(data)])


def _tensors(data: bytes) -> None:
    tensors.check_whole(data)
    for one in tensors.Tensor.decode_many(data):
        one.items()


def _partial(data: bytes) -> None:
    path = _FOLDER / "a.journal"
    path.write_bytes(data)
    resume_journal.read(path)


def _session_code(data: bytes) -> None:
    folder = _FOLDER / "code"
    pending = PendingCode(folder)
    pending.clear()
    pending.add(data)


def _upload(data: bytes) -> None:
    """Read a body as a form: its first line is the content type."""
    kind, _, body = data.partition(b"\n")
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "query_string": b"",
        "app": None,
        "headers": [(b"content-type", kind)],
    }

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def read() -> None:
        try:
            async with Request(scope, receive).form(max_files=4) as form:
                dict(form)
        except HTTPException as error:
            raise Problem(400, "Invalid form", error.detail) from error

    asyncio.run(read())


def _zip(**files: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("_", "."), content)
    return data.getvalue()


def _packed(header: object, *blobs: bytes) -> bytes:
    return b"".join(bytes(part) for part in frames.pack(header, blobs)[0])  # type: ignore[arg-type]


def _value_seed(value: object) -> bytes:
    tree, blobs = values.encode(value)
    return _packed(
        tree if isinstance(tree, dict) else {"k": "list", "v": [tree]}, *(bytes(blob) for blob in blobs)
    )


def _columns_seed() -> bytes:
    numbers = np.arange(3.0)
    series = metrics_codec.SeriesColumns(0, "x", "0", numbers, numbers, numbers)
    return metrics_codec.encode_columns(
        {"seq": 3, "series": [{"index": 0, "key": "x", "rank": "0", "n": 3}]}, [series]
    )


def _batch_seed() -> bytes:
    one, odd = np.arange(1.0), np.array([1.0, 5.0, 6.0])
    block = metrics_codec.BatchBlock
    return metrics_codec.encode_batch(7, [block(0, one, one, one), block(1, odd, odd, odd)])


_BODIES = (
    KEY_HEAD.pack(1, 0) + b"loss",
    struct.pack("<Bdd", 2, 1.5, 3.0) + struct.pack("<Hd", 0, 0.25),
    MANY_HEAD.pack(3, 0, 2, 1.0) + struct.pack("<4d", 1, 2, 3, 4),
    struct.pack("<Bd", 4, 1.0) + b'{"kind": "notice", "text": "x"}',
)
_SAFETENSORS = json.dumps(
    {"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, "__metadata__": {"a": "b"}}
)
_TENSORS = b"".join(
    tensors.Tensor(kind, shape, data).encode()
    for kind, shape, data in (
        ("f32", [2, 2], bytes(16)),
        ("string", [2], ["ab", "č"]),
        ("binary", [1], [b"xyz"]),
        ("i64", [], bytes(8)),
    )
)
_INFO = '{"model": "m", "revision": "r", "name": "n", "num_bytes": 9, "data": "/d", "blob": "/b"}'

DECODERS: dict[str, Decoder] = {
    "journal": Decoder(
        _journal,
        (),
        (
            key_frame(0, "loss")
            + b"".join(frame(body) for body in _BODIES)
            + mark_frame(1.0, {"kind": "started"}),
            FRAME_HEAD.pack(5, 0) + b"abcde",
        ),
    ),
    "journal bodies": Decoder(_framed, (), (b"".join(bytes([len(body) - 1]) + body for body in _BODIES),)),
    "index.bin": Decoder(
        _index, (), (b"".join(struct.pack("<QdBBHIQQ", k, 1.0, 1, 0, 0, 0, 40 * k, k) for k in (1, 2, 3)),)
    ),
    "columns": Decoder(metrics_codec.decode_columns, (ValueError,), (_columns_seed(),)),
    "batch": Decoder(metrics_codec.decode_batch, (ValueError,), (_batch_seed(),)),
    "safetensors header": Decoder(
        safetensors.parse_header,
        (safetensors.BadHeader,),
        (struct.pack("<Q", len(_SAFETENSORS)) + _SAFETENSORS.encode(),),
    ),
    "tensors": Decoder(_tensors, (WireError,), (_TENSORS,)),
    "parameters": Decoder(_parameters, (ValueError,), (_TENSORS,)),
    "request": Decoder(framing.decode_request, (WireError,), (framing.encode_request({"a": 1}, [b"xy"]),)),
    "response": Decoder(framing.decode_response, (WireError,), (framing.encode_response({"a": 1}, [b"xy"]),)),
    "call": Decoder(framing.decode_call, (WireError,), (framing.encode_call(3, {"a": 1}, [b"xy"]),)),
    "reply or event": Decoder(
        framing.decode_frame,
        (WireError,),
        (framing.encode_reply(3, {"a": 1}, [b"xy"]), framing.encode_event("Debug", "exit", {"a": 1}, [b"z"])),
    ),
    "channel": Decoder(
        _channel, (frames.MalformedFrame,), (_packed({"op": "call"}, b"abc", b""), _packed({}))
    ),
    "values": Decoder(
        _value,
        (ValueError,),
        (
            _value_seed({"a": [1, 2.5, None, "x"], "b": (b"xy", 10**30)}),
            _value_seed(np.arange(6, dtype="f4").reshape(2, 3)),
            _value_seed([np.array(["ab", "c"]), np.float64(3), complex(1, 2)]),
        ),
    ),
    "partial download": Decoder(
        _partial, (), (b"JXPART1\n" + struct.pack("<I", len(_INFO)) + _INFO.encode() + b"\x02",)
    ),
    "upload": Decoder(
        _upload,
        (Problem,),
        (
            b'multipart/form-data; boundary=x\n--x\r\nContent-Disposition: form-data; name="content"; filename="a"\r\n\r\nabc\r\n--x--\r\n',
            b"application/x-www-form-urlencoded\na=b&c=%20d",
        ),
    ),
    "archive of a model": Decoder(
        unpack_model, (BadArchive,), (_zip(main_py=b"class Model: ..."), b"class Model: ...")
    ),
    "bundle of a session": Decoder(
        _session_code, (Problem,), (_zip(manifest_json=b'{"kind": "model"}', code_py=b"x = 1"),)
    ),
}
