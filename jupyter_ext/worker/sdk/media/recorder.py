"""Store a run's media: files by content hash, and one line for each item. Standard library only.

    <run>/media/items.jsonl       one line an item, one os.write each, O_APPEND, by every process of the run
    <run>/media/<sha256>.<ext>    the bytes, written under another name, then renamed; before the line that names them

Rule: a step of the training waits only for a copy. What takes longer to encode is handed to a thread; what that cannot keep
up with, and what is beyond the bounds, is left out and told once.

Source: docs/architecture/03-run-directory.md, "Media".
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_ext.ipc.json_values import clean
from jupyter_ext.worker.sdk.media.stored import MAX_ITEM_BYTES, Prepared
from jupyter_ext.worker.sdk.media.types import Media

DIRECTORY = "media"
ITEMS = "items.jsonl"
MAX_ITEMS = 10_000
MAX_BYTES = 1 << 30
"""One process of a run stores at most so many items, and so many bytes."""
INLINE_BYTES = 16 << 10
"""JSON of at most so many bytes stands in the item's line; more is a file."""
CHEAP_BYTES = 64 << 10
"""Raw data of at most so many bytes are encoded at once: a picture of 128 x 128 takes about a millisecond."""
MAX_WAITING_BYTES = 256 << 20
"""Raw data that wait for the thread; beyond it an item is left out."""
MAX_IN_LIST = 64
_CLOSE_S = 60.0
_MAX_CAPTION = 1_000
_MAX_KEY = 300


class MediaRecorder:
    """Stores the media that one process of a run logs.

    Args:
        run_dir: The run directory.
        rank: The stream of the process.
        on_stored: Told how many items there are now, and their bytes, after each.
        complain: Tells the user a line about a key, once.
    """

    def __init__(
        self,
        run_dir: Path,
        rank: str,
        on_stored: Callable[[int, int], None],
        complain: Callable[[str, str], None],
    ) -> None:
        self._directory = run_dir / DIRECTORY
        self._rank = rank
        self._on_stored = on_stored
        self._complain = complain
        self.num_items = 0
        self.num_bytes = 0
        self._thread: threading.Thread | None = None
        self._begin()

    def record(self, key: str, value: Media | list[Media], step: float) -> None:
        """Store a medium, or several of one key and step.

        Args:
            key: Its name, as of a metric.
            value: What; it is copied before this returns.
            step: Where the training is.
        """
        if self._pid != os.getpid():  # a forked child has no thread, and what waits is its parent's
            self._begin()
        items = value if isinstance(value, list) else [value]
        if len(items) > MAX_IN_LIST:
            self._complain(
                f"{key} list", f"log: of the {len(items)} media of {key}, the first {MAX_IN_LIST} are kept."
            )
        for index, item in enumerate(items[:MAX_IN_LIST]):
            line: dict[str, Any] = {
                "key": str(key)[:_MAX_KEY],
                "step": step,
                "time": time.time(),
                "rank": self._rank,
            }
            if isinstance(value, list):
                line["index"] = index
            if item.caption is not None:
                line["caption"] = str(item.caption)[:_MAX_CAPTION]
            self._take(key, item.prepare(), line)

    def close(self) -> None:
        """Store what still waits."""
        if self._thread is not None and self._pid == os.getpid():
            self._queue.put(None)
            self._thread.join(_CLOSE_S)
            self._thread = None

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[tuple[str, Prepared, dict[str, Any]] | None] = queue.SimpleQueue()
        self._waiting_bytes = 0
        self._thread = None

    def _take(self, key: str, prepared: Prepared, line: dict[str, Any]) -> None:
        """Store at once what is cheap and has nothing before it, and hand over the rest."""
        if prepared.raw_bytes > MAX_ITEM_BYTES and prepared.encode is None:
            self._complain(key, f"log: {key} has {prepared.raw_bytes >> 20} MiB; it was left out.")
            return
        if prepared.raw_bytes <= CHEAP_BYTES and self._waiting_bytes == 0:
            self._store(key, prepared, line)
            return
        with self._lock:
            if self._waiting_bytes + prepared.raw_bytes > MAX_WAITING_BYTES:
                is_full = True
            else:
                is_full, self._waiting_bytes = False, self._waiting_bytes + max(1, prepared.raw_bytes)
        if is_full:
            self._complain(
                "media queue", f"log: media come faster than they can be stored; some of {key} were left out."
            )
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="jupyter-ext media", daemon=True)
            self._thread.start()
        self._queue.put((key, prepared, line))

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            key, prepared, line = item
            try:
                self._store(key, prepared, line)
            finally:
                with self._lock:
                    self._waiting_bytes -= max(1, prepared.raw_bytes)

    def _store(self, key: str, prepared: Prepared, line: dict[str, Any]) -> None:
        """Write the file and then the line; whatever goes wrong harms this item alone."""
        try:
            self._write(key, prepared, line)
        except OSError as error:
            self._complain(
                "media disk", f"log: {key} could not be stored ({error.strerror or error}); it was left out."
            )
        except Exception as error:  # noqa: BLE001  an encoder of the user's library may raise anything
            self._complain(
                key, f"log: {key} could not be encoded ({type(error).__name__}: {error}); it was left out."
            )

    def _write(self, key: str, prepared: Prepared, line: dict[str, Any]) -> None:
        line["kind"] = prepared.kind
        data = prepared.encode() if prepared.encode is not None else None
        if data is None:
            text = json.dumps(prepared.data, ensure_ascii=False)
            if len(text) <= INLINE_BYTES:
                line["data"] = prepared.data
            else:
                data = text.encode("utf-8", "replace")
        num_bytes = 0 if data is None else len(data)
        if num_bytes > MAX_ITEM_BYTES:
            self._complain(
                key,
                f"log: {key} has {num_bytes >> 20} MiB, more than {MAX_ITEM_BYTES >> 20}; it was left out.",
            )
            return
        with self._lock:
            if self.num_items >= MAX_ITEMS or self.num_bytes + num_bytes > MAX_BYTES:
                bound = f"{MAX_ITEMS:,} items" if self.num_items >= MAX_ITEMS else f"{MAX_BYTES >> 30} GiB"
                is_full = True
            else:
                is_full = False
                self.num_items += 1
                self.num_bytes += num_bytes
        if is_full:
            self._complain("media bound", f"log: this run has stored {bound} of media; more are left out.")
            return
        self._directory.mkdir(mode=0o700, exist_ok=True)
        if data is not None:
            line["file"], line["bytes"] = self._keep(data, prepared.suffix), num_bytes
        if prepared.facts:
            line["facts"] = clean(prepared.facts)
        self._append(json.dumps(line, ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n")
        self._on_stored(self.num_items, self.num_bytes)

    def _keep(self, data: bytes, suffix: str) -> str:
        """Write bytes under the name of their hash, unless they are there."""
        name = f"{hashlib.sha256(data).hexdigest()[:32]}.{suffix}"
        path = self._directory / name
        if not path.exists():
            temporary = self._directory / f".{name}.{os.getpid()}"
            try:
                with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                    file.write(data)
                os.replace(temporary, path)
            except OSError:
                temporary.unlink(missing_ok=True)
                raise
        return name

    def _append(self, line: bytes) -> None:
        fd = os.open(self._directory / ITEMS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            if os.write(fd, line) < len(line):
                os.write(fd, b"\n")  # a full disk took a part of it, which a reader leaves out
                raise OSError(28, "no space is left on the disk")
        finally:
            os.close(fd)
