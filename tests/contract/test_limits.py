"""The table of limits on page 05 says what the code does: every row's figures are those of the constants, and every test is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jupyter_ext import config
from jupyter_ext.client.requests import reconnect
from jupyter_ext.engine import app
from jupyter_ext.engine.api.http import connections
from jupyter_ext.engine.api.replicate import files
from jupyter_ext.engine.common import archives, descriptors
from jupyter_ext.engine.decthings import model_store
from jupyter_ext.engine.models.hosts import directory
from jupyter_ext.engine.processes import interpreters
from jupyter_ext.engine.sessions import pending_code
from jupyter_ext.engine.trainings.artifacts import versions
from jupyter_ext.engine.trainings.delivery import signed_links, webhooks
from jupyter_ext.engine.trainings.monitoring import sealer
from jupyter_ext.engine_process import discovery
from jupyter_ext.ipc import frames, journal_format
from jupyter_ext.server import proxy
from jupyter_ext.weights import safetensors
from jupyter_ext.worker import shim

ROOT = Path(__file__).parents[2]


def mib(num_bytes: int) -> str:
    return f"{num_bytes / 2**20:g} MiB"


def gib(num_bytes: int) -> str:
    return f"{num_bytes / 2**30:g} GiB"


def s(seconds: float) -> str:
    return f"{seconds:g} s"


FIGURES = {
    "frame on Pieces' port": [mib(connections.KEYLESS_FRAME_BYTES)],
    "frame before a key was shown": [mib(connections.STRANGER_FRAME_BYTES), mib(connections.STRANGERS_BYTES)],
    "frame of a WebSocket afterwards": [mib(connections.MAX_FRAME_BYTES)],
    "compression of frames": ["none"],
    "headers of a request": [s(connections.HEADERS_TIMEOUT_S)],
    "a key on": [s(connections.KEY_TIMEOUT_S)],
    "connections on a port": [str(connections.MAX_CONNECTIONS)],
    "streams, and all connections": ["3/8", "half", f"{descriptors._ENOUGH:,}"],
    "pause before a zygote": [s(interpreters._STEADY_S), s(interpreters._FIRST_PAUSE_S), s(interpreters._LONGEST_PAUSE_S)],
    "idle connection, server's side": [s(connections.KEEP_ALIVE_S)],
    "idle connection, our client's side": ["2 s"],
    "body, and message, through": [mib(proxy.MAX_BODY_BYTES), mib(proxy.MAX_MESSAGE_BYTES)],
    "requests under": ["600", "3,000"],
    "signed link": [f"{(signed_links.VALID_S + signed_links._STEP_S) // 3600} h"],
    "starts of an engine": [str(discovery._START_ATTEMPTS), str(reconnect._MAX_FAILED_STARTS)],
    "tries to seal": [
        str(sealer.MAX_ATTEMPTS), f"then {sealer.MAX_ATTEMPTS_LATER}", f"pauses of {sealer.FIRST_PAUSE_S / 60:g}",
        f"{sealer.MAX_PAUSE_S / 60:g} min",
    ],
    "look for the own socket": [s(app._SOCKET_CHECK_S), s(discovery._SOCKET_WAIT_S)],
    "header of a safetensors file": [
        mib(safetensors.MAX_HEADER_BYTES), f"{safetensors.MAX_TENSORS:,}", str(safetensors.MAX_RANK)
    ],
    "JSON of a channel's frame": [mib(frames.MAX_JSON_BYTES)],
    "frame of a journal": [mib(journal_format.MAX_FRAME_BYTES)],
    "bundle of code": [
        gib(versions.MAX_BUNDLE_BYTES), gib(pending_code.MAX_BUNDLE_BYTES), gib(model_store.MAX_UNPACKED_BYTES),
        f"{archives.MAX_MEMBERS:,}", f"{model_store.MAX_FILES:,}",
    ],
    "code of a model's factory": [mib(directory.MAX_CODE_BYTES)],
    "uploaded file": [gib(files.MAX_FILE_BYTES), str(files._MAX_NAME_BYTES)],
    "stop ladder": [s(shim.FLAG_GRACE_S), s(shim.INTERRUPT_GRACE_S), s(shim.TERMINATE_GRACE_S)],
    "message of a webhook": [
        s(webhooks.ATTEMPT_TIMEOUT_S), s(sum(webhooks.RETRY_PAUSES_S)), f"{len(webhooks.RETRY_PAUSES_S)} more",
        f"{webhooks.MAX_LOG_BYTES >> 10} KiB",
    ],
}  # fmt: skip
"""By the beginning of the row's first cell."""


def rows() -> list[list[str]]:
    text = (ROOT / "docs/architecture/05-trust.md").read_text(encoding="utf-8")
    lines = text.partition("\n## Limits")[2].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return cells[2:]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_a_row_says_what_the_code_does(row: list[str]) -> None:
    what, limit, why, test = row
    figures = [found for beginning, found in FIGURES.items() if what.startswith(beginning)]
    assert len(figures) == 1, "give its figures here, from the constants"
    for figure in figures[0]:
        assert re.search(rf"(?<![\d.,]){re.escape(figure)}", limit), f"{figure} is not in {limit!r}"
    assert why
    named = re.findall(r"`([^`]+)`", test)
    assert test == "the same" or named
    for path in named:
        assert (ROOT / "tests" / path).exists(), path


def test_every_figure_has_its_row() -> None:
    said = [row[0] for row in rows()]
    assert all(any(what.startswith(beginning) for what in said) for beginning in FIGURES)
    assert config.MAX_SOCKET_PATH_BYTES < 108
