"""The table of APIs and methods, and the one place where a call becomes an answer."""

from __future__ import annotations

import errno
import logging
from collections.abc import Awaitable, Callable, Mapping

from jupyter_ext.engine.api.decthings.rpc.calls import Answer, Call, Invalid, Refusal
from jupyter_ext.ipc import json_values

log = logging.getLogger(__name__)

Method = Callable[[Call], Awaitable[Answer]]
Methods = Mapping[str, Method]


class UnknownMethod(LookupError):
    """There is no such API, or it has no such method."""


class Rpc:
    """All methods.

    Args:
        apis: The methods of each API.
    """

    def __init__(self, apis: Mapping[str, Methods]) -> None:
        self._apis = {name.lower(): methods for name, methods in apis.items()}

    def find(self, api: str, method: str) -> Method:
        """Return a method; an API's name may be written in any case.

        Raises:
            UnknownMethod: There is none.
        """
        found = self._apis.get(api.lower(), {}).get(method)
        if found is None:
            raise UnknownMethod(f"{api}/{method}")
        return found

    async def answer(self, api: str, call: Call) -> Answer:
        """Carry out a call; returns `{"result": …}` or `{"error": …}`, and blobs.

        Raises:
            UnknownMethod: There is no such method.
        """
        method = self.find(api, call.method)
        try:
            if not isinstance(call.params, dict):
                raise Invalid("params", "must be an object")
            if (wrong := json_values.fault(call.params)) is not None:
                raise Invalid(wrong[0] or "params", wrong[1])
            result, blobs = await method(call)
        except Refusal as refusal:
            return {"error": refusal.error}, ()
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                return {"error": {"code": "quota_exceeded"}}, ()
            log.exception("%s/%s failed", api, call.method)
        except Exception:
            log.exception("%s/%s failed", api, call.method)
        else:
            return {"result": result}, blobs
        return {"error": {"code": "unknown"}}, ()
