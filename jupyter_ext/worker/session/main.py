"""A debug session: an IPython kernel with the user's model in it, which answers calls beside. Needs ipykernel.

    main thread     the kernel's loop; the user's code, by turns
    calls           answers calls, at once where they only look on
    Control, …      the kernel's own

Rule: the state that is told is the state that is: this process tells what it does, the shim tells how it ended.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyter_ext.ipc import channel_server
from jupyter_ext.ipc.channel import CallError
from jupyter_ext.ipc.channel_server import Call
from jupyter_ext.ipc.json_files import write_json
from jupyter_ext.ipc.payloads.session_messages import SessionParams
from jupyter_ext.ipc.payloads.session_reports import ENDING_FILE, LOAD_FILE, EndingFile, LoadFile
from jupyter_ext.ipc.payloads.worker_specs import SessionWorkerSpec
from jupyter_ext.worker.runtime.process_setup import prepare_process, write_stacks_to
from jupyter_ext.worker.runtime.redaction import Redactor
from jupyter_ext.worker.session.inspection.debugger import keep_out_of_debuggers
from jupyter_ext.worker.session.runtime.state import SessionState

EXIT_OK, EXIT_CODE_FAILED, EXIT_NO_KERNEL = 0, 1, 3
_WATCH_INTERVAL_S = 0.5
_SECRET_WORDS = ("TOKEN", "SECRET", "PASSWORD", "API_KEY", "CREDENTIAL")


class Session:
    """This process as a session.

    Args:
        spec: What its process was started with.
    """

    def __init__(self, spec: SessionWorkerSpec) -> None:
        from jupyter_ext.worker.session.attach.endpoint import DebugEndpoint
        from jupyter_ext.worker.session.dispatcher import SessionOps
        from jupyter_ext.worker.session.inspection.post_mortem import install_in_shell
        from jupyter_ext.worker.session.runtime import kernel as session_kernel
        from jupyter_ext.worker.session.runtime.code_loader import SessionCode
        from jupyter_ext.worker.session.runtime.main_thread import Scheduler

        self._spec = spec
        self._dir = Path(spec["run_dir"])
        self._redactor = Redactor(_secrets(os.environ))
        self._exit_code = EXIT_OK
        self._stopping = False
        self._app = session_kernel.start(
            self._dir,
            spec["sockets"],
            self._redactor,
            lambda number, frame: self._scheduler.on_signal(number, frame),
        )
        endpoint = DebugEndpoint(self._dir, f"{spec['calls'].removesuffix('.call')}.dap")
        code = SessionCode(session_kernel.main_module(self._app))
        self.state = SessionState(self._dir, spec.get("inactive_s"), code, endpoint)
        self._scheduler = Scheduler(self.state.changed, self._end, (self._dir / "stop").exists)
        self.state.scheduler = self._scheduler
        self._ops = SessionOps(self.state, self._redactor, self._end)
        install_in_shell(self._app.shell, self.state)
        if (debugger := getattr(self._app.kernel, "debugger", None)) is not None:
            endpoint.guard(debugger)
        self._calls = threading.Thread(target=self._serve, name="calls", daemon=True)
        keep_out_of_debuggers(self._calls)

    def run(self) -> int:
        """Be the session until it is over; returns the exit code."""
        from jupyter_ext.worker.session.runtime import kernel as session_kernel

        kernel: Any = self._app.kernel
        loop = session_kernel.main_loop()
        self._scheduler.begin(loop, kernel._main_asyncio_lock)
        kernel.start()
        self._calls.start()
        while not self._stopping:
            try:
                loop.run_forever()
            except KeyboardInterrupt:
                continue  # of a cell, too late for it
            else:
                break  # a client's shutdown request, or our own end
        return self._exit_code

    def _end(self, code: int = EXIT_OK) -> None:
        """End the process at once, from any thread: whatever the main thread does, it has had its chance."""
        self._stopping = True
        self._exit_code = code
        for stream in (sys.__stdout__, sys.__stderr__):
            try:
                if stream is not None:
                    stream.flush()
            except (OSError, ValueError):
                continue
        os._exit(code)

    def _serve(self) -> None:
        asyncio.run(self._answer())

    async def _answer(self) -> None:
        self.state.begin(asyncio.get_running_loop())
        await channel_server.serve(self._spec["calls"], self._ops.handle)
        (
            self._dir / "polls_stop"
        ).touch()  # whoever asks for a stop says so here as well, and gets a second for it
        (self._dir / "answers").touch()
        await self._load()
        self.state.ready = True
        self.state.touch()
        self.state.changed()
        while True:
            await asyncio.sleep(_WATCH_INTERVAL_S)
            self.state.tidy()
            self._watch_activity()

    async def _load(self) -> None:
        """Load the code that the session was launched with."""
        if folder := self._spec.get("folder"):
            params: SessionParams = {"folder": folder}
        elif self._spec.get("code"):
            params = {"directory": "0"}
        else:
            return

        async def nobody(event: object, blobs: object) -> None:
            return

        left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        call = Call("load_code", params, [], left, None, nobody)
        try:
            payload, _ = await self._ops.handle(call)
        except CallError as error:
            failed: LoadFile = {"ok": False, "error": error.error}
            write_json(self._dir / LOAD_FILE, failed)
            if self._spec.get("keep_on_error", True):
                return
            raised = error.error.get("exception")
            print(error.error["message"] if raised is None else raised["text"], file=sys.__stderr__)
            self._end(EXIT_CODE_FAILED)
        else:
            write_json(self._dir / LOAD_FILE, {"ok": True, **payload})

    def _watch_activity(self) -> None:
        """End the session when nobody has called for long enough, and warn before."""
        if self.state.is_busy:
            self.state.touch()
            self.state.notices.clear()
            return
        inactivity = self.state.inactivity
        verdict = inactivity.look()
        if verdict == "end":
            ending: EndingFile = {"reason": "inactive_timeout", "inactive_s": inactivity.inactive_s}
            write_json(self._dir / ENDING_FILE, ending)
            self._end()
        ends_at = time.strftime("%H:%M", time.localtime(time.time() + (inactivity.left_s() or 0.0)))
        warning = f"Nobody has called for a while: this session ends at {ends_at}."
        wanted = [warning] if verdict == "warn" else []
        if self.state.notices != wanted:
            self.state.notices[:] = wanted
            self.state.changed()


def run(spec: SessionWorkerSpec) -> int:
    """Be a session; see `Session`."""
    session_dir = Path(spec["run_dir"])
    write_stacks_to(session_dir / "stacks.txt")
    error_log = os.open(session_dir / "stderr.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(error_log, 2)  # a debugger's events tell the two apart
    os.close(error_log)
    prepare_process(spec)
    try:
        session = Session(spec)
    except ImportError as error:
        message = f"{error}. A debug session is an IPython kernel: `{sys.executable} -m pip install 'ipykernel>=7'`."
        write_json(
            session_dir / "error.json",
            {"kind": "start", "type": "ImportError", "message": message, "frames": [], "text": message},
        )
        return EXIT_NO_KERNEL
    return session.run()


def _secrets(environ: Mapping[str, str]) -> list[str]:
    """List the values of variables that are called a secret."""
    return [value for name, value in environ.items() if any(word in name.upper() for word in _SECRET_WORDS)]
