"""What a session on Decthings' service prints, and how it ended: followed through the engine, in the background."""

from __future__ import annotations

import json
import threading

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from jupyter_ext.client.requests.background_loop import loop_thread
from jupyter_ext.client.requests.decthings import Service
from jupyter_ext.client.requests.process_client import client
from jupyter_ext.ipc import private_sockets
from jupyter_ext.ipc.json_types import JsonObject
from jupyter_ext.protocol.decthings.framing import Event, decode_frame

MAX_KEPT_BYTES = 16 << 20
"""Of each stream, the last of it."""


class RemoteOutput:
    """Output and exit of one session. A thread of its own reads them until the exit.

    Args:
        service: Where it runs.
        session_id: Its id.
    """

    def __init__(self, service: Service, session_id: str) -> None:
        self.initialized = threading.Event()
        self.over = threading.Event()
        self.exit: JsonObject | None = None
        self.problem: str | None = None
        self.num_gaps = 0
        self._streams = {"stdout": bytearray(), "stderr": bytearray()}
        self._lock = threading.Lock()
        self._asked = {
            "base_url": service.base_url,
            "key": None if service.key is None else service.key.get_secret_value(),
            "session_id": session_id,
        }
        self._thread = threading.Thread(target=self._follow, name=f"output of {session_id}", daemon=True)
        self._thread.start()

    def text(self, stream: str = "stdout") -> str:
        """Return what was printed so far."""
        with self._lock:
            return self._streams[stream].decode(errors="replace")

    def _follow(self) -> None:
        try:
            path = loop_thread().run(client().transport.ensure_socket())
            peer = private_sockets.connect(path)
            with connect(
                "ws://engine/native/decthings/events", sock=peer, max_size=None, proxy=None
            ) as socket:
                socket.send(json.dumps(self._asked))
                for message in socket:
                    if isinstance(message, str):
                        self._note(json.loads(message))
                    else:
                        frame = decode_frame(message)
                        if isinstance(frame, Event):
                            self._take(frame)
        except (OSError, WebSocketException, ValueError) as error:
            self.problem = f"the engine was lost ({type(error).__name__})"
        finally:
            self.initialized.set()
            self.over.set()

    def _note(self, answer: JsonObject) -> None:
        if answer.get("kind") == "gap":
            self.num_gaps += 1
        else:
            self.problem = str(answer.get("detail"))

    def _take(self, event: Event) -> None:
        if event.name in self._streams:
            with self._lock:
                kept = self._streams[event.name]
                kept += b"".join(event.blobs)
                del kept[: max(0, len(kept) - MAX_KEPT_BYTES)]
        elif event.name == "initialized":
            self.initialized.set()
        elif event.name == "exit":
            reason = event.params.get("reason")
            self.exit = reason if isinstance(reason, dict) else {}
