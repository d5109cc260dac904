"""Where things lie and the few settings there are, read once from the environment.

| variable | meaning | default |
|---|---|---|
| `JUPYTER_EXT_DATA_DIR` | runs, versions, catalog | `<jupyter data dir>/jupyter_ext` |
| `JUPYTER_EXT_RUNTIME_DIR` | socket, locks, engine log; must be a local disk | `<jupyter runtime dir>/jupyter_ext-<host>` |
| `JUPYTER_EXT_IDLE_S` | the engine ends after this long without work, viewers or an open port, seconds | 600 |
| `JUPYTER_EXT_MODELS_MIB` | what all loaded models may take of memory together, MiB; or `all` that there is | all |
| `JUPYTER_EXT_PIECES` | `1`: listen in Pieces' range, 39300-39333, without a token (docs/architecture/11-pieces.md) | 0 |
| `JUPYTER_EXT_PRELOAD` | modules a zygote imports before it forks workers, comma-separated | torch,torch._dynamo |
| `JUPYTER_EXT_RATE_LIMITS` | requests a minute on the loopback port: new predictions, everything else under `/v1`; or `off` | 600,3000 |
| `JUPYTER_EXT_SOCKET_RATE_LIMITS` | the same on the Unix socket | off |
| `JUPYTER_EXT_FORWARDED_HOSTS` | host names whose reverse proxy may say so in `X-Forwarded-*`, comma-separated | none |
"""

from __future__ import annotations

import hashlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from jupyter_ext.errors import InvalidInput
from jupyter_ext.ipc import private_sockets

PROTOCOL_VERSION = 1
"""Version of what clients and engine say to each other; docs/architecture/02-wire.md."""

MAX_SOCKET_PATH_BYTES = 100
"""A Unix socket's path holds 107 bytes on Linux and 103 on macOS; a little is kept free."""


@dataclass(frozen=True)
class Locations:
    """Directories of one user on one host."""

    data_dir: Path
    runtime_dir: Path

    @property
    def runs_dir(self) -> Path:
        """One directory per training."""
        return self.data_dir / "runs"

    @property
    def versions_dir(self) -> Path:
        """One bundle per code version."""
        return self.data_dir / "versions"

    @property
    def blobs_dir(self) -> Path:
        """Large parts of code bundles, each under its sha256; versions and runs link to them."""
        return self.data_dir / "blobs"

    @property
    def files_dir(self) -> Path:
        """Uploaded files and weights."""
        return self.data_dir / "files"

    @property
    def models_dir(self) -> Path:
        """Models that were made by name."""
        return self.data_dir / "models"

    @property
    def hosts_dir(self) -> Path:
        """One directory per process that has a local model loaded."""
        return self.data_dir / "hosts"

    @property
    def local_models_dir(self) -> Path:
        """What is known of local models, and the journals of their downloads; weights lie in the hub's cache."""
        return self.data_dir / "local_models"

    @property
    def sessions_dir(self) -> Path:
        """One directory per debug session."""
        return self.data_dir / "sessions"

    @property
    def debug_models_dir(self) -> Path:
        """Models that were uploaded to be debugged, with their states."""
        return self.data_dir / "debug_models"

    @property
    def datasets_dir(self) -> Path:
        """One directory per dataset."""
        return self.data_dir / "datasets"

    @property
    def webhooks_dir(self) -> Path:
        """One file per webhook that has not heard the last of its run."""
        return self.data_dir / "webhooks"

    @property
    def webhook_secret(self) -> Path:
        """What webhooks are signed with."""
        return self.data_dir / "webhook.secret"

    @property
    def pieces_id(self) -> Path:
        """What this installation calls itself towards Pieces' clients."""
        return self.data_dir / "pieces.id"

    @property
    def link_secret(self) -> Path:
        """What capability links are signed with."""
        return self.data_dir / "link.secret"

    @property
    def catalog(self) -> Path:
        """The index over runs and versions."""
        return self.data_dir / "catalog.sqlite"

    @property
    def socket(self) -> Path:
        """The engine's Unix socket; in a short path where the runtime directory's is too long."""
        return self.socket_dir / "engine.sock"

    @property
    def socket_dir(self) -> Path:
        """Where sockets are: the runtime directory, or a private one with a short path; see `ipc.private_sockets`."""
        return self._sockets()

    def _sockets(self, *, make: bool = False) -> Path:
        longest = self.runtime_dir / f"{'x' * 26}.sock"
        if len(os.fsencode(longest)) <= MAX_SOCKET_PATH_BYTES:
            return self.runtime_dir
        digest = hashlib.sha256(os.fsencode(self.runtime_dir)).hexdigest()[:12]
        return private_sockets.short_directory(
            self.runtime_dir, f"jupyter_ext-{os.getuid()}-{digest}", make=make
        )

    @property
    def engine_lock(self) -> Path:
        """Held by the engine for life: the truth about whether one runs."""
        return self.runtime_dir / "engine.lock"

    @property
    def start_lock(self) -> Path:
        """Held while somebody starts the engine."""
        return self.runtime_dir / "start.lock"

    @property
    def engine_file(self) -> Path:
        """What the running engine says of itself, for people and tests."""
        return self.runtime_dir / "engine.json"

    @property
    def token_file(self) -> Path:
        """The bearer token of the loopback port, while it is open."""
        return self.runtime_dir / "token"

    @property
    def engine_log(self) -> Path:
        """The engine's own log."""
        return self.runtime_dir / "engine.log"

    def call_socket(self, worker_id: str) -> Path:
        """Where a session or a model's host answers calls."""
        return self.socket_dir / f"{worker_id}.call"

    @property
    def engine_settings(self) -> Path:
        """What a person has set of the engine, beyond the environment."""
        return self.data_dir / "engine_settings.json"

    @property
    def own(self) -> list[Path]:
        """What lies in the data directory itself and is this user's alone; nothing below needs to be looked at."""
        files = (self.catalog, self.webhook_secret, self.pieces_id, self.link_secret, self.engine_settings)
        return [
            *(
                self.runs_dir,
                self.versions_dir,
                self.blobs_dir,
                self.files_dir,
                self.models_dir,
                self.hosts_dir,
            ),
            *(
                self.local_models_dir,
                self.sessions_dir,
                self.debug_models_dir,
                self.datasets_dir,
                self.webhooks_dir,
            ),
            *files,
            *(self.catalog.with_name(f"{self.catalog.name}{end}") for end in ("-wal", "-shm")),
        ]

    def make(self) -> None:
        """Make the directories, private to the user.

        Raises:
            PermissionError: A directory belongs to somebody else, is a link where none may be, or cannot be written.
        """
        for directory in (self.data_dir, self.runs_dir, self.versions_dir):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        private_sockets.make_directory(self.runtime_dir)
        self._sockets(make=True)


@dataclass(frozen=True)
class RateLimits:
    """How many requests a client may send under `/v1`, per minute; so many may also come at once."""

    predictions_per_min: int
    """Requests that start a prediction."""
    others_per_min: int
    """All others, those that start a training included."""


@dataclass(frozen=True)
class EngineSettings:
    """The engine's own settings. Without rate limits there are none."""

    idle_s: float
    preload: tuple[str, ...]
    port_limits: RateLimits | None = None
    socket_limits: RateLimits | None = None
    forwarded_hosts: frozenset[str] = frozenset()
    pieces: bool = False
    models_bytes: int | None = None


def locations() -> Locations:
    """Find the directories from the environment."""
    data, runtime = os.environ.get("JUPYTER_EXT_DATA_DIR"), os.environ.get("JUPYTER_EXT_RUNTIME_DIR")
    if data and runtime:
        return Locations(Path(data).absolute(), Path(runtime).absolute())
    from jupyter_core.paths import jupyter_data_dir, jupyter_runtime_dir

    return Locations(
        Path(data).absolute() if data else Path(jupyter_data_dir()) / "jupyter_ext",
        Path(runtime).absolute()
        if runtime
        else Path(jupyter_runtime_dir()) / f"jupyter_ext-{socket.gethostname()}",
    )


def engine_settings() -> EngineSettings:
    """Read the engine's settings from the environment.

    Raises:
        InvalidInput: A variable holds something else than its kind.
    """
    text = os.environ.get("JUPYTER_EXT_IDLE_S", "600")
    try:
        idle_s = float(text)
    except ValueError:
        raise InvalidInput(f"JUPYTER_EXT_IDLE_S is {text!r}; give a number of seconds, such as 600") from None
    preload = os.environ.get("JUPYTER_EXT_PRELOAD", "torch,torch._dynamo")
    pieces = os.environ.get("JUPYTER_EXT_PIECES", "0")
    if pieces not in ("0", "1"):
        raise InvalidInput(f"JUPYTER_EXT_PIECES is {pieces!r}; give 1 to listen in Pieces' range, or 0.")
    models = os.environ.get("JUPYTER_EXT_MODELS_MIB", "all")
    if models != "all" and not (models.isascii() and models.isdigit() and int(models)):
        raise InvalidInput(
            f"JUPYTER_EXT_MODELS_MIB is {models!r}; give a number of MiB, such as 8000, or all."
        )
    return EngineSettings(
        idle_s,
        tuple(_names(preload)),
        _rate_limits("JUPYTER_EXT_RATE_LIMITS", "600,3000"),
        _rate_limits("JUPYTER_EXT_SOCKET_RATE_LIMITS", "off"),
        frozenset(name.lower() for name in _names(os.environ.get("JUPYTER_EXT_FORWARDED_HOSTS", ""))),
        pieces == "1",
        None if models == "all" else int(models) << 20,
    )


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _rate_limits(variable: str, default: str) -> RateLimits | None:
    text = os.environ.get(variable, default).strip()
    if text == "off":
        return None
    numbers = [int(part) if part.isascii() and part.isdigit() else 0 for part in _names(text)]
    if len(numbers) != 2 or min(numbers) < 1:
        raise InvalidInput(
            f"{variable} is {text!r}; give two numbers of requests a minute, such as 600,3000 (new predictions, all "
            "else), or off"
        )
    return RateLimits(*numbers)
