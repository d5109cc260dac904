"""The zygote: imports torch once, then forks a shim per run in milliseconds. Standard library only.

Rule: it imports and never computes. One parallel operation in this process and every child would hang in its first
`Linear`, so a self-test at start and a look at the thread count before each fork decide whether forking is offered.

It speaks JSON lines on one socket, whose end of file is its end:
    ← {"op": "fork", "id": n, "spec": {…}}      → {"id": n, "pid": shim} or {"id": n, "error": "…"}
    → {"state": "warm" | "unsafe", "detail": …, "torch": …}     when ready, and again when that changes
"""

from __future__ import annotations

import gc
import importlib
import json
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
_MAX_THREADS = 2
"""The main thread and the one that OpenBLAS keeps, which has fork handlers."""


def main(descriptor: int, preload: list[str]) -> None:
    """Be the zygote until the engine closes the socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = socket.socket(fileno=descriptor)
    buffer = b""
    began = time.monotonic()
    detail = _import_all(preload, channel)
    torch = sys.modules.get("torch")
    _leave_nothing_to_end()
    gc.collect()
    gc.freeze()
    if detail is None and torch is not None:
        detail = _self_test()
    _send(
        channel,
        {
            "state": "warm" if detail is None else "unsafe",
            "detail": detail,
            "torch": getattr(torch, "__version__", None),
            "ready_s": time.monotonic() - began,
        },
    )
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    os.set_blocking(wake_read, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    while True:
        readable, _, _ = select.select([descriptor, wake_read], [], [])
        if wake_read in readable:
            os.read(wake_read, 512)
            _reap()
        if descriptor not in readable:
            continue
        chunk = channel.recv(1 << 20)
        if not chunk:
            return
        buffer += chunk
        *lines, buffer = buffer.split(b"\n")
        for line in lines:
            request = json.loads(line)
            _send(channel, _fork(request, (descriptor, wake_read, wake_write)))


def _import_all(preload: list[str], channel: socket.socket) -> str | None:
    _import_if_there("cloudpickle")  # names from the notebook are unpickled by it
    for name in preload:
        if select.select([channel], [], [], 0)[0] and name != preload[0]:
            return None  # somebody waits to start: the rest is imported in the child when it is needed
        try:
            importlib.import_module(name)
        except ImportError as error:
            return f"cannot import {name}: {error}"
    if not select.select([channel], [], [], 0)[0]:
        _import_if_there("ipykernel.kernelapp")  # a debug session is one
    _import_if_there(_TRAINING_MODULE)
    if "numpy" in sys.modules:
        _import_if_there("numpy.random")  # each child seeds it
    if "torch" in sys.modules:
        for name in _MODEL_MODULES:
            _import_if_there(name)
        if not select.select([channel], [], [], 0)[0]:
            _import_if_there(
                "jupyter_ext.worker.training.group_agent"
            )  # 0.3 s that a group of workers then saves
    return None


def _import_if_there(name: str) -> None:
    try:
        importlib.import_module(name)
    except ImportError:
        return


def _leave_nothing_to_end() -> None:
    """Take what was imported here off the list of what a child ends: torch would unregister its operators one by one, 30 ms.

    The memory goes with the process. What the user's code registers later is ended as in any process.
    """
    for ending in list(weakref.finalize._registry):  # type: ignore[attr-defined]
        ending.atexit = False


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


def _fork(request: ForkRequest, to_close: tuple[int, ...]) -> ForkAnswer:
    threads = processes.num_threads()
    if threads > _MAX_THREADS:
        return {"id": request["id"], "error": f"the zygote has {threads} threads, forking is not safe"}
    pid = os.fork()
    if pid:
        return {"id": request["id"], "pid": pid}
    try:
        signal.set_wakeup_fd(-1)
        for descriptor in to_close:
            os.close(descriptor)
        shim.run(request["spec"])
    except BaseException:  # noqa: BLE001  the last edge: an exception must not run the zygote's loop in a child
        import traceback

        traceback.print_exc()
    finally:
        os._exit(1)


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _send(channel: socket.socket, message: ZygoteState | ForkAnswer) -> None:
    channel.sendall(json.dumps(message).encode() + b"\n")
