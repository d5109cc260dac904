"""Whether an address is this machine's or of its own network: told by what was connected to, never by a name alone.

A name can lead anywhere (`127.0.0.1.nip.io`), and an address has many spellings (`127.1`, `2130706433`, `0x7f000001`).
"""

from __future__ import annotations

import ipaddress
import socket
import urllib.request
from typing import TYPE_CHECKING

from jupyter_ext.ipc.late_import import late

if TYPE_CHECKING:
    import httpx
else:
    httpx = late("httpx")


def resolves_inside(host: str) -> bool:
    """Tell whether a host that the user has named leads inside; blocks for as long as its name is looked up."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return any(_is_inside(str(address[0])) for *_, address in found)


def answered_inside(http: httpx.AsyncClient, response: httpx.Response) -> bool:
    """Tell whether an answer came from inside; one that came through a proxy did not come from where it says."""
    stream = response.extensions.get("network_stream")
    address = None if stream is None else stream.get_extra_info("server_addr")
    if http.trust_env and urllib.request.getproxies().get(response.url.scheme):
        return False
    return address is not None and _is_inside(str(address[0]))


def _is_inside(address: str) -> bool:
    try:
        return not ipaddress.ip_address(address.partition("%")[0]).is_global
    except ValueError:
        return True
