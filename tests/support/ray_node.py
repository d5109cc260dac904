"""Start a node of a Ray cluster: as the command `ray`, but patient on a machine that is busy with other tests, and without
the server of Ray Client, which nobody here uses.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ray._private import node, services
from ray.scripts.scripts import main

_START_WITHIN_S = 90.0
"""Ray itself gives its raylet 30 s, which no option changes."""


def patient(get_node: Callable[..., Any]) -> Callable[..., Any]:
    """Return `get_node` that waits for a node until it is there."""

    def wait(*arguments: Any) -> Any:
        deadline = time.monotonic() + _START_WITHIN_S
        while True:
            try:
                return get_node(*arguments)
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    return wait


node.Node.start_ray_client_server = lambda _: None
services.get_node = patient(services.get_node)
main()
