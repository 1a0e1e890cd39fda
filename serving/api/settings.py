"""What one server allows, as plain values."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of one server; a request beyond them is refused and never half-answered.

    Attributes
    ----------
    body_bytes, line_bytes
        Most bytes of a batch, and of one user's events: another body, or a line of a batch.
    events_per_user, users_per_request
        Most events of one user, and most lines of a batch.
    waiting
        Most requests that are computed or wait for it; one more gets 503 and a time to retry.
    space_waiting
        The same of requests to the space, to generation and to the creative space, each of which
        has a thread of its own and takes longer.
    connections
        Most connections at once.
    timeout_s
        Longest time from the first byte of a request to its answer.
    drain_s
        Longest time that requests in work have to finish after the server was told to end.
    future_s
        How far a time may lie ahead of the server's clock.
    """

    body_bytes: int = 64_000_000
    line_bytes: int = 2_000_000
    events_per_user: int = 10_000
    users_per_request: int = 10_000
    waiting: int = 64
    space_waiting: int = 4
    connections: int = 512
    timeout_s: float = 60.0
    drain_s: float = 30.0
    future_s: float = 300.0
