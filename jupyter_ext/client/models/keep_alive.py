"""How long a model stays loaded, as people write it."""

from __future__ import annotations

import math
import re

from jupyter_ext.errors import InvalidInput

FOREVER = -1.0
_DURATION = re.compile(r"(\d{1,9}(?:\.\d+)?)\s*(s|m|min|h|d)?", re.ASCII)
_SECONDS = {None: 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(keep_alive: float | str | None) -> float | None:
    """Read how long a model stays loaded without a call: seconds, "10m", "2h", "forever".

    Raises:
        InvalidInput: It is none of these.
    """
    if keep_alive is None:
        return None
    if isinstance(keep_alive, int | float) and not isinstance(keep_alive, bool) and keep_alive == keep_alive:
        return FOREVER if keep_alive == math.inf else float(keep_alive)
    text = str(keep_alive).strip().lower()
    if text == "forever":
        return FOREVER
    found = _DURATION.fullmatch(text)
    if found is None:
        raise InvalidInput(f"keep_alive={keep_alive!r} is no time; give seconds, '10m', '2h' or 'forever'.")
    return float(found[1]) * _SECONDS[found[2]]
