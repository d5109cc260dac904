"""Keep the text of secret inputs out of what a training writes: output, errors, results. Standard library only.

Rule: it looks at what Python's own streams and our own files are given. What a child process or native code prints
goes to the log by descriptor, unseen.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from time import monotonic
from typing import Any

STARS = "**********"
MIN_CHARACTERS = 4
"""Shorter ones would blot out half of an ordinary log."""
_PART_INTERVAL_S = 0.05


class Redactor:
    """Replaces certain texts by stars.

    Args:
        secrets: Values of secret inputs: texts, or lists and mappings of them.
    """

    def __init__(self, secrets: Any = None) -> None:
        found = {text for text in _texts(secrets) if len(text) >= MIN_CHARACTERS}
        self._texts = sorted(found, key=len, reverse=True)

    def text(self, text: str) -> str:
        """Return a text without the secrets."""
        for secret in self._texts:
            if secret in text:
                text = text.replace(secret, STARS)
        return text

    def json(self, value: Any) -> Any:
        """Return a JSON value without the secrets."""
        if not self._texts:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.json(item) for item in value]
        if isinstance(value, dict):
            return {self.text(key): self.json(item) for key, item in value.items()}
        return value

    def stream(self, raw: io.RawIOBase) -> io.TextIOWrapper:
        """Make a text stream that is live; where there are secrets, one that does not let them through."""
        kind = RedactingText if self._texts else LiveText
        stream = kind(io.BufferedWriter(raw), "utf-8", "backslashreplace", line_buffering=True)
        if isinstance(stream, RedactingText):
            stream.redactor = self
        return stream


class LiveText(io.TextIOWrapper):
    """A text stream that shows lines at once, and parts of lines, such as a row of dots, as soon as they do not come in a flood."""

    _flushed_at = 0.0

    def write(self, text: str, /) -> int:
        """Write a text; return the characters taken."""
        num = super().write(text)
        if not text:  # the end of print(…, end="")
            self.flush()
        elif text[-1] != "\n":
            now = monotonic()
            if now - self._flushed_at > _PART_INTERVAL_S:
                self._flushed_at = now
                self.flush()
        return num


class RedactingText(LiveText):
    """A text stream that replaces secrets."""

    redactor: Redactor

    def write(self, text: str, /) -> int:
        """Write a text without the secrets; return the characters taken."""
        super().write(self.redactor.text(text))
        return len(text)


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
