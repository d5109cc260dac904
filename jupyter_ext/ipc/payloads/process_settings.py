"""What a notebook's process has set that its workers honour, as it travels to them in a variable. Standard library only.

`client.requests.process_settings` reads it from the process, `worker.runtime.process_setup` applies it.
"""

from __future__ import annotations

from typing import TypedDict


class LoggingSettings(TypedDict, total=False):
    """What was set of logging; levels as numbers."""

    level: int
    format: str
    datefmt: str | None
    loggers: dict[str, int]
    disable: int


class ProcessSettings(TypedDict, total=False):
    """Settings of a process; those that a fresh one has are missing.

    Attributes:
        warnings: Action, message, category, module and line of each filter, the newest first.
    """

    logging: LoggingSettings
    warnings: list[tuple[str, str, str, str, int]]
    default_dtype: str
    umask: int
