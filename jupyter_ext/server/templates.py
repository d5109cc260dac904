"""The notebooks that a page starts new ones from. In a checkout two of them are the examples in `notebooks/`, which the wheel
carries beside the others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PACKAGED = Path(__file__).parents[1] / "templates"
_EXAMPLES = Path(__file__).parents[2] / "notebooks"

TEMPLATES: Mapping[str, str] = {
    "quickstart": "01-quickstart",
    "fine-tune": "fine-tune",
    "debug-a-nan": "04-debug-a-nan",
    "local-model": "local-model",
}
"""Files without their ending, by what a page asks for."""


def template(name: str) -> dict[str, Any] | None:
    """Return the notebook of a template, without outputs, or `None` where there is none of this name."""
    stem = TEMPLATES.get(name)
    if stem is None:
        return None
    paths = (directory / f"{stem}.ipynb" for directory in (PACKAGED, _EXAMPLES))
    found = next((path for path in paths if path.is_file()), None)
    if found is None:
        return None
    notebook: dict[str, Any] = json.loads(found.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    return notebook
