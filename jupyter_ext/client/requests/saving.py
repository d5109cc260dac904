"""Answers that go to a file as they come, whatever their size."""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

from jupyter_ext.errors import InvalidInput


async def save(chunks: AsyncIterator[bytes], file: Path) -> Path:
    """Write a file, which appears under its name when it is whole; folders above it are made.

    Args:
        chunks: What it shall have.
        file: Where to; what is there is replaced.

    Raises:
        InvalidInput: It cannot be written there.
    """
    partial = file.with_name(f".{uuid.uuid4().hex}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with await asyncio.to_thread(open, partial, "xb") as out:
            async for chunk in chunks:
                await asyncio.to_thread(out.write, chunk)
        os.replace(partial, file)
    except OSError as error:
        raise InvalidInput(f"{file} cannot be written: {error.strerror or error}.") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
    return file
