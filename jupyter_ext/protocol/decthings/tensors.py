"""Decthings' tensors; they live on the worker's side, which needs nothing but the standard library."""

from __future__ import annotations

from jupyter_ext.ipc.decthings.inference import infer as infer
from jupyter_ext.ipc.decthings.tensors import CODES as CODES
from jupyter_ext.ipc.decthings.tensors import ITEM_BYTES as ITEM_BYTES
from jupyter_ext.ipc.decthings.tensors import Header as Header
from jupyter_ext.ipc.decthings.tensors import Layout as Layout
from jupyter_ext.ipc.decthings.tensors import Media as Media
from jupyter_ext.ipc.decthings.tensors import Tensor as Tensor
from jupyter_ext.ipc.decthings.tensors import WireError as WireError
from jupyter_ext.ipc.decthings.tensors import check_whole as check_whole
from jupyter_ext.ipc.decthings.tensors import header as header
from jupyter_ext.ipc.decthings.tensors import spans as spans

__all__ = [
    "CODES",
    "ITEM_BYTES",
    "Header",
    "Layout",
    "Media",
    "Tensor",
    "WireError",
    "check_whole",
    "header",
    "infer",
    "spans",
]
