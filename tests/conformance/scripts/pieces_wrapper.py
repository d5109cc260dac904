"""`PiecesClient()` as it is, found in its range, and a socket for a download by its own recipe; prints what came back."""

import json
import os
import sys
import threading
import time

from pieces_os_client.models.model_download_progress import ModelDownloadProgress
from pieces_os_client.wrapper import PiecesClient
from pieces_os_client.wrapper.websockets.base_websocket import BaseWebsocket

told = {}
client = PiecesClient()
told["found"] = client.host
if os.environ.get("PIECES_PORT"):  # another engine of this machine listens in the range too
    client._is_started_runned = False
    client.port = os.environ["PIECES_PORT"]
    client._startup()
told["host"] = client.host
told["started"] = client._is_started_runned
told["model_name"] = client.model_name
told["health"] = client.health
told["version"] = client.version
told["running"] = client.is_pieces_running()
PiecesClient.wait_for_cache()
deadline = time.monotonic() + 10
while not client.is_pos_stream_running and time.monotonic() < deadline:
    time.sleep(0.01)
told["stream"] = client.is_pos_stream_running
told["user"] = client.user_api.user_snapshot().user.id == client.user.id
told["application"] = client.tracked_application.name.value
told["ltm"] = client.copilot.context.ltm.is_enabled

ID = os.environ["PIECES_MODEL"]
frames, over = [], threading.Event()


class ModelProgress(BaseWebsocket):
    """The recipe of Pieces' own plugins for the socket that the wrapper lacks."""

    @property
    def url(self):
        path = f"/model/{ID.replace(':', '%3A').replace('/', '%2F')}/download/progress"
        return client.host.replace("http", "ws") + path

    def on_message(self, ws, message):
        frames.append(ModelDownloadProgress.from_json(message))


socket = ModelProgress(client, lambda message: None, on_close=lambda *_: over.set())
socket.start()
while not frames and time.monotonic() < deadline:
    time.sleep(0.01)
told["first"] = frames[0].status.value if frames else None
client.model_api.model_specific_model_download(ID)
told["closed"] = over.wait(60)
told["statuses"] = list(dict.fromkeys(frame.status.value for frame in frames))
shown = [frame.percentage for frame in frames if frame.percentage is not None]
told["rising"] = shown == sorted(shown) and len(shown) > 1
told["last"] = [frames[-1].status.value, frames[-1].percentage]
told["models"] = client.get_models() and sorted(
    model.name for model in client.models_api.models_snapshot().iterable if model.downloaded
)
print(json.dumps(told))
sys.stdout.flush()
os._exit(0)  # the wrapper's own threads never end
