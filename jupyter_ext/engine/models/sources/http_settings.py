"""How hard a server is asked, and how long one waits for it."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class HttpSettings:
    """Settings of transfers.

    Attributes:
        connections: At once in the beginning, to one server.
        max_connections: At most, when each of them is slow.
        slow_bytes_per_s: All together slower than this, more connections are tried.
        request_bytes: Of one range request at most. Requests are as long as a connection needs about a second for: long,
            because each costs a round trip; not longer, so that the bytes arrive nearly in order and the hash can follow.
        first_request_bytes: Of one while it is not known how fast they are.
        stall_s: A connection without a byte for so long is given up.
        max_attempts: In a row without a byte, per connection.
        first_pause_s: Between the first two attempts; doubled each time.
        max_pause_s: Between any two, unless the server asks for more.
        sync_every_s: What is marked as written is brought to the disk this often.
    """

    connections: int = 4
    max_connections: int = 8
    slow_bytes_per_s: float = 400e6
    request_bytes: int = 64 * MIB
    first_request_bytes: int = 8 * MIB
    stall_s: float = 30.0
    max_attempts: int = 10
    first_pause_s: float = 0.5
    max_pause_s: float = 30.0
    sync_every_s: float = 1.0
