"""Progress read from tqdm's text, as the real tqdm writes it."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from tqdm import tqdm

from jupyter_ext.engine.trainings.progress_parser import ProgressBars

ALWAYS: dict[str, Any] = {"mininterval": 0, "miniters": 1}


def told_by(text: str, piece: int | None = None) -> list[tuple[float, float | None]]:
    bars = ProgressBars()
    step = piece or len(text) or 1
    told = [bars.feed(text[start : start + step]) for start in range(0, len(text), step)]
    return [item for item in told if item is not None]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"desc": "Training"},
        {"desc": "Epoch 3/7", "ascii": True},
        {"colour": "green"},
        {"unit_scale": True},
        {"ncols": 60, "unit": "img"},
        {"desc": "Loading [1/2]: 3%|x|"},
    ],
)
@pytest.mark.parametrize("piece", [None, 7, 64])
def test_a_bar_with_whatever_looks(options: dict[str, Any], piece: int | None) -> None:
    out = io.StringIO()
    for _ in tqdm(range(25), file=out, **ALWAYS, **options):
        pass
    told = told_by(out.getvalue(), piece)
    assert told[-1] == (25, 25)
    if piece == 7:
        assert sorted(set(told)) == [(i, 25) for i in range(26)]


def test_of_nested_bars_the_outer_one_is_followed() -> None:
    out = io.StringIO()
    for _ in tqdm(range(3), file=out, desc="epochs", **ALWAYS):
        for _ in tqdm(range(10), file=out, leave=False, position=1, **ALWAYS):
            pass
    told = told_by(out.getvalue(), 20)
    assert {total for _, total in told} == {3}
    assert told[-1] == (3, 3)


@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize("leave", [True, False])
@pytest.mark.parametrize("piece", ["refreshes", 7, 64])
def test_nested_bars_of_equal_totals_do_not_jump(depth: int, leave: bool, piece: int | str) -> None:
    out = io.StringIO()

    def loop(level: int) -> None:
        for _ in tqdm(range(4), file=out, leave=leave or level == 0, **ALWAYS):
            if level + 1 < depth:
                loop(level + 1)

    loop(0)
    text = out.getvalue()
    bars = ProgressBars()
    pieces = (
        re.findall(r"[^\r]*(?:\r|$)", text)
        if piece == "refreshes"
        else re.findall(f"(?s).{{1,{piece}}}", text)
    )
    told = [found for part in pieces if (found := bars.feed(part)) is not None]
    assert told[-1] == (4, 4)
    if piece == "refreshes":
        assert told == sorted(told), told


def test_bars_one_after_the_other_are_each_followed() -> None:
    out = io.StringIO()
    for total in (4, 6):
        bar = tqdm(range(total), file=out, **ALWAYS)
        for number in bar:
            bar.set_description(f"loss {number / 7:.3f}")
    told = told_by(out.getvalue(), 15)
    assert [item for item in dict.fromkeys(told) if item[0]] == [
        *((i, 4) for i in range(1, 5)),
        *((i, 6) for i in range(1, 7)),
    ]


def test_a_bar_without_a_total_counts() -> None:
    out = io.StringIO()
    for _ in tqdm(iter(range(5)), file=out, desc="reading", **ALWAYS):
        pass
    assert told_by(out.getvalue(), 9)[-1] == (5, None)


@pytest.mark.parametrize(
    "text", ["", "loss 45% | 3/4\n", "step 3/4 [done]\n", "acc: 99%\n", "100%|bar\n", "12 of 13 [00:01\n"]
)
def test_other_text_is_none(text: str) -> None:
    assert told_by(text) == []


def test_sizes_with_units() -> None:
    text = "model.bin:  50%|█████     | 1.20G/2.40G [00:01<00:01, 1.2GB/s]"
    assert told_by(text) == [(1.2e9, 2.4e9)]


def test_a_short_loop_within_leaves_the_end_of_the_outer_one_to_be_seen() -> None:
    """tqdm draws a loop of milliseconds at its beginning and its end alone."""
    out = io.StringIO()
    for _ in tqdm(range(5), file=out, mininterval=60):
        for _ in tqdm(range(3), file=out, leave=False, mininterval=60):
            pass
    assert told_by(out.getvalue())[-1] == (5, 5)
