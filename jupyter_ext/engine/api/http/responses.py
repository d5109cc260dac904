"""JSON answers.

Rule: every JSON body of this engine is written here, so that one value which JSON cannot carry never costs a whole answer.
"""

from __future__ import annotations

from typing import Any

import pydantic_core
from starlette import responses

from jupyter_ext.ipc import json_values


class JSONResponse(responses.JSONResponse):
    """Strict JSON in UTF-8; what it cannot carry is replaced as `json_values` says."""

    def render(self, content: Any) -> bytes:
        """Write the body: quickly by pydantic's writer, and again with care where it refuses something."""
        try:
            return pydantic_core.to_json(content, inf_nan_mode="strings")
        except ValueError:  # a surrogate, a ring, too deep, an object of no known type
            return json_values.dump(content)
