"""Tab completion for the magics' arguments."""

from __future__ import annotations

from typing import Any

_OPTIONS = {
    "train": ["-i", "--form", "--on", "--wait", "--as", "--help"],
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
        "--help",
    ],
    "debug_sessions": ["--ended", "--help"],
    "debug_call": ["-p", "--model", "--anomaly", "--as", "--help"],
    "in_session": ["--top", "--wait", "--help"],
    "engine": ["status", "start", "stop", "restart", "listen", "log", "doctor", "--help"],
}
_VALUES = {
    "--on": ["local"],
    "--status": ["starting", "processing", "succeeded", "failed", "canceled"],
}


def complete(shell: Any, event: Any) -> list[str]:
    """Complete one word of a magic's line; IPython calls this."""
    words = event.line.split()
    magic = words[0].lstrip("%")
    before = words[-1] if event.line.endswith(" ") else (words[-2] if len(words) > 1 else "")
    if magic == "models" and before == "--on":
        return ["pieces"]
    if before in _VALUES:
        return _VALUES[before]
    if magic == "train" and before in ("-i", "--input"):
        return [f"{name}=" for name in _input_names(shell, words)]
    if magic == "training" and len(words) <= (1 if event.line.endswith(" ") else 2):
        return _training_names()
    if magic == "model" and len(words) <= (1 if event.line.endswith(" ") else 2):
        from jupyter_ext.client.models.handle import known_ids

        return known_ids()
    if magic == "train" and words[0] == "%train" and len(words) <= (1 if event.line.endswith(" ") else 2):
        return [name for name, value in shell.user_ns.items() if callable(value) and not name.startswith("_")]
    if magic in ("debug_session", "in_session") and len(words) <= (1 if event.line.endswith(" ") else 2):
        return [session.name for session in _sessions()]
    if magic == "debug_call" and len(words) <= (1 if event.line.endswith(" ") else 2):
        return _call_targets()
    if words[0] == "%%debug_session":
        return ["--entry", "--inactive", "--new", "--as", "--help"]
    return _OPTIONS.get(magic, [])


def _sessions() -> list[Any]:
    from jupyter_ext.client.sessions.session import debug_sessions
    from jupyter_ext.errors import JupyterExtError

    try:
        return list(debug_sessions.list())
    except JupyterExtError:
        return []


def _call_targets() -> list[str]:
    """List `SESSION.METHOD` of all that can be called."""
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
    import inspect

    function = shell.user_ns.get(words[1]) if len(words) > 1 else None
    return list(inspect.signature(function).parameters) if inspect.isfunction(function) else []


def _training_names() -> list[str]:
    from jupyter_ext.client.trainings.api import trainings
    from jupyter_ext.errors import JupyterExtError

    try:
        return [training.id for training in trainings.list(limit=20)]
    except JupyterExtError:
        return []
