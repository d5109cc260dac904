"""A verified download of 1 GB beside hf_hub_download and curl, and what a kill -9 half way leaves of it.

Everything comes from one server of this machine, which sends with sendfile; each client runs in a process of its own and
reports the time between asking for the first byte and having the whole file, without its imports. Rounds are interleaved.
curl writes to /dev/null: the limit of what can arrive. hf_hub_download checks no hash; ours does.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.support.rows import Row, at_most, median
from benchmarks.support.scale import scaled

sys.path.insert(0, str(Path(__file__).parents[1] / "notebooks"))

from hub_server import HubServer

GIB = scaled(2**30, 2**26)
MIB = 2**20
ROUNDS = scaled(5, 1)
CDN_BYTES_PER_S = 60e6
CDN_FIRST_BYTE_S = 0.03
LOST_MIB = 8.0
KILLED_BYTES = GIB // 4
KILLED_BYTES_PER_S = 20e6
REPO = "bench/model"
NAME = "model.safetensors"


def run() -> Iterator[Row]:
    """Measure everything: about two minutes."""
    with tempfile.TemporaryDirectory(prefix="downloads-") as directory:
        root = Path(directory)
        source = _write_model(root / "source", GIB)
        small = _write_model(root / "small", KILLED_BYTES)
        yield from _speed_rows(root, source)
        yield from _cdn_rows(root, source)
        yield from _kill_rows(root, small)


def _speed_rows(root: Path, source: Path) -> Iterator[Row]:
    with _server(source) as hub:
        times = _interleaved(root, hub, ROUNDS)
    ours, curl, hf, sha = (median(times[name]) for name in ("ours", "curl", "hf", "sha256"))
    label = "1 GB verified download, loopback"
    yield Row(label, ours, "s", "curl to /dev/null", curl, at_most(5))
    yield Row(label, ours, "s", "hf_hub_download, no hash", hf)
    yield Row(label, ours, "s", "sha256 alone, one core", sha)


def _cdn_rows(root: Path, source: Path) -> Iterator[Row]:
    with _server(source, bytes_per_s=CDN_BYTES_PER_S, first_byte_s=CDN_FIRST_BYTE_S) as hub:
        times = _interleaved(root, hub, 1)
    ours, curl, hf = (median(times[name]) for name in ("ours", "curl", "hf"))
    label = "the same at 60 MB/s per connection"
    yield Row(label, ours, "s", "hf_hub_download, no hash", hf, at_most(1 / 6))
    yield Row(label, ours, "s", "curl to /dev/null", curl)


def _kill_rows(root: Path, source: Path) -> Iterator[Row]:
    lost = {}
    for name, started in (("ours", _start_ours), ("hf", _start_hf)):
        with _server(source, bytes_per_s=KILLED_BYTES_PER_S) as hub:
            home = root / f"kill-{name}"
            child = started(home, hub)
            while hub.bytes_sent < KILLED_BYTES // 2:
                time.sleep(0.002)
            # Before the kill: what is sent to a process that is dying was never its.
            had = hub.bytes_sent
            child.kill()
            child.wait()
        with _server(source) as hub:
            again = started(home, hub)
            again.communicate()
            # What the second attempt did not ask for was kept, whoever it was.
            lost[name] = max(0.0, (had - (KILLED_BYTES - hub.bytes_sent)) / MIB)
            shutil.rmtree(home)
    name = "fetched again after kill -9 at 128 of 256 MiB"
    yield Row(name, lost["ours"], "MiB", "hf_hub_download", lost["hf"], at_most(LOST_MIB, "MiB"))


def _interleaved(root: Path, hub: HubServer, rounds: int) -> dict[str, list[float]]:
    clients: dict[str, Callable[[Path, HubServer], float]] = {
        "curl": _curl, "ours": _ours, "hf": _hf, "sha256": _sha256,
    }  # fmt: skip
    times: dict[str, list[float]] = {name: [] for name in clients}
    for number in range(rounds):
        for name, client in clients.items():
            home = root / f"{name}-{number}"
            times[name].append(client(home, hub))
            shutil.rmtree(home, ignore_errors=True)
            os.sync()
    return times


def _curl(_: Path, hub: HubServer) -> float:
    command = [
        "curl",
        "-s",
        "-o",
        "/dev/null",
        "-w",
        "%{time_total}",
        f"{hub.url}/{REPO}/resolve/main/{NAME}",
    ]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _ours(home: Path, hub: HubServer) -> float:
    return _timed(_start_ours(home, hub))


def _hf(home: Path, hub: HubServer) -> float:
    return _timed(_start_hf(home, hub))


def _sha256(_: Path, hub: HubServer) -> float:
    found = hub.find(REPO, "main")
    assert found is not None
    program = (
        "import hashlib, mmap, sys, time; began = time.perf_counter(); file = open(sys.argv[1], 'rb');"
        "hashlib.sha256(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)).digest(); print(time.perf_counter() - began)"
    )
    path = next(file.path for file in found[1] if file.name == NAME)
    command = [sys.executable, "-c", program, str(path)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _timed(child: subprocess.Popen[str]) -> float:
    output, _ = child.communicate()
    return float(json.loads(output.splitlines()[-1])["seconds"])


HF = """
import json, sys, time
import huggingface_hub
huggingface_hub.HfApi().model_info(sys.argv[2])
began = time.perf_counter()
huggingface_hub.hf_hub_download(sys.argv[2], "model.safetensors")
print(json.dumps({"seconds": time.perf_counter() - began}))
"""


def _start_ours(home: Path, hub: HubServer) -> subprocess.Popen[str]:
    return _start(["-m", "benchmarks.support.our_download"], home, hub)


def _start_hf(home: Path, hub: HubServer) -> subprocess.Popen[str]:
    return _start(["-c", HF], home, hub)


def _start(program: list[str], home: Path, hub: HubServer) -> subprocess.Popen[str]:
    environment = os.environ | {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    return subprocess.Popen(
        [sys.executable, *program, str(home), REPO], stdout=subprocess.PIPE, text=True, env=environment
    )


def _server(source: Path, bytes_per_s: float | None = None, first_byte_s: float = 0.0) -> HubServer:
    hub = HubServer(bytes_per_s=bytes_per_s, first_byte_s=first_byte_s)
    hub.publish(REPO, source)
    return hub


def _write_model(folder: Path, num_bytes: int) -> Path:
    import torch
    from safetensors.torch import save_file

    folder.mkdir()
    torch.manual_seed(0)
    piece = torch.randint(-(2**31), 2**31 - 1, (num_bytes // 4 // 16,), dtype=torch.int32).view(torch.float32)
    save_file({f"layer.{index}": piece.clone() for index in range(16)}, folder / NAME)
    return folder
