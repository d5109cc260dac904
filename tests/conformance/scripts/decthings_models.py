"""Models and their trainings and evaluations with the official client; prints what came back."""

import asyncio
import json
import sys
import time
from pathlib import Path

from decthings_api import DecthingsTensor
from decthings_common import SPEC, X, Y, bad, connect, f32, good, print_both

MODEL = Path(sys.argv[1]).read_bytes()
ONE = {"name": "x", "data": [f32([1, 2])]}


def mode(name):
    return {"name": "mode", "data": [DecthingsTensor([name], "string", [])]}


async def main(make_client):
    client = connect(make_client, ws="ws://127.0.0.1:1/")
    api, told = client.model, {}
    options = {"type": "upload", "format": "python", "data": MODEL}
    made = await good(api.create_model({"name": "linear", "description": "d", "options": options}))
    told["created"] = made["isNowCreating"]
    model = {"modelId": made["modelId"]}
    told["wait"] = await bad(api.wait_for_model_to_be_created(model))
    told["no_state"] = await bad(api.evaluate({**model, "params": [ONE]}))
    created = await good(
        api.create_state({**model, "name": "first", "params": [], "executionLocation": SPEC})
    )
    told["create_state"] = [
        sorted(created["success"]["durations"]),
        isinstance(created["success"]["stateId"], str),
    ]
    failed = await good(
        api.create_state(
            {
                **model,
                "name": "bad",
                "params": [{"name": "size", "data": [f32(-1)]}],
                "executionLocation": SPEC,
            }
        )
    )
    error = failed["failed"]["error"]
    told["create_state_failed"] = [error["code"], error["at"], error["exceptionDetails"].splitlines()[-1]]
    started = await good(
        api.train({**model, "newStateName": "second", "params": [X, Y], "executionLocation": SPEC})
    )

    async def over(training):
        deadline = time.monotonic() + 60
        while (found := await good(api.get_training_status({**model, **training})))["status"][
            "state"
        ] not in ("completed", "failed"):
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.05)
        return found

    ended = await over(started)
    status = ended["status"]
    told["trained"] = [
        status["state"],
        ended["newStateName"],
        ended["metrics"],
        sorted(status["startDurations"]),
        [isinstance(status[name], int) for name in ("trainDuration", "getStateDuration", "finishedAt")],
    ]
    metrics = await good(
        api.get_training_metrics(
            {**model, **started, "metrics": [{"name": "loss", "startIndex": 0, "amount": 9}]}
        )
    )
    losses = [entry["data"].item() for entry in metrics["metrics"][0]["entries"]]
    told["losses"] = [len(losses), all(loss >= 0 for loss in losses)]
    told["sysinfo"] = [
        sorted(sample) for sample in (await good(api.get_training_sysinfo({**model, **started})))["sysinfo"]
    ][:1]
    told["state"] = [
        [item["key"], len(json.loads(item["data"]))]
        for item in (await good(api.get_model_state({**model, "stateId": status["createdStateId"]})))["data"]
    ]
    uploaded = await good(
        api.upload_state({**model, "name": "mine", "data": [{"key": "weights", "data": b"[1.0, 10.0]"}]})
    )
    await good(api.set_current_model_state({**model, **uploaded}))
    result = (await good(api.evaluate({**model, "params": [ONE]})))["success"]
    told["evaluated"] = [
        [result["output"][0]["name"], result["output"][0]["data"][0].item()],
        sorted(result["durations"]),
        result["totalDuration"] > 0,
    ]
    failed = (await good(api.evaluate({**model, "params": [{"name": "x", "data": [f32([])]}]})))["failed"]
    told["evaluation_failed"] = [failed["error"]["code"], failed["error"]["at"]]
    evaluations = await good(api.get_evaluations(model))
    told["evaluations"] = [len(evaluations["running"]), [one["success"] for one in evaluations["finished"]]]
    again = await good(
        api.get_finished_evaluation_result({**model, "evaluationId": evaluations["finished"][0]["id"]})
    )
    told["again"] = again["success"]["output"][0]["name"]

    slow = await good(
        api.train({**model, "newStateName": "no", "params": [X, Y, mode("slow")], "executionLocation": SPEC})
    )
    deadline = time.monotonic() + 30
    while (
        not (await good(api.get_training_status({**model, **slow})))["metrics"]
        and time.monotonic() < deadline
    ):
        await asyncio.sleep(0.05)
    told["running"] = await bad(api.clear_previous_training_session({**model, **slow}))
    await good(api.cancel_training_session({**model, **slow}))
    ended = await over(slow)
    told["canceled"] = [ended["status"]["failReason"], ended["metrics"][0]["amount"] > 0]
    told["cancel_again"] = await bad(api.cancel_training_session({**model, **slow}))
    await good(api.clear_previous_training_session({**model, **slow}))
    told["cleared"] = await bad(api.get_training_status({**model, **slow}))
    reasons = {}
    for name in ("raise", "exit"):
        training = await good(
            api.train(
                {**model, "newStateName": "no", "params": [X, Y, mode(name)], "executionLocation": SPEC}
            )
        )
        reason = (await over(training))["status"]["failReason"]
        reason.pop("exceptionDetails", None)
        reasons[name] = reason
    await good(api.update_model({**model, "properties": {"maxDurationsSeconds": {"train": 1}}}))
    training = await good(
        api.train({**model, "newStateName": "no", "params": [X, Y, mode("slow")], "executionLocation": SPEC})
    )
    reasons["slow"] = (await over(training))["status"]["failReason"]
    told["reasons"] = reasons
    definition = {"name": "z", "rules": {"shape": [], "allowedTypes": ["f32"]}}
    await good(
        api.update_model(
            {
                **model,
                "properties": {"name": "renamed", "parameterDefinitions": {"evaluateOutput": [definition]}},
            }
        )
    )
    failed = (await good(api.evaluate({**model, "params": [ONE]})))["failed"]["error"]
    told["invalid_output"] = [failed["code"], failed["reason"]]
    listed = (await good(api.get_models({"filter": {"ids": [made["modelId"]]}})))["models"][0]
    told["listed"] = [
        listed["name"],
        listed["language"],
        [state["name"] for state in listed["states"]],
        listed["activeState"] == uploaded["stateId"],
        listed["ongoingTrainingSessions"],
        len(listed["trainingSessions"]),
    ]
    none = {"modelId": "none"}
    told["errors"] = {
        "model": await bad(api.train({**none, "newStateName": "x", "params": [], "executionLocation": SPEC})),
        "state": await bad(
            api.train(
                {**model, "stateId": "none", "newStateName": "x", "params": [], "executionLocation": SPEC}
            )
        ),
        "active": await bad(api.delete_model_state({**model, **uploaded})),
        "key": await bad(api.get_model_state({**model, "keys": ["none"]})),
        "snapshot": await bad(api.evaluate({**model, "params": [ONE], "snapshotId": "none"})),
        "evaluation": await bad(api.get_finished_evaluation_result({**model, "evaluationId": "none"})),
        "training": await bad(api.get_training_status({**model, "trainingSessionId": "none"})),
    }
    copied = await good(
        api.create_model({"name": "copy", "description": "", "options": {"type": "fromExisting", **model}})
    )
    await good(api.create_state({**copied, "name": "first", "params": [], "executionLocation": SPEC}))
    await good(api.delete_model({"modelId": copied["modelId"]}))
    await good(api.delete_model(model))
    told["deleted"] = await bad(api.delete_model(model))
    told["users"] = (await good(client.user.find_matching_users({"searchTerm": "loc"})))["users"]
    return told


print_both(main)
