"""How long an engine stays without work or viewers: as a person has set it, else as the environment says.

Rule: what was set is kept in the data directory, so that it holds for the next engine too, whoever starts that one.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from jupyter_ext.engine.common import records
from jupyter_ext.errors import InvalidInput

MIN_IDLE_S = 10.0
"""Less is no time to open a page in."""
MAX_IDLE_S = 366 * 24 * 3600.0


class IdleTime:
    """The time, and the file that keeps it.

    Args:
        path: The file.
        default_s: What the environment says, seconds.

    Attributes:
        set_s: What a person has set, seconds; `None` for what the environment says.
    """

    def __init__(self, path: Path, default_s: float) -> None:
        self._path = path
        self._default_s = default_s
        self.set_s: float | None = None

    @property
    def seconds(self) -> float:
        """How long the engine stays."""
        return self._default_s if self.set_s is None else self.set_s

    def read(self) -> None:
        """Load what was kept; a file that cannot be read is set aside."""
        self.set_s = records.load(self._path, lambda content: checked(content["idle_s"]))

    def set(self, idle_s: Any) -> None:
        """Set the time from now on, and keep it.

        Args:
            idle_s: Seconds; `None` for what the environment says.

        Raises:
            InvalidInput: It is no such number.
            OSError: It cannot be kept.
        """
        seconds = checked(idle_s)
        if seconds != self.set_s:
            records.replace(self._path, {"idle_s": seconds})
            self.set_s = seconds


def checked(idle_s: Any) -> float | None:
    """Return a time as seconds, or `None` for none.

    Raises:
        InvalidInput: It is no number of seconds from `MIN_IDLE_S` to `MAX_IDLE_S`.
    """
    if idle_s is None:
        return None
    is_number = isinstance(idle_s, int | float) and not isinstance(idle_s, bool) and math.isfinite(idle_s)
    if not is_number or not MIN_IDLE_S <= idle_s <= MAX_IDLE_S:
        raise InvalidInput(
            f"idle_s={idle_s!r:.60} is no number of seconds from {MIN_IDLE_S:.0f} to {MAX_IDLE_S:.0f}, such as 600; "
            "null is what JUPYTER_EXT_IDLE_S says."
        )
    return float(idle_s)
