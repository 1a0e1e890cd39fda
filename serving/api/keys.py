"""API keys: kept as digests with scopes, compared in constant time, each with its own rate.

A key is 256 random bits, so a plain SHA-256 of it cannot be turned back by guessing.
"""

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from segmenter.errors import ConfigError
from segmenter.files import read_json, write_json
from serving.api.problems import Problem

SCOPES = ("assign", "embed", "keep", "space", "generate", "creative", "read", "metrics")
PREFIX = "seg_"
BURST_S = 1.0
"""Seconds of its rate that a key may use at once."""


@dataclass(frozen=True)
class ApiKey:
    """What is kept of a key.

    Attributes
    ----------
    name
        Who has it, for the log.
    sha256
        Digest of the key.
    scopes
        What it may be used for, of `SCOPES`.
    requests_per_s
        Most requests a second on average; None is no bound.
    """

    name: str
    sha256: str
    scopes: tuple[str, ...]
    requests_per_s: float | None = None


class KeyRing:
    """Tells whose a key is and whether it may be used now.

    Parameters
    ----------
    keys
        The known keys.
    """

    def __init__(self, keys: Sequence[ApiKey]) -> None:
        self.keys = tuple(keys)
        self._buckets: dict[str, tuple[float, float]] = {}

    def admit(self, header: str | None, scope: str) -> ApiKey:
        """The key of an ``Authorization`` header.

        Raises
        ------
        Problem
            401 without a known key, 403 without the scope, 429 beyond its rate.
        """
        key = self._find(header)
        if key is None:
            message = "send a known key as Authorization: Bearer KEY"
            raise Problem(HTTPStatus.UNAUTHORIZED, message)
        if scope not in key.scopes:
            raise Problem(HTTPStatus.FORBIDDEN, f"the key has not the scope {scope}")
        self._spend(key, time.monotonic())
        return key

    def _find(self, header: str | None) -> ApiKey | None:
        scheme, _, secret = (header or "").partition(" ")
        digest = digest_of_key(secret.strip())
        found = None
        for key in self.keys:  # all of them, so that the time tells nothing
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found if scheme.lower() == "bearer" else None

    def _spend(self, key: ApiKey, moment: float) -> None:
        """Take one request from what the key has saved up."""
        rate = key.requests_per_s
        if rate is None:
            return
        most = max(1.0, rate * BURST_S)
        left, before = self._buckets.get(key.sha256, (most, moment))
        left = min(most, left + (moment - before) * rate)
        if left < 1:
            self._buckets[key.sha256] = (left, moment)
            wait_s = int((1 - left) / rate) + 1
            message = f"the key may be used {rate:g} times a second; try again later"
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, message, retry_after_s=wait_s)
        self._buckets[key.sha256] = (left - 1, moment)


def digest_of_key(secret: str) -> str:
    """What is kept of a key: lower-case hexadecimal SHA-256."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def read_keys(path: Path) -> tuple[ApiKey, ...]:
    """The keys in a file that `add_key` wrote.

    Raises
    ------
    ConfigError
        If the file is missing or not of that form.
    """
    try:
        keys = tuple(_read_key(plain) for plain in read_json(path)["keys"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = (
            f"--keys must name a file of keys that `segmenter api-key` wrote; {path} is none: "
            f"{error}"
        )
        raise ConfigError(message) from error
    if not keys:
        message = f"{path} holds no key; add one with `segmenter api-key`"
        raise ConfigError(message)
    return keys


def _read_key(plain: dict[str, Any]) -> ApiKey:
    key = ApiKey(**plain | {"scopes": tuple(plain["scopes"])})
    check_scopes(key.scopes)
    if len(bytes.fromhex(key.sha256)) != hashlib.sha256().digest_size:
        message = f"key {key.name!r} has no SHA-256"
        raise ValueError(message)
    rate = key.requests_per_s
    if rate is not None and not 0 < rate < float("inf"):
        message = f"key {key.name!r} must have a rate above 0; found {rate!r}"
        raise ValueError(message)
    return key


def check_scopes(scopes: Sequence[str]) -> None:
    """Refuse what is no scope.

    Raises
    ------
    ConfigError
        With the scopes that there are.
    """
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        message = f"scopes are {', '.join(SCOPES)}; found {', '.join(unknown) or 'none'}"
        raise ConfigError(message)


def add_key(
    path: Path, name: str, *, scopes: Sequence[str], requests_per_s: float | None = None
) -> str:
    """Make a key and keep its digest in a file.

    Parameters
    ----------
    path
        The file; made when there is none.
    name
        Who gets the key; a key of that name is replaced.
    scopes, requests_per_s
        See `ApiKey`.

    Returns
    -------
    str
        The key, which is kept nowhere.

    Raises
    ------
    ConfigError
        If a scope is unknown, or the file holds something else.
    """
    check_scopes(scopes)
    known = read_keys(path) if path.exists() else ()
    secret = PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(name, digest_of_key(secret), tuple(scopes), requests_per_s)
    kept = [other for other in known if other.name != name]
    write_json(path, {"keys": [json.loads(json.dumps(asdict(one))) for one in (*kept, key)]})
    return secret
