"""A version's `openapi_schema`, in the form that clients draw forms from.

Source: Cog's generated schema: OpenAPI 3.0.2; components `TrainingInput`, `TrainingOutput`, `Input`, `Output`; optional
inputs are `nullable` and not required; choices are enum components named like their input; `x-order` is the position.
"""

from __future__ import annotations

from typing import cast

from jupyter_ext.ipc.json_types import JsonObject, JsonValue
from jupyter_ext.protocol.schema.inputs import TrainingInput

COG_VERSION = "0.23.1"
"""The release of Cog whose form the schemas have; clients that read it reshape schemas of old ones."""

_STATUSES: list[JsonValue] = ["starting", "processing", "succeeded", "canceled", "failed"]
_TIME: JsonObject = {"type": "string", "format": "date-time"}


def document(training: TrainingInput | None, prediction: TrainingInput | None) -> JsonObject:
    """Return the OpenAPI document of a version.

    Args:
        training: Inputs of a training, or `None` for a script, which takes any.
        prediction: Inputs of a prediction, or `None` where it cannot predict.
    """
    schemas: JsonObject = {"Status": {"title": "Status", "type": "string", "enum": _STATUSES}}
    paths = _add(schemas, "Training", training)
    schemas["TrainingOutput"] = {
        "title": "TrainingOutput",
        "type": "object",
        "properties": {
            "version": {"title": "Version", "type": "string"},
            "weights": {"title": "Weights", "type": "string", "format": "uri"},
        },
    }
    if prediction is not None:
        paths |= _add(schemas, "Prediction", prediction)
        schemas["Output"] = {"title": "Output"}
    return {
        "openapi": "3.0.2",
        "info": {"title": "Cog", "version": "0.1.0"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _add(schemas: JsonObject, kind: str, inputs: TrainingInput | None) -> JsonObject:
    """Add the components of one kind of run; give its paths."""
    input_name, output_name = (
        ("TrainingInput", "TrainingOutput") if kind == "Training" else ("Input", "Output")
    )
    schemas[input_name] = (
        {"title": input_name, "type": "object", "additionalProperties": True}
        if inputs is None
        else _input_schema(input_name, inputs, schemas)
    )
    schemas[f"{kind}Request"] = {
        "title": f"{kind}Request",
        "type": "object",
        "properties": {"input": _ref(input_name), "id": {"title": "Id", "type": "string"}},
    }
    schemas[f"{kind}Response"] = {
        "title": f"{kind}Response",
        "type": "object",
        "properties": {
            "input": _ref(input_name),
            "output": _ref(output_name),
            "id": {"title": "Id", "type": "string"},
            "version": {"title": "Version", "type": "string"},
            "created_at": {"title": "Created At", **_TIME},
            "started_at": {"title": "Started At", **_TIME},
            "completed_at": {"title": "Completed At", **_TIME},
            "status": _ref("Status"),
            "error": {"title": "Error", "type": "string"},
            "logs": {"title": "Logs", "type": "string"},
            "metrics": {"title": "Metrics", "type": "object"},
        },
    }
    path = f"/{kind.lower()}s"
    return {
        path: {
            "post": {
                "summary": kind,
                "requestBody": {"content": {"application/json": {"schema": _ref(f"{kind}Request")}}},
                "responses": {
                    "200": {
                        "description": "Successful Response",
                        "content": {"application/json": {"schema": _ref(f"{kind}Response")}},
                    }
                },
            }
        }
    }


def _input_schema(name: str, inputs: TrainingInput, schemas: JsonObject) -> JsonObject:
    schema = inputs.json_schema()
    schema["title"] = name
    properties = cast("dict[str, JsonObject]", schema.get("properties", {}))
    for key, entry in properties.items():
        properties[key] = _property(key, entry, schemas)
    schema.pop("$defs", None)
    if schema.get("additionalProperties") is False:
        del schema["additionalProperties"]
    return schema


def _property(key: str, entry: JsonObject, schemas: JsonObject) -> JsonObject:
    entry = _to_3_0(entry)
    entry.setdefault("title", key.replace("_", " ").title())
    if "enum" not in entry:
        return entry
    schemas[key] = {
        "title": key,
        "type": entry.pop("type", "string"),
        "enum": entry.pop("enum"),
        "description": "An enumeration.",
    }
    return {"allOf": [_ref(key)], **{word: value for word, value in entry.items() if word != "title"}}


def _to_3_0(entry: JsonObject) -> JsonObject:
    """Turn a property of JSON Schema 2020-12 into one of OpenAPI 3.0."""
    entry = dict(entry)
    kinds = cast("list[JsonObject] | None", entry.pop("anyOf", None))
    if kinds is not None:
        real = [_to_3_0(kind) for kind in kinds if kind.get("type") != "null"]
        if len(real) < len(kinds):
            entry["nullable"] = True
            if entry.get("default", ...) is None:
                del entry["default"]
        entry = {**real[0], **entry} if len(real) == 1 else {"anyOf": [*real], **entry}
    if "const" in entry:
        entry["enum"] = [entry.pop("const")]
    for word, plain in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if word in entry:
            entry[plain], entry[word] = entry[word], True
    if entry.get("format") in ("path", "file-path", "directory-path"):
        entry["format"] = "uri"
    if isinstance(items := entry.get("items"), dict):
        entry["items"] = _to_3_0(items)
    return entry


def _ref(name: str) -> JsonObject:
    return {"$ref": f"#/components/schemas/{name}"}
