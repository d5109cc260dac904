"""What a worker's process becomes before the user's code runs in it, be it a training, a session or a model's host.

Rule: whatever a plain process would honour at its start is honoured here. What can be applied late is applied here; for the
rest the engine starts a fresh process (`ipc.start_environment`). Standard library only.
"""

from __future__ import annotations

import faulthandler
import json
import locale
import logging
import os
import random
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Literal, cast

from jupyter_ext.ipc.payloads.process_settings import ProcessSettings
from jupyter_ext.ipc.payloads.worker_specs import WorkerSpec
from jupyter_ext.ipc.processes import RUN_ID_VARIABLE
from jupyter_ext.ipc.start_environment import SETTINGS_VARIABLE, waiting_defaults
from jupyter_ext.worker.runtime.redaction import Redactor
from jupyter_ext.worker.runtime.stream_marks import MARKS, ErrorFile, OutFile

_LOCALES = ("LANG", "LC_ALL", "LC_CTYPE")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_Action = Literal["default", "error", "ignore", "always", "module", "once"]


def write_stacks_to(path: Path) -> None:
    """Have faulthandler write to a file at a crash, and on SIGUSR1."""
    stacks = open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w")  # noqa: SIM115  open to the end
    faulthandler.enable(stacks)
    faulthandler.register(signal.SIGUSR1, stacks, all_threads=True)


def prepare_process(spec: WorkerSpec) -> None:
    """Set up environment, settings, directory, import path, streams, seeds and threads.

    Args:
        spec: What this process was started with.
    """
    settings = _take_environment(spec)
    os.chdir(spec["cwd"])
    _take_import_path(spec)
    sys.argv = ["train"]
    redactor = Redactor(spec.get("secrets"))
    if spec.get("role", "training") in ("training", "group"):
        MARKS.begin(Path(spec["run_dir"]))
    for name, raw in (("stdout", OutFile()), ("stderr", ErrorFile())):
        stream = redactor.stream(raw)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    apply_settings(settings)
    reseed()
    set_threads(spec.get("threads"))


def _take_environment(spec: WorkerSpec) -> ProcessSettings:
    """Take over the caller's environment, with what the C library and Python read from it at their start.

    Returns:
        The settings of the caller's process that travelled beside it.
    """
    before = dict(os.environ)
    if environ := spec.get("environ"):
        os.environ.clear()
        os.environ.update(environ)
    settings = _settings(os.environ.pop(SETTINGS_VARIABLE, ""))
    for name, value in waiting_defaults(os.environ).items():
        os.environ[name] = value  # for the processes that this one starts
    os.environ["JUPYTER_EXT_RUN_DIR"] = spec["run_dir"]
    os.environ[RUN_ID_VARIABLE] = os.path.basename(spec["run_dir"])
    if os.environ.get("TZ") != before.get("TZ"):
        time.tzset()
    if any(os.environ.get(name) != before.get(name) for name in _LOCALES):
        try:
            locale.setlocale(locale.LC_CTYPE, "")
        except locale.Error:
            print(
                "The locale that the notebook's environment names is not installed; the C locale is used.",
                file=sys.stderr,
            )
    wanted = os.environ.get("PYTHONWARNINGS", "")
    if wanted != before.get("PYTHONWARNINGS", ""):
        _take_warning_options([option for option in wanted.split(",") if option])
    return settings


def _take_warning_options(options: list[str]) -> None:
    """Do what Python does with PYTHONWARNINGS at its start."""
    sys.warnoptions[:] = options
    warnings._processoptions(options)  # type: ignore[attr-defined]


def _take_import_path(spec: WorkerSpec) -> None:
    if entries := spec.get("sys_path"):
        known, wanted = set(sys.path), set(entries)
        sys.path[:] = [*entries, *(entry for entry in sys.path if entry not in wanted)]
        for entry in (
            wanted - known
        ):  # all others know their folders, and to free what they know costs 5 ms after a fork
            sys.path_importer_cache.pop(entry, None)
    if spec["cwd"] not in sys.path:
        sys.path.insert(0, spec["cwd"])


# -- settings that are no variables -----------------------------------------------------------------------------------


def apply_settings(settings: ProcessSettings) -> None:
    """Apply what the caller set in its own process; what cannot be applied is passed over with a line on stderr.

    Args:
        settings: See `client.requests.process_settings`.
    """
    for name, apply in _APPLY.items():
        if name in settings:
            try:
                apply(settings)
            except Exception as error:  # noqa: BLE001  a setting of another version must not keep a training from starting
                print(f"The notebook's {name} setting was not taken over: {error}", file=sys.stderr)


def _settings(text: str) -> ProcessSettings:
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    return cast("ProcessSettings", found) if isinstance(found, dict) else {}


def _apply_logging(settings: ProcessSettings) -> None:
    wanted = settings["logging"]
    if (format_ := wanted.get("format")) is not None:
        logging.basicConfig(
            format=format_, datefmt=wanted.get("datefmt"), level=wanted.get("level"), force=True
        )
    elif (level := wanted.get("level")) is not None:
        logging.getLogger().setLevel(level)
    for name, level in wanted.get("loggers", {}).items():
        logging.getLogger(name).setLevel(level)
    if (disabled := wanted.get("disable")) is not None:
        logging.disable(disabled)


def _apply_warnings(settings: ProcessSettings) -> None:
    for action, message, category, module, line in reversed(settings["warnings"]):
        found = _category(category)
        if found is not None:
            warnings.filterwarnings(cast("_Action", action), message, found, module, line)


def _category(name: str) -> type[Warning] | None:
    """Find a warning's class; one of a module that is not imported yet can only be warned of later, and is passed over."""
    module, _, kind = name.rpartition(".")
    found = getattr(sys.modules.get(module), kind, None)
    return found if isinstance(found, type) and issubclass(found, Warning) else None


def _apply_default_dtype(settings: ProcessSettings) -> None:
    import torch

    torch.set_default_dtype(getattr(torch, settings["default_dtype"]))


_APPLY: dict[str, Callable[[ProcessSettings], object]] = {
    "logging": _apply_logging,
    "warnings": _apply_warnings,
    "default_dtype": _apply_default_dtype,
    "umask": lambda settings: os.umask(settings["umask"]),
}


# -- what children of one parent must not share -----------------------------------------------------------------------


def reseed() -> None:
    """Seed Python, numpy and torch with other random numbers than all other children of the same parent have."""
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(int.from_bytes(os.urandom(7), "big"))


def set_threads(threads: int | None) -> None:
    """Set torch's number of threads, here and for what this process starts.

    Args:
        threads: What the engine grants; the user's own `OMP_NUM_THREADS` or `MKL_NUM_THREADS` wins.
    """
    torch = sys.modules.get("torch")
    chosen = next((text for name in _THREADS if (text := os.environ.get(name, ""))), None)
    if chosen is not None:
        first = chosen.split(",")[0]
        threads = int(first) if first.isdecimal() and int(first) > 0 else None
    if torch is not None and threads:
        torch.set_num_threads(threads)
