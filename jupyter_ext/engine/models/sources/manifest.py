"""What a model consists of, before a byte of its weights is fetched."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jupyter_ext.engine.models import memory
from jupyter_ext.engine.models.reference import ModelRef
from jupyter_ext.engine.models.sources.description import ModelDescription
from jupyter_ext.engine.models.sources.hub_settings import HubSettings
from jupyter_ext.protocol.models import ModelFile
from jupyter_ext.weights.safetensors import WeightsSummary

NOBODY_MISSES_IT = "not needed to load the model"
"""The reason for leaving a file out of which no word need be said."""


@dataclass(frozen=True)
class ManifestFile:
    """One file.

    Attributes:
        name: Its path inside the model, `/`-separated; checked, so that it stays inside.
        bytes: Its size.
        url: Where it is; without secrets.
        blob: What it is called in the cache's `blobs/`; checked, so that it is one plain name.
        sha256: What it must hash to, where the hub says so.
        git_sha1: What it must hash to as a git blob, where the hub says that.
        validator: The strong ETag of the server's answer, where no hash is known.
    """

    name: str
    bytes: int
    url: str
    blob: str
    sha256: str | None = None
    git_sha1: str | None = None
    validator: str | None = None

    @property
    def has_hash(self) -> bool:
        """Tell whether what arrives can be checked."""
        return self.sha256 is not None or self.git_sha1 is not None


@dataclass(frozen=True)
class SkippedFile:
    """A file that is there and is not fetched, and why."""

    name: str
    bytes: int | None
    reason: str


@dataclass(frozen=True)
class Manifest:
    """A model at one revision.

    Attributes:
        ref: As it was asked for.
        revision: Commit of a hub's model, 40 hexadecimal characters; for an address a digest of its validator.
        refs: Names of the cache's `refs/` that shall mean this revision, such as `main`.
        repo_dir: Directory of this model in the cache (`blobs/`, `snapshots/`, `refs/`).
        files: What is fetched, small ones first.
        skipped: What is not.
        config: The parsed `config.json`, where there is one.
        weights: What the safetensors headers say; `None` where they could not be read before the download.
        settings: Whose hub and token.
        path: Where it is, for a model that need not be fetched.
        notes: What somebody should know before it is fetched; one line each.
    """

    ref: ModelRef
    revision: str
    repo_dir: Path
    files: tuple[ManifestFile, ...]
    settings: HubSettings = field(repr=False)
    refs: tuple[str, ...] = ()
    skipped: tuple[SkippedFile, ...] = ()
    config: Mapping[str, object] | None = field(default=None, repr=False)
    weights: WeightsSummary | None = None
    path: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def blobs(self) -> tuple[ManifestFile, ...]:
        """One file for each content: files of the same bytes are fetched and stored once."""
        return tuple({file.blob: file for file in reversed(self.files)}.values())[::-1]

    @property
    def total_bytes(self) -> int:
        """The bytes of all contents."""
        return sum(file.bytes for file in self.blobs)

    @property
    def architecture(self) -> str | None:
        """Name the class of `transformers` that the config names."""
        names = (self.config or {}).get("architectures")
        return names[0] if isinstance(names, list) and names and isinstance(names[0], str) else None

    @property
    def has_tokenizer(self) -> bool:
        """Tell whether a tokenizer comes along."""
        names = {file.name for file in self.files}
        return bool(names & {"tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.txt"})

    def description(self, path: Path | None = None) -> ModelDescription:
        """Return what people see of it.

        Args:
            path: Where it is, if it is here; then nothing is said of files that were left out.
        """
        left_out = [
            f"{file.name if file.name.isprintable() else ascii(file.name)} was left out: {file.reason}"
            for file in self.skipped
            if path is None and file.reason != NOBODY_MISSES_IT
        ]
        weights = self.weights
        return ModelDescription(
            revision=self.revision if path is None or path.parent.name == "snapshots" else None,
            path=path,
            files=[ModelFile(name=f.name, bytes=f.bytes, sha256=f.sha256) for f in self.files],
            bytes=self.total_bytes,
            memory_bytes=weights.num_bytes + memory.PROCESS_BYTES if weights else None,
            num_parameters=weights.num_parameters if weights else None,
            dtype=weights.dtype if weights else None,
            architecture=self.architecture,
            tokenizer=self.has_tokenizer,
            notices=[*self.notes, *left_out],
        )

    @property
    def snapshot_dir(self) -> Path:
        """Where it will be whole."""
        return self.path or self.repo_dir / "snapshots" / self.revision

    @property
    def key(self) -> str:
        """Name what is fetched and where to: two askers of the same get one transfer."""
        what = "\n".join(
            [str(self.repo_dir), self.revision, *(f"{file.name} {file.blob}" for file in self.files)]
        )
        return hashlib.sha256(what.encode()).hexdigest()[:32]
