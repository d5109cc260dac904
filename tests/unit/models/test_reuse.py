"""Files that are on this machine are taken by their hash; the server is asked for the rest only."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from download_tools import MIB, DownloadHome, write_model, write_weights
from hub_server import HubServer

from jupyter_ext.engine.models.download.manager import TransferTask
from jupyter_ext.engine.models.sources.hub_settings import HubSettings

WEIGHTS = "model.safetensors"
SIZE = 12 * MIB


@pytest.fixture
def home(tmp_path: Path) -> Iterator[DownloadHome]:
    with HubServer() as hub:
        home = DownloadHome(tmp_path, hub)
        hub.publish("acme/tiny", write_model(tmp_path / "source", SIZE))
        yield home


async def fetched(
    home: DownloadHome, settings: HubSettings | None = None, repo: str = "acme/tiny"
) -> TransferTask:
    """Fetch; what was sent is counted from after the look-up."""
    downloads = home.downloads()
    manifest = await downloads.resolve(f"hub:{repo}", settings=settings or home.settings)
    home.hub.forget_requests()
    task = downloads.start(manifest)
    path = await task.wait()
    assert (path / WEIGHTS).read_bytes() == (home.path / "source" / WEIGHTS).read_bytes()
    return task


def looking_in(home: DownloadHome, *folders: Path) -> HubSettings:
    text = os.pathsep.join(str(folder) for folder in folders)
    return HubSettings.from_environment({**home.environ, "JUPYTER_EXT_MODEL_FOLDERS": text})


async def test_a_file_in_a_named_folder_is_copied(home: DownloadHome, tmp_path: Path) -> None:
    theirs = tmp_path / "usb" / "deep" / "some name.bin"
    theirs.parent.mkdir(parents=True)
    shutil.copy(home.path / "source" / WEIGHTS, theirs)
    # same size, other content
    write_weights(tmp_path / "usb" / "a-decoy.safetensors", SIZE, seed=9)
    task = await fetched(home, looking_in(home, tmp_path / "nothing-here", tmp_path / "usb"))
    assert home.hub.sent_of(WEIGHTS) == 0
    assert task.transfer.resumed_bytes >= SIZE
    # theirs to change: that must not reach the cache
    with open(theirs, "r+b") as file:
        file.write(b"\xff" * 100)
    blob = (task.manifest.snapshot_dir / WEIGHTS).resolve()
    assert blob.read_bytes() == (home.path / "source" / WEIGHTS).read_bytes()


async def test_a_file_of_the_same_size_and_other_content_is_not_taken(
    home: DownloadHome, tmp_path: Path
) -> None:
    write_weights(tmp_path / "usb" / WEIGHTS, SIZE, seed=9)
    await fetched(home, looking_in(home, tmp_path / "usb"))
    assert home.hub.sent_of(WEIGHTS) >= SIZE


async def test_what_another_model_has_is_linked(home: DownloadHome) -> None:
    first = await fetched(home)
    home.hub.publish("acme/fork", home.path / "source")
    second = await fetched(home, repo="acme/fork")
    assert home.hub.sent_of(WEIGHTS) == 0
    one, two = ((task.manifest.snapshot_dir / WEIGHTS).resolve() for task in (first, second))
    assert one != two
    assert one.stat().st_ino == two.stat().st_ino
    home.downloads().delete("hub:acme/tiny", home.settings)
    assert two.read_bytes() == (home.path / "source" / WEIGHTS).read_bytes()


async def test_a_blob_with_wrong_content_is_fetched_anew(home: DownloadHome) -> None:
    first = await fetched(home)
    blob = (first.manifest.snapshot_dir / WEIGHTS).resolve()
    mapped = os.open(blob, os.O_RDONLY)
    # what huggingface_hub would have accepted: the right size
    other = blob.with_name("other")
    other.write_bytes(bytes(SIZE) + blob.read_bytes()[SIZE:])
    os.replace(other, blob)
    await fetched(home)
    assert home.hub.sent_of(WEIGHTS) >= SIZE
    os.close(mapped)


def left_over_bytes(home: DownloadHome) -> int:
    sizes = [0]
    for path in home.cache.glob("models--*/blobs/*.incomplete"):
        try:
            sizes.append(path.stat().st_size)
        except FileNotFoundError:
            # a small one that became whole meanwhile
            continue
    return max(sizes)


async def test_what_huggingface_hub_left_is_a_beginning(home: DownloadHome) -> None:
    home.hub.bytes_per_s = 8e6
    child = subprocess.Popen(
        [sys.executable, "-c", "import huggingface_hub as h; h.snapshot_download('acme/tiny')"],
        env={
            "PATH": "/usr/bin:/bin",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            **home.environ,
        },
        stderr=subprocess.DEVNULL,
    )
    try:
        while child.poll() is None:
            if left_over_bytes(home) > 3 * MIB:
                break
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    kept = left_over_bytes(home)
    assert 3 * MIB < kept < SIZE
    home.hub.bytes_per_s = None
    task = await fetched(home)
    assert task.transfer.resumed_bytes >= kept - MIB
    assert home.hub.sent_of(WEIGHTS) <= SIZE - kept + 2 * MIB


async def test_a_wrong_beginning_costs_a_second_attempt_and_no_more(home: DownloadHome) -> None:
    manifest = await home.downloads().resolve("hub:acme/tiny", settings=home.settings)
    blobs = manifest.repo_dir / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{manifest.files[-1].blob}.1234.incomplete").write_bytes(b"\1" * (4 * MIB))
    await fetched(home)
    assert home.left_over() == []
