"""Local models as clients look at them: on a hub, on disk, on their way, loaded.

Source: docs/architecture/08-models.md. Pieces' own `Model` is made from this one where its API is spoken.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from jupyter_ext.protocol.trainings import PageUrls, Resource

ModelState = Literal["absent", "partial", "downloading", "downloaded", "loading", "loaded", "unloading"]
ModelSource = Literal["hub", "url", "file", "training", "service"]
TransferPhase = Literal["queued", "resolve", "transfer", "verify", "publish"]
TransferStatus = Literal["running", "completed", "failed", "canceled"]
HostState = Literal["loading", "ready", "busy", "unloading", "ended"]
ModelTask = Literal["embed", "classify", "generate", "forward", "tensors"]


class Transfer(Resource):
    """One download, running or over. `bytes_per_s` and `eta_s` are `None` until they are known."""

    status: TransferStatus
    phase: TransferPhase
    bytes_done: int = 0
    bytes_total: int | None = None
    bytes_per_s: float | None = None
    eta_s: float | None = None
    files_done: int = 0
    files_total: int | None = None
    file: str | None = None
    resumed_bytes: int = 0
    started_at: str
    ended_at: str | None = None
    error: str | None = None


class ModelUser(Resource):
    """Somebody who uses a loaded model: a kernel by its pid and, where known, its notebook."""

    id: str
    name: str
    pid: int | None = None
    since: str


class ModelHost(Resource):
    """The process that has a model loaded. Memory in bytes; `calls` is where it answers, a Unix socket's path.

    `task` is what a call does: vectors, labels or more text of text; the module's own forward; or nothing, with named
    tensors only. `memory_bytes` is its PSS. `code` identifies the factory that built the module, where one did.
    """

    id: str
    state: HostState
    pid: int | None = None
    calls: str
    device: str
    dtype: str | None = None
    estimated_bytes: int | None = None
    memory_bytes: int | None = None
    private_bytes: int | None = None
    device_bytes: int | None = None
    load_s: float | None = None
    loaded_at: str | None = None
    num_calls: int = 0
    keep_alive_s: float | None = None
    expires_at: str | None = None
    pinned: bool = False
    users: list[ModelUser] = Field(default_factory=list)
    task: ModelTask | None = None
    in_flight: int = 0
    code: str | None = None
    notices: list[str] = Field(default_factory=list)


class Unloaded(Resource):
    """What an unload gave back: memory in bytes, before and after, of the whole machine and of the host.

    `held` names what still maps the model's pages in the kernel that asked, such as a variable or `Out[3]`.
    """

    host_bytes: int
    available_before_bytes: int
    available_after_bytes: int
    took_s: float
    held: list[str] = Field(default_factory=list)


class ModelFile(Resource):
    """One file of a model. `sha256` is known for weights before they are fetched; `kept_bytes` is what is here of it."""

    name: str
    bytes: int
    sha256: str | None = None
    kept_bytes: int = 0


class LocalModel(Resource):
    """One model. `id` is `hub:org/name[@revision]`, `url:…`, `file:/path`, `training:<id>` or a service's own.

    `memory_bytes` is the estimate of what loading takes, `num_parameters` counts single numbers, `custom` is true of
    what the user made or described.
    """

    id: str
    name: str
    source: ModelSource
    description: str | None = None
    state: ModelState = "absent"
    custom: bool = False
    cloud: bool = False
    revision: str | None = None
    newer_revision: str | None = None
    path: str | None = None
    bytes: int | None = None
    memory_bytes: int | None = None
    num_parameters: int | None = None
    dtype: str | None = None
    architecture: str | None = None
    tokenizer: bool = False
    files: list[ModelFile] = Field(default_factory=list)
    transfer: Transfer | None = None
    host: ModelHost | None = None
    unloaded: Unloaded | None = None
    error: str | None = None
    notices: list[str] = Field(default_factory=list)
    created_at: str
    used_at: str | None = None
    meta: dict[str, Any] = Field(default_factory=dict)
    urls: PageUrls = Field(default_factory=PageUrls)


class ModelPage(Resource):
    """All local models, and what there is to hold them; bytes."""

    models: list[LocalModel]
    disk_free_bytes: int
    disk_total_bytes: int = 0
    memory_available_bytes: int
    memory_total_bytes: int


class PartialFile(Resource):
    """A file of a model that is partly here, from a download that was cut or is running. `changed_at` is ISO 8601."""

    key: str
    model: str
    file: str
    kept_bytes: int
    bytes: int
    is_running: bool = False
    changed_at: str


class DownloadState(Resource):
    """What concerns all downloads: the rate that they share, bytes a second (`None` is no limit), and partial files."""

    bytes_per_s: float | None = None
    partials: list[PartialFile] = Field(default_factory=list)
