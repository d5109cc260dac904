"""Trainings and predictions as clients see them: Replicate's object, absolute URLs, logs that progress parsers read.

Source: docs/architecture/06-replicate.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jupyter_ext.engine.common.lab_pages import LabPages
from jupyter_ext.engine.files.uploads import FileStore
from jupyter_ext.engine.metrics.serving.run_store import RunStore
from jupyter_ext.engine.trainings.artifacts.file_inputs import MAX_SHOWN_CHARACTERS, large_input_id
from jupyter_ext.engine.trainings.artifacts.publisher import FILE_PATH
from jupyter_ext.engine.trainings.delivery.signed_links import SignedLinks
from jupyter_ext.protocol.log_text import plain
from jupyter_ext.protocol.metrics_codec import decode_columns
from jupyter_ext.protocol.trainings import Training, metric_value

MAX_LOG_BYTES = 4 * 2**20
"""An answer carries so much of the log at most; `/native/trainings/{id}/logs` gives all of it in pieces."""

MAX_APPENDED = 10_000
"""Of a metric that is appended to, the last so many values; `/native/trainings/{id}/metrics` gives all."""

SOCKET_URL = "http://engine"
"""What clients call the engine on its Unix socket. They are on this machine: files are told to them as paths."""

_FILE = re.compile(re.escape(FILE_PATH) + r"([0-9a-v]{26})")
_VERSION = re.compile(r"[^/:\s]+/[^/:\s]+(?::[^/:\s]+)?")


class Serializer:
    """Makes JSON of resources, for clients that asked under a base URL."""

    def __init__(self, links: SignedLinks, files: FileStore, pages: LabPages) -> None:
        self._links = links
        self._files = files
        self._pages = pages

    def urls(self, id: str, paths: Mapping[str, str | None], base_url: str) -> dict[str, str]:
        """Return the addresses of a run: its paths under a base URL, and its page in JupyterLab where one is known."""
        base = base_url.rstrip("/")
        urls = {name: f"{base}{path}" for name, path in paths.items() if path is not None and name != "web"}
        page = self._pages.url("training", id)
        return urls if page is None else {**urls, "web": page}

    def with_page(self, training: Training) -> Training:
        """Return a training with the address of its page in JupyterLab, where one is known; its other URLs stay paths."""
        return self._pages.training(training)

    def training(self, training: Training, base_url: str) -> dict[str, Any]:
        """Return a training or prediction without its logs.

        Args:
            training: The resource.
            base_url: Scheme, host and port that the client knows the engine by.
        """
        base = base_url.rstrip("/")
        data = training.model_dump(mode="json")
        data.pop("logs", None)
        data["urls"] = self.urls(training.id, data["urls"], base)
        data["urls"]["stream"] = base + self._links.stream(training.kind, training.id)
        data["output"] = self._output(data["output"], base)
        data["input"] = {
            name: self._shown_input(training.id, name, value, base) for name, value in data["input"].items()
        }
        for key, mode in training.recorded.items():
            if mode != "append" and (last := training.last.get(_curve(key))) is not None:
                _put(data["metrics"], key.split("."), last.value)
        if training.kind == "prediction":
            data["data_removed"] = False
        return data

    def with_logs(
        self, training: Training, base_url: str, store: RunStore, max_bytes: int = MAX_LOG_BYTES
    ) -> dict[str, Any]:
        """Return it with its log, or the end of a long one."""
        resource = self.training(training, base_url) | {"logs": logs(store, max_bytes) or None}
        appended = [key for key, mode in training.recorded.items() if mode == "append"]
        for series in decode_columns(store.columns([_curve(key) for key in appended]))[1] if appended else []:
            if series.rank == "0":
                values = [metric_value(value) for value in series.values[-MAX_APPENDED:].tolist()]
                _put(resource["metrics"], series.key.split("/"), values)
        return resource

    def replicate(self, data: dict[str, Any]) -> dict[str, Any]:
        """Rename what train() returned where an official client would stumble: it parses `output.version`."""
        output = data["output"]
        if isinstance(output, dict) and "version" in output and not _is_version(output["version"]):
            data["output"] = {
                "returned_version" if key == "version" else key: value for key, value in output.items()
            }
        return data

    def _output(self, output: Any, base: str) -> Any:
        """Make links of the files in an output, wherever they stand."""
        if isinstance(output, list):
            return [self._output(item, base) for item in output]
        if isinstance(output, dict):
            return {key: self._output(item, base) for key, item in output.items()}
        return self._link(output, base)

    def _shown_input(self, run_id: str, name: str, value: Any, base: str) -> Any:
        """Return an input as it is, or the link of the file that a long text is kept in."""
        return (self._link_of_large(run_id, name, base) or value) if _is_large(value) else value

    def _link_of_large(self, run_id: str, name: str, base: str) -> str | None:
        """Return the link of the file that a long text among the inputs is kept in; `None` for runs of older versions."""
        id = large_input_id(run_id, name)
        return self._link(FILE_PATH + id, base) if self._files.get(id) else None

    def _link(self, value: Any, base: str) -> Any:
        found = _FILE.fullmatch(value) if isinstance(value, str) else None
        if found is None or self._files.get(found[1]) is None:
            return value
        return str(self._files.named(found[1])) if base == SOCKET_URL else base + self._links.file(found[1])


def _is_large(value: Any) -> bool:
    return isinstance(value, str) and len(value) > MAX_SHOWN_CHARACTERS


def _curve(key: str) -> str:
    """Return the curve of a recorded metric."""
    return key.replace(".", "/")


def _put(metrics: dict[str, Any], parts: list[str], value: Any) -> None:
    """Put a value where Cog would: `a.b` is `b` in `a`. Where `a` is a number, it keeps its whole name."""
    place = metrics
    for number, part in enumerate(parts[:-1]):
        inner = place.setdefault(part, {})
        if not isinstance(inner, dict):
            place[".".join(parts[number:])] = value
            return
        place = inner
    if isinstance(place.get(parts[-1]), dict):
        metrics[".".join(parts)] = value
    else:
        place[parts[-1]] = value


def logs(store: RunStore, max_bytes: int) -> str:
    """Return the whole log, or the end of a long one with a line that says so."""
    size = store.logs(0, 4)["size"]
    if size <= max_bytes:
        return plain(store.logs(0, max_bytes)["text"])
    piece = store.logs(size - max_bytes, max_bytes)
    text = piece["text"]
    cut = text.find("\n") + 1
    return f"[{size - max_bytes + cut} bytes of log before this are not shown]\n" + plain(text[cut:])


def _is_version(value: Any) -> bool:
    return isinstance(value, str) and bool(_VERSION.fullmatch(value))
