"""A plain, slow, independent reading of a log, to compare the event store with."""

import struct
from typing import Any

MASK = (1 << 64) - 1


def plain_hash(text: str) -> int:
    """The hash that orders users, byte by byte in plain integers."""
    data = text.encode()
    value = len(data) * 0x9E3779B97F4A7C15 & MASK
    for start in range(0, len(data), 8):
        word = int.from_bytes(data[start : start + 8], "little")
        value = (value ^ word) * 0xFF51AFD7ED558CCD & MASK
        value ^= value >> 32
    value ^= value >> 33
    value = value * 0xC4CEB9FE1A85EC53 & MASK
    return value ^ value >> 33


def same_value(value: Any) -> Any:
    """A form in which equal numbers, and only they, compare equal."""
    return struct.pack("<d", value + 0.0) if isinstance(value, float) else value


def plain_store(
    rows: list[dict[str, Any]], *, keep_duplicates: bool = False
) -> dict[str, list[dict[str, Any]]]:
    """Usable rows by user, sorted by time, ``seq`` and place; users in store order.

    ``time`` is an integer and ``seq`` is an integer or None where there is one.
    """
    users: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["user"] and row["event"] and row["time"] is not None:
            users.setdefault(row["user"], []).append(row)
    store = {}
    for user in sorted(users, key=lambda user: (plain_hash(user), user.encode())):
        last = 2**63
        ordered = sorted(
            users[user],
            key=lambda row: (row["time"], last if row.get("seq") is None else row["seq"]),
        )
        seen, kept = set(), []
        for row in ordered:
            content = tuple(same_value(row[name]) for name in sorted(row) if name != "seq")
            if keep_duplicates or content not in seen:
                kept.append(row)
            seen.add(content)
        store[user] = kept
    return store
