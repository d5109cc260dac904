"""What the user has set in this process that a training of it must honour: logging, warnings, torch's default dtype, the umask.

Only what differs from a fresh interpreter is named. `worker.runtime.process_setup` applies it.
"""

from __future__ import annotations

import logging
import re
import sys
import warnings
from pathlib import Path

from jupyter_ext.ipc.payloads.process_settings import LoggingSettings, ProcessSettings

_MAX_FILTERS, _MAX_LOGGERS = 100, 200
_STANDARD_FILTERS = {
    ("default", None, "builtins.DeprecationWarning", "__main__", 0),
    ("ignore", None, "builtins.DeprecationWarning", None, 0),
    ("ignore", None, "builtins.PendingDeprecationWarning", None, 0),
    ("ignore", None, "builtins.ImportWarning", None, 0),
    ("ignore", None, "builtins.ResourceWarning", None, 0),
}
"""Python's own, in a build without debugging."""
_CHOSEN_LEVELS = (logging.DEBUG, logging.INFO, logging.ERROR, logging.CRITICAL)
"""Libraries that set a level of their own set WARNING, which is the default."""


def process_settings() -> ProcessSettings:
    """Return what was set in this process."""
    found: ProcessSettings = {}
    if logs := _logging():
        found["logging"] = logs
    if filters := _warnings():
        found["warnings"] = filters
    torch = sys.modules.get("torch")
    if torch is not None and (name := str(torch.get_default_dtype()).removeprefix("torch.")) != "float32":
        found["default_dtype"] = name
    if (umask := _umask()) is not None:
        found["umask"] = umask
    return found


def _logging() -> LoggingSettings:
    root = logging.getLogger()
    found: LoggingSettings = {}
    if root.level != logging.WARNING:
        found["level"] = root.level
    for handler in root.handlers:
        if type(handler) is logging.StreamHandler:  # one of another kind cannot be made again there
            formatter = handler.formatter
            found["format"] = (
                formatter._fmt or logging.BASIC_FORMAT if formatter is not None else "%(message)s"
            )
            found["datefmt"] = None if formatter is None else formatter.datefmt
            found["level"] = root.level
            break
    levels = {
        name: logger.level
        for name, logger in sorted(root.manager.loggerDict.items())
        if isinstance(logger, logging.Logger) and logger.level in _CHOSEN_LEVELS
    }
    if levels:
        found["loggers"] = dict(list(levels.items())[:_MAX_LOGGERS])
    if root.manager.disable:
        found["disable"] = root.manager.disable
    return found


def _warnings() -> list[tuple[str, str, str, str, int]]:
    found = []
    for action, message, category, module, line in warnings.filters:
        if isinstance(category, tuple):
            continue
        name = f"{category.__module__}.{category.__qualname__}"
        plain = (action, _pattern(message), name, _pattern(module), line)
        if plain not in _STANDARD_FILTERS:
            found.append((action, plain[1] or "", name, plain[3] or "", line))
    return found[:_MAX_FILTERS]


def _pattern(given: str | re.Pattern[str] | None) -> str | None:
    return given.pattern if isinstance(given, re.Pattern) else given


def _umask() -> int | None:
    """Read the umask without changing it, as other threads may be making files."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    line = next((line for line in status.splitlines() if line.startswith("Umask:")), None)
    return None if line is None else int(line.split()[1], 8)
