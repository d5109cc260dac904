"""What training code calls: `log`, `progress`, `checkpoint`, `Input`. Standard library only."""

import sys

if "jupyter_ext.worker.runner" in sys.modules:  # its path before the modules moved
    from jupyter_ext.worker import started_before

    started_before.share_loaded()
