"""What a cluster is sent: the worker's side of this package, and a run's code, each a zip file named by its hash.

Rule: the same content is the same bytes, so a cluster stores it once.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_ROOT = Path(__file__).resolve().parents[3]
_WORKER_SIDE = ("worker", "ipc", "weights", "integrations")
_MODULES = ("__init__.py", "checkpoint.py", "errors.py", "ids.py", "bytes_format.py")


@cache
def worker_package() -> tuple[str, bytes]:
    """Return name and content of the package with all that a worker imports of ours."""
    return named(
        "jupyter_ext", _zip((f"jupyter_ext/{name}", _ROOT / name) for name in sorted(_worker_files()))
    )


def code_package(run_dir: Path) -> tuple[str, bytes]:
    """Return name and content of the package with a run's code, and with the checkpoints that it takes over."""
    files = [
        (path.relative_to(run_dir).as_posix(), path)
        for folder in ("code", "checkpoints")
        for path in sorted((run_dir / folder).rglob("*"))
        if path.is_file()
    ]
    return named("jupyter_ext_code", _zip(files))


def named(kind: str, data: bytes) -> tuple[str, bytes]:
    """Return a name with the hash of the content, as Ray's own packages have it, and the content."""
    return f"_ray_pkg_{kind}_{hashlib.sha256(data).hexdigest()[:32]}.zip", data


def _worker_files() -> Iterator[str]:
    yield from _MODULES
    for room in _WORKER_SIDE:
        for path in (_ROOT / room).rglob("*.py"):
            yield path.relative_to(_ROOT).as_posix()


def _zip(files: Iterable[tuple[str, Path]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in files:
            info = zipfile.ZipInfo(name, _ZIP_TIME)
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, path.read_bytes())
    return buffer.getvalue()
