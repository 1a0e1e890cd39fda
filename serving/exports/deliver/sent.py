"""Sending several deliveries, each to the address of its destination, and telling of it."""

from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

from rich.text import Text

from segmenter.errors import DeliveryError
from segmenter.terminal import Terminal
from serving.exports.deliver.job import Sending, deliver
from serving.exports.destinations import destination_of
from serving.exports.ledger.ledger import Ledger
from serving.exports.options import pairs


def send_all(
    ledger: Ledger,
    numbers: Iterable[int],
    addresses: list[str],
    *,
    terminal: Terminal,
    sending: Sending | None = None,
) -> list[dict[str, Any]]:
    """Send deliveries whose destination has an address; one that fails stops no other.

    Parameters
    ----------
    ledger
        That knows them.
    numbers
        Of the deliveries.
    addresses
        DESTINATION=ADDRESS each.
    terminal
        Where it is told.
    sending
        How; None for the usual patience.

    Returns
    -------
    list of dict
        What each came to.

    Raises
    ------
    ConfigError
        If an address is none, or a delivery cannot be posted.
    DeliveryError
        If one of them has failed, after all were tried.
    """
    bases = pairs(addresses, "--deliver")
    for name in bases:
        destination_of(name)
    how = sending or Sending("")
    found, failures = [], []
    for number in numbers:
        base = bases.get(ledger.delivery(number).destination)
        if base is None:
            continue
        try:
            sent = deliver(ledger, number, replace(how, base=base))
        except DeliveryError as error:
            failures.append(str(error))
            continue
        found.append(asdict(sent))
        told = f"delivery {number} has arrived: {sent.n_requests:,} requests"
        before = f", {sent.n_known:,} had arrived before" if sent.n_known else ""
        refused = f"; {sent.n_refused:,} entries were of no use to it" if sent.n_refused else ""
        terminal.say(Text(told + before + refused))
    if failures:
        message = "; ".join(failures)
        raise DeliveryError(message)
    return found
