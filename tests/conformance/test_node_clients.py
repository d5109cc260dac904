"""The official clients for JavaScript, unmodified, run by node against a running engine.

Each has a folder with a lock file of its own in `node/`, from which `npm ci` installs it once.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conformance_tools import DIGITS, FAILS, NUM_SEEDED, SEEDED, SLEEPS, Opened
from pieces_tools import MODEL, SLOW_BYTES_PER_S, pieces_engine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
FOLDERS = Path(__file__).parent / "node"
SCRIPT_TIMEOUT_S = 120
IDLE = {"downloaded": False, "downloading": False, "loaded": False}
HERE = {"downloaded": True, "downloading": False, "loaded": False}


def installed(client: str) -> Path:
    """Return a folder with a client's scripts and packages, made once and kept while its lock file stays."""
    source, target = FOLDERS / client, ROOT / ".cache" / "clients" / f"node-{client}"
    lock, mark = (source / "package-lock.json").read_text(), target / "made-from"
    if not mark.exists() or mark.read_text() != lock:
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("node_modules"))
        npm = ["npm", "ci", "--no-audit", "--no-fund", "--silent"]
        if subprocess.run(npm, cwd=target, timeout=SCRIPT_TIMEOUT_S).returncode:
            pytest.skip(f"{client} cannot be installed here")
        mark.write_text(lock)
    for script in source.glob("*.mjs"):
        shutil.copy(script, target)
    return target


def run(client: str, script: str, *arguments: str, **environment: str) -> Any:
    """Run a script with a client, and return the JSON that it printed last."""
    clean = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG", "TMPDIR")}
    result = subprocess.run(
        ["node", script, *arguments],
        cwd=installed(client),
        env=clean | {"NO_PROXY": "127.0.0.1,localhost"} | environment,
        capture_output=True,
        text=True,
        timeout=SCRIPT_TIMEOUT_S,
    )
    assert result.returncode == 0, f"{script} failed:\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
    return json.loads(result.stdout.strip().splitlines()[-1])


def seen_by(opened: Opened, client: str, destination: str) -> Any:
    """Let a client of Replicate's do everything once."""
    return run(
        client,
        "trainings.mjs",
        opened.upload("digits", DIGITS),
        opened.make_model(destination),
        opened.upload("sleeps", SLEEPS),
        opened.upload("fails", FAILS),
        REPLICATE_API_TOKEN=opened.token,
        REPLICATE_BASE_URL=f"{opened.url}/v1",
    )


@pytest.fixture(scope="module")
def classic(opened: Opened) -> Any:
    """Return what `replicate` saw."""
    return seen_by(opened, "replicate", "npm-classic")


@pytest.fixture(scope="module")
def stainless(opened: Opened) -> Any:
    """Return what `replicate-stainless` saw."""
    return seen_by(opened, "replicate-stainless", "npm-stainless")


def test_replicate_trains(classic: Any) -> None:
    assert classic["created"] == ["starting", "local/digits", True]
    status, logs, version, url = classic["ended"]
    assert (status, logs) == ("succeeded", "step 0\nstep 1\n")
    assert re.fullmatch(r"me/npm-classic:[0-9a-f]{64}", version)
    assert url.startswith("http://127.0.0.1:")
    assert classic["weights"] == "2 "
    assert classic["canceled"] == "canceled"
    assert classic["failed"] == ["failed", "ValueError: the data is bad"]


def test_replicate_pages_through_every_training_once(classic: Any) -> None:
    assert classic["pages"][:2] == [100, 100]
    assert len(classic["ids"]) == len(set(classic["ids"]))
    assert sum(id.startswith(SEEDED) for id in classic["ids"]) == NUM_SEEDED


def test_replicate_keeps_files(classic: Any) -> None:
    assert classic["file"] == ["text/plain", 11, {"who": "me"}]
    assert classic["file_text"] == "1 from a blob"
    assert classic["files"] is True
    assert classic["file_gone"] == 404


def test_replicate_predicts(classic: Any) -> None:
    assert classic["run"].startswith("run: 2  (weights-x")
    assert classic["run_polled"].startswith("poll: 2  (weights-x")
    assert classic["prediction"] == "succeeded"
    assert classic["predictions"] is True
    assert classic["as_prediction"] == "succeeded"


def test_replicate_reads_models_and_account(classic: Any) -> None:
    assert (classic["account"], classic["secret"]) == ("local", "whsec_")
    assert classic["hardware"]
    assert classic["model"] in classic["versions"]
    assert classic["version"] == ["data", "pause", "steps", "tag"]
    assert "me/npm-classic" in classic["models"]
    assert classic["search"] == ["me/npm-classic"]


def test_replicate_is_refused_with_the_right_status(classic: Any) -> None:
    assert {name: status for name, (status, _) in classic["refusals"].items()} == {
        "training": 404,
        "input": 422,
        "destination": 404,
        "token": 401,
    }
    assert "steps" in classic["refusals"]["input"][1]


def test_stainless_does_the_same(stainless: Any) -> None:
    assert stainless["created"] == ["starting", "local/digits"]
    assert stainless["ended"][:2] == ["succeeded", "step 0\nstep 1\n"]
    assert stainless["canceled"] == "canceled"
    assert stainless["failed"] == ["failed", "ValueError: the data is bad"]
    assert len(stainless["ids"]) == len(set(stainless["ids"])) > NUM_SEEDED
    assert stainless["pages"] == [100, True, 100]
    assert stainless["file"] == ["d ü.zip", 8]
    assert stainless["file_text"] == "1 uploaded"
    assert stainless["file_gone"] == ["NotFoundError", 404]
    assert stainless["run"].startswith("run: 2  (weights-x")
    assert stainless["prediction"][0] == "succeeded"
    assert (stainless["account"], stainless["secret"]) == ("local", "whsec_")
    assert "me/npm-stainless" in stainless["models"]
    assert stainless["search"] == ["me/npm-stainless"]
    assert stainless["refusals"] == {
        "training": ["NotFoundError", 404],
        "input": ["UnprocessableEntityError", 422],
        "token": ["AuthenticationError", 401],
    }


def test_pieces_goes_through_the_life_of_a_model() -> None:
    with pieces_engine() as pieces:
        pieces.hub.bytes_per_s = SLOW_BYTES_PER_S
        seen = run("pieces", "models.mjs", PIECES_URL=pieces.url, PIECES_TOKEN=pieces.token)
    assert seen["created"] == {"id": MODEL, "custom": True, **IDLE}
    assert (seen["listed"], seen["snapshot"]) == ([MODEL], "MiniLM")
    status, text = seen["gone"]
    assert status == 410
    assert "hub:no/such" in text
    assert seen["idle"] == "UNKNOWN"
    assert seen["download"] == {**IDLE, "downloading": True}
    assert seen["canceled"] == IDLE
    assert (seen["here"], seen["done"]) == (HERE, "COMPLETED")
    assert seen["load"] == {**HERE, "loaded": True}
    assert seen["delete_loaded"] == 500
    assert seen["unload"] == HERE
    assert seen["updated"] == "Mini"
    assert seen["cache"] == IDLE
    assert seen["deleted"] == 0
