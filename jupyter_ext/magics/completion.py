"""Tab completion for the magics' arguments."""

from __future__ import annotations

import glob
import os
import shlex
from collections.abc import Callable
from typing import Any

_OPTIONS = {
    "train": [
        "-i",
        "--form",
        "--on",
        "--address",
        "--cpus",
        "--gpus",
        "--storage",
        "--workers",
        "--trials",
        "--parallel",
        "--metric",
        "--direction",
        "--wait",
        "--as",
        "--help",
    ],
    "training": ["show", "logs", "metrics", "cancel", "resume", "stacks", "--tail", "--help"],
    "trainings": ["--status", "--limit", "--help"],
    "models": ["--on", "--unload", "--help"],
    "model": [
        "show",
        "download",
        "cancel",
        "load",
        "unload",
        "update",
        "run",
        "delete",
        "--device",
        "--dtype",
        "--keep-alive",
        "--pin",
        "--force",
        "--wait",
        "--check",
        "--files",
        "--help",
    ],
    "debug_session": [
        "show",
        "logs",
        "frames",
        "up",
        "down",
        "stacks",
        "attach",
        "interrupt",
        "terminate",
        "--tail",
        "--port",
        "--force",
        "--help",
    ],
    "debug_sessions": ["--ended", "--help"],
    "debug_call": ["-p", "--model", "--anomaly", "--as", "--help"],
    "in_session": ["--top", "--wait", "--help"],
    "engine": ["status", "start", "stop", "restart", "listen", "log", "doctor", "--help"],
}
_VALUES = {
    "--direction": ["minimize", "maximize"],
    "--status": ["starting", "processing", "succeeded", "failed", "canceled"],
}


def complete(shell: Any, event: Any) -> list[str]:
    """Complete one word of a magic's line; IPython calls this."""
    words = event.line.split()
    head, magic = words[0], words[0].lstrip("%")
    begun = [] if event.line.endswith(" ") else words[-1:]
    before = words[: len(words) - len(begun)]
    if magic == "models" and before[-1] == "--on":
        return ["pieces"]
    if before[-1] == "--on":
        return _backends()
    if before[-1] in _VALUES:
        return _VALUES[before[-1]]
    if magic == "train" and before[-1] in ("-i", "--input"):
        return [f"{name}=" for name in _input_names(shell, words)]
    if len(before) == 1 and (first := _FIRST.get(head)) is not None:
        return first(shell, "".join(begun))
    if head == "%%debug_session":
        return ["--entry", "--inactive", "--new", "--as", "--help"]
    return _OPTIONS.get(magic, [])


def _backends() -> list[str]:
    """List what runs trainings: this machine, Ray, Replicate, and the services that this user has trained on."""
    from jupyter_ext.client.trainings.api import trainings
    from jupyter_ext.errors import JupyterExtError

    named = ["local", "ray", "replicate"]
    try:
        used = [run.known.on for run in trainings.list(limit=50) if "://" in run.known.on]
    except JupyterExtError:
        used = []
    return [*named, *dict.fromkeys(used)]


def _sessions() -> list[Any]:
    from jupyter_ext.client.debugging import debug_sessions
    from jupyter_ext.errors import JupyterExtError

    try:
        return list(debug_sessions.list())
    except JupyterExtError:
        return []


def _call_targets() -> list[str]:
    """Return `SESSION.METHOD` of all that can be called."""
    targets = []
    for session in _sessions():
        known = session.resource
        methods = [
            "create_state",
            "instantiate",
            "train",
            "evaluate",
            "step",
            "parameters",
            "get_state",
            *known.functions,
        ]
        methods += [method for model in known.models for method in model.methods]
        targets += [f"{session.name}.{method}" for method in dict.fromkeys(methods)]
    return targets


def _input_names(shell: Any, words: list[str]) -> list[str]:
    """List the inputs of the function or the file that a line names; nothing of it is run."""
    from jupyter_ext.client.capture.callables import parameter_names

    named = words[1] if len(words) > 1 else ""
    function = shell.user_ns.get(named)
    if found := parameter_names(function):
        return found
    if not named.endswith(".py"):
        return []
    from jupyter_ext.client.trainings.api import capture_path
    from jupyter_ext.errors import JupyterExtError

    try:
        inputs = capture_path(named).training_input
    except JupyterExtError:
        return []
    return [] if inputs is None else [parameter.name for parameter in inputs.parameters]


def _to_train(shell: Any, begun: str) -> list[str]:
    """List the notebook's functions, and Python files and folders that begin so."""
    names = [name for name, value in shell.user_ns.items() if callable(value) and not name.startswith("_")]
    places = [path for path in glob.glob(f"{glob.escape(begun)}*") if not path.startswith((".", "_"))]
    files = [shlex.quote(path) for path in places if path.endswith(".py")]
    return [*names, *files, *(f"{shlex.quote(path)}/" for path in places if os.path.isdir(path))]


def _training_names(_shell: Any, _begun: str) -> list[str]:
    """List the names of recent trainings, then their ids."""
    from jupyter_ext.client.trainings.api import trainings
    from jupyter_ext.errors import JupyterExtError

    try:
        recent = trainings.list(limit=20)
    except JupyterExtError:
        return []
    names = dict.fromkeys(shlex.quote(training.name) for training in recent)
    return [*names, *(training.id for training in recent)]


def _model_ids(_shell: Any, _begun: str) -> list[str]:
    from jupyter_ext.client.models.handle import known_ids

    return known_ids()


def _session_names(_shell: Any, _begun: str) -> list[str]:
    return [session.name for session in _sessions()]


_FIRST: dict[str, Callable[[Any, str], list[str]]] = {
    "%train": _to_train,
    "%training": _training_names,
    "%model": _model_ids,
    "%debug_session": _session_names,
    "%%debug_session": _session_names,
    "%%in_session": _session_names,
    "%debug_call": lambda _shell, _begun: _call_targets(),
}
"""What the first word after a magic can be."""
