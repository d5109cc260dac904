"""Weights from strangers: headers that lie, all dtypes, and one answer from downloader and loader alike."""

from __future__ import annotations

import json
import random
import string
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from jupyter_ext.engine.models.sources.file_selection import not_loadable, select
from jupyter_ext.engine.models.sources.manifest import ManifestFile
from jupyter_ext.errors import InvalidInput
from jupyter_ext.weights import files as weight_files
from jupyter_ext.weights import mmap
from jupyter_ext.weights.files import BadWeights
from jupyter_ext.weights.json_documents import BadJson, parse_document, read_object
from jupyter_ext.weights.safetensors import (
    DTYPES,
    LIMIT,
    MAX_HEADER_BYTES,
    MAX_TENSORS,
    BadHeader,
    header_length,
    parse_header,
    read_header,
    summarize,
)

CPU = torch.device("cpu")
TORCH_DTYPES = sorted({dtype.torch for dtype in DTYPES.values() if dtype.torch})


def head(text: str | bytes) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return len(data).to_bytes(8, "little") + data


def one(shape: str, offsets: str = "[0, 4]", dtype: str = '"F32"') -> bytes:
    return head(f'{{"w": {{"dtype": {dtype}, "shape": {shape}, "data_offsets": {offsets}}}}}')


# --- bounds before sums


@pytest.mark.parametrize(
    "shape",
    [
        f"[{LIMIT}]",
        f"[{'9' * 4000}]",
        f"[{'9' * 5000}]",
        "[" + ", ".join(["9" * 4000] * 1000) + "]",
        "[" + ", ".join(["2"] * 65) + "]",
        "[" + ", ".join(["2"] * 63) + "]",
        f"[{2**32}, {2**32}]",
        f"[{2**62}, {2**62}, 0]",
        "[1e400]",
        "[1.0]",
        "[NaN]",
        "[-1]",
        '["4"]',
        "[[1]]",
        "null",
        "{}",
        "4",
    ],
)
def test_sizes_that_no_file_has_are_refused_before_anything_is_multiplied(shape: str) -> None:
    with pytest.raises(BadHeader, match=r"bad shape|no JSON") as raised:
        parse_header(one(shape))
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize(
    "offsets", [f"[0, {LIMIT}]", f"[0, {'9' * 4000}]", "[0]", "[0, 4, 8]", "[4, 0]", "[0.0, 4]", "0"]
)
def test_offsets_that_no_file_has_are_refused(offsets: str) -> None:
    with pytest.raises(BadHeader):
        parse_header(one("[1]", offsets))


@pytest.mark.parametrize("length", [MAX_HEADER_BYTES + 1, 2**40, 2**64 - 1, 0, 1])
def test_a_header_beyond_the_limit_is_not_read(tmp_path: Path, length: int) -> None:
    with pytest.raises(BadHeader, match="no safetensors file"):
        header_length(length.to_bytes(8, "little"))
    path = tmp_path / "m.safetensors"
    with open(path, "wb") as file:
        file.write(length.to_bytes(8, "little"))
        file.truncate(1 << 40)  # a hole: reading it would not end
    with pytest.raises(BadHeader):
        read_header(path)


@pytest.mark.parametrize("piece", ["[],", "{},", '"a":0,'])
def test_more_lists_and_fields_than_any_model_has_are_not_parsed(
    monkeypatch: pytest.MonkeyPatch, piece: str
) -> None:
    text = "{" + piece * (5 * MAX_TENSORS + 1) + "}"
    monkeypatch.setattr(json, "loads", pytest.fail)
    with pytest.raises(BadHeader, match="more than 250,000 tensors"):
        parse_header(head(text[:MAX_HEADER_BYTES]))


def test_a_header_longer_than_its_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes((1 << 20).to_bytes(8, "little") + b"{}")
    with pytest.raises(BadHeader, match="the whole file has 10"):
        read_header(path)


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"\xff\xfe{}",
        '{"a": 1}'.encode("utf-16"),
        b"\x80\x80",
        b"null",
        b'"x"',
    ],
)
def test_text_that_is_no_header_is_told(text: bytes) -> None:
    with pytest.raises(BadHeader, match="no JSON"):
        parse_header(head(text))


def test_a_name_that_is_no_text_is_refused_and_told_in_ascii() -> None:
    text = '{"\\ud800x": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}'
    with pytest.raises(BadHeader) as raised:
        parse_header(head(text))
    assert str(raised.value).isascii()


def test_no_message_is_endless() -> None:
    name = json.dumps("n" * 100_000)
    for entry in ("1", '{"dtype": 5}', '{"dtype": "' + "D" * 100_000 + '"}'):
        with pytest.raises(BadHeader) as raised:
            parse_header(head(f"{{{name}: {entry}}}"))
        assert len(str(raised.value)) < 400


def _value(random: random.Random, depth: int = 0) -> Any:
    kinds: list[Any] = [
        lambda: random.choice([0, 1, -1, 4, 2**31, 2**63, 2**64, 10**400, 1e308, float("inf"), True, None]),
        lambda: random.choice(["F32", "U8", "F4", "", "w", "\ud800", "x" * 300]),
        lambda: [_value(random, depth + 1) for _ in range(random.randrange(4))],
        lambda: {
            random.choice(string.ascii_letters): _value(random, depth + 1) for _ in range(random.randrange(3))
        },
    ]
    return random.choice(kinds[:2] if depth > 3 else kinds)()


def _header(random: random.Random) -> bytes:
    """A right header, with some of it replaced by something else."""
    entries: dict[str, Any] = {}
    position = 0
    for number in range(random.randrange(4)):
        dtype = random.choice(sorted(DTYPES))
        shape = [random.randrange(4) * 2 for _ in range(random.randrange(4))]
        count = 1
        for size in shape:
            count *= size
        size = count * DTYPES[dtype].bits // 8
        entries[f"t{number}"] = {"dtype": dtype, "shape": shape, "data_offsets": [position, position + size]}
        position += size
    for _ in range(random.randrange(3)):
        place: Any = entries
        while place and random.random() < 0.8:
            key = random.choice(list(place) if isinstance(place, dict) else range(len(place)))
            if not isinstance(place[key], dict | list) or random.random() < 0.3:
                place[key] = _value(random)
                break
            place = place[key]
    data = bytearray(head(json.dumps(entries)))
    for _ in range(random.choice([0, 0, 0, 1, 3])):
        data[random.randrange(len(data))] = random.randrange(256)
    return bytes(data[: random.randrange(len(data) + 1)] if random.random() < 0.1 else data)


@pytest.mark.parametrize("seed", range(4))
def test_any_header_is_read_or_refused_by_its_documented_error(seed: int, tmp_path: Path) -> None:
    source, path = random.Random(seed), tmp_path / "m.safetensors"
    read = 0
    for _ in range(600):
        data = _header(source)
        try:
            header = parse_header(data)
        except BadHeader:
            path.write_bytes(data)
            with pytest.raises(BadWeights):
                weight_files.find(path)
            continue
        read += 1
        assert 8 <= header.file_bytes < LIMIT
        assert all(0 <= tensor.num_elements < LIMIT for tensor in header.tensors)
        summarize([header])
        if header.file_bytes < 1 << 16 and header.unloadable is None:
            path.write_bytes(data.ljust(header.file_bytes, b"\0")[: header.file_bytes])
            loaded = mmap.tensors_of(weight_files.find(path), CPU, None)
            assert set(loaded) == {tensor.name for tensor in header.tensors}
    assert read > 50


# --- downloader and loader agree


@pytest.mark.parametrize("name", TORCH_DTYPES)
def test_every_dtype_that_torch_has_is_loaded_as_the_library_wrote_it(name: str, tmp_path: Path) -> None:
    dtype = getattr(torch, name)
    raw = torch.arange(64, dtype=torch.uint8) % 2
    tensor = raw.view(dtype).reshape(2, -1)
    path = tmp_path / "m.safetensors"
    try:
        save_file({"w": tensor}, path)
    except (KeyError, ValueError) as error:
        pytest.skip(f"this release of safetensors does not write {name}: {error}")
    header = read_header(path)
    assert header.unloadable is None
    assert summarize([header]).num_bytes == 64
    loaded = mmap.tensors_of(weight_files.find(path), CPU, None)["w"]
    assert (loaded.dtype, loaded.shape) == (dtype, tensor.shape)
    assert torch.equal(loaded.view(torch.uint8), tensor.view(torch.uint8))


@pytest.mark.parametrize("dtype", ["F6_E2M3", "F6_E3M2"])
def test_a_dtype_that_torch_does_not_have_is_named(dtype: str, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(one("[4]", "[0, 3]", f'"{dtype}"') + b"abc")
    assert summarize([read_header(path)]).unloadable == dtype
    with pytest.raises(BadWeights, match=f"tensors of {dtype}, for which torch has no dtype"):
        weight_files.find(path)


@pytest.mark.parametrize("name", ["m.gguf", "m.onnx", "m.h5", "m.pkl", "m.joblib", "m.NPZ", "m.llamafile"])
def test_a_format_that_torch_does_not_load_is_named_and_not_called_broken(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"GGUF")
    with pytest.raises(BadWeights, match="of a format that torch does not load"):
        weight_files.find(tmp_path, name)
    assert not_loadable([name, "README.md", "pytorch_model.bin"], ["*"]) == [name]


def file(name: str) -> ManifestFile:
    return ManifestFile(name, 10, f"https://hub/{name}", "a" * 40)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "a[1].bin", "we?rd*.pt", "[!x].ckpt"])
def test_a_refusal_names_the_parameter_that_lets_the_file_in(name: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        select([file(name)])
    assert f"weights=[{name!r}]" in str(raised.value)
    taken, _ = select([file(name)], [name])
    assert [found.name for found in taken] == [name]


# --- documents beside the weights


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff", b"{" + b" " * (5 << 20), b"", b"nope"])
def test_documents_that_are_none_are_refused_by_one_error(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(BadJson):
        parse_document(content)
    (tmp_path / "config.json").write_bytes(content)
    assert read_object(tmp_path / "config.json") is None


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "[1]", "{}", '{"weight_map": [1]}', "\ud800", '{"weight_map": {"a": "\\ud800"}}']
)
def test_an_index_that_is_none_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / weight_files.INDEX).write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(BadWeights, match=r"no index of shards|no name of a file"):
        weight_files.find(tmp_path)
