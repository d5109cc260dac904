"""The ranks' output as one log."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jupyter_ext.worker.training.log_folding import LogFolder


class Folding:
    """Two ranks that print, and what is folded of it."""

    def __init__(self, directory: Path) -> None:
        self._paths = {rank: directory / str(rank) for rank in (0, 1)}
        self._out = directory / "folded"
        self._descriptor = os.open(self._out, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.folder = LogFolder(self._paths, self._descriptor, self._descriptor)

    def print(self, rank: int, data: str | bytes) -> str:
        """Have a rank print; return the folded log."""
        with open(self._paths[rank], "ab") as file:
            file.write(data.encode() if isinstance(data, str) else data)
        self.folder.fold()
        return self._out.read_bytes().decode()

    def close(self) -> str:
        """End the folding; return the folded log."""
        self.folder.close()
        os.close(self._descriptor)
        return self._out.read_bytes().decode()


@pytest.fixture
def folding(tmp_path: Path) -> Folding:
    """Return a folding of two ranks."""
    return Folding(tmp_path)


def test_rank_0_passes_as_it_is_and_others_by_line(folding: Folding) -> None:
    assert folding.print(0, "one\r 10%") == "one\r 10%"
    assert folding.print(1, "two") == "one\r 10%"
    assert folding.print(1, "!\n") == "one\r 10%\n[rank 1] two!\n"
    assert folding.print(0, "\r 20%") == "one\r 10%\n[rank 1] two!\n\r 20%"
    assert folding.close() == "one\r 10%\n[rank 1] two!\n\r 20%"


def test_of_a_bar_of_another_rank_only_its_end_is_kept(folding: Folding) -> None:
    folding.print(1, "\r 10%\r 20%")
    assert folding.print(1, "\r100%\n") == "[rank 1] 100%\n"
    assert folding.close() == "[rank 1] 100%\n"


def test_characters_and_lines_that_come_in_pieces_stay_whole(folding: Folding) -> None:
    euro = "€".encode()
    assert folding.print(0, euro[:1]) == ""
    assert folding.print(1, euro[:2]) == ""
    folding.print(0, euro[1:])
    folding.print(1, euro[2:] + b" end")
    assert folding.close() == "€\n[rank 1] € end\n"


def test_bytes_that_are_no_text_do_not_stop_it(folding: Folding) -> None:
    folding.print(1, b"\xff\xfe\n")
    assert folding.close() == "[rank 1] \ufffd\ufffd\n"
