"""Follow one training as a sequence of events, with nothing missing and nothing twice, whatever happens in between."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from jupyter_ext.client.requests.reconnect import messages
from jupyter_ext.protocol.metrics_codec import decode_batch
from jupyter_ext.protocol.trainings import SeriesInfo, Training


@dataclass(frozen=True)
class Points:
    """New points of one series: `steps`, `values`, `times` (Unix seconds), lists of equal length."""

    key: str
    rank: str
    steps: list[float]
    values: list[float]
    times: list[float]


@dataclass(frozen=True)
class Event:
    """Something that happened to a training.

    `state`: `training` changed. `metrics`: `points` arrived. `log`: `text` arrived. `end`: it is over.
    """

    kind: Literal["state", "metrics", "log", "end"]
    seq: int
    training: Training | None = None
    points: list[Points] = field(default_factory=list)
    text: str = ""


async def follow(
    find_socket: Callable[[], Awaitable[str]], training_id: str, after_seq: int | None
) -> AsyncGenerator[Event]:
    """Yield events until the training is over.

    Args:
        find_socket: Gives the engine's socket path, starting an engine where there is none.
        training_id: Which training.
        after_seq: What the caller has: 0 for everything, `None` for only what comes from now on.

    Raises:
        UnknownId: There is no such training.
        EngineError: The engine cannot be started again.
    """
    names: dict[int, SeriesInfo] = {}

    def path() -> str:
        query = "" if after_seq is None else f"?after_seq={after_seq}"
        return f"/native/trainings/{training_id}/stream{query}"

    unknown = f"There is no training {training_id!r}. `%trainings` lists those there are."
    async with contextlib.aclosing(messages(find_socket, path, unknown)) as stream:
        async for message in stream:
            event, after_seq = _decode(message, names, after_seq)
            if event is not None:
                yield event
                if event.kind == "end":
                    return


def _decode(
    message: str | bytes, names: dict[int, SeriesInfo], after_seq: int | None
) -> tuple[Event | None, int | None]:
    """Turn a message into an event; return also what the caller has after it."""
    if isinstance(message, bytes):
        seq, blocks = decode_batch(message)
        points = [
            Points(
                names[block.index].key,
                names[block.index].rank,
                block.steps.tolist(),
                block.values.tolist(),
                block.times.tolist(),
            )
            for block in blocks
        ]
        return Event("metrics", seq, points=points), seq
    content = json.loads(message)
    kind = content["kind"]
    if kind == "hello":  # the first of each connection, whose series are numbered anew
        names.clear()
        names.update({item["index"]: SeriesInfo.model_validate(item) for item in content["series"]})
        start = content["seq"] if after_seq is None else after_seq
        return Event("state", start, Training.model_validate(content["training"])), start
    if kind == "series":
        names.update({item["index"]: SeriesInfo.model_validate(item) for item in content["series"]})
        return None, after_seq
    if kind == "state":
        return Event("state", content["seq"], Training.model_validate(content["training"])), after_seq
    if kind == "log":
        return Event("log", content["seq"], text=content["text"]), content["seq"]
    if kind == "end":
        return Event("end", content["seq"]), after_seq
    if kind == "reset":  # the run's index was lost with its directory's files: go on from where the engine is
        return None, int(content["seq"])
    return None, after_seq
