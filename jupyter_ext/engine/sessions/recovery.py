"""Sessions of an engine before this one, from their directories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from jupyter_ext.engine.common import records
from jupyter_ext.engine.sessions.record import SessionRecord


class _Spec(TypedDict):
    """What of a session's spec.json is relied upon."""

    name: str
    created_at: Any
    python: str
    cwd: str
    calls: str


def recovered(session_dir: Path, spec: Any) -> SessionRecord:
    """Return the record of a session that an engine before this one launched.

    Args:
        session_dir: Its directory.
        spec: What its `spec.json` says.

    Raises:
        ValueError: That is no session's; `records.load` sets it aside.
    """
    records.parse(_Spec, spec)
    record = SessionRecord(session_dir.name, session_dir, spec, num_codes=_num_codes(session_dir))
    record.resource()
    return record


def _num_codes(session_dir: Path) -> int:
    code = session_dir / "code"
    return (
        max([int(path.name) + 1 for path in code.iterdir() if path.name.isdigit()], default=1)
        if code.exists()
        else 1
    )
