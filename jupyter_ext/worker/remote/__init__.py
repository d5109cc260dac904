"""A training on another machine: the usual shim and worker, whose files are sent to the engine as they grow."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  the cluster's Python is not the one that this package was installed for
    sys.exit(
        "The cluster's Python is %d.%d, and a worker of jupyter-ext needs 3.11 or newer: give the cluster another Python."  # noqa: UP031
        % sys.version_info[:2]
    )
