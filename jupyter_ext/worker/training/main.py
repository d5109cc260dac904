"""Run the user's training in this process, which the shim has just forked. Standard library only.

Rule: nothing of ours shows. The user's code finds a `__main__` of its own, its working directory, its arguments'
types, line-buffered output, fresh random seeds, and Python's usual end of a process.
"""

from __future__ import annotations

import atexit
import dataclasses
import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from jupyter_ext.ipc.json_files import read_json, write_json
from jupyter_ext.worker.runtime import arguments as calling
from jupyter_ext.worker.runtime import output_files, tracebacks
from jupyter_ext.worker.runtime.process_setup import prepare_process, write_stacks_to
from jupyter_ext.worker.runtime.redaction import Redactor
from jupyter_ext.worker.runtime.user_code import UserCode
from jupyter_ext.worker.sdk import logging
from jupyter_ext.worker.training import cog
from jupyter_ext.worker.training.entry import OnItem, call

MAX_STREAMED_BYTES = 64 << 10
"""Of one item of a prediction's output that is told as it comes."""
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
    write_stacks_to(run_dir / "stacks.txt")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    prepare_process(spec)
    resumed = (read_json(run_dir / "spec.json") or {}).get("resumed_from") or {}
    report = logging.Reporter(run_dir, spec.get("rank", "0"), resumed.get("next_call", 0))
    logging.activate(report)
    for text in spec.get("notices", ()):
        report.mark("notice", text=text)
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
        inputs = code.exact_inputs({**read_json(run_dir / "spec.json")["input"], **secrets})
        report.mark("started")
        on_item = _output_marker(report, redactor) if code.streams else None
        if code.kind == "script":
            code.run_as_script(main, inputs)
            output = None
        elif code.kind == "cog":
            output = cog.run(
                run_dir, code.source_name, code.entry, inputs, method=code.method, on_item=on_item
            )
        else:
            files = calling.Files(Path.cwd(), run_dir / "inputs")
            output = call(code.function(main), inputs, files, method=code.method, on_item=on_item)
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
    write_json(run_dir / output_files.NAME, output_files.places(output))
    write_json(run_dir / "output.json", redactor.json(_to_json(output)))
    return EXIT_OK


def _output_marker(report: logging.Reporter, redactor: Redactor) -> OnItem:
    """Return what tells the engine each item of a prediction's output as it comes; large items come with the rest."""

    def mark(item: Any) -> None:
        value = redactor.json(_to_json(item))
        if not output_files.places(item) and len(json.dumps(value)) <= MAX_STREAMED_BYTES:
            report.mark("output", value=value)

    return mark


def _exit_code(error: SystemExit) -> int:
    if error.code is None or isinstance(error.code, int):
        return (error.code or 0) & 0xFF
    print(error.code, file=sys.stderr)
    return 1


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
