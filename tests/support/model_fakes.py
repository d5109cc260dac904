"""Hand-written parts for the service of local models: they fetch and load nothing, and do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jupyter_ext.engine.common.clock import rfc3339
from jupyter_ext.engine.models.interfaces import LoadOptions, TrainedWeights
from jupyter_ext.engine.models.reference import ModelRef
from jupyter_ext.engine.models.sources.description import ModelDescription
from jupyter_ext.engine.models.sources.hub_settings import HubSettings
from jupyter_ext.errors import DownloadCanceled, InvalidInput, RequestRefused, UnknownId
from jupyter_ext.protocol.model_refs import key_of
from jupyter_ext.protocol.models import ModelHost, ModelUser, Transfer, Unloaded

TOTAL = 1000


class FakeTask:
    """A download that goes on when it is told."""

    def __init__(self, path: Path, on_progress: Callable[[Transfer], None]) -> None:
        self.transfer = Transfer(
            status="running", phase="transfer", bytes_total=TOTAL, started_at=rfc3339(0.0)
        )
        self._path = path
        self._on_progress = on_progress
        self._end: asyncio.Future[Path] = asyncio.get_running_loop().create_future()

    def go(self, done: int) -> None:
        """Have so many bytes."""
        self.transfer = self.transfer.model_copy(update={"bytes_done": done})
        self._on_progress(self.transfer)

    def finish(self) -> None:
        """Be whole."""
        self.go(TOTAL)
        self._path.mkdir(parents=True, exist_ok=True)
        (self._path / "model.safetensors").write_bytes(b"x" * TOTAL)
        self._end.set_result(self._path)

    def fail(self, error: Exception) -> None:
        """Break off."""
        self._end.set_exception(error)

    def cancel(self) -> None:
        """Stop."""
        if not self._end.done():
            self._end.set_exception(DownloadCanceled("canceled"))

    async def wait(self) -> Path:
        """Wait for the end."""
        return await asyncio.shield(self._end)


@dataclass
class FakePlan:
    """What there is to fetch, and where it will be."""

    path: Path
    described: ModelDescription

    def description(self, path: Path | None = None) -> ModelDescription:
        """Describe it."""
        return replace(self.described, path=path)


class FakeDownloader:
    """A hub that knows a few repositories, and a cache in a directory."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.revisions = {"org/a": "1" * 40, "org/b": "2" * 40}
        self.kept: dict[str, int] = {}
        self.tasks: list[FakeTask] = []
        self.asked: list[HubSettings] = []
        self.removed: list[str] = []
        self.unreadable: set[str] = set()
        self.gate = asyncio.Event()
        self.gate.set()
        self.disk_gate = asyncio.Event()
        self.disk_gate.set()

    def path(self, ref: ModelRef) -> Path:
        """Return where a model's files are."""
        return self.cache / key_of(str(ref))

    async def resolve(self, ref: ModelRef, settings: HubSettings, weights: Sequence[str] = ()) -> FakePlan:
        """Ask the hub."""
        self.asked.append(settings)
        await self.gate.wait()
        if ref.name not in self.revisions:
            raise UnknownId(f"The hub has no model {ref.name!r}.")
        described = ModelDescription(revision=self.revisions[ref.name], bytes=TOTAL, memory_bytes=TOTAL)
        return FakePlan(self.cache / f"{key_of(str(ref))}-{self.revisions[ref.name][:4]}", described)

    def start(self, plan: FakePlan, on_progress: Callable[[Transfer], None]) -> FakeTask:
        """Begin."""
        self.tasks.append(FakeTask(plan.path, on_progress))
        return self.tasks[-1]

    async def local(self, ref: ModelRef, settings: HubSettings) -> ModelDescription | None:
        """Look at the disk."""
        await self.disk_gate.wait()
        if str(ref) in self.unreadable:
            raise RuntimeError("this disk is odd")
        for revision in self.revisions.values():
            path = self.cache / f"{key_of(str(ref))}-{revision[:4]}"
            if path.exists():
                return ModelDescription(revision=revision, path=path, bytes=TOTAL, memory_bytes=TOTAL)
        return None

    async def kept_bytes(self, ref: ModelRef) -> int:
        """Tell what an interrupted download left."""
        return self.kept.get(str(ref), 0)

    async def remove(self, ref: ModelRef, settings: HubSettings) -> None:
        """Delete the files."""
        self.kept.pop(str(ref), None)
        for path in self.cache.glob(f"{key_of(str(ref))}-*"):
            for file in path.iterdir():
                file.unlink()
            path.rmdir()

    async def describe(self, ref: ModelRef, path: Path) -> ModelDescription:
        """Look at the user's own files."""
        if not path.exists():
            raise UnknownId(f"There is no {path}.")
        if path.is_dir() and not any(path.glob("*.safetensors")):
            raise InvalidInput(f"{path} holds no weights.")
        return ModelDescription(path=path, bytes=TOTAL)

    async def remove_revision(self, ref: ModelRef, revision: str, settings: HubSettings) -> None:
        """Delete what an update has replaced."""
        self.removed.append(revision)

    async def newer(self, ref: ModelRef, settings: HubSettings) -> str | None:
        """Ask the hub for its newest."""
        newest = self.revisions[ref.name]
        return None if (self.cache / f"{key_of(str(ref))}-{newest[:4]}").exists() else newest

    def disk_bytes(self, settings: HubSettings) -> tuple[int, int]:
        """Have room."""
        return 10**9, 10**10

    async def close(self) -> None:
        """Stop."""

    async def all_local(self, settings: HubSettings) -> list[ModelRef]:
        """List what is there."""
        found = []
        for name in self.revisions:
            if await self.local(ModelRef("hub", name), settings):
                found.append(ModelRef("hub", name))
        return found


class FakeHosts:
    """Hosts that load when they are told."""

    def __init__(self) -> None:
        self.hosts: dict[str, ModelHost] = {}
        self.adopted: dict[str, ModelHost] = {}
        self.loads: list[tuple[str, Path, LoadOptions]] = []
        self.ends: dict[str, str] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.refusal: str | None = None
        self.failure: Exception | None = None
        self.unloading = asyncio.Event()
        self.unloading.set()

    async def adopt(self) -> dict[str, ModelHost]:
        """Return the hosts of an earlier engine."""
        self.hosts.update(self.adopted)
        return dict(self.adopted)

    async def load(self, model_id: str, path: Path, options: LoadOptions) -> ModelHost:
        """Load."""
        self.loads.append((model_id, path, options))
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        if self.refusal:
            raise RequestRefused(self.refusal)
        self.hosts[model_id] = fake_host(options.device or "cpu")
        if options.user is not None:
            self.add_user(model_id, options.user)
        return self.hosts[model_id]

    async def close(self) -> None:
        """Let go."""

    def host(self, model_id: str) -> ModelHost | None:
        """Describe a host."""
        return self.hosts.get(model_id)

    def code_of(self, options: LoadOptions) -> str | None:
        """Identify the code."""
        return None

    def why_ended(self, model_id: str) -> str | None:
        """Tell why it ended by itself."""
        return self.ends.get(model_id)

    async def unload(self, model_id: str) -> Unloaded:
        """End a host."""
        await self.unloading.wait()
        self.hosts.pop(model_id)
        return Unloaded(host_bytes=10, available_before_bytes=1, available_after_bytes=11, took_s=0.1)

    def change(self, model_id: str, *, pinned: bool | None, keep_alive_s: float | None) -> None:
        """Change how long it stays."""
        updates = {"pinned": pinned, "keep_alive_s": keep_alive_s}
        given = {name: value for name, value in updates.items() if value is not None}
        self.hosts[model_id] = self.hosts[model_id].model_copy(update=given)

    def add_user(self, model_id: str, user: ModelUser) -> None:
        """Note a user."""
        self.hosts[model_id].users.append(user)

    def remove_user(self, model_id: str, user_id: str) -> None:
        """Forget a user."""
        host = self.hosts[model_id]
        host.users = [user for user in host.users if user.id != user_id]


class FakeTrained:
    """Trainings that left weights."""

    def __init__(self) -> None:
        self.weights: dict[str, TrainedWeights] = {}

    async def find(self, training_id: str) -> TrainedWeights | None:
        """Return a training's weights."""
        return self.weights.get(training_id)

    async def all(self) -> list[TrainedWeights]:
        """List them."""
        return list(self.weights.values())


def fake_host(device: str = "cpu") -> ModelHost:
    """Make a host's description."""
    return ModelHost(id="h1", state="ready", calls="/tmp/none.call", device=device)
