"""A local model in Pieces' words, and back.

Rules: `bytes.value` and `ram.value` are integers; `custom`, `downloaded`, `downloading` and `loaded` are said by the engine
and never taken from a body; what a client said of a custom model is merged, and what it left out stays.

Source: Pieces' OpenAPI description, "Model", "SeededModel", "ModelDownloadProgress"; docs/architecture/11-pieces.md.
"""

from __future__ import annotations

import math
from typing import Any

from jupyter_ext.bytes_format import format_bytes
from jupyter_ext.protocol.models import LocalModel, Transfer
from jupyter_ext.protocol.problems import Problem

SCHEMA = {"migration": 0, "semantic": "MAJOR_0_MINOR_0_PATCH_1"}

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

_SCORES = ("priority", "reference", "reuse", "searched", "update")


def model(local: LocalModel) -> dict[str, Any]:
    """Return a model as Pieces' clients know it."""
    said = local.meta.get("pieces", {})
    transfer = local.transfer
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "id": local.id,
        "name": local.name,
        "description": _description(local),
        "version": said.get("version") or (local.revision or "0.0.0")[:12],
        "created": {"schema": SCHEMA, "value": local.created_at},
        "type": said.get("type") or "UNKNOWN",
        "usage": said.get("usage") or _usage(local),
        "cloud": local.cloud,
        "custom": local.custom,
        "downloaded": local.path is not None and local.state not in ("absent", "partial", "downloading"),
        "downloading": transfer is not None and transfer.status == "running",
        "loaded": local.state == "loaded",
        "unique": local.id.partition(":")[2] if local.source == "hub" else local.id,
    }
    known = _known(local)
    measured = {"bytes", "ram"} & known.keys()
    content |= known | {name: said[name] for name in _KEPT if name in said and name not in measured}
    if scores := local.meta.get("score"):
        content["score"] = {"schema": SCHEMA, "automatic": 0, "manual": 0, **scores}
    return content


def _known(local: LocalModel) -> dict[str, Any]:
    """Return the optional fields that the engine knows of a model."""
    size, memory, parameters = local.bytes, local.memory_bytes, local.num_parameters
    fields = {
        "bytes": None if size is None else _size(size, _readable(size, local.transfer)),
        "ram": None if memory is None else _size(memory, format_bytes(memory)),
        "parameters": None if parameters is None else parameters / 1e9,
        "quantization": local.dtype,
        "provider": "HUGGING_FACE" if local.source == "hub" else None,
        "cpu": None if local.host is None else local.host.device == "cpu",
    }
    return {name: value for name, value in fields.items() if value is not None}


def _size(num_bytes: int, readable: str) -> dict[str, Any]:
    return {"schema": SCHEMA, "value": num_bytes, "readable": readable}


def models(found: list[LocalModel]) -> dict[str, Any]:
    """Return all models."""
    return {"schema": SCHEMA, "iterable": [model(local) for local in found]}


def progress(local: LocalModel, *, is_first: bool = False) -> dict[str, Any]:
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


def reset() -> dict[str, Any]:
    """Say that a download began from its beginning again."""
    return _progress("RESET", 0.0)


def identifier(model_id: str, *, updated: str | None = None, deleted: bool = False) -> dict[str, Any]:
    """Return one item of the stream of identifiers; `updated` is an RFC 3339 time."""
    item: dict[str, Any] = {"model": {"schema": SCHEMA, "id": model_id}}
    if deleted:
        item["deleted"] = True
    if updated is not None:
        item["updated"] = {"schema": SCHEMA, "value": updated}
    return item


def said_of(body: dict[str, Any]) -> dict[str, Any]:
    """Return what a body says of a model beside its name and description.

    Raises:
        Problem: A field is of another kind.
    """
    said = {}
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
    return said


def scored(before: dict[str, int], body: dict[str, Any]) -> dict[str, int]:
    """Add a `SeededScoreIncrement` to a model's scores: each kind that is true anywhere in it counts one."""
    score = {"automatic": 0, "manual": 0, **before}
    for part in body.values():
        for name in _SCORES:
            if isinstance(part, dict) and part.get(name) is True:
                score[name] = score.get(name, 0) + 1
                score["automatic"] += 1
    return score


def _progress(status: str, percent: float | None) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": SCHEMA, "status": status}
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


def _is_size(value: dict[str, Any]) -> bool:
    number = value.get("value")
    return isinstance(number, int) and not isinstance(number, bool) and isinstance(value.get("readable"), str)
