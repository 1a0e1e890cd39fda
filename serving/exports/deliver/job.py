"""Sending one delivery: its batches in order, each until it is acknowledged, none again after.

What lives here: what is sent next and what the ledger learns of it. A kill at any time loses at
most the acknowledgement of one batch, which is sent again under the same idempotency key.
"""

import datetime as dt
import gzip
import hashlib
import logging
import os
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from segmenter.errors import ConfigError, DeliveryError, LedgerError
from segmenter.files import digest_of_file
from serving.exports.deliver.client import Answer, Client
from serving.exports.deliver.pace import Pace, Patience, asked_wait_s
from serving.exports.destination import Destination, WrittenFile
from serving.exports.destinations import DESTINATIONS
from serving.exports.ledger.acknowledged import acknowledge, acknowledged, files_of, last_job
from serving.exports.ledger.deliveries import DELIVERED, Delivery
from serving.exports.ledger.ledger import Ledger

LOG = logging.getLogger(__name__)
TOKEN = "SEGMENTER_TOKEN"  # noqa: S105 - the name of a variable
PLACEHOLDER = re.compile(r"\{(\w+)\}")
JOB = "resourceName"
"""Key of an answer that later addresses name as ``{job}``."""


@dataclass(frozen=True)
class Sending:
    """How deliveries are sent.

    Attributes
    ----------
    base
        Address before the path of each request.
    patience
        With a receiver that is busy or away.
    pick
        Draws the jitter.
    sleep
        To wait by; seconds.
    environment
        Where the secrets are.
    """

    base: str
    patience: Patience = field(default_factory=Patience)
    pick: random.Random = field(default_factory=random.SystemRandom)
    sleep: Callable[[float], None] = time.sleep
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)


@dataclass(frozen=True)
class Sent:
    """What sending a delivery came to.

    Attributes
    ----------
    delivery
        Its number.
    n_requests
        Batches that were acknowledged now.
    n_known
        Batches that had been acknowledged before.
    n_refused
        Entries that the receiver said it could not use.
    """

    delivery: int
    n_requests: int
    n_known: int
    n_refused: int


@dataclass(frozen=True)
class _Batch:
    """One request."""

    place: int
    line: int
    method: str
    path: str
    body: bytes
    key: str


def deliver(ledger: Ledger, number: int, sending: Sending) -> Sent:
    """Send what is left of a delivery, and mark it delivered.

    Parameters
    ----------
    ledger
        That knows it, and which of its batches were acknowledged.
    number
        Of the delivery.
    sending
        Where to and how.

    Raises
    ------
    LedgerError
        If it must not be sent, or its files are not what the ledger knows.
    ConfigError
        If the destination takes files or sealed bodies, or a setting of the account is missing.
    DeliveryError
        If the receiver refuses a batch or stays away; the delivery is marked failed, and what was
        acknowledged is not sent again.
    """
    one = ledger.markable(number)
    if one.state == DELIVERED:
        return Sent(number, 0, 0, 0)
    destination = DESTINATIONS[one.destination]
    files = files_of(ledger.db, number)
    _check(one, destination, files)
    known = acknowledged(ledger.db, number)
    client = Client(sending.base, sending.patience.timeout_s)
    sender = _Sender(client, Pace(destination.requests_per_minute, sleep=sending.sleep), sending)
    n_requests = n_refused = 0
    try:
        for batch in _batches(one, files, known):
            job = last_job(ledger.db, number)
            path = _filled(batch.path, {**one.settings, **({"job": job} if job else {})})
            headers = _headers(destination, batch, sending.environment)
            answer = sender.send(
                batch, path, headers, told=f"delivery {number}, {one.destination}"
            )
            acknowledge(ledger.db, number, (batch.place, batch.line), job=_job_of(answer))
            n_requests += 1
            n_refused += answer.n_refused
    except DeliveryError:
        ledger.failed(number, keep_acknowledged=True)
        raise
    finally:
        client.close()
    ledger.delivered(number)
    return Sent(number, n_requests, len(known), n_refused)


class _Sender:
    """Sends batches one after another, each until it is taken."""

    def __init__(self, client: Client, pace: Pace, sending: Sending) -> None:
        self.client, self.pace, self.sending = client, pace, sending

    def send(self, batch: _Batch, path: str, headers: Mapping[str, str], *, told: str) -> Answer:
        """The answer that acknowledges a batch.

        Raises
        ------
        DeliveryError
            If the receiver refuses it, or takes it in none of the attempts.
        """
        patience = self.sending.patience
        told = f"{told}, file {batch.place + 1}, request {batch.line + 1}"
        status = 0
        for attempt in range(1, patience.attempts + 1):
            self.pace.wait()
            answer = self.client.send((batch.method, path), batch.body, headers)
            status = answer.status
            LOG.info("%s: status %d in attempt %d", told, status, attempt)
            if answer.is_good:
                return answer
            if not answer.may_succeed_later:
                break
            if attempt < patience.attempts:
                asked = asked_wait_s(answer.retry_after, dt.datetime.now(dt.UTC))
                self.sending.sleep(patience.wait_s(attempt, asked, self.sending.pick))
        what = f"the answer was {status}" if status else "there was no answer"
        message = f"{told} was not taken: {what}; mend it and run the same command again"
        raise DeliveryError(message)


def _check(one: Delivery, destination: Destination, files: Mapping[int, WrittenFile]) -> None:
    """Refuse what cannot be posted, before anything is."""
    if destination.is_sealed or not all(file.method for file in files.values()):
        what = "sealed bodies" if destination.is_sealed else "whole files"
        message = (
            f"{destination.name} takes {what}, which --deliver cannot post; upload what stands in "
            f"{one.folder} and say so by `segmenter deliveries --delivered {one.id}`"
        )
        raise ConfigError(message)
    open_ = [
        setting.name
        for setting in destination.settings
        if one.settings.get(setting.name) == setting.name.upper()
    ]
    if open_:
        message = f"{destination.name} cannot be sent to without --set {open_[0]}=VALUE"
        raise ConfigError(message)
    for file in files.values():
        path = Path(one.folder) / file.name
        if not path.is_file() or digest_of_file(path) != file.sha256:
            message = f"{path} is not the file that delivery {one.id} wrote; export again"
            raise LedgerError(message)


def _batches(
    one: Delivery, files: Mapping[int, WrittenFile], known: set[tuple[int, int]]
) -> Iterator[_Batch]:
    """Requests that were not acknowledged, in order."""
    for place, file in files.items():
        path = Path(one.folder) / file.name
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
            for line, body in enumerate(lines):
                if (place, line) not in known:
                    name = f"{one.fingerprint}:{place}:{line}"
                    key = hashlib.sha256(name.encode()).hexdigest()[:32]
                    yield _Batch(place, line, file.method, file.path, body.rstrip(b"\n"), key)


def _headers(
    destination: Destination, batch: _Batch, environment: Mapping[str, str]
) -> dict[str, str]:
    """Headers of a request; the secret is one of the environment, by destination or for all."""
    own = f"{TOKEN}_{destination.name.upper().replace('-', '_')}"
    token = (environment.get(own) or environment.get(TOKEN) or "").strip()
    if not (token.isascii() and token.isprintable()):
        # http.client would tell the secret in its error.
        message = f"{own} or {TOKEN} must be printable ASCII on one line; set it again"
        raise ConfigError(message)
    headers = {"Content-Type": "application/json", "Idempotency-Key": batch.key}
    headers |= dict(destination.headers)
    return headers | ({"Authorization": f"Bearer {token}"} if token else {})


def _filled(path: str, settings: Mapping[str, str]) -> str:
    """An address with its placeholders filled in."""
    missing = [name for name in PLACEHOLDER.findall(path) if name not in settings]
    if missing:
        message = f"no answer has named the {missing[0]} that {path} needs"
        raise DeliveryError(message)
    filled = PLACEHOLDER.sub(lambda found: quote(settings[found.group(1)], safe="/"), path)
    return filled if filled.startswith("/") else f"/{filled}"


def _job_of(answer: Answer) -> str:
    found = (answer.document or {}).get(JOB, "")
    return found if isinstance(found, str) else ""
