"""Run the user's training in this process, which the shim has just forked. Standard library only.

Rule: nothing of ours shows. The user's code finds a `__main__` of its own, its working directory, its arguments'
types, line-buffered output, fresh random seeds, and Python's usual end of a process.
"""

from __future__ import annotations

import asyncio
import atexit
import dataclasses
import faulthandler
import inspect
import io
import json
import os
import random
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from jupyter_ext.ipc.json_files import read_json, write_json
from jupyter_ext.worker.runtime import arguments as calling
from jupyter_ext.worker.runtime import tracebacks
from jupyter_ext.worker.runtime.redaction import Redactor
from jupyter_ext.worker.runtime.user_code import UserCode
from jupyter_ext.worker.sdk import logging
from jupyter_ext.worker.training import cog

EXIT_OK, EXIT_EXCEPTION, EXIT_INTERRUPTED = 0, 1, 130


def run(spec: Mapping[str, Any]) -> int:
    """Run one training.

    Args:
        spec: `run_dir`; `rank`; `cwd`; `sys_path` (entries of the notebook's, or `None`); `environ` (the notebook's
            environment, or `None`); `threads` (for torch, or `None`); `secrets` (inputs that are written nowhere).

    Returns:
        The exit code for the process.
    """
    run_dir = Path(spec["run_dir"])
    stacks = open(run_dir / "stacks.txt", "w")  # noqa: SIM115  stays open for faulthandler until the process ends
    faulthandler.enable(stacks)
    faulthandler.register(signal.SIGUSR1, stacks, all_threads=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    prepare_process(spec)
    resumed = (read_json(run_dir / "spec.json") or {}).get("resumed_from") or {}
    report = logging.Reporter(run_dir, spec.get("rank", "0"), resumed.get("next_call", 0))
    logging.activate(report)
    code = UserCode(run_dir / "code")
    try:
        exit_code = _run_user_code(code, run_dir, report, spec.get("secrets") or {})
        _end_like_python()
    except KeyboardInterrupt:
        exit_code = EXIT_INTERRUPTED
    _flush()
    report.close()
    return exit_code


def _run_user_code(
    code: UserCode, run_dir: Path, report: logging.Reporter, secrets: Mapping[str, Any]
) -> int:
    redactor = Redactor(secrets)
    try:
        main = _new_main()
        code.load(main)
        inputs = {**read_json(run_dir / "spec.json")["input"], **secrets}
        report.mark("started")
        if code.kind == "script":
            code.run_as_script(main, inputs)
            output = None
        elif code.kind == "cog":
            output = cog.run(run_dir, code.source_name, code.entry, inputs)
        else:
            output = _call(code.function(main), inputs, run_dir)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except SystemExit as error:
        if exit_code := _exit_code(error):
            return exit_code
        output = None
    except BaseException as error:  # noqa: BLE001  the edge to the user's code: all of it is theirs to see
        told = redactor.json(tracebacks.describe(error, code.labels, Path.cwd()))
        write_json(run_dir / "error.json", told)
        _flush()
        print(told["text"], file=sys.stderr)
        return EXIT_EXCEPTION
    write_json(run_dir / "output.json", redactor.json(_to_json(output)))
    return EXIT_OK


def _exit_code(error: SystemExit) -> int:
    if error.code is None or isinstance(error.code, int):
        return (error.code or 0) & 0xFF
    print(error.code, file=sys.stderr)
    return 1


def _call(function: Any, inputs: dict[str, Any], run_dir: Path) -> Any:
    files = calling.Files(Path.cwd(), run_dir / "inputs")
    result = function(**calling.arguments(function, inputs, files))
    return asyncio.run(result) if inspect.iscoroutine(result) else result


def _to_json(value: Any) -> Any:
    """Give the returned value as JSON: models by field, 0-d tensors as numbers, the rest as its repr.

    Paths become absolute text, as whoever reads them is in another directory.
    """

    def default(item: Any) -> Any:
        return os.path.abspath(item) if isinstance(item, os.PathLike) else _default(item)

    return json.loads(json.dumps(value, default=default, skipkeys=True))


def _default(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if callable(getattr(value, "model_dump", None)):
        return value.model_dump()
    for attribute in ("item", "tolist"):
        method = getattr(value, attribute, None)
        if callable(method) and getattr(value, "size", None) is not None:
            try:
                plain = method()
            except (TypeError, ValueError, RuntimeError):
                continue
            if isinstance(plain, int | float | bool) or len(str(plain)) < 10_000:
                return plain
    return repr(value)[:1000]


def _new_main() -> ModuleType:
    main = ModuleType("__main__")
    main.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = main
    return main


def prepare_process(spec: Mapping[str, Any]) -> None:
    """Give this process its environment, directory, import path, streams, seeds and threads."""
    if spec.get("environ"):
        os.environ.clear()
        os.environ.update(spec["environ"])
    os.environ["JUPYTER_EXT_RUN_DIR"] = spec["run_dir"]
    os.chdir(spec["cwd"])
    if spec.get("sys_path"):
        known = set(sys.path)
        sys.path[:] = [
            *spec["sys_path"],
            *(entry for entry in sys.path if entry not in set(spec["sys_path"])),
        ]
        if not known.issuperset(spec["sys_path"]):
            sys.path_importer_cache.clear()
    if spec["cwd"] not in sys.path:
        sys.path.insert(0, spec["cwd"])
    sys.argv = ["train"]
    redactor = Redactor(spec.get("secrets"))
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = redactor.stream(io.FileIO(descriptor, "wb", closefd=False))
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    _reseed(spec.get("threads"))


def _reseed(threads: int | None) -> None:
    """Undo what all children of one parent would share: the same random numbers, the parent's thread count."""
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(int.from_bytes(os.urandom(7), "big"))
        if threads:
            torch.set_num_threads(threads)


def _end_like_python() -> None:
    """Do what the interpreter does at its end: wait for threads, run exit handlers."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue
