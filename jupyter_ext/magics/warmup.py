"""Make the first training quick: start the engine, warm this interpreter and import the client, all in the background."""

from __future__ import annotations

import logging
import threading

log = logging.getLogger(__name__)


def begin() -> None:
    """Begin to warm up; never blocks, never prints, never fails loudly."""
    threading.Thread(target=_warm_up, name="jupyter_ext warm-up", daemon=True).start()


def _warm_up() -> None:
    from jupyter_ext.errors import JupyterExtError

    try:
        from jupyter_ext.client.requests.background_loop import loop_thread
        from jupyter_ext.client.requests.process_client import client

        loop_thread().run(client().warm())
        from jupyter_ext_widgets import LiveView  # noqa: F401  so that the first panel need not wait for it

        from jupyter_ext.magics import display  # noqa: F401  likewise
    except JupyterExtError as error:
        log.info("warm-up: %s", error)  # the first training says it to the user
