"""The zygote: imports torch once, then forks a shim per run in milliseconds. Standard library only.

Rule: it imports and never computes. One parallel operation in this process and every child would hang in its first
`Linear`, so a self-test at start and a look at the thread count before each fork decide whether forking is offered.

A fork that is asked for while it still imports is made as soon as torch is there: the first run of an engine need not wait for
what only others need.

It speaks JSON lines on one socket, whose end of file is its end:
    ← {"op": "fork", "id": n, "spec": {…}}      → {"id": n, "pid": shim} or {"id": n, "error": "…"}
    → {"state": "warm" | "unsafe", "detail": …, "torch": …}     when ready, and again when that changes
"""

from __future__ import annotations

import gc
import importlib
import json
import linecache
import os
import select
import signal
import socket
import sys
import time
import weakref

from jupyter_ext.ipc import processes
from jupyter_ext.ipc.payloads.worker_specs import ForkAnswer, ForkRequest, ZygoteState
from jupyter_ext.worker import shim

SELF_TEST_TIMEOUT_S = 10.0
_TRAINING_MODULE = "jupyter_ext.worker.training.main"
"""Each training needs it: imported here it costs its 35 ms of a core once, not in each child."""
_MODEL_MODULES = (
    "jupyter_ext.worker.model_host.main",
    "jupyter_ext.weights.loader",
    "jupyter_ext.worker.model_host.inference",
)
"""Importing them takes a tenth of a second, which each load of a model then saves."""
_GROUP_MODULE = "jupyter_ext.worker.training.group_agent"
"""0.3 s that a group of workers then saves."""
_IN_STACKS = (
    "__main__",
    "jupyter_ext.worker.zygote",
    "jupyter_ext.worker.shim",
    _TRAINING_MODULE,
    "jupyter_ext.worker.runtime.process_setup",
    "torch.random",
    "torch.cuda",
    "torch.cuda.random",
    "torch.xpu",
    "torch.xpu.random",
)
"""torch notes the stack of whoever seeds it, with source lines: each child would read these files, 5 ms."""
_MAX_THREADS = 2
"""The main thread and the one that OpenBLAS keeps, which has fork handlers."""


def main(descriptor: int, preload: list[str]) -> None:
    """Be the zygote until the engine closes the socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests = _Requests(socket.socket(fileno=descriptor))
    began = time.monotonic()
    detail = _import_all(preload, requests)
    torch = sys.modules.get("torch")
    requests.prepare_to_fork()
    gc.collect()
    gc.freeze()
    if detail is None:
        detail = requests.test()
    requests.say(
        {
            "state": "warm" if detail is None else "unsafe",
            "detail": detail,
            "torch": getattr(torch, "__version__", None),
            "ready_s": time.monotonic() - began,
        }
    )
    while requests.serve(wait=True):
        pass


class _Requests:
    """What the engine asks for, one line each: forks."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._buffer = b""
        self._tested_with = -1
        """How many modules there were at the last self-test."""
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        os.set_blocking(self._wake_read, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)

    @property
    def is_anybody_waiting(self) -> bool:
        """Whether the engine has sent something, or is gone."""
        return bool(select.select([self._channel], [], [], 0)[0])

    def serve(self, *, wait: bool) -> bool:
        """Answer what was asked; tell whether the engine is still there.

        Args:
            wait: Whether to wait for something to be asked.
        """
        channel = self._channel.fileno()
        readable, _, _ = select.select([channel, self._wake_read], [], [], None if wait else 0)
        if self._wake_read in readable:
            os.read(self._wake_read, 512)
            _reap()
        if channel not in readable:
            return True
        chunk = self._channel.recv(1 << 20)
        if not chunk:
            return False
        *lines, self._buffer = (self._buffer + chunk).split(b"\n")
        for line in lines:
            self.say(self._fork(json.loads(line)))
        return True

    def serve_early(self) -> None:
        """Answer whoever does not want to wait for the rest of the imports; a child imports by itself what it needs of that.

        Ends this process where the engine is gone.
        """
        while self.is_anybody_waiting:
            self.prepare_to_fork()
            gc.freeze()
            if not self.serve(wait=False):
                os._exit(0)

    def prepare_to_fork(self) -> None:
        """Take what was imported here off the list of what a child ends: torch would unregister its operators one by one, 30 ms.

        The memory goes with the process. What the user's code registers later is ended as in any process.
        """
        for ending in list(weakref.finalize._registry):  # type: ignore[attr-defined]
            ending.atexit = False

    def test(self) -> str | None:
        """Tell why forking is not safe after what was imported so far; `None` where it is."""
        if "torch" not in sys.modules or self._tested_with == len(sys.modules):
            return None
        detail = _self_test()
        if detail is None:
            self._tested_with = len(sys.modules)
        return detail

    def say(self, message: ZygoteState | ForkAnswer) -> None:
        self._channel.sendall(json.dumps(message).encode() + b"\n")

    def _fork(self, request: ForkRequest) -> ForkAnswer:
        threads = processes.num_threads()
        if threads > _MAX_THREADS:
            error = f"the zygote has {threads} threads, forking is not safe"
            return {"id": request["id"], "error": error}
        if self._tested_with < 0 and (detail := self.test()) is not None:
            return {"id": request["id"], "error": detail}
        pid = os.fork()
        if pid:
            return {"id": request["id"], "pid": pid}
        try:
            signal.set_wakeup_fd(-1)
            self._channel.close()
            os.close(self._wake_read)
            os.close(self._wake_write)
            shim.run(request["spec"])
        except BaseException:  # noqa: BLE001  the last edge: an exception must not run the zygote's loop in a child
            import traceback

            traceback.print_exc()
        finally:
            os._exit(1)


def _import_all(preload: list[str], requests: _Requests) -> str | None:
    """Import what runs need, the most needed first; in between, whoever waits is served."""
    _import_if_there("cloudpickle")  # names from the notebook are unpickled by it
    for name in preload:
        try:
            importlib.import_module(name)
        except ImportError as error:
            return f"cannot import {name}: {error}"
        if name == preload[0]:
            _import_for_trainings()
        requests.serve_early()
    _import_for_trainings()
    later = ["ipykernel.kernelapp"]  # a debug session is one
    if "torch" in sys.modules:
        later += [*_MODEL_MODULES, _GROUP_MODULE]
    for name in later:
        _import_if_there(name)
        requests.serve_early()
    return None


def _import_for_trainings() -> None:
    _import_if_there(_TRAINING_MODULE)
    if "numpy" in sys.modules:
        _import_if_there("numpy.random")  # each child seeds it
    for name in _IN_STACKS:
        if path := getattr(sys.modules.get(name), "__file__", None):
            linecache.getlines(path)


def _import_if_there(name: str) -> None:
    try:
        importlib.import_module(name)
    except ImportError:
        return


def _self_test() -> str | None:
    """Fork a child that trains a two-thread Linear for one step; tell what is wrong, or `None`."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            import torch

            torch.set_num_threads(2)
            layer = torch.nn.Linear(256, 256)
            layer(torch.randn(512, 256)).sum().backward()
            code = 0
        finally:
            os._exit(code)
    deadline = time.monotonic() + SELF_TEST_TIMEOUT_S
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return None if status == 0 else f"a forked child could not compute (status {status})"
        time.sleep(0.005)
    processes.kill(pid)
    os.waitpid(pid, 0)
    return f"a forked child hung for {SELF_TEST_TIMEOUT_S:.0f} s in its first layer"


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return
