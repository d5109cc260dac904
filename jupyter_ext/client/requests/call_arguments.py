"""Arguments of a call, on their way to a process that has the model.

Rule: what cannot be sent is named as the caller wrote it: `argument x`, or `argument 2` where it has no name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jupyter_ext.errors import CannotTravel
from jupyter_ext.ipc import values
from jupyter_ext.ipc.frames import Buffer

_NAMED = re.compile(r"the value\['(?:named|kwargs|options)'\]\['(\w+)'\]")
_BY_PLACE = re.compile(r"the value\['(?:positional|args)'\]\[(\d+)\]")


def encode_arguments(whole: Mapping[str, object]) -> tuple[Any, list[Buffer]]:
    """Turn the arguments of a call into a tree and its blobs.

    Args:
        whole: Those by name under `named`, `kwargs` or `options`, those by place under `positional` or `args`, and a `prompt`.

    Raises:
        CannotTravel: One cannot be sent; the text names it.
    """
    try:
        return values.encode(dict(whole))
    except values.CannotTravel as error:
        text = _NAMED.sub(r"argument \1", str(error)).replace("the value['prompt']", "the prompt")
        raise CannotTravel(_BY_PLACE.sub(lambda found: f"argument {int(found[1]) + 1}", text)) from None
