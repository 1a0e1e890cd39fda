"""From what is typed to a store of histories."""

from pathlib import Path

from segmenter.errors import ConfigError
from serving.state.redis_store import RedisStore
from serving.state.sqlite_store import SqliteStore
from serving.state.stores import MemoryStore, Retention, StateStore

SQLITE = "sqlite:"
REDIS = ("redis://", "rediss://", "unix://")


def open_store(where: str, retention: Retention) -> StateStore:
    """The store that ``memory``, ``sqlite:FILE`` or ``redis://...`` names.

    Raises
    ------
    ConfigError
        If it names none, or the store cannot be used.
    """
    if where == "memory":
        return MemoryStore(retention)
    if where.startswith(SQLITE) and where != SQLITE:
        return SqliteStore(Path(where.removeprefix(SQLITE)), retention)
    if where.startswith(REDIS):
        return RedisStore(where, retention)
    message = f"--state must be memory, sqlite:FILE or redis://HOST:PORT/N; found {where!r}"
    raise ConfigError(message)
