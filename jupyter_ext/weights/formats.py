"""Which formats of weights there are, by the endings of files. Standard library only.

One table for the downloader, which asks before it fetches, and for the loader. What is in none of these holds no weights.
"""

from __future__ import annotations

import os

SAFETENSORS = ".safetensors"

PICKLED = frozenset({".bin", ".pt", ".pth", ".ckpt"})
"""Checkpoints of torch. They can run code when opened, so only a name lets them in; then they are read as weights only."""

OTHER_PICKLED = frozenset({".pkl", ".pickle", ".joblib", ".npy", ".npz"})
"""What can run code when opened too, and is no checkpoint of torch."""

OTHER = frozenset({
    ".h5", ".keras", ".msgpack", ".onnx", ".onnx_data", ".ot", ".tflite", ".gguf", ".ggml", ".pb", ".mlmodel",
    ".mlpackage", ".engine", ".nemo", ".llamafile", ".xml", ".weights",
})  # fmt: skip
"""Weights of other programs."""


def ending(name: str) -> str:
    """Return a file name's ending in lower case, with its dot."""
    return os.path.splitext(name)[1].lower()


def can_run_code(name: str) -> bool:
    """Tell whether opening a file of this name can run code."""
    return ending(name) in PICKLED | OTHER_PICKLED


def is_loadable(name: str) -> bool:
    """Tell whether a file of this name can be loaded as weights, if it is named."""
    return ending(name) in PICKLED or ending(name) == SAFETENSORS
