"""`python -m benchmarks.support.model_user FILE`: hold a model of one's own, until a line comes."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from benchmarks.support.decoder import Decoder
from jupyter_ext.weights import loader, mmap

if __name__ == "__main__":
    assert torch.__version__
    loaded = loader.load(Path(sys.argv[1]), Decoder)
    mmap.populate(loaded.files)
    print("ready", flush=True)
    sys.stdin.readline()
