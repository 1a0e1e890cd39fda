"""One HTTP exchange: a body out, an answer in. No redirect is followed, nothing is logged."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from segmenter.errors import ConfigError

MAX_ANSWER_BYTES = 1 << 20
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that a later attempt may mend."""


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes
    ----------
    status
        HTTP status; 0 where nothing came back.
    retry_after
        The header of that name; None without one.
    document
        The JSON object of the body; empty for anything else.
    """

    status: int
    retry_after: str | None = None
    document: Mapping[str, Any] | None = None

    @property
    def is_good(self) -> bool:
        """Whether the receiver took the batch, as far as it says."""
        return 200 <= self.status < 300 and not self._is_short

    @property
    def may_succeed_later(self) -> bool:
        """Whether another attempt makes sense."""
        return self.status == 0 or self.status in AGAIN or self._is_short

    @property
    def n_refused(self) -> int:
        """Entries that the receiver says it could not use; the batch as a whole was taken."""
        known = self.document or {}
        count = known.get("num_invalid_entries", 0)
        n_invalid = count if isinstance(count, int) else 0
        return n_invalid or int(bool(known.get("partialFailureError")))

    @property
    def _is_short(self) -> bool:
        """Whether fewer operations were taken than sent, where all or none must be."""
        known = self.document or {}
        taken, sent = known.get("success_count"), known.get("total_count")
        return isinstance(taken, int) and isinstance(sent, int) and taken < sent


class Client:
    """A connection to one base address, kept open between requests.

    Parameters
    ----------
    base
        ``https://HOST[:PORT][/PATH]``; plain http to this machine alone.
    timeout_s
        Of every step of an exchange.

    Raises
    ------
    ConfigError
        If the address is another.
    """

    def __init__(self, base: str, timeout_s: float) -> None:
        is_secure, host, port, path = _parts_of(base)
        kind = http.client.HTTPSConnection if is_secure else http.client.HTTPConnection
        self._connection = kind(host, port, timeout=timeout_s)
        self._path = path.rstrip("/")

    def send(self, where: tuple[str, str], body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send one body by (method, path); an exchange that fails is an answer of status 0."""
        method, path = where
        try:
            self._connection.request(method, self._path + path, body, dict(headers))
            with self._connection.getresponse() as response:
                raw = response.read(MAX_ANSWER_BYTES)
                after = response.getheader("Retry-After")
                return Answer(response.status, after, _document(raw))
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return Answer(0)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _parts_of(base: str) -> tuple[bool, str, int | None, str]:
    """Whether an address is https, its host, port and path."""
    try:
        parts = urlsplit(base)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    is_local = parts.hostname in ("127.0.0.1", "::1", "localhost")
    allowed = ("https", "http") if is_local else ("https",)
    is_plain = base.isascii() and base.isprintable() and " " not in base
    more = parts.query or parts.fragment or "@" in parts.netloc
    if parts.scheme not in allowed or not parts.hostname or more or not is_plain:
        message = "--deliver must name an address as https://HOST/PATH, without secrets in it"
        raise ConfigError(message)
    return parts.scheme == "https", parts.hostname, port, parts.path


def _document(raw: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(raw)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
