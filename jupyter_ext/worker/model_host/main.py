"""The process that has a model loaded: the main thread computes, an event loop beside it answers.

Rule: the host is the only one who knows its calls, users and times; it ends itself when nobody needs it, and never
within a call. The engine asks and obeys what it says, so a killed engine changes nothing here.

    host.json     what was loaded, or why not; written once, when that is known
    ended.json    why it ended by itself

Operations: `call`, `generate`, `preview`, `tensors`, `tensor`; `status`, `attach`, `detach`, `settings`, `retire`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from jupyter_ext.ipc import values
from jupyter_ext.ipc.channel import CallError
from jupyter_ext.ipc.channel_server import Call, serve
from jupyter_ext.ipc.frames import Buffer
from jupyter_ext.ipc.json_files import write_json
from jupyter_ext.ipc.memory_usage import device_bytes, rollup
from jupyter_ext.ipc.payloads.call_failures import CallFailure, of_exception
from jupyter_ext.weights import files as model_files
from jupyter_ext.weights.change_detection import MappedFiles
from jupyter_ext.worker.model_host import messages as host_messages
from jupyter_ext.worker.model_host.keep_alive import KeepAlive
from jupyter_ext.worker.model_host.messages import (
    HostError,
    HostParams,
    HostState,
    HostWorkerSpec,
    Memory,
    ReadyReport,
)
from jupyter_ext.worker.model_host.scheduler import Computer, Job
from jupyter_ext.worker.model_host.users import Users
from jupyter_ext.worker.runtime import tracebacks
from jupyter_ext.worker.runtime.process_setup import prepare_process, write_stacks_to
from jupyter_ext.worker.runtime.user_code import UserCode

EXIT_OK, EXIT_FAILED, EXIT_HUNG = 0, 1, 70
FLAG_GRACE_S = 1.0
"""A call that looks for its cancel between steps gets this long before it is interrupted."""
HUNG_AFTER_S = 5.0
"""A call that has not come back this long after its interrupt never will: the process is ended."""
_CHECK_S = 0.25
_MEMORY_EVERY_S = 2.0
_USES_WEIGHTS = ("call", "generate", "preview", "tensor")
HostCall = Call[HostParams]
_Answer = tuple[Mapping[str, object], Sequence[Buffer]]


def run(spec: HostWorkerSpec) -> int:
    """Load a model, answer calls into it until it is to end.

    Args:
        spec: What its process was started with.

    Returns:
        The exit code for the process.
    """
    run_dir = Path(spec["run_dir"])
    write_stacks_to(run_dir / "stacks.txt")
    cwd = spec.get("cwd") or "/"
    import torch  # noqa: F401  before the setup, which gives it seeds and threads

    spec["cwd"] = cwd if os.path.isdir(cwd) else "/"
    prepare_process(spec)
    sys.argv = ["model"]
    host = Host(spec)
    try:
        host.load()
    except KeyboardInterrupt:
        return EXIT_OK
    except BaseException as error:  # noqa: BLE001  the edge to a user's factory and to foreign files: all of it is told
        write_json(run_dir / "host.json", {"state": "failed", "error": host.describe_failure(error)})
        return EXIT_FAILED
    return host.serve()


class Host:
    """One loaded model and who uses it."""

    def __init__(self, spec: HostWorkerSpec) -> None:
        self._spec = spec
        self._run_dir = Path(spec["run_dir"])
        self._labels: dict[str, str] = {}
        self._users = Users()
        self._keep_alive = KeepAlive(spec.get("keep_alive_s"), bool(spec.get("pin")))
        self._num_calls = 0
        self._retired: str | None = None
        self._memory: tuple[float, dict[str, int]] = 0.0, {}

    # -- loading ----------------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Load the model and tell about it in `host.json` once calls are answered."""
        from jupyter_ext.weights import loader, mmap
        from jupyter_ext.worker.model_host import inference

        spec, began = self._spec, time.monotonic()
        factory = self._factory()
        if factory is None:
            loader.import_for(Path(spec["path"]))
        before = rollup()["rss"]
        self._loaded = loader.load(
            Path(spec["path"]), factory, spec.get("device"), spec.get("dtype"), spec.get("weights")
        )
        if self._loaded.device.type == "cpu":
            mmap.populate(self._loaded.files)
        grown = rollup()["rss"] - before
        mapped = {name.removesuffix(" (deleted)") for *_, name in mmap.ranges(self._loaded.files)}
        self._files = MappedFiles([file for file in self._loaded.files if os.path.realpath(file) in mapped])
        self._inference = inference.Inference(self._loaded, spec.get("batch"))
        self._computer = Computer(self._inference)
        dtype = self._loaded.dtype
        self._about: host_messages.Loaded = {
            "device": str(self._loaded.device),
            "dtype": None if dtype is None else str(dtype).removeprefix("torch."),
            "task": self._inference.task,
            "architecture": self._loaded.architecture,
            "tokenizer": self._loaded.tokenizer is not None,
            "num_parameters": sum(tensor.numel() for tensor in self._loaded.tensors.values()),
            "weights_bytes": _num_bytes(self._loaded.tensors.values()),
            "grown_bytes": grown,
            "load_s": time.monotonic() - began,
            "loaded_at": time.time(),
            "pid": os.getpid(),
        }

    def _factory(self) -> Any:
        code_dir = self._spec.get("code_dir")
        if code_dir is None:
            return None
        from jupyter_ext.weights.loader import CannotLoad

        code = UserCode(Path(code_dir))
        self._labels = code.labels
        main = ModuleType("__main__")
        main.__dict__["__builtins__"] = __builtins__
        sys.modules["__main__"] = main
        if code.kind == "script":
            raise CannotLoad("the version is a script: running it would train again; give factory=… instead.")
        code.load(main)
        name = self._spec.get("factory_name")
        if name is None:
            return code.function(main)
        if not callable(main.__dict__.get(name)):
            known = sorted(key for key, item in vars(main).items() if isinstance(item, type))
            raise CannotLoad(
                f"the version's code has no {name!r} to build a module; its classes are {known}."
            )
        return main.__dict__[name]

    def describe_failure(self, error: BaseException) -> HostError:
        """Describe why the model could not be loaded."""
        from jupyter_ext.weights.loader import CannotLoad

        if isinstance(error, CannotLoad):
            return {"code": error.code, "message": str(error)}
        if isinstance(error, model_files.BadWeights):
            return {"code": "bad_weights", "message": str(error)}
        failure = tracebacks.describe(error, self._labels, Path.cwd())
        print(failure["text"], file=sys.stderr, flush=True)
        message = f"{failure['type']}: {failure['message']}" if failure["message"] else failure["type"]
        return {"code": "exception", "message": message, "frames": failure["frames"], "text": failure["text"]}

    # -- serving ----------------------------------------------------------------------------------------------------

    def serve(self) -> int:
        """Answer calls until the end; the calling thread computes them."""
        thread = threading.Thread(target=lambda: asyncio.run(self._answer()), name="calls", daemon=True)
        thread.start()
        reason = self._computer.work()
        if reason is not None:
            write_json(self._run_dir / "ended.json", {"reason": reason, "time": time.time()})
        return EXIT_OK

    async def _answer(self) -> None:
        self._loop = asyncio.get_running_loop()
        server = await serve(self._spec["calls"], self._handle)
        report: ReadyReport = {**self._about, "state": "ready", "notices": self._notices()}
        write_json(self._run_dir / "host.json", report)
        while self._retired is None:
            await asyncio.sleep(_CHECK_S)
            self._users.drop_gone()
            if self._keep_alive.is_over:
                self._retire("keep_alive")
        server.close()

    def _retire(self, reason: str) -> None:
        """Begin to end: no call is taken any more."""
        self._retired = reason
        self._computer.end(reason)

    async def _handle(self, call: HostCall) -> _Answer:
        operation = {
            "call": self._call,
            "generate": self._generate,
            "preview": self._preview,
            "tensors": self._tensors,
            "tensor": self._tensor,
            "status": self._status,
            "attach": self._attach,
            "detach": self._detach,
            "settings": self._settings,
            "retire": self._retire_if_idle,
        }.get(call.op)
        if operation is None:
            raise CallError(
                {"code": "unknown_op", "message": f"A model's host has no operation {call.op!r}."}
            )
        if self._retired is not None and call.op != "status":
            raise CallError({"code": "unloading", "message": "The model is being unloaded."})
        if call.op in _USES_WEIGHTS and (why := self._files.why_unusable()) is not None:
            raise CallError({"code": "changed", "message": why})
        return await operation(call)

    async def _call(self, call: HostCall) -> _Answer:
        content = values.decode(call.params.get("value"), call.blobs)
        if not isinstance(content, dict):
            raise CallError({"code": "input", "message": "a call has args and kwargs"})
        args, kwargs = list(content.get("args", ())), dict(content.get("kwargs", {}))
        return await self._compute(Job.call(args, kwargs), call)

    async def _generate(self, call: HostCall) -> _Answer:
        content = values.decode(call.params.get("value"), call.blobs)
        if not isinstance(content, dict):
            raise CallError({"code": "input", "message": "a generation has a prompt and options"})

        def send_text(text: str, num_tokens: int) -> None:
            event = {"text": text, "num_tokens": num_tokens}
            asyncio.run_coroutine_threadsafe(call.send(event), self._loop)

        job = Job.generate(content.get("prompt"), dict(content.get("options") or {}), send_text)
        return await self._compute(job, call)

    async def _preview(self, call: HostCall) -> _Answer:
        answer, blobs = await self._compute(Job.preview(call.params), call)
        result: Mapping[str, object] = values.decode(answer["value"], [memoryview(blob) for blob in blobs])
        return result, ()

    async def _tensors(self, call: HostCall) -> _Answer:
        tensors = [
            {"name": name, "dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape)}
            for name, tensor in self._loaded.tensors.items()
        ]
        return {"tensors": tensors}, ()

    async def _tensor(self, call: HostCall) -> _Answer:
        name = str(call.params.get("name"))
        if name not in self._loaded.tensors:
            raise CallError({"code": "input", "message": f"There is no tensor {name!r} in this model."})
        tree, blobs = values.encode(self._loaded.tensors[name])
        return {"value": tree}, blobs

    async def _compute(self, job: Job, call: HostCall) -> _Answer:
        """Have the main thread compute, and give up when the caller does."""
        self._keep_alive.begin_call()
        self._num_calls += 1
        if call.op != "preview" and not call.params.get("for_page"):
            # the engine that asks for a page is no user
            self._users.seen(call.peer_pid)
        done = self._computer.submit(job, self._loop)
        try:
            await asyncio.wait({done, call.left}, return_when=asyncio.FIRST_COMPLETED)
            if not done.done():
                await self._cancel(job, done)
            outcome: _Answer | BaseException = await done
        finally:
            self._keep_alive.end_call()
        if isinstance(outcome, BaseException):
            raise CallError(self._describe(outcome))
        return outcome

    async def _cancel(self, job: Job, done: asyncio.Future[Any]) -> None:
        """Stop a call: by its flag, by an interrupt, and if it hangs in native code by the end of the process."""
        self._computer.cancel(job)
        await asyncio.wait({done}, timeout=FLAG_GRACE_S if job.polls else 0.0)
        deadline = time.monotonic() + HUNG_AFTER_S
        while not done.done() and self._computer.interrupt(job) and time.monotonic() < deadline:
            await asyncio.wait({done}, timeout=0.5)
        if not done.done() and self._computer.is_computing(job):
            write_json(self._run_dir / "ended.json", {"reason": "hung", "time": time.time()})
            os._exit(EXIT_HUNG)

    def _describe(self, error: BaseException) -> CallFailure:
        from jupyter_ext.worker.model_host.inference import Stopped
        from jupyter_ext.worker.model_host.tensor_io import BadInput

        if isinstance(error, Stopped | KeyboardInterrupt):
            return {"code": "canceled", "message": "The call was canceled."}
        if isinstance(error, BadInput | values.CannotTravel):
            return {"code": "input", "message": str(error)}
        failure = tracebacks.describe(error, self._labels, Path.cwd())
        return of_exception(failure)

    # -- about itself -----------------------------------------------------------------------------------------------

    async def _status(self, call: HostCall) -> _Answer:
        return self._state(), ()

    def _state(self) -> HostState:
        keep_alive, left_s = self._keep_alive, self._keep_alive.left_s
        state: Literal["ready", "busy", "unloading"] = (
            "unloading" if self._retired else "busy" if keep_alive.in_flight else "ready"
        )
        return {
            **self._about,
            **self._measure(),
            "notices": self._notices(),
            "state": state,
            "num_calls": self._num_calls,
            "num_batches": self._inference.num_batches,
            "in_flight": keep_alive.in_flight,
            "used_at": keep_alive.used_at,
            "keep_alive_s": keep_alive.seconds,
            "expires_at": None if left_s is None else time.time() + left_s,
            "pinned": keep_alive.pinned,
            "users": self._users.all(),
        }

    def _notices(self) -> list[str]:
        return [*self._loaded.notices, *self._inference.notices, *self._files.notices()]

    def _measure(self) -> Memory:
        """Return the memory in bytes; walking the page tables of a large model takes milliseconds, so not each time."""
        measured_at, memory = self._memory
        if time.monotonic() - measured_at > _MEMORY_EVERY_S or not memory:
            memory = rollup()
            self._memory = time.monotonic(), memory
        return {
            "memory_bytes": memory["pss"],
            "private_bytes": memory["private"],
            "device_bytes": device_bytes(str(self._about["device"])),
        }

    async def _attach(self, call: HostCall) -> _Answer:
        user = call.params.get("user") or {"id": "None", "name": "None", "pid": None}
        self._users.add(str(user.get("id")), str(user.get("name")), user.get("pid"))
        self._keep_alive.touch()
        return self._state(), ()

    async def _detach(self, call: HostCall) -> _Answer:
        self._users.remove(str(call.params.get("id")))
        return self._state(), ()

    async def _settings(self, call: HostCall) -> _Answer:
        if call.params.get("pinned") is not None:
            self._keep_alive.pinned = bool(call.params["pinned"])
        if (seconds := call.params.get("keep_alive_s")) is not None:
            self._keep_alive.seconds = float(seconds)
        self._keep_alive.touch()
        return self._state(), ()

    async def _retire_if_idle(self, call: HostCall) -> _Answer:
        """End if nobody is in a call; `used_before` refuses also where somebody was since."""
        used_before = call.params.get("used_before")
        in_flight = self._keep_alive.in_flight
        if in_flight or (used_before is not None and self._keep_alive.used_at > used_before):
            return {"retired": False, "in_flight": in_flight}, ()
        self._memory = 0.0, {}
        state = self._state()
        self._loop.call_later(0.0, self._retire, str(call.params.get("reason") or "unload"))
        return {"retired": True, "in_flight": 0, "state": state}, ()


def _num_bytes(tensors: Any) -> int:
    seen = {tensor.data_ptr(): tensor.numel() * tensor.element_size() for tensor in tensors}
    return sum(seen.values())
