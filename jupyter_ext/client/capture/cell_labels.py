"""What a traceback calls a cell of the notebook.

Rule: whatever captures code names its cells as the notebook does, whether a magic or a call of the API started it.
"""

from __future__ import annotations

import sys


def notebook_label(filename: str) -> str:
    """Name a file of code as the notebook does, such as `Cell In[5]`; elsewhere it keeps its name."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    named = shell.compile.format_code_name(filename) if shell is not None else None
    return " ".join(named) if named else filename
