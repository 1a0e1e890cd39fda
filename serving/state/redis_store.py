"""Histories in a Redis server, which processes of several machines may share.

Needs the library ``redis``, which nothing else here does.
"""

from typing import Any

from segmenter.errors import ConfigError, StateUnreachableError
from serving.state.stores import Change, Retention

PREFIX = b"segmenter:history:"
TIMEOUT_S = 5.0


class RedisStore:
    """Keeps histories in Redis, which forgets them by itself.

    Parameters
    ----------
    url
        Such as ``redis://127.0.0.1:6379/0``.
    retention
        Of it, `max_age_s`; how much is kept is Redis' own ``maxmemory`` and its policy.

    Raises
    ------
    ConfigError
        If the library is missing or the server does not answer.
    """

    def __init__(self, url: str, retention: Retention) -> None:
        try:
            import redis  # noqa: PLC0415 - only who keeps histories in Redis needs it
        except ImportError as error:
            message = "--state redis://... needs the library: pip install '.[redis]'"
            raise ConfigError(message) from error
        self._error: type[Exception] = redis.RedisError
        self._lifetime_ms = int(retention.max_age_s * 1000)
        try:
            self._server: Any = redis.Redis.from_url(url, socket_timeout=TIMEOUT_S)
            self._server.ping()
        except (ValueError, redis.RedisError) as error:
            message = f"--state must name a Redis server that answers: {error}"
            raise ConfigError(message) from error

    def update(self, key: bytes, change: Change) -> None:
        """See `StateStore.update`; begun again where another process was quicker.

        Raises
        ------
        StateUnreachableError
            If the server does not answer.
        """
        name = PREFIX + key

        def once(pipe: Any) -> None:  # noqa: ANN401 - a pipeline of redis
            after = change(pipe.get(name))
            pipe.multi()
            if after is not None:
                pipe.set(name, after, px=self._lifetime_ms)

        try:
            self._server.transaction(once, name)
        except self._error as error:
            raise self._unreachable(error) from error

    def forget(self, key: bytes) -> bool:
        """See `StateStore.forget`."""
        try:
            return bool(self._server.delete(PREFIX + key))
        except self._error as error:
            raise self._unreachable(error) from error

    def close(self) -> None:
        """See `StateStore.close`."""
        self._server.close()

    @staticmethod
    def _unreachable(error: Exception) -> StateUnreachableError:
        said = f"histories must be within reach; Redis is not: {type(error).__name__}; try again"
        return StateUnreachableError(said)
