"""A whole debug session with the official client, asynchronous and synchronous; prints what came back."""

import asyncio
import json
import sys
import time
from pathlib import Path

from decthings_common import (
    SPEC,
    X,
    Y,
    bad,
    connect,
    f32,
    good,
    i64,
    print_both,
    settled,
    text,
)

MODEL = Path(sys.argv[1]).read_bytes()
ANY = {"shape": [-1], "allowedTypes": ["f32"]}
DEFINITIONS = {
    "createState": [{"name": "size", "required": False, "rules": {"shape": [], "allowedTypes": ["i64"]}}],
    "train": [
        {"name": "x", "rules": ANY},
        {"name": "y", "rules": {"shape": [], "allowedTypes": ["f32"]}},
        {"name": "mode", "required": False, "rules": {"shape": [], "allowedTypes": ["string"]}},
    ],
    "evaluateInput": [{"name": "x", "rules": ANY}],
    "evaluateOutput": [],
}


async def over(api, training):
    deadline = time.monotonic() + 40
    while True:
        found = await good(api.get_training_status(training))
        if found["status"]["state"] != "running":
            return found
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def main(make_client):
    client = connect(make_client)
    api, told = client.debug, {}
    made = await good(
        client.model.create_model(
            {
                "name": "linear",
                "description": "",
                "options": {
                    "type": "upload",
                    "format": "python",
                    "data": MODEL,
                    "parameterDefinitions": DEFINITIONS,
                },
            }
        )
    )
    launched = await good(
        api.launch_debug_session(
            {
                "modelId": made["modelId"],
                "executionLocation": SPEC,
                "options": {"terminateAfterInactiveSeconds": 300},
            }
        )
    )
    session = launched["debugSessionId"]
    ours = {"debugSessionId": session}
    state = await good(api.call_create_model_state({**ours, "params": []}))
    told["state"] = state["state"]
    larger = await good(api.call_create_model_state({**ours, "params": [{"name": "size", "data": [i64(3)]}]}))
    told["larger_state"] = larger["state"]
    by_id = await good(
        api.call_instantiate_model({**ours, "stateData": {"type": "dataId", "dataId": state["dataId"]}})
    )
    by_data = await good(
        api.call_instantiate_model(
            {**ours, "stateData": {"type": "data", "data": [{"key": "weights", "data": b"[1.0, 10.0]"}]}}
        )
    )
    told["instances"] = by_id["instantiatedModelId"] != by_data["instantiatedModelId"]
    model = {**ours, "instantiatedModelId": by_id["instantiatedModelId"]}
    other = {**ours, "instantiatedModelId": by_data["instantiatedModelId"]}

    output = (await good(api.call_evaluate({**other, "params": [{"name": "x", "data": [f32([1, 2])]}]})))[
        "output"
    ]
    told["one_output"] = [
        output[0]["name"],
        output[0]["data"][0].item(),
        output[1]["data"][0].numpy().tolist(),
    ]
    output = (
        await good(
            api.call_evaluate({**other, "params": [{"name": "x", "data": [f32([1, 2]), f32([0, 1])]}]})
        )
    )["output"]
    told["two_outputs"] = [tensor.numpy().tolist() for tensor in output[0]["data"]]

    started = await good(api.call_train({**model, "params": [X, Y]}))
    training = {**ours, "trainingSessionId": started["trainingSessionId"]}
    ended = await over(api, training)
    told["training"] = [
        ended["status"]["state"],
        ended["metrics"],
        ended["id"] == training["trainingSessionId"],
    ]
    told["units"] = [
        ended["createdAt"] > 1.6e12,
        ended["status"]["finishedAt"] >= ended["createdAt"],
        isinstance(ended["status"]["trainDuration"], int),
    ]
    metrics = await good(
        api.get_training_metrics(
            {
                **training,
                "metrics": [
                    {"name": "loss", "startIndex": 1, "amount": 9},
                    {"name": "weights", "startIndex": 0, "amount": 0},
                    {"name": "weights", "startIndex": 2, "amount": 1},
                    {"name": "none", "startIndex": 0, "amount": 5},
                ],
            }
        )
    )
    told["metrics"] = [
        [
            metric["name"],
            metric["startIndex"],
            [[e["data"].type(), e["data"].shape()] for e in metric["entries"]],
        ]
        for metric in metrics["metrics"]
    ]
    told["stamps"] = all(e["timestamp"] > 1.6e12 for metric in metrics["metrics"] for e in metric["entries"])

    created = await good(
        client.dataset.create_dataset(
            {
                "name": "rows",
                "description": "",
                "keys": [
                    {"name": n, "rules": {"shape": s, "allowedTypes": ["f32"]}}
                    for n, s in (("x", [2]), ("y", []))
                ],
            }
        )
    )
    dataset = created["datasetId"]
    await good(
        client.dataset.add_entries(
            {"datasetId": dataset, "keys": [{"key": k["name"], "data": k["data"]} for k in (Y, X)]}
        )
    )

    def of_dataset(name, key=None, id=dataset):
        return {"name": name, "data": {"type": "dataset", "datasetId": id, "datasetKey": key or name}}

    started = await good(api.call_train({**model, "params": [of_dataset("x"), of_dataset("y")]}))
    ended = await over(api, {**ours, "trainingSessionId": started["trainingSessionId"]})
    told["with_dataset"] = [ended["status"]["state"], ended["metrics"][0]["amount"]]

    failing = await good(
        api.call_train({**model, "params": [X, Y, {"name": "mode", "data": [text("raise")]}]})
    )
    ended = await over(api, {**ours, "trainingSessionId": failing["trainingSessionId"]})
    told["failed"] = [
        ended["status"]["state"],
        ended["status"]["failReason"]["code"],
        ended["status"]["failReason"]["exceptionDetails"].splitlines()[-1],
    ]
    for mode in ("slow", "stubborn"):
        slow = await good(api.call_train({**model, "params": [X, Y, {"name": "mode", "data": [text(mode)]}]}))
        training = {**ours, "trainingSessionId": slow["trainingSessionId"]}
        deadline = time.monotonic() + 20
        while (
            not (live := await good(api.get_training_status(training)))["metrics"]
            and time.monotonic() < deadline
        ):
            await asyncio.sleep(0.02)
        told[f"{mode}_live"] = [live["status"]["state"], live["metrics"][0]["amount"] < 300]
        await good(api.cancel_training_session(training))
        told[f"{mode}_canceled"] = (await over(api, training))["status"]
        told[f"{mode}_again"] = await bad(api.cancel_training_session(training))
    taken = await good(api.call_get_model_state(model))
    told["taken"] = [item["key"] for item in taken["state"]]
    downloaded = await good(api.download_state_data({**ours, "dataId": taken["dataId"]}))
    told["downloaded"] = [[item["key"], len(json.loads(item["data"]))] for item in downloaded["data"]]
    listed = (await good(api.get_debug_sessions({"debugSessionIds": [session, "none"]})))["debugSessions"]
    told["listed"] = [
        len(listed),
        listed[0]["modelId"] == made["modelId"],
        sorted({one["state"] for one in listed[0]["trainingSessions"]}),
        listed[0]["executionLocation"],
        [definition["name"] for definition in listed[0]["parameterDefinitions"]["train"]],
    ]

    seen, second = [], connect(make_client)
    second.on_event(lambda event: seen.append(getattr(event, "event_name", type(event).__name__)))
    told["subscribed"] = await settled(second.debug.subscribe_to_events(ours))
    await asyncio.sleep(0)
    told["events"] = seen
    told["inspector"] = await good(
        api.send_to_remote_inspector({**ours, "data": "Content-Length: 0\r\n\r\n"})
    )
    told["unsubscribed"] = await bad(client.debug.unsubscribe_from_events(ours))

    none = {"debugSessionId": "none"}
    unknown = {**ours, "instantiatedModelId": "none"}
    no_training = {**ours, "trainingSessionId": "none"}
    told["errors"] = {
        "launch_model": await bad(api.launch_debug_session({"modelId": "none", "executionLocation": SPEC})),
        "launch_location": await bad(api.launch_debug_session({"modelId": made["modelId"]})),
        "launch_launcher": await bad(
            api.launch_debug_session(
                {
                    "modelId": made["modelId"],
                    "executionLocation": {"type": "persistentLauncher", "persistentLauncherId": "none"},
                }
            )
        ),
        "launch_memory": await bad(
            api.launch_debug_session(
                {
                    "modelId": made["modelId"],
                    "executionLocation": {
                        "type": "temporaryLauncher",
                        "spec": {"cpus": 1, "memoryMebibytes": 10**9},
                    },
                }
            )
        ),
        "terminate": await bad(api.terminate_debug_session(none)),
        "create_session": await bad(api.call_create_model_state({**none, "params": []})),
        "create_raises": await bad(
            api.call_create_model_state({**ours, "params": [{"name": "size", "data": [i64(-1)]}]})
        ),
        "create_type": await bad(
            api.call_create_model_state({**ours, "params": [{"name": "size", "data": [f32(1)]}]})
        ),
        "instantiate_state": await bad(
            api.call_instantiate_model({**ours, "stateData": {"type": "dataId", "dataId": "none"}})
        ),
        "instantiate_raises": await bad(
            api.call_instantiate_model({**ours, "stateData": {"type": "data", "data": []}})
        ),
        "train_model": await bad(api.call_train({**unknown, "params": [X, Y]})),
        "train_missing": await bad(api.call_train({**model, "params": [X]})),
        "train_unknown": await bad(api.call_train({**model, "params": [X, Y, {"name": "z", "data": []}]})),
        "train_dataset": await bad(api.call_train({**model, "params": [of_dataset("x", id="none"), Y]})),
        "train_key": await bad(api.call_train({**model, "params": [of_dataset("x", "z"), Y]})),
        "status": await bad(api.get_training_status(no_training)),
        "status_session": await bad(api.get_training_status({**no_training, **none})),
        "metrics": await bad(api.get_training_metrics({**no_training, "metrics": []})),
        "cancel": await bad(api.cancel_training_session(no_training)),
        "evaluate_model": await bad(api.call_evaluate({**unknown, "params": [X]})),
        "evaluate_shape": await bad(
            api.call_evaluate({**model, "params": [{"name": "x", "data": [f32(1)]}]})
        ),
        "evaluate_raises": await bad(
            api.call_evaluate({**model, "params": [{"name": "x", "data": [f32([])]}]})
        ),
        "get_state": await bad(api.call_get_model_state(unknown)),
        "download": await bad(api.download_state_data({**ours, "dataId": "none"})),
        "download_key": await bad(
            api.download_state_data({**ours, "dataId": taken["dataId"], "keys": ["none"]})
        ),
    }
    told["terminated"] = await good(api.terminate_debug_session(ours))
    told["after"] = {
        "evaluate": await bad(api.call_evaluate({**model, "params": [X]})),
        "terminate": await bad(api.terminate_debug_session(ours)),
        "status": (await good(api.get_training_status(training)))["status"]["state"],
        "list": await good(api.get_debug_sessions({"debugSessionIds": [session]})),
    }
    wrong = connect(make_client, "wrong", "ws://127.0.0.1:1/")
    told["errors"]["key"] = await bad(wrong.debug.get_debug_sessions({}))
    exiting = (await good(api.launch_debug_session({"modelId": made["modelId"], "executionLocation": SPEC})))[
        "debugSessionId"
    ]
    ours = {"debugSessionId": exiting}
    state = await good(api.call_create_model_state({**ours, "params": []}))
    model = await good(
        api.call_instantiate_model({**ours, "stateData": {"type": "dataId", "dataId": state["dataId"]}})
    )
    await good(api.call_train({**ours, **model, "params": [X, Y, {"name": "mode", "data": [text("exit")]}]}))
    told["after"]["exit"] = await bad(api.call_evaluate({**ours, **model, "params": [X]}))
    await good(client.model.delete_model({"modelId": made["modelId"]}))
    await good(client.dataset.delete_dataset({"datasetId": dataset}))
    return told


print_both(main)
