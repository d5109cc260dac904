"""One decoder under atheris, in this process; it does not return."""

from __future__ import annotations

import logging
import resource
import sys
from hashlib import sha1
from pathlib import Path

from tests.fuzz.__main__ import MAX_INPUT_BYTES, TIMEOUT_S

WATCHED = [
    *(f"jupyter_ext.{name}" for name in ("ipc", "protocol", "weights", "engine")),
    *("python_multipart", "starlette.formparsers"),
]


def feed(name: str, num_inputs: int, corpora: Path) -> int:
    """Feed a decoder until it fails or has had so many inputs."""
    import atheris

    with atheris.instrument_imports(
        include=WATCHED,
        enable_loader_override=False,
    ):
        from tests.fuzz.decoders import DECODERS, MAX_MEMORY_BYTES

    decoder = DECODERS[name]
    corpus = corpora / name.replace(" ", "-")
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in decoder.seeds:
        (corpus / sha1(seed).hexdigest()).write_bytes(seed)

    logging.disable()

    def one(data: bytes) -> None:
        try:
            decoder.decode(data)
        except decoder.errors:
            return

    options = [
        f"-runs={num_inputs}",
        f"-max_len={MAX_INPUT_BYTES}",
        f"-timeout={TIMEOUT_S}",
        "-rss_limit_mb=2048",
    ]
    atheris.Setup([sys.argv[0], str(corpus), *options, f"-artifact_prefix={corpora}/"], one)
    resource.setrlimit(resource.RLIMIT_AS, (4 * MAX_MEMORY_BYTES, resource.RLIM_INFINITY))
    atheris.Fuzz()
    return 0
