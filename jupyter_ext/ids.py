"""Identifiers, and the only place that makes them."""

from __future__ import annotations

import base64
import os
import time
from typing import NewType

TrainingId = NewType("TrainingId", str)
"""26 characters of lower-case base32hex (0-9a-v); ids sort in the order of their making."""

VersionId = NewType("VersionId", str)
"""64 hexadecimal characters: the sha256 of the version's code bundle."""

_ID_CHARACTERS = frozenset("0123456789abcdefghijklmnopqrstuv")
_ID_LENGTH = 26


def new_training_id() -> TrainingId:
    """Make an id: 48 bits of milliseconds, then 80 random bits."""
    stamp = int(time.time() * 1000).to_bytes(6, "big")
    return TrainingId(base64.b32hexencode(stamp + os.urandom(10)).decode().rstrip("=").lower())


def is_training_id(text: str) -> bool:
    """Tell whether `text` has the form of a training id, and so is safe as a file name."""
    return len(text) == _ID_LENGTH and _ID_CHARACTERS.issuperset(text)


def is_version_id(text: str) -> bool:
    """Tell whether `text` has the form of a version id, and so is safe as a file name."""
    return len(text) == 64 and frozenset("0123456789abcdef").issuperset(text)
