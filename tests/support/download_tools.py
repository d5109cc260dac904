"""What tests of downloads share: a hub with small models, settings that point at it, and files as big as needed."""

from __future__ import annotations

import json
import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hub_server import HubServer

from jupyter_ext.engine.models.download.manager import Downloads
from jupyter_ext.engine.models.reference import ModelRef, parse_ref
from jupyter_ext.engine.models.sources.http_settings import HttpSettings
from jupyter_ext.engine.models.sources.hub_settings import HubSettings

MIB = 1024 * 1024
QUICK = HttpSettings(
    stall_s=1.0,
    max_attempts=4,
    first_pause_s=0.02,
    max_pause_s=0.1,
    request_bytes=4 * MIB,
    first_request_bytes=MIB,
    sync_every_s=0.2,
)
"""Waits short, and requests small, so that a few MiB are many requests."""


def write_weights(path: Path, num_bytes: int, seed: int = 0) -> Path:
    """Write a valid safetensors file of about so many bytes of noise."""
    generator = np.random.default_rng(seed)
    count = max(1, num_bytes // 4 // 2)
    header = json.dumps(
        {
            "__metadata__": {"format": "pt"},
            "a.weight": {"dtype": "F32", "shape": [count], "data_offsets": [0, count * 4]},
            "b.weight": {"dtype": "F32", "shape": [count], "data_offsets": [count * 4, count * 8]},
        }
    ).encode()
    header += b" " * (-len(header) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.writelines(generator.bytes(count * 4) for _ in range(2))
    return path


def write_model(folder: Path, num_bytes: int = 16 * MIB, seed: int = 0) -> Path:
    """Write a folder with a config and one file of weights."""
    write_weights(folder / "model.safetensors", num_bytes, seed)
    (folder / "config.json").write_text(
        json.dumps({"architectures": ["TinyModel"], "model_type": "tiny", "seed": seed})
    )
    return folder


@dataclass
class DownloadHome:
    """Everything of one test: where downloads are kept, and the hub that they come from."""

    path: Path
    hub: HubServer

    @property
    def environ(self) -> dict[str, str]:
        """What a notebook would have set."""
        return {"HF_ENDPOINT": self.hub.url, "HF_HOME": str(self.path / "hf"), "HOME": str(self.path)}

    @property
    def settings(self) -> HubSettings:
        """The same, read."""
        return HubSettings.from_environment(self.environ)

    @property
    def cache(self) -> Path:
        """The Hugging Face cache."""
        return self.path / "hf" / "hub"

    def downloads(self, http: HttpSettings = QUICK) -> Downloads:
        """Return what an engine would make at its start."""
        return Downloads(self.path / "local_models", http=http)

    def left_over(self) -> list[str]:
        """Name everything that is there and is no whole model."""
        found = []
        for _, _, names in os.walk(self.path):
            found += [name for name in names if name.endswith((".partial", ".journal", ".tmp"))]
        return found


def find_local(downloads: Downloads, ref: ModelRef | str, settings: HubSettings) -> Path | None:
    """Return where a model is whole, or `None`."""
    return downloads.snapshots.find(parse_ref(str(ref)), settings)
