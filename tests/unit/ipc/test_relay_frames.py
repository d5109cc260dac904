"""Files as lines of text among others."""

from __future__ import annotations

import random

import pytest

from jupyter_ext.ipc.relay_frames import CHUNK_BYTES, LineReader, is_sent, lines_of


def test_bytes_come_back_however_the_text_is_cut() -> None:
    data = random.Random(1).randbytes(3 * CHUNK_BYTES + 5)
    text = "before\n" + "".join(lines_of("logs.txt", data, 7, grows=True)) + "half a li"
    text += "ne" + "".join(lines_of("output.json", b"{}", grows=False))
    for size in (1, 10, 4_096, len(text)):
        reader, found = LineReader(), []
        for start in range(0, len(text), size):
            found += reader.feed(text[start : start + size])
        assert b"".join(part.data for part in found if part.name == "logs.txt") == data
        assert [part.offset for part in found][:2] == [7, 7 + CHUNK_BYTES]
        assert found[-1] == ("output.json", 0, b"{}", True)


@pytest.mark.parametrize(
    "name",
    [
        "spec.json",
        "../logs.txt",
        "/etc/passwd",
        "checkpoints/../../x",
        "claim.json",
        "code/manifest.json",
        "media/.x",
        "a b",
    ],
)
def test_a_run_may_not_write_what_is_the_engines(name: str) -> None:
    assert not is_sent(name)
    line = next(lines_of("logs.txt", b"x", grows=True)).replace("logs.txt", name)
    assert list(LineReader().feed(line)) == []


def test_lines_that_make_no_sense_are_passed_over() -> None:
    assert (
        list(
            LineReader().feed(
                "\x1ejx a logs.txt x AAAA\n\x1ejx a logs.txt 0 A===\n\x1ejx q logs.txt 0 AAAA\n"
            )
        )
        == []
    )
    assert is_sent("metrics-0.12-3.jnl")
    assert is_sent("ranks/1/logs.txt")
