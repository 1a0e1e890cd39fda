"""Where histories are kept: the interface, and memory.

A store knows digests of user ids and bytes. It forgets who was not written for a while, and the
ones written longest ago where there are too many.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

Change = Callable[[bytes | None], bytes | None]
"""Of what is kept (None for nothing) to what shall be kept; None leaves it as it is."""


@dataclass(frozen=True)
class Retention:
    """How long and of how many users a store keeps something.

    Attributes
    ----------
    max_age_s
        Seconds after the last write.
    max_users
        Most users.
    """

    max_age_s: float = 90 * 86_400.0
    max_users: int = 100_000


class StateStore(Protocol):
    """Bytes by key."""

    def update(self, key: bytes, change: Change) -> None:
        """Change what is kept under a key; nobody else changes it meanwhile.

        Whatever `change` raises leaves it as it was.
        """

    def forget(self, key: bytes) -> bool:
        """Delete what is kept under a key; False where there was nothing."""

    def close(self) -> None:
        """Free what the store holds."""


def key_of(user_id: str) -> bytes:
    """What a user is kept under: a digest, so that a store holds no id."""
    return hashlib.sha256(user_id.encode("utf-8", "surrogatepass")).digest()


class MemoryStore:
    """Keeps histories in this process, as long as it runs.

    Parameters
    ----------
    retention
        Its bounds.
    clock
        Seconds that never go back.
    """

    def __init__(
        self, retention: Retention, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.retention, self.clock = retention, clock
        self._kept: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()  # oldest write first

    def __len__(self) -> int:
        return len(self._kept)

    def update(self, key: bytes, change: Change) -> None:
        """See `StateStore.update`."""
        self._evict()
        known = self._kept.get(key)
        after = change(None if known is None else known[1])
        if after is not None:
            self._kept[key] = (self.clock(), after)
            self._kept.move_to_end(key)
            if len(self._kept) > self.retention.max_users:
                self._kept.popitem(last=False)

    def forget(self, key: bytes) -> bool:
        """See `StateStore.forget`."""
        return self._kept.pop(key, None) is not None

    def close(self) -> None:
        """See `StateStore.close`."""
        self._kept.clear()

    def _evict(self) -> None:
        """Forget those whose time is over."""
        oldest = self.clock() - self.retention.max_age_s
        while self._kept and next(iter(self._kept.values()))[0] < oldest:
            self._kept.popitem(last=False)
