"""The stores that are open: those of running trainings, and of finished ones that somebody looks at."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from jupyter_ext.engine.common.disk import may_pass
from jupyter_ext.engine.common.pubsub import PubSub
from jupyter_ext.engine.common.records import why
from jupyter_ext.engine.metrics.serving.run_store import Batch, RunStore
from jupyter_ext.protocol.problems import Problem

log = logging.getLogger(__name__)

NUM_OPEN_STORES = 8
"""Finished runs kept open for viewers."""


class StoreCache:
    """Stores by run id; the least recently used of finished and unwatched runs are closed."""

    def __init__(self, runs_dir: Path, pubsub: PubSub[Batch], is_running: Callable[[str], bool]) -> None:
        self._runs_dir = runs_dir
        self._pubsub = pubsub
        self._is_running = is_running
        self._stores: OrderedDict[str, RunStore] = OrderedDict()

    def get(self, training_id: str) -> RunStore:
        """Return a run's store, opening it where needed.

        Raises:
            Problem: Its files were deleted.
        """
        run_dir = self._runs_dir / training_id
        if not run_dir.is_dir():
            self.forget(training_id)
            raise Problem(
                404,
                "Gone",
                f"The metrics and the log of training {training_id} are gone: {run_dir} was deleted.",
            )
        store = self._stores.get(training_id)
        if store is None:
            store = _opened(run_dir)
            self._stores[training_id] = store
        self._stores.move_to_end(training_id)
        if not self._is_running(training_id):
            self.close_old(keep=training_id)
        return store

    def close_old(self, keep: str = "") -> None:
        """Close the stores of finished runs that nobody has looked at for longest. All are gone through: once a second, not at each look.

        Args:
            keep: A run whose store stays.
        """
        for other in list(self._stores):
            if len(self._stores) <= NUM_OPEN_STORES:
                return
            if other != keep and not self._is_running(other) and not self._pubsub.is_watched(other):
                self._stores.pop(other).close()

    def forget(self, training_id: str) -> None:
        """Close the store of a run that is over; its files can then go."""
        if not self._is_running(training_id) and (store := self._stores.pop(training_id, None)):
            store.close()

    def close(self) -> None:
        """Close all."""
        for store in self._stores.values():
            store.close()


def _opened(run_dir: Path) -> RunStore:
    store = RunStore(run_dir)
    try:
        store.open()
    except Exception as error:  # whatever damaged files can raise
        if may_pass(error):
            raise
        log.exception("the metrics and the log in %s cannot be read", run_dir)
        detail = (
            f"The metrics and the log in {run_dir} cannot be read ({why(error)}); its other files are kept."
        )
        raise Problem(409, "Not readable", detail) from error
    return store
