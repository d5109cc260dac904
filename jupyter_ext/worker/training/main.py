"""Run the user's training in this process, which the shim has just forked. Standard library only.

Rule: nothing of ours shows. The user's code finds a `__main__` of its own, its working directory, its arguments'
types, line-buffered output, fresh random seeds, and Python's usual end of a process.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import sys
import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyter_ext.integrations import automatic
from jupyter_ext.ipc import run_files
from jupyter_ext.ipc.json_files import ReservedFile, read_json, write_json
from jupyter_ext.ipc.payloads.worker_specs import TrainingWorkerSpec
from jupyter_ext.worker.runtime import arguments as calling
from jupyter_ext.worker.runtime import output_files, tracebacks
from jupyter_ext.worker.runtime.process_setup import prepare_process, write_stacks_to
from jupyter_ext.worker.runtime.redaction import Redactor
from jupyter_ext.worker.runtime.spawning import let_children_find
from jupyter_ext.worker.runtime.stream_marks import MARKS
from jupyter_ext.worker.runtime.user_code import UserCode, new_main
from jupyter_ext.worker.sdk import checkpoint, logging
from jupyter_ext.worker.training import cog, results
from jupyter_ext.worker.training.entry import OnItem, call
from jupyter_ext.worker.training.plain_process import forget_notebook

MAX_STREAMED_BYTES = 64 << 10
"""Of one item of a prediction's output that is told as it comes."""
EXIT_OK, EXIT_EXCEPTION, EXIT_INTERRUPTED = 0, 1, 130
_OUTPUT_BYTES, _ERROR_BYTES, _PLACES_BYTES = 256 << 10, 64 << 10, 4 << 10
"""Room kept for result and exception; larger ones need a disk that has more."""
_FULL_DISK_PATIENCE_S = 600.0
_SMALL_STATE_BYTES, _MAX_STATE_BYTES = 1 << 20, 1 << 30
"""Returned weights within these are saved."""
_MAX_EXIT_TEXT = 300
_MAX_PREDICTED_TEXT = 64 << 20


def run(spec: TrainingWorkerSpec) -> int:
    """Run one training.

    Args:
        spec: What its process was started with.

    Returns:
        The exit code for the process.
    """
    run_dir = Path(spec["run_dir"])
    write_stacks_to(run_dir / "stacks.txt")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if spec.get("ends_by_ladder"):
        _pass_over_stray_terms(run_dir)
    files = ResultFiles(run_dir)
    forget_notebook()
    prepare_process(spec)
    return train(spec, files, spec.get("rank", "0"))


def _pass_over_stray_terms(run_dir: Path) -> None:
    """Let SIGTERM end this process only once the shim's ladder has got that far."""

    def take(number: int, _: object) -> None:
        stop = run_files.read_stop(run_dir)
        if stop is not None and stop["stage"] in ("terminate", "kill"):
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, take)


def train(spec: TrainingWorkerSpec, files: ResultFiles, rank: str) -> int:
    """Run the user's code in this process, which is prepared; return the exit code.

    Args:
        spec: As of `run`.
        files: Where its end is written.
        rank: Name of the stream that it logs to.
    """
    run_dir = Path(spec["run_dir"])
    resumed = (read_json(run_dir / "spec.json") or {}).get("resumed_from") or {}
    report = logging.Reporter(run_dir, rank, resumed.get("next_call", 0))
    logging.activate(report)
    os.environ[logging.STREAM_VARIABLE] = rank
    automatic.install()
    for text in spec.get("notices", ()) if rank == "0" else ():
        report.mark("notice", text=text)
    code = UserCode(run_dir / "code")
    _show_by_label(code, run_dir)
    try:
        exit_code = _run_user_code(code, files, report, spec.get("secrets") or {})
        _end_like_python()
    except KeyboardInterrupt:
        exit_code = EXIT_INTERRUPTED
    _flush()
    report.close()
    return exit_code


def _show_by_label(code: UserCode, run_dir: Path) -> None:
    """Have what Python itself prints, of threads and of warnings, name the user's cells and not our files."""

    def of_thread(told: threading.ExceptHookArgs) -> None:
        if told.exc_value is not None and not isinstance(told.exc_value, SystemExit):
            name = told.thread.name if told.thread is not None else "a thread"
            described = tracebacks.describe(told.exc_value, code.labels, Path.cwd(), run_dir)
            print(f"Exception in thread {name}:\n{described['text']}", file=sys.stderr)

    plain_format = warnings.formatwarning

    def format_warning(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
    ) -> str:
        return plain_format(message, category, code.labels.get(filename, filename), lineno, line)

    threading.excepthook = of_thread
    warnings.formatwarning = format_warning


class ResultFiles:
    """Where the end of a run is written; the room is taken at its start."""

    error_path: Path | None = None
    """Where a rank of a group writes what it raised; by default the run's `error.json`."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self._output = ReservedFile(run_dir / "output.json", _OUTPUT_BYTES)
        self._places = ReservedFile(run_dir / output_files.NAME, _PLACES_BYTES)
        self._error = ReservedFile(run_dir / run_files.ERROR, _ERROR_BYTES)

    def write_output(self, content: Any) -> None:
        """Write what `train()` returned."""
        self._output.write_json(content, _FULL_DISK_PATIENCE_S)

    def write_places(self, places: list[output_files.Place]) -> None:
        """Write where in that files stand."""
        self._places.write_json(places, _FULL_DISK_PATIENCE_S)

    def write_error(self, error: run_files.ErrorFile) -> None:
        """Write what the code raised."""
        if self.error_path is not None:
            write_json(self.error_path, error)
            return
        self._error.write_json(error, _FULL_DISK_PATIENCE_S)

    @property
    def stop_was_asked(self) -> bool:
        """Whether somebody asked for the run's end."""
        return (self.run_dir / run_files.STOP).exists()


def _run_user_code(
    code: UserCode, files: ResultFiles, report: logging.Reporter, secrets: Mapping[str, object]
) -> int:
    redactor = Redactor(secrets)
    try:
        output = _result(code, files.run_dir, report, redactor, secrets)
    except SystemExit as error:
        if exit_code := _exit_code(error, redactor, files):
            return exit_code
        output = None
    except BaseException as error:  # noqa: BLE001  the edge to the user's code: all of it is theirs to see
        if isinstance(error, KeyboardInterrupt) and files.stop_was_asked:
            return EXIT_INTERRUPTED
        described = redactor.json(tracebacks.describe(error, code.labels, Path.cwd(), files.run_dir))
        files.write_error(described)
        _flush()
        print(described["text"], file=sys.stderr)
        return EXIT_EXCEPTION
    output = _without_weights(output)
    files.write_places(output_files.places(output))
    files.write_output(redactor.json(results.summarize(output, _max_text(code))))
    return EXIT_OK


def _result(
    code: UserCode, run_dir: Path, report: logging.Reporter, redactor: Redactor, secrets: Mapping[str, object]
) -> Any:
    """Run the user's code; return what `train()` gave back."""
    main = new_main()
    loaded = read_json(run_dir / "spec.json")["input"]
    let_children_find(code.directory, loaded if code.kind == "script" else {})
    code.load(main)
    inputs = code.exact_inputs({**loaded, **secrets})
    report.mark("started")
    on_item = _output_marker(report, redactor) if code.streams else None
    if code.kind == "script":
        code.run_as_script(main, inputs)
        return None
    if code.kind == "cog":
        return cog.run(run_dir, code.source_name, code.entry, inputs, method=code.method, on_item=on_item)
    files = calling.Files(Path.cwd(), run_dir / "inputs")
    return call(code.function(main), inputs, files, method=code.method, on_item=on_item)


def _max_text(code: UserCode) -> int:
    """Return how long a text in an output may be; that of a prediction is what was asked for, such as a data URI."""
    return _MAX_PREDICTED_TEXT if code.streams else results.MAX_TEXT


def _output_marker(report: logging.Reporter, redactor: Redactor) -> OnItem:
    """Return what tells the engine each item of a prediction's output as it comes; large items come with the rest."""

    def mark(item: Any) -> None:
        value = redactor.json(results.summarize(item))
        if not output_files.places(item) and len(json.dumps(value)) <= MAX_STREAMED_BYTES:
            report.mark("output", value=value)

    return mark


def _exit_code(error: SystemExit, redactor: Redactor, files: ResultFiles) -> int:
    if error.code is None or isinstance(error.code, int):
        return (error.code or 0) & 0xFF
    text = redactor.text(str(error.code))
    print(text, file=sys.stderr)
    if not files.stop_was_asked:
        line = " ".join(text.split())[:_MAX_EXIT_TEXT]
        files.write_error(
            {
                "kind": "exit",
                "type": "SystemExit",
                "message": text,
                "summary": line,
                "frames": [],
                "text": text,
            }
        )
    return 1


def _without_weights(output: Any) -> Any:
    """Save returned weights, which are too large for a result, as a checkpoint; their shapes are the result."""
    if not results.is_state_dict(output):
        return output
    num_bytes = sum(tensor.numel() * tensor.element_size() for tensor in output.values())
    if num_bytes < _SMALL_STATE_BYTES:
        return output
    if num_bytes > _MAX_STATE_BYTES:
        logging.tell(
            "train() returned weights, which are not kept with the result: checkpoint.save() keeps them."
        )
        return results.shapes(output)
    try:
        if checkpoint.save(output) is not None:
            logging.tell("train() returned weights; they are saved as this training's newest checkpoint.")
    except Exception as error:  # noqa: BLE001  a training that has finished never fails for its return value
        logging.tell(f"train() returned weights, which could not be saved: {tracebacks.summary_of(error)}")
    return results.shapes(output)


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
    MARKS.settle()
