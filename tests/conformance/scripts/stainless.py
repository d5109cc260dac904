"""What replicate-stainless 0.6.0 can ask for, and what it raises. Prints what it saw as JSON."""

import asyncio
import json
import sys
import time

import replicate
from replicate import AsyncReplicate, Replicate

reference, destination, sleeps, fails = sys.argv[1:]
model, _, version = reference.partition(":")
owner, name = model.split("/")
client = Replicate(max_retries=2)
seen = {}


def wait(id):
    while (training := client.trainings.get(training_id=id)).status not in (
        "succeeded",
        "failed",
        "canceled",
    ):
        time.sleep(0.05)
    return training


def create(**words):
    where = {"model_owner": owner, "model_name": name, "version_id": version, "destination": destination}
    return client.trainings.create(**(where | words))


first = create(input={"steps": 2})
seen["created"] = [first.status, first.model, first.version]
ended = wait(first.id)
seen["ended"] = [ended.status, ended.logs, ended.output.version, ended.output.weights]
trained = ended.output.version


async def make_async():
    async with AsyncReplicate() as other:
        made = await other.trainings.create(
            model_owner=owner,
            model_name=name,
            version_id=version,
            destination=destination,
            input={"steps": 1},
        )
        return (await other.trainings.get(training_id=made.id)).id


seen["async"] = [wait(asyncio.run(make_async())).status for _ in range(2)]

stored = client.files.create(content=("notes.txt", b"uploaded", "text/plain"), metadata={"who": "me"})
again = client.files.get(file_id=stored.id)
seen["file"] = [
    again.content_type,
    again.size,
    again.metadata,
    again.urls.get.endswith(f"/v1/files/{stored.id}"),
]
seen["bytes_file"] = client.files.create(
    content=b"plain", filename="plain.bin", type="application/x-thing"
).content_type
link = client.files.with_raw_response.get(file_id=stored.id).json()["urls"]["download"]
query = dict(part.split("=", 1) for part in link.split("?")[1].split("&"))
from urllib.parse import unquote  # noqa: E402

downloaded = client.files.download(
    file_id=stored.id,
    owner=query["owner"],
    expiry=int(query["expiry"]),
    signature=unquote(query["signature"]),
)
seen["download"] = downloaded.read().decode()
with_file = wait(create(input={"steps": 1, "data": again.urls.get, "tag": "file"}).id)
seen["weights"] = client._client.get(with_file.output.weights).text
seen["files"] = stored.id in [item.id for item in client.files.list()]

running = client.trainings.create(
    model_owner="local",
    model_name="sleeps",
    version_id=sleeps.split(":")[1],
    destination=destination,
    input={},
)
while "on" not in (client.trainings.get(training_id=running.id).logs or ""):
    time.sleep(0.05)
seen["canceled"] = [client.trainings.cancel(training_id=running.id).status, wait(running.id).status]
failing = client.trainings.create(
    model_owner="local", model_name="fails", version_id=fails.split(":")[1], destination=destination, input={}
)
failed = wait(failing.id)
seen["failed"] = [failed.status, failed.error]

page = client.trainings.list()
sizes = [len(page.results)]
while page.has_next_page():
    page = page.get_next_page()
    sizes.append(len(page.results))
seen["pages"] = sizes
seen["ids"] = [training.id for training in client.trainings.list()]

seen["account"] = client.account.get().username
seen["hardware"] = [item.sku for item in client.hardware.list()]
seen["secret"] = client.webhooks.default.secret.get().key[:6]
raw = client.models.with_raw_response.get(model_owner="me", model_name=destination.split("/")[1]).json()
seen["model"] = raw["latest_version"]["id"] == with_file.output.version.split(":")[1]
seen["models"] = destination in [f"{item.owner}/{item.name}" for item in client.models.list()]
raw = client.models.versions.with_raw_response.list(
    model_owner="me", model_name=destination.split("/")[1]
).json()
seen["versions"] = len(raw["results"])

seen["run"] = client.run(trained, input={"name": "run"})
prediction = client.predictions.create(version=trained.split(":")[1], input={"name": "p"}, prefer="wait=30")
seen["prediction"] = [prediction.status, prediction.output]
prediction = client.models.predictions.create(
    model_owner="me", model_name=destination.split("/")[1], input={"name": "m"}
)
seen["waited"] = client.predictions.wait(prediction.id).status
seen["predictions"] = prediction.id in [item.id for item in client.predictions.list()]
seen["as_prediction"] = client.predictions.get(prediction_id=first.id).status


def refusal(call, **words):
    try:
        call(**words)
    except replicate.APIStatusError as error:
        return [type(error).__name__, error.status_code, error.body.get("detail")]
    return None


seen["refusals"] = {
    "training": refusal(client.trainings.get, training_id="0" * 26),
    "input": refusal(create, input={"steps": "many"}),
    "destination": refusal(create, input={}, destination="me/none"),
    "token": refusal(Replicate(bearer_token="wrong").trainings.list),
    "version": refusal(client.predictions.create, version="0" * 64, input={}),
    "delete": refusal(client.models.delete, model_owner="me", model_name=destination.split("/")[1]),
}
client.files.delete(file_id=stored.id)
seen["deleted"] = refusal(client.files.get, file_id=stored.id)
print(json.dumps(seen))
