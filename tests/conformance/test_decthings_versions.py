"""Model versions and weights, by the names that the public JavaScript client sends since 2025-03.

Source: decthings/api-client-js at 5d0361e, src/rpc_impl.ts and src/rpc/model.ts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest
from conformance_tools import Opened
from decthings_tools import post
from integration_tools import until

from jupyter_ext.protocol.decthings.tensors import Tensor, infer

pytestmark = pytest.mark.slow
LINEAR = (Path(__file__).parent / "decthings_models" / "linear" / "main.py").read_bytes()
SPEC = {"type": "temporaryLauncher", "spec": {"cpus": 1, "memoryMebibytes": 64}}
ROWS = numpy.random.default_rng(0).normal(size=(8, 2)).astype("f4")
BOTH = [{"name": "x"}, {"name": "y"}]


def tensors(array: Any) -> bytes:
    """Return rows as tensors one behind the other."""
    return b"".join(infer(numpy.float32(row)).encode() for row in array)


@pytest.fixture
def model(opened: Opened) -> dict[str, str]:
    """Make a model as that client does: tags beside its options."""
    options = {"type": "upload", "format": "python"}
    params = {"name": "linear", "description": "", "tags": [{"tag": "a", "value": "b"}], "options": options}
    made, _ = post(opened.http, "Model/createModel", params, [LINEAR])
    return {"modelId": made["modelId"]}


def shown(opened: Opened, model: dict[str, str]) -> Any:
    """Return a model as `getModels` lists it."""
    found, _ = post(opened.http, "Model/getModels", {"filter": {"ids": [model["modelId"]]}})
    return found["models"][0]


def test_versions_are_made_trained_evaluated_and_deleted(opened: Opened, model: dict[str, str]) -> None:
    http = opened.http
    made, _ = post(http, "Model/createModelVersion", {**model, "versionName": "first", "params": []})
    assert set(made["initializeWeightsDurations"]) >= {
        "total",
        "createLauncher",
        "codeStartup",
        "initializeWeights",
    }
    first = {**model, "versionId": made["versionId"]}
    uploading = {**model, "versionName": "second", "stateKeyNames": ["weights"]}
    made, _ = post(http, "Model/createModelVersionUploadWeights", uploading, [b"[1.0, 10.0]"])
    second = {**model, "versionId": made["versionId"]}
    assert post(http, "Model/updateModelVersion", {**second, "properties": {"name": "renamed"}})[0] == {}
    versions = shown(opened, model)["versions"]
    assert [(one["id"], one["name"]) for one in versions] == [
        (first["versionId"], "first"),
        (second["versionId"], "renamed"),
    ]
    assert versions[1]["status"] == {"state": "created", "weights": [{"key": "weights", "byteSize": 11}]}
    assert set(versions[1]) == {
        "id", "name", "createdAt", "filesystemSizeMebibytes", "config", "mountedModels", "trainingOperations", "status"
    }  # fmt: skip
    answer, blobs = post(http, "Model/getWeights", {**second, "keys": ["weights"]})
    assert (answer["stateKeyNames"], blobs) == (["weights"], [b"[1.0, 10.0]"])

    answer, blobs = post(http, "Model/evaluate", {**second, "params": [{"name": "x"}]}, [tensors([[1, 2]])])
    assert set(answer["durations"]) >= {"total", "instantiateModel", "evaluate"}
    assert answer["output"] == answer["success"]["output"] == [{"name": "y"}, {"name": "n"}]
    assert Tensor.decode(blobs[0])[0].item() == 21

    asked = {**first, "newVersionName": "third", "params": BOTH, "executionLocation": SPEC}
    training, _ = post(http, "Model/train", asked, [tensors(ROWS), tensors(ROWS.sum(1))])
    status = until(
        lambda: (
            (found := post(http, "Model/getTrainingStatus", {**model, **training})[0])["status"]["state"]
            == "completed"
            and found
        ),
        "its end",
    )
    assert (status["versionId"], status["newVersionName"]) == (first["versionId"], "third")
    assert {"createdVersionId", "getWeightsDuration", "trainDuration"} <= set(status["status"])
    assert "instantiateModel" in status["status"]["startDurations"]
    third = shown(opened, model)["versions"][2]
    assert (third["id"], third["name"]) == (status["status"]["createdVersionId"], "third")
    assert third["trainingOperations"] == [training["trainingSessionId"]]
    for one in (first, second):
        assert post(http, "Model/deleteModelVersion", one)[0] == {}
    assert [one["name"] for one in shown(opened, model)["versions"]] == ["third"]
    assert shown(opened, model)["activeState"] == third["id"]


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("updateModelVersion", {"versionId": "none", "properties": {}}, "model_version_not_found"),
        ("deleteModelVersion", {"versionId": "none"}, "model_version_not_found"),
        ("getWeights", {"versionId": "none"}, "model_version_not_found"),
        ("evaluate", {"versionId": "none", "params": []}, "model_version_not_found"),
        (
            "train",
            {"versionId": "none", "newVersionName": "n", "params": [], "executionLocation": SPEC},
            "model_version_not_found",
        ),
        ("createModelVersion", {"versionName": 1, "params": []}, "invalid_parameter"),
        (
            "createModelVersionUploadWeights",
            {"versionName": "n", "stateKeyNames": ["a"]},
            "invalid_parameter",
        ),
    ],
)
def test_refusals_have_the_words_of_versions(
    opened: Opened, model: dict[str, str], method: str, params: Any, code: str
) -> None:
    assert post(opened.http, f"Model/{method}", {**model, **params})[0]["code"] == code


def test_failures_are_errors_as_that_client_reads_them(opened: Opened, model: dict[str, str]) -> None:
    asked = {**model, "versionName": "bad", "params": [{"name": "size"}]}
    error, _ = post(opened.http, "Model/createModelVersion", asked, [infer(numpy.int64(-1)).encode()])
    assert (error["code"], error["reason"]["code"]) == ("initialize_weights_failed", "exception")
    assert "a negative size" in error["reason"]["exceptionDetails"]
    uploading = {**model, "versionName": "v", "stateKeyNames": ["weights"]}
    made, _ = post(opened.http, "Model/createModelVersionUploadWeights", uploading, [b"[1.0, 10.0]"])
    missing, _ = post(opened.http, "Model/getWeights", {**model, **made, "keys": ["none"]})
    assert missing == {"code": "weight_key_not_found"}
    empty = infer(numpy.empty(0, "f4")).encode()
    error, _ = post(opened.http, "Model/evaluate", {**model, **made, "params": [{"name": "x"}]}, [empty])
    assert (error["code"], error["reason"]["at"]) == ("evaluate_failed", "evaluate")
    assert "nothing to evaluate" in error["reason"]["exceptionDetails"]


def test_a_model_is_made_of_a_version_of_another(opened: Opened, model: dict[str, str]) -> None:
    uploading = {**model, "versionName": "v", "stateKeyNames": ["weights"]}
    made, _ = post(opened.http, "Model/createModelVersionUploadWeights", uploading, [b"[1.0, 10.0]"])
    for options, code in [
        ({"type": "basedOnModel", **model, **made}, None),
        ({"type": "duplicateExisting", **model}, None),
        ({"type": "basedOnModel", **model, "versionId": "none"}, "model_version_not_found"),
    ]:
        answer, _ = post(
            opened.http, "Model/createModel", {"name": "m", "description": "", "options": options}
        )
        assert answer.get("code") == code
