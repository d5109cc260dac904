"""Everything else that replicate 1.0.7 can ask for, and what it raises. Prints what it saw as JSON."""

import io
import json
import sys
import tempfile
from pathlib import Path

import httpx
import replicate
from replicate.exceptions import ModelError, ReplicateError
from replicate.stream import EventSource

reference, sleeps, fails = sys.argv[1:]
model, _, version = reference.partition(":")
client = replicate.default_client
seen = {}

account = client.accounts.current()
seen["account"] = [account.type, account.username, account.name]
seen["hardware"] = [item.sku for item in client.hardware.list()]

made = replicate.models.create("me", "resources", visibility="private", hardware="cpu", description="mine")
seen["model"] = [made.owner, made.name, made.description, made.latest_version, made.run_count]
seen["models"] = [item.id for item in replicate.models.list()]
seen["search"] = [item.id for item in replicate.models.search("resources")]
schema = replicate.models.get(model).versions.get(version).openapi_schema["components"]["schemas"]
seen["schema"] = [schema["TrainingInput"], schema["Input"]]
seen["versions"] = [item.id for item in replicate.models.get(model).versions.list()]

training = replicate.trainings.create(version=reference, input={"steps": 2}, destination="me/resources")
url = client._client.get(f"/v1/trainings/{training.id}").json()["urls"]["stream"]
with httpx.stream("GET", url, trust_env=False, timeout=30) as response:
    events = list(EventSource(client, response))
seen["training_stream"] = [[item.event.value, item.data] for item in events]
training.reload()
trained = training.output["version"]
weights = httpx.get(training.output["weights"], trust_env=False)
seen["weights"] = [weights.status_code, weights.text, weights.headers["content-disposition"]]

seen["run"] = replicate.run(trained, input={"name": "run"})
seen["run_polling"] = replicate.run(trained, input={"name": "poll"}, wait=False)
seen["run_model"] = replicate.run("me/resources", input={"name": "newest"})
seen["stream"] = [
    [item.event.value, item.data] for item in replicate.stream(trained, input={"name": "stream"})
]
prediction = replicate.predictions.create(version=trained.split(":")[1], input={"name": "plain"})
seen["prediction_created"] = prediction.status
prediction.wait()
seen["prediction"] = [prediction.status, prediction.output, prediction.logs, sorted(prediction.metrics)]
seen["prediction_listed"] = prediction.id in [item.id for item in replicate.predictions.list()]
seen["not_listed"] = [
    training.id in [item.id for item in replicate.predictions.list()],
    prediction.id in [item.id for item in replicate.trainings.list()],
]
latest = replicate.models.get("me/resources")
seen["latest"] = [latest.latest_version.id == trained.split(":")[1], latest.run_count]
seen["trained_schema"] = list(
    latest.latest_version.openapi_schema["components"]["schemas"]["Input"]["properties"]
)

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "data.zip")
    path.write_bytes(b"zip" * 1000)
    stored = replicate.files.create(path, metadata={"who": "me"})
named = io.BytesIO(b"abc")
plain = replicate.files.create(named, filename="x.txt")
again = replicate.files.get(stored.id)
seen["file"] = [again.name, again.content_type, again.size, again.metadata, sorted(again.checksums)]
seen["plain_file"] = [plain.name, plain.content_type, plain.size]
seen["files"] = {stored.id, plain.id} <= {item.id for item in replicate.files.list()}
seen["deleted"] = [
    replicate.files.delete(stored.id),
    stored.id in [item.id for item in replicate.files.list()],
]


def refusal(call, *arguments, **words):
    try:
        call(*arguments, **words)
    except ReplicateError as error:
        return [error.status, error.title, error.detail]
    return None


seen["refusals"] = {
    "training": refusal(replicate.trainings.get, "0" * 26),
    "prediction": refusal(replicate.predictions.get, "0" * 26),
    "file": refusal(replicate.files.get, stored.id),
    "model": refusal(replicate.models.get, "me/none"),
    "version": refusal(replicate.models.get("me/resources").versions.get, "0" * 64),
    "destination": refusal(replicate.trainings.create, version=reference, input={}, destination="me/none"),
    "trained_version": refusal(
        replicate.trainings.create, version=f"{model}:{'0' * 64}", input={}, destination="me/resources"
    ),
    "input": refusal(
        replicate.trainings.create, version=reference, input={"steps": 0}, destination="me/resources"
    ),
    "unknown_input": refusal(
        replicate.trainings.create, version=reference, input={"step": 1}, destination="me/resources"
    ),
    "webhook": refusal(
        replicate.trainings.create, version=reference, input={}, destination="me/resources", webhook="ftp://x"
    ),
    "events": refusal(
        replicate.trainings.create,
        version=reference,
        input={},
        destination="me/resources",
        webhook="http://127.0.0.1:9/",
        webhook_events_filter=["never"],
    ),
    "far_file": refusal(
        replicate.trainings.create,
        version=reference,
        input={"data": "https://example.com/x"},
        destination="me/resources",
    ),
    "cannot_predict": refusal(replicate.predictions.create, version=sleeps, input={}),
    "no_version": refusal(replicate.predictions.create, version="0" * 64, input={}),
    "token": refusal(replicate.Client(api_token="wrong").trainings.list),
    "duplicate_model": refusal(
        replicate.models.create, "me", "resources", visibility="private", hardware="cpu"
    ),
    "model_with_versions": refusal(replicate.models.delete, "me/resources"),
}
try:
    replicate.run(trained, input={"name": 3})
except ReplicateError as error:
    seen["run_refused"] = error.status
failing = replicate.trainings.create(version=fails, input={}, destination="me/resources")
url = client._client.get(f"/v1/trainings/{failing.id}").json()["urls"]["stream"]
try:
    with httpx.stream("GET", url, trust_env=False, timeout=30) as response:
        list(EventSource(client, response))
except RuntimeError as error:
    seen["stream_error"] = str(error)
try:
    replicate.run(fails, input={"name": "x"})
except ModelError as error:
    seen["model_error"] = [error.prediction.status, error.prediction.error]

seen["delete_version"] = replicate.models.get("me/resources").versions.delete(trained.split(":")[1])
seen["weights_gone"] = httpx.get(training.output["weights"], trust_env=False).status_code
seen["delete_model"] = replicate.models.delete("me/resources")
print(json.dumps(seen))
