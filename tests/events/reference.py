"""A plain, slow, independent reading of a log, to compare the event store with."""

import struct
from pathlib import Path
from typing import Any

MASK = (1 << 64) - 1
LARGEST_SINGLE = struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]


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
    rows: list[dict[str, Any]], *, keep_duplicates: bool, latest: int
) -> dict[str, list[dict[str, Any]]]:
    """Usable rows by user, sorted by time, ``seq`` and place; users in store order.

    ``time`` is an integer, and usable up to `latest`; ``value`` is a number or None; ``seq`` is
    an integer or None where there is one, and the only column in which a repeat may differ.
    """
    users: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        is_possible = abs(row["value"] or 0.0) <= LARGEST_SINGLE
        if row["user"] and row["event"] and row["time"] <= latest and is_possible:
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


def files_of(store: Path) -> dict[str, bytes]:
    """The bytes of every file in a folder, by path."""
    paths = (path for path in store.rglob("*") if path.is_file())
    return {path.relative_to(store).as_posix(): path.read_bytes() for path in paths}
