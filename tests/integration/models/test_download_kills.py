"""A process that downloads is killed with -9; the next one fetches what is missing and no more."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from download_tools import MIB, DownloadHome, find_local, write_model
from hub_server import HubServer

LOST_BYTES = 8 * MIB
"""What a kill may cost at most."""

UNDER_WAY_BYTES = 4 * MIB
"""What a killed process' connections may have been sent without its ever reading it."""

CHILD = """
import asyncio, sys
from pathlib import Path
from jupyter_ext.engine.models.download.manager import Downloads
from jupyter_ext.engine.models.sources.hub_settings import HubSettings

async def main():
    downloads = Downloads(Path(sys.argv[1]))
    manifest = await downloads.resolve("hub:acme/tiny", settings=HubSettings.from_environment())
    show = lambda transfer: print(transfer.model_dump_json(), flush=True)
    print(await downloads.start(manifest, show).wait(), flush=True)

asyncio.run(main())
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[DownloadHome]:
    with HubServer() as hub:
        home = DownloadHome(tmp_path, hub)
        hub.publish("acme/tiny", write_model(tmp_path / "source", 64 * MIB))
        yield home


def begin(home: DownloadHome) -> subprocess.Popen[str]:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path), **home.environ}
    command = [sys.executable, "-c", CHILD, str(home.path / "local_models")]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def kill_at(child: subprocess.Popen[str], num_bytes: int) -> int:
    """Kill a download when it says that it has so many bytes; gives how many that were."""
    assert child.stdout is not None
    for line in child.stdout:
        transfer = json.loads(line)
        if transfer["bytes_done"] >= num_bytes:
            child.kill()
            child.wait()
            child.stdout.close()
            return int(transfer["bytes_done"])
    raise AssertionError(f"the download ended with {child.wait()} before it could be killed")


def finish(home: DownloadHome) -> tuple[Path, dict[str, object]]:
    child = begin(home)
    output, _ = child.communicate(timeout=100)
    assert child.returncode == 0
    *_, last, path = output.splitlines()
    return Path(path), json.loads(last)


def is_right(path: Path, home: DownloadHome) -> bool:
    name = "model.safetensors"
    return (path / name).read_bytes() == (home.path / "source" / name).read_bytes()


@pytest.mark.parametrize("share", [0.05, 0.5, 0.85])
def test_what_was_fetched_before_a_kill_is_not_fetched_again(home: DownloadHome, share: float) -> None:
    home.hub.bytes_per_s = 4e6
    size = 64 * MIB
    had = kill_at(begin(home), int(size * share))
    kept = sum(partial.kept_bytes for partial in home.downloads().partials())
    assert had - kept <= LOST_BYTES
    assert find_local(home.downloads(), "hub:acme/tiny", home.settings) is None
    home.hub.bytes_per_s = None
    home.hub.forget_requests()
    path, last = finish(home)
    assert is_right(path, home)
    assert last["status"] == "completed"
    assert abs(int(str(last["resumed_bytes"])) - kept) <= MIB, "small files that were whole count too"
    # the header is read ahead, once more
    assert home.hub.sent_of("model.safetensors") <= size - kept + MIB + UNDER_WAY_BYTES
    assert home.left_over() == []


@pytest.mark.slow
def test_killed_again_and_again_it_ends_right(home: DownloadHome) -> None:
    home.hub.bytes_per_s = 8e6
    size = 64 * MIB
    num_kills = 0
    while True:
        child = begin(home)
        assert child.stdout is not None
        first = child.stdout.readline()
        try:
            # a little longer each time: on a busy machine it would never get to the end before it is killed
            child.wait(timeout=0.3 + 0.1 * num_kills)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            num_kills += 1
            child.stdout.close()
            assert num_kills < 60, first
            continue
        child.stdout.close()
        break
    assert num_kills >= 2
    path = find_local(home.downloads(), "hub:acme/tiny", home.settings)
    assert path is not None
    assert is_right(path, home)
    assert home.hub.sent_of("model.safetensors") <= size + num_kills * (LOST_BYTES + UNDER_WAY_BYTES)
    assert home.left_over() == []


def test_nothing_half_written_is_ever_at_the_place_of_a_whole_file(home: DownloadHome) -> None:
    home.hub.bytes_per_s = 4e6
    child = begin(home)
    deadline = time.monotonic() + 100
    seen: set[str] = set()
    while child.poll() is None and time.monotonic() < deadline:
        for blob in home.cache.glob("models--*/blobs/*"):
            if not blob.name.endswith(".partial") and blob.name not in seen:
                seen.add(blob.name)
                assert blob.stat().st_size == next(
                    path.stat().st_size
                    for path in (home.path / "source").iterdir()
                    if path.stat().st_size == blob.stat().st_size
                )
        for link in home.cache.glob("models--*/snapshots/*/*"):
            assert link.exists()
        time.sleep(0.01)
    assert child.wait(timeout=60) == 0
    assert child.stdout is not None
    child.stdout.close()
    assert len(seen) == 2
