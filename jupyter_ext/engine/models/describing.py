"""What lies in a model's folder: sizes, weights, architecture, tokenizer. Reads headers, never weights. Blocks."""

from __future__ import annotations

from pathlib import Path

from jupyter_ext.engine.models.parts import Described
from jupyter_ext.protocol.local_models import ModelFile
from jupyter_ext.worker.files import read_json

WEIGHTS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
_BESIDE = (".json", ".txt", ".model", ".jinja")
"""Ends of the names of what belongs to a model beside its weights."""
_TOKENIZERS = {"tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.txt"}
_DEPTH = ("*", "*/*")
"""Some models keep the configuration of a part in a folder of its own, one deep."""


def describe_path(path: Path) -> Described | None:
    """Describe the model in a folder, or a single file of weights; `None` where there are no weights."""
    if path.is_file():
        found = [path]
    elif path.is_dir():
        found = sorted(
            item
            for pattern in _DEPTH
            for item in path.glob(pattern)
            if item.suffix in (*WEIGHTS, *_BESIDE) and item.is_file()
        )
    else:
        return None
    if not any(item.suffix in WEIGHTS and item.parent in (path, path.parent) for item in found):
        return None
    root = path if path.is_dir() else path.parent
    files = [ModelFile(name=str(item.relative_to(root)), bytes=item.stat().st_size) for item in found]
    weights = [file.bytes for file in files if file.name.endswith(WEIGHTS)]
    config = read_json(root / "config.json") if path.is_dir() else None
    architectures = config.get("architectures") if isinstance(config, dict) else None
    return Described(
        path=path,
        files=files,
        bytes=sum(file.bytes for file in files),
        memory_bytes=sum(weights) or None,
        architecture=str(architectures[0]) if isinstance(architectures, list) and architectures else None,
        tokenizer=any(file.name in _TOKENIZERS for file in files),
    )
