"""The asynchronous client: the only implementation of every call."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Unpack
from urllib.parse import quote

from jupyter_ext.bundles.bundle import Bundle
from jupyter_ext.client.capture.input_values import json_inputs, with_inputs
from jupyter_ext.client.capture.large import keep_in
from jupyter_ext.client.requests.caller_context import origin
from jupyter_ext.client.requests.event_stream import Event, follow
from jupyter_ext.client.requests.list_query import ListQuery
from jupyter_ext.client.requests.models import ModelRequests
from jupyter_ext.client.requests.place import Place, SweepRef, VersionRef
from jupyter_ext.client.requests.reconnect import within
from jupyter_ext.client.requests.saving import save
from jupyter_ext.client.requests.service_ref import RemoteRef, split_model
from jupyter_ext.client.requests.transport import UPLOAD_TIMEOUT, Transport
from jupyter_ext.config import Locations, locations
from jupyter_ext.errors import RequestRefused, UnknownId
from jupyter_ext.protocol.exports import ExportFormat, Exports
from jupyter_ext.protocol.media import MediaItem, MediaPage
from jupyter_ext.protocol.metrics_codec import SeriesColumns, decode_columns
from jupyter_ext.protocol.trainings import EngineInfo, Listening, Training, TrainingPage


class AsyncClient:
    """Talks to the engine of this user on this host, starting it where there is none.

    Use it as `async with AsyncClient() as client:`, or call `aclose()`. It belongs to the event loop it is first used in.
    """

    def __init__(self, where: Locations | None = None) -> None:
        self.transport = Transport(where or locations())
        """For requests that have no method here."""
        self.models = ModelRequests(self.transport)

    async def __aenter__(self) -> AsyncClient:
        """Begin to use the client."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the client."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self.transport.aclose()

    # -- trainings ------------------------------------------------------------------------------------------------

    async def create(
        self,
        bundle: Bundle,
        inputs: Mapping[str, object],
        destination: str | None = None,
        place: Place | None = None,
    ) -> Training:
        """Start a training of a bundle; see `capture` for making one.

        Args:
            bundle: The code.
            inputs: Its arguments.
            destination: `owner/name` of the model that gets a version with the weights; made where there is none.
            place: How it runs; by default as one process on this machine.

        Raises:
            InvalidInput: An input is missing, unknown, mistyped or out of range; nothing was started.
        """
        bundle, values = with_inputs(bundle, inputs)
        version = await self.add_version(bundle)
        return await self.create_from(version, values, destination, place)

    async def add_version(self, bundle: Bundle) -> VersionRef:
        """Keep a bundle with the engine, once."""
        keep_in(bundle.large.values(), self.transport.where.blobs_dir)
        made_in = {name: value for name, value in origin().items() if name in ("python", "cwd", "sys_path")}
        version = await self.transport.ask(
            "POST", "/native/versions", content=bundle.for_engine(), params=made_in, timeout=UPLOAD_TIMEOUT
        )
        return VersionRef(version["model"], version["id"])

    async def create_from(
        self,
        version: VersionRef,
        values: Mapping[str, object],
        destination: str | None = None,
        place: Place | None = None,
        sweep: SweepRef | None = None,
    ) -> Training:
        """Start a training of a version that the engine keeps.

        Args:
            version: Which.
            values: Its inputs as JSON.
            destination: As of `create`.
            place: As of `create`.
            sweep: The sweep that it is a trial of, or that it drives.

        Raises:
            InvalidInput: An input is missing, unknown, mistyped or out of range; nothing was started.
        """
        extra: dict[str, object] = {**origin(), **({} if place is None else place.as_json())}
        if sweep is not None:
            extra["sweep"] = vars(sweep)
        body: dict[str, object] = {"input": values, "jupyter_ext": extra}
        if destination is not None:
            await self._make_model(destination)
            body["destination"] = destination
        path = f"/v1/models/{version.model}/versions/{version.id}/trainings"
        return Training.model_validate(await self.transport.ask("POST", path, json=body))

    async def _make_model(self, destination: str) -> None:
        """Make a model of the engine's, unless it is there."""
        owner, name = split_model(destination)
        try:
            await self.transport.ask("GET", f"/v1/models/{owner}/{name}")
        except UnknownId:
            wanted = {"owner": owner, "name": name, "visibility": "private", "hardware": "local"}
            await self.transport.ask("POST", "/v1/models", json=wanted)

    async def create_remote(
        self, remote: RemoteRef, inputs: Mapping[str, object], name: str | None = None
    ) -> Training:
        """Start a training of a version that a service knows.

        The service's token is taken from `REPLICATE_API_TOKEN` of this process's environment.
        """
        content = {key: value for key, value in vars(remote).items() if value is not None}
        body = {**content, "name": name, "input": json_inputs(inputs), "jupyter_ext": origin()}
        return Training.model_validate(
            await self.transport.ask("POST", "/native/remote-trainings", json=body)
        )

    async def resume(self, training_id: str, changed: Mapping[str, object] | None = None) -> Training:
        """Start a training that goes on from the last checkpoint of one that failed or was canceled.

        Args:
            training_id: The one to go on from.
            changed: Inputs that are to be others; the rest stays.

        Raises:
            RequestRefused: It runs, has succeeded or has no checkpoint; the text says what to do instead.
            InvalidInput: A changed input is wrong.
        """
        body = {"input": json_inputs(changed or {}), "jupyter_ext": origin()}
        path = f"/native/trainings/{_path(training_id)}/resume"
        return Training.model_validate(await self.transport.ask("POST", path, json=body))

    async def get(self, training_id: str) -> Training:
        """Return a training.

        Raises:
            UnknownId: There is none with this id.
        """
        return Training.model_validate(
            await self.transport.ask("GET", f"/native/trainings/{_path(training_id)}")
        )

    async def cancel(self, training_id: str) -> Training:
        """Begin to stop a training; one that is over stays as it is."""
        return Training.model_validate(
            await self.transport.ask("POST", f"/v1/trainings/{_path(training_id)}/cancel")
        )

    async def wait(self, training_id: str, timeout_s: float | None = None) -> Training:
        """Wait until a training is over.

        Raises:
            NotOver: It is not, after that many seconds.
        """
        async with (
            within(timeout_s, f"Training {training_id}"),
            contextlib.aclosing(self.follow(training_id, after_seq=None)) as stream,
        ):
            async for event in stream:
                if event.kind == "end":
                    break
        return await self.get(training_id)

    async def logs(self, training_id: str, tail: int | None = None) -> str:
        """Return the log, or its last lines."""
        path = f"/native/trainings/{_path(training_id)}/logs"
        if tail is not None:
            return str((await self.transport.ask("GET", path, params={"tail": str(tail)}))["text"])
        parts, offset = [], 0
        while True:
            piece = await self.transport.ask("GET", path, params={"offset": str(offset)})
            parts.append(piece["text"])
            if piece["next_offset"] <= offset or piece["next_offset"] >= piece["size"]:
                return "".join(parts)
            offset = piece["next_offset"]

    async def metrics(
        self,
        training_id: str,
        keys: list[str] | None = None,
        buckets: int | None = None,
        *,
        chain: bool = True,
    ) -> list[SeriesColumns]:
        """Return metrics as columns; with `buckets`, at most twice as many real points of each series.

        Of a resumed training this is the whole curve, the runs before it included; `chain=False` leaves them out.
        """
        params = {"chain": "1"} if chain else {}
        if keys:
            params["keys"] = ",".join(keys)
        if buckets is not None:
            params["buckets"] = str(buckets)
        path = f"/native/trainings/{_path(training_id)}/metrics"
        return decode_columns(await self.transport.ask_bytes("GET", path, params=params))[1]

    async def export(self, training_id: str, format: ExportFormat, file: Path) -> Path:
        """Write every point of a training to a file, in bounded memory.

        Raises:
            RequestRefused: This installation lacks what the format needs.
            InvalidInput: It cannot be written there.
        """
        path = f"/native/trainings/{_path(training_id)}/exports"
        found = Exports.model_validate(await self.transport.ask("GET", path)).exports
        why_not = next((each.why_not for each in found if each.format == format), None)
        if why_not is not None:
            raise RequestRefused(why_not)
        async with contextlib.aclosing(self.transport.chunks(f"{path}/{format}")) as chunks:
            return await save(chunks, file)

    async def media(self, training_id: str) -> Sequence[MediaItem]:
        """Return what a training has logged besides numbers, in the order in which it was stored."""
        pages: dict[int, Sequence[MediaItem]] = {}
        after, more = 0, True
        while more:
            path = f"/native/trainings/{_path(training_id)}/media"
            page = MediaPage.model_validate(await self.transport.ask("GET", path, params={"after": after}))
            pages[after] = page.items
            after, more = page.next, page.more
        return [item for page_items in pages.values() for item in page_items]

    async def medium(self, training_id: str, file: str) -> bytes:
        """Return the bytes of a file of a training's media."""
        path = f"/native/trainings/{_path(training_id)}/media/{quote(file, safe='')}"
        return await self.transport.ask_bytes("GET", path)

    async def import_run(self, body: bytes) -> Training:
        """Keep a run that another tool has recorded; see `imports.encoding.encode` for the body."""
        headers = {"Content-Type": "application/octet-stream"}
        answer = await self.transport.ask(
            "POST", "/native/imported-runs", content=body, headers=headers, timeout=UPLOAD_TIMEOUT
        )
        return Training.model_validate(answer)

    async def add_rule(self, training_id: str, rule: Mapping[str, object]) -> Training:
        """Hold a rule against a running training's points; see `Rule` for its fields.

        Raises:
            InvalidInput: It is no rule.
            RequestRefused: The training is over.
        """
        path = f"/native/trainings/{_path(training_id)}/rules"
        return Training.model_validate(await self.transport.ask("POST", path, json=dict(rule)))

    async def stacks(self, training_id: str) -> str:
        """Tell where each thread of a running training stands now."""
        return str(
            (await self.transport.ask("GET", f"/native/trainings/{_path(training_id)}/stacks"))["text"]
        )

    async def weights(self, training_id: str) -> Path:
        """Return the file of weights that a training has left, on this machine; what a service has is fetched first.

        Raises:
            RequestRefused: It has not succeeded, or the service does not give them.
            UnknownId: It has left none.
        """
        pause_s = 0.05
        while True:
            answer = await self.transport.ask("POST", f"/native/trainings/{_path(training_id)}/weights")
            if answer["path"] is not None:
                return Path(answer["path"])
            await asyncio.sleep(pause_s)
            pause_s = min(1.0, 1.5 * pause_s)

    def follow(self, training_id: str, after_seq: int | None = 0) -> AsyncGenerator[Event]:
        """Follow a training to its end, over restarts of the engine; see `stream.follow`."""
        return follow(self.transport.ensure_socket, _path(training_id), after_seq)

    async def list(
        self, status: str | None = None, limit: int = 100, **query: Unpack[ListQuery]
    ) -> list[Training]:
        """List trainings, newest first; see `Trainings.list`."""
        return (await self.page(status, limit, **query)).trainings

    async def page(
        self, status: str | None = None, limit: int = 100, **query: Unpack[ListQuery]
    ) -> TrainingPage:
        """Return a page of trainings and how many there are; see `Trainings.list` for what can be asked.

        Raises:
            InvalidInput: There is no such order, or a number is none.
            TypeError: An argument has another name.
        """
        if unknown := query.keys() - ListQuery.__annotations__.keys():
            raise TypeError(
                f"list() has no argument {min(unknown)!r}; it has status, limit, q, sort and offset."
            )
        asked = {"status": status, "limit": limit, **query}
        params = {name: str(value) for name, value in asked.items() if value not in (None, "")}
        return TrainingPage.model_validate(
            await self.transport.ask("GET", "/native/trainings", params=params)
        )

    async def label(
        self, training_id: str, tags: Sequence[str] | None = None, notes: str | None = None
    ) -> Training:
        """Replace a training's tags, its notes or both; `None` leaves them."""
        labels = {"tags": None if tags is None else [*tags], "notes": notes}
        body = {name: value for name, value in labels.items() if value is not None}
        return Training.model_validate(
            await self.transport.ask("PATCH", f"/native/trainings/{_path(training_id)}", json=body)
        )

    async def again(self, training_id: str, changes: Mapping[str, object] | None = None) -> Training:
        """Start the same version with the same inputs, but for `changes`, in this process's environment.

        Raises:
            InvalidInput: An input is unknown, mistyped or out of range; nothing was started.
        """
        body = {"input": json_inputs(changes or {}), "jupyter_ext": origin()}
        path = f"/native/trainings/{_path(training_id)}/again"
        return Training.model_validate(await self.transport.ask("POST", path, json=body))

    async def promote(self, training_id: str, destination: str) -> str:
        """Make a version of a model of what a training has returned; return it as `owner/name:version`.

        Args:
            training_id: Which training; it has succeeded.
            destination: `owner/name` of the model, which is made where there is none.
        """
        await self._make_model(destination)
        path = f"/native/trainings/{_path(training_id)}/promote"
        answer = await self.transport.ask("POST", path, json={"destination": destination})
        return str(answer["version"])

    async def upload(self, name: str, file: IO[bytes]) -> str:
        """Keep a file with the engine and return a link that a training's `Path` input takes.

        Args:
            name: What to call it; its ending is kept where it becomes a file again.
            file: Its content, up to 2 GiB.
        """
        content = {"content": (name or "file", file, "application/octet-stream")}
        kept = await self.transport.ask("POST", "/v1/files", files=content, timeout=UPLOAD_TIMEOUT)
        return f"http://localhost/v1/files/{kept['id']}/download"

    async def delete(self, training_id: str) -> None:
        """Forget a training and delete its files.

        Raises:
            RequestRefused: It is not over.
        """
        await self.transport.ask("DELETE", f"/native/trainings/{_path(training_id)}")

    # -- the engine -----------------------------------------------------------------------------------------------

    async def engine(self) -> EngineInfo:
        """Describe the engine."""
        return EngineInfo.model_validate(await self.transport.ask("GET", "/native/engine"))

    async def warm(self) -> None:
        """Have the engine warm this interpreter, so that the next training starts in milliseconds."""
        await self.transport.ask("POST", "/native/environments", json={"python": sys.executable})

    async def listen(self, port: int = 0) -> Listening:
        """Open the engine's loopback port, or give the one that is open."""
        return Listening.model_validate(
            await self.transport.ask("POST", "/native/engine/listen", json={"port": port})
        )

    async def listen_as_pieces(self) -> str:
        """Open a port in Pieces' range, without a token, or give the one that is open: its URL."""
        return str((await self.transport.ask("POST", "/native/engine/listen", json={"pieces": True}))["url"])


def _path(training_id: str) -> str:
    """Refuse what cannot be part of a path, before it becomes one."""
    if not training_id.isalnum():
        raise UnknownId(f"There is no training {training_id!r}. `%trainings` lists those there are.")
    return training_id
