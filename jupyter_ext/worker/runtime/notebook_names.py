"""What a training finds under names that only a notebook has. Standard library only."""

from __future__ import annotations

from typing import NoReturn


def get_ipython() -> NoReturn:
    """Raise what a plain Python process would, which is how code tells that it runs in no notebook.

    Raises:
        NameError: Always.
    """
    raise NameError(
        "name 'get_ipython' is not defined: a training runs in no notebook, so it cannot run commands with % or !; "
        "put those into a cell of their own, or use subprocess.run()",
        name="get_ipython",
    )
