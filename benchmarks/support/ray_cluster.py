"""A Ray cluster of one node on this machine's loopback, by means of the tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "support"))

from ray_clusters import RealRay, free_port, last_line


class NotStarted(Exception):
    """The cluster has not come up; the text says why."""


@contextmanager
def ray_cluster() -> Iterator[str]:
    """Start a cluster, and end all of it.

    Yields:
        The dashboard's URL.

    Raises:
        NotStarted: It does not come up in time.
    """
    made = RealRay(free_port())
    try:
        if not made.is_up:
            raise NotStarted(last_line(made.home / "start.log"))
        yield made.url
    finally:
        made.close()
