"""ModelApi and ModelsApi of Pieces' official client, generated part: the whole list; prints what came back."""

import json
import os
import time

from pieces_os_client.api.model_api import ModelApi
from pieces_os_client.api.models_api import ModelsApi
from pieces_os_client.api.well_known_api import WellKnownApi
from pieces_os_client.api_client import ApiClient
from pieces_os_client.configuration import Configuration
from pieces_os_client.exceptions import ApiException
from pieces_os_client.models.grouped_timestamp import GroupedTimestamp
from pieces_os_client.models.model import Model
from pieces_os_client.models.model_delete_cache_input import ModelDeleteCacheInput
from pieces_os_client.models.seeded_model import SeededModel
from pieces_os_client.models.seeded_score import SeededScore
from pieces_os_client.models.seeded_score_increment import SeededScoreIncrement

configuration = Configuration(
    host=os.environ["PIECES_URL"], api_key={"application": os.environ["PIECES_TOKEN"]}
)
client = ApiClient(configuration)
model, models = ModelApi(client), ModelsApi(client)
told = {}


def refused(call, *arguments, **options):
    try:
        call(*arguments, **options)
    except ApiException as error:
        return [error.status, str(error.body), error.headers.get("content-type", "")]
    return None


def seeded(name, **fields):
    now = GroupedTimestamp(value="2026-01-01T00:00:00Z")
    return SeededModel(
        name=name, version="1.0", created=now, cloud=False, type="SPEED", usage="TEXT_EMBEDDING", **fields
    )


def flags(found):
    return {"downloaded": found.downloaded, "downloading": found.downloading, "loaded": found.loaded}


def wait_for(id, status):
    """Ask the progress as the generated method can, again and again."""
    seen = []
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        progress = model.model_specific_model_download_progress(id)
        seen.append([str(progress.status.value), progress.percentage])
        if progress.status.value == status:
            return seen
        time.sleep(0.02)
    raise SystemExit(f"{status} never came: {seen[-5:]}")


told["health"] = WellKnownApi(client).get_well_known_health()
bearer = ApiClient(configuration, "X-Application-ID", os.environ["PIECES_TOKEN"])
told["version"] = WellKnownApi(
    bearer
).get_well_known_version()  # declares no authentication: a header does it
told["empty"] = len(models.models_snapshot().iterable)

# create: always custom, no duplicate
made = models.models_create_new_model(
    seeded_model=seeded("MiniLM", unique="acme/minilm", custom=False, foundation="UNKNOWN")
)
again = models.models_create_new_model(seeded_model=seeded("MiniLM", unique="acme/minilm"))
id = made.id
told["created"] = {"id": id, "custom": made.custom, "again": again.id, "type": made.type.value, **flags(made)}
told["listed"] = [found.id for found in models.models_snapshot().iterable]
bare = models.models_create_new_model(seeded_model=seeded("only described"))
told["bare"] = [bare.id, refused(model.model_specific_model_download, bare.id)]

# snapshot, 410
told["snapshot"] = model.models_specific_model_snapshot(id).name
told["gone"] = [
    refused(call, "hub:no/such")
    for call in (
        model.models_specific_model_snapshot,
        model.model_specific_model_download,
        model.model_specific_model_download_cancel,
        model.model_specific_model_download_progress,
        model.model_specific_model_load,
        model.model_specific_model_unload,
        models.models_delete_specific_model,
        models.models_delete_specific_model_cache,
    )
]

# download, progress by asking, cancel, again, NDJSON
told["idle"] = str(model.model_specific_model_download_progress(id).status.value)
told["load_before"] = refused(model.model_specific_model_load, id)
began = time.monotonic()
told["download"] = flags(model.model_specific_model_download(id))
told["download_s"] = time.monotonic() - began
told["twice"] = flags(model.model_specific_model_download(id))
told["begun"] = wait_for(id, "IN-PROGRESS")
told["readable"] = model.models_specific_model_snapshot(id).bytes.readable
told["canceled"] = flags(model.model_specific_model_download_cancel(id))
told["after_cancel"] = wait_for(id, "CANCELED")[-1]
told["cancel_idle"] = flags(model.model_specific_model_download_cancel(id))
model.model_specific_model_download(id)
response = model.model_specific_model_download_progress_without_preload_content(
    id, _headers={"Accept": "application/x-ndjson"}
)
lines = [json.loads(line) for line in response.stream(decode_content=True) for line in line.splitlines()]
told["ndjson"] = [lines[0], lines[-1], len(lines), response.headers["content-type"]]
told["completed"] = wait_for(id, "COMPLETED")[-1]
whole = model.models_specific_model_snapshot(id)
told["whole"] = {
    **flags(whole),
    "bytes": whole.bytes.value,
    "ram": whole.ram.value,
    "parameters": whole.parameters,
    "provider": whole.provider.value,
    "unique": whole.unique,
}
told["download_done"] = flags(model.model_specific_model_download(id))

# load, unload, unload all: true when they answer
told["loaded"] = flags(model.model_specific_model_load(id))
told["loaded_again"] = flags(model.model_specific_model_load(id))
told["delete_loaded"] = refused(models.models_delete_specific_model, id)
told["unloaded"] = flags(model.model_specific_model_unload(id))
told["unload_idle"] = flags(model.model_specific_model_unload(id))
model.model_specific_model_load(id)
models.unload_models()
told["unload_all"] = flags(model.models_specific_model_snapshot(id))

# update: merges, body may be missing
changed = Model.from_dict(
    {**whole.to_dict(), "description": "changed", "foundation": "POTION", "loaded": True}
)
merged = model.model_update(model=changed)
slim = Model.from_dict({**bare.to_dict(), "name": "renamed"})
told["update"] = {
    "description": merged.description,
    "foundation": merged.foundation.value,
    "type": merged.type.value,
    "custom": merged.custom,
    "loaded": merged.loaded,
    "renamed": model.model_update(model=slim).name,
}
told["update_nothing"] = refused(model.model_update)
told["update_unknown"] = refused(
    model.model_update, model=Model.from_dict({**whole.to_dict(), "id": "hub:no/such"})
)

# scores, identifiers
model.model_scores_increment(
    id, seeded_score_increment=SeededScoreIncrement(model=SeededScore(reuse=True, searched=True))
)
model.model_scores_increment(id, seeded_score_increment=SeededScoreIncrement(models=SeededScore(reuse=True)))
score = model.models_specific_model_snapshot(id).score
told["score"] = [score.automatic, score.manual, score.reuse, score.searched]
told["identifiers"] = sorted(item.model.id for item in models.models_stream_identifiers().iterable)

# delete cache, delete
told["delete_cache"] = models.models_delete_specific_model_cache(
    id, model_delete_cache_input=ModelDeleteCacheInput()
).model.id
told["without_files"] = flags(model.models_specific_model_snapshot(id))
told["delete_cache_twice"] = models.models_delete_specific_model_cache(id).model.id
models.models_delete_specific_model(id)
models.models_delete_specific_model(bare.id)
told["deleted"] = refused(model.models_specific_model_snapshot, id)
told["left"] = len(models.models_snapshot().iterable)
print(json.dumps(told))
