"""A local model in Pieces' words, and back.

Rules: `bytes.value` and `ram.value` are integers; `custom`, `downloaded`, `downloading` and `loaded` are said by the engine
and never taken from a body; what a client said of a custom model is merged, and what it left out stays.

Source: Pieces' OpenAPI description, "Model", "SeededModel", "ModelDownloadProgress"; docs/architecture/11-pieces.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

from jupyter_ext.bytes_format import format_bytes
from jupyter_ext.engine.api.pieces.types import (
    Identifier,
    PiecesModel,
    PiecesModels,
    Progress,
    Said,
    Schema,
    Size,
)
from jupyter_ext.ipc import json_values
from jupyter_ext.protocol.models import LocalModel, Transfer
from jupyter_ext.protocol.problems import Problem

SCHEMA: Schema = {"migration": 0, "semantic": "MAJOR_0_MINOR_0_PATCH_1"}

_KEPT: dict[str, type | tuple[type, ...]] = {
    "version": str,
    "type": str,
    "usage": str,
    "foundation": str,
    "provider": str,
    "quantization": str,
    "cpu": bool,
    "denied": bool,
    "parameters": (int, float),
    "bytes": dict,
    "ram": dict,
    "maxTokens": dict,
    "capabilities": dict,
    "organization": dict,
}
"""What a client may say of a custom model beside its name and description, with the kind of each."""

MAX_SAID_BYTES = 16 << 10
"""Most that is kept of what a client says of a model, as JSON: every list carries it."""
_SCORES = ("priority", "reference", "reuse", "searched", "update")


def model(local: LocalModel) -> PiecesModel:
    """Return a model as Pieces' clients know it."""
    stored = local.meta.get("pieces")
    said: Said = cast("Said", stored) if isinstance(stored, dict) else {}
    transfer = local.transfer
    fields = {
        "schema": SCHEMA,
        "id": local.id,
        "name": local.name,
        "description": _description(local),
        "created": {"schema": SCHEMA, "value": local.created_at},
        "cloud": local.cloud,
        "custom": local.custom,
        "downloaded": local.path is not None and local.state not in ("absent", "partial", "downloading"),
        "downloading": transfer is not None and transfer.status == "running",
        "loaded": local.state == "loaded",
        "unique": local.id.partition(":")[2] if local.source == "hub" else local.id,
        **_known(local),
        **_kept(said, local),
        "version": said.get("version") or (local.revision or "0.0.0")[:12],
        "type": said.get("type") or "UNKNOWN",
        "usage": said.get("usage") or _usage(local),
    }
    content = cast("PiecesModel", fields)
    if isinstance(scores := local.meta.get("score"), dict) and scores:
        content["score"] = {"schema": SCHEMA, "automatic": 0, "manual": 0, **scores}
    return content


def _kept(said: Said, local: LocalModel) -> Said:
    """Return what a client said; sizes that the engine knows are the engine's."""
    kept = cast("Said", {name: value for name, value in said.items() if name in _KEPT})
    if local.bytes is not None:
        kept.pop("bytes", None)
    if local.memory_bytes is not None:
        kept.pop("ram", None)
    return kept


def _known(local: LocalModel) -> Said:
    """Return the optional fields that the engine knows of a model."""
    known: Said = {}
    if (size := local.bytes) is not None:
        known["bytes"] = _size(size, _readable(size, local.transfer))
    if (memory := local.memory_bytes) is not None:
        known["ram"] = _size(memory, format_bytes(memory))
    if (parameters := local.num_parameters) is not None:
        known["parameters"] = parameters / 1e9
    if local.dtype is not None:
        known["quantization"] = local.dtype
    if local.source == "hub":
        known["provider"] = "HUGGING_FACE"
    if local.host is not None:
        known["cpu"] = local.host.device == "cpu"
    return known


def _size(num_bytes: int, readable: str) -> Size:
    return {"schema": SCHEMA, "value": num_bytes, "readable": readable}


def models(found: list[LocalModel]) -> PiecesModels:
    """Return all models."""
    return {"schema": SCHEMA, "iterable": [model(local) for local in found]}


def progress(local: LocalModel, *, is_first: bool = False) -> Progress:
    """Return how far a download is.

    Args:
        local: The model.
        is_first: A download that is over is told as `UNKNOWN`, as by Pieces: nothing is under way.
    """
    transfer = local.transfer
    if transfer is not None and transfer.status == "running":
        begun = transfer.phase not in ("queued", "resolve")
        return _progress("IN-PROGRESS" if begun else "INITIALIZED", percentage(transfer))
    if local.path is not None and local.state not in ("absent", "partial", "downloading"):
        return _progress("COMPLETED", 100.0)
    if transfer is None or is_first:
        return _progress("UNKNOWN", None)
    status = {"canceled": "CANCELED", "failed": "FAILED"}.get(transfer.status, "UNKNOWN")
    return _progress(status, percentage(transfer))


def percentage(transfer: Transfer) -> float | None:
    """Return 0 to 100, or `None` where the size is not known yet."""
    if not transfer.bytes_total:
        return None
    return round(min(100.0, 100.0 * transfer.bytes_done / transfer.bytes_total), 2)


def is_over(local: LocalModel) -> bool:
    """Tell whether no download runs."""
    return local.transfer is None or local.transfer.status != "running"


def reset() -> Progress:
    """Say that a download began from its beginning again."""
    return _progress("RESET", 0.0)


def identifier(model_id: str, *, updated: str | None = None, deleted: bool = False) -> Identifier:
    """Return one item of the stream of identifiers; `updated` is an RFC 3339 time."""
    item: Identifier = {"model": {"schema": SCHEMA, "id": model_id}}
    if deleted:
        item["deleted"] = True
    if updated is not None:
        item["updated"] = {"schema": SCHEMA, "value": updated}
    return item


def said_of(body: Mapping[str, object]) -> Said:
    """Return what a body says of a model beside its name and description.

    Raises:
        Problem: A field is of another kind.
    """
    said: dict[str, object] = {}
    for name, kind in _KEPT.items():
        value = body.get(name)
        if value is None:
            continue
        is_wrong = not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)
        if is_wrong or (isinstance(value, float) and not math.isfinite(value)):
            raise Problem(
                422, "Invalid value", f"{name} has the value {value!r:.60}, which is of another kind."
            )
        said[name] = value
    for name in ("bytes", "ram"):
        if name in said and not _is_size(said[name]):
            raise Problem(
                422, "Invalid value", f"{name} must hold an integer as value and a text as readable."
            )
    if (size := len(json_values.dump(said))) > MAX_SAID_BYTES:
        raise Problem(
            422,
            "Invalid value",
            f"{size:,} bytes are said of the model; {MAX_SAID_BYTES:,} are kept at most.",
        )
    return cast("Said", said)


def scored(before: dict[str, int], body: Mapping[str, object]) -> dict[str, int]:
    """Add a `SeededScoreIncrement` to a model's scores: each kind that is true anywhere in it counts one."""
    score = {"automatic": 0, "manual": 0, **before}
    for part in body.values():
        for name in _SCORES:
            if isinstance(part, dict) and part.get(name) is True:
                score[name] = score.get(name, 0) + 1
                score["automatic"] += 1
    return score


def _progress(status: str, percent: float | None) -> Progress:
    content: Progress = {"schema": SCHEMA, "status": status}
    if percent is not None:
        content["percentage"] = percent
    return content


def _readable(size: int, transfer: Transfer | None) -> str:
    """Say what the schema has no fields for: how much is here, how fast it comes, how long it takes."""
    text = format_bytes(size)
    if transfer is None or transfer.status != "running" or not transfer.bytes_done:
        return text
    parts = [f"{format_bytes(transfer.bytes_done)} here"]
    if transfer.bytes_per_s:
        parts.append(f"{format_bytes(transfer.bytes_per_s)}/s")
    if transfer.eta_s is not None:
        parts.append(f"{transfer.eta_s:.0f} s left")
    return f"{text} ({', '.join(parts)})"


def _description(local: LocalModel) -> str:
    parts = [local.description or f"{local.name}, a local model"]
    if local.error:
        parts.append(local.error)
    return " - ".join(parts)


def _usage(local: LocalModel) -> str:
    """Tell what an architecture is for, where its name says it."""
    name = local.architecture or ""
    if name.endswith("ForCausalLM"):
        return "CODE_GENERATION" if "code" in local.name.lower() else "CODE_CONVERSATION"
    return "TEXT_EMBEDDING" if name.endswith("Model") and local.tokenizer else "UNKNOWN"


def _is_size(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    number = value.get("value")
    return isinstance(number, int) and not isinstance(number, bool) and isinstance(value.get("readable"), str)
