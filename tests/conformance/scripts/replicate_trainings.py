"""Every way in which replicate 1.0.7 creates, follows, lists and cancels trainings. Prints what it saw as JSON."""

import asyncio
import io
import json
import sys
import time
from pathlib import Path

import replicate
from replicate.prediction import Prediction

reference, destination, sleeps, fails, bars = sys.argv[1:]
model, _, version = reference.partition(":")
owner, name = destination.split("/")
seen = {}


def wait(training):
    while training.status not in ("succeeded", "failed", "canceled"):
        time.sleep(0.05)
        training.reload()
    print(training.status, training.error, training.logs, file=sys.stderr)
    return training


made = [
    replicate.trainings.create(model=model, version=version, input={"steps": 2}, destination=destination),
    replicate.trainings.create(version=reference, input={"steps": 2, "tag": "b"}, destination=destination),
    replicate.trainings.create(reference, {"steps": 2, "tag": "c"}, destination),
    replicate.trainings.create(
        model=tuple(model.split("/")),
        version=version,
        input={"steps": 2, "tag": "d"},
        destination=(owner, name),
    ),
    replicate.trainings.create(
        model=replicate.models.get(model),
        version=replicate.models.get(model).versions.get(version),
        input={"steps": 2, "tag": "e"},
        destination=replicate.models.get(destination),
        webhook_completed="http://127.0.0.1:9/never",
    ),
    asyncio.run(
        replicate.trainings.async_create(
            model=model, version=version, input={"steps": 2, "tag": "f"}, destination=destination
        )
    ),
]
seen["created"] = [training.status for training in made]
ended = [wait(training) for training in made]
seen["ended"] = [training.status for training in ended]
seen["outputs"] = [training.output for training in ended]
seen["destinations"] = [training.destination for training in ended]
seen["logs"] = ended[0].logs
seen["times"] = [ended[0].created_at, ended[0].started_at, ended[0].completed_at]

handle = io.BytesIO(b"from a handle")
handle.name = "table.csv"
path = Path(sys.argv[0]).with_name("replicate_trainings.py")
with_file = wait(
    replicate.trainings.create(version=reference, input={"steps": 1, "data": handle}, destination=destination)
)
seen["file"] = [with_file.status, with_file.input["data"], with_file.error]
seen["file_text"] = replicate.default_client._client.get(with_file.output["weights"]).text
encoded = wait(
    replicate.trainings.create(
        version=reference,
        input={"steps": 1, "data": io.BytesIO(b"inline")},
        destination=destination,
        file_encoding_strategy="base64",
    )
)
seen["data_uri"] = [encoded.status, replicate.default_client._client.get(encoded.output["weights"]).text]

failed = wait(replicate.trainings.create(version=fails, input={}, destination=destination))
seen["failed"] = [failed.status, failed.error, failed.output]

running = replicate.trainings.create(version=sleeps, input={}, destination=destination)
while "on" not in (running.logs or ""):
    running.reload()
running.cancel()
seen["canceled"] = [running.status, wait(running).status]
running.cancel()
seen["canceled_again"] = running.status

tqdm = wait(replicate.trainings.create(version=bars, input={}, destination=destination))
seen["progress"] = vars(Prediction.Progress.parse(tqdm.logs))
seen["as_prediction"] = replicate.predictions.get(tqdm.id).status

pages = list(replicate.paginate(replicate.trainings.list))
seen["pages"] = [len(page) for page in pages]
seen["ids"] = [training.id for page in pages for training in page]
seen["all_ids"] = [training.id for training in [*made, with_file, encoded, failed, running, tqdm]]
print(json.dumps(seen))
