"""What a request to the online service costs, against a real server over loopback.

Run from the root of the repository, by ``python -m tests.benchmarks serving`` or with a bundle::

    python -m tests.benchmarks.bench_serving --bundle bundle --requests 4000

CPU and memory are the kernel's counts for the server's process. The load generator is a process
of its own on kept connections. Half load is half of the rate that eight connections reach, sent at
fixed times; a request's time counts from when it was due, so a slow answer hides nothing. Without
a bundle the model has the default sizes and is not trained: it is as fast.
"""

import argparse
import json
import random
import re
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np

from segmenter.events.store import EventStore
from segmenter.mlflow_home import MlflowHome
from tests.benchmarks.logs import persona_store
from tests.benchmarks.online_load import (
    N_EVENTS,
    Load,
    Target,
    closed_load,
    drawn_users,
    mlflow_body,
    mlflow_server,
    online_server,
    open_load,
)
from tests.benchmarks.tables import deliver
from tests.models import make_model
from training.registration import register
from training.tracking import Tracker

N_REQUESTS, N_USERS, N_CONNECTIONS, N_OPEN = 2_000, 200, 8, 32
FEW_EVENTS, N_MALFORMED, N_EXCHANGED = 8, 10_000, 20_000
WARM_UP = 100


def _row(server: str, load: str, *, took: Load, target: Target) -> dict[str, Any]:
    """One load on one server."""
    milliseconds = 1000 * np.array(took.seconds)
    return {
        "server": server,
        "load": load,
        "requests": len(took.seconds),
        "failed": sum(status != 200 for status in took.statuses),
        "CPU ms per request": round(1000 * took.cpu_s / len(took.seconds), 2),
        "requests per CPU s": round(len(took.seconds) / took.cpu_s),
        "requests per s": round(len(took.seconds) / took.wall_s),
        "p50 ms": round(float(np.percentile(milliseconds, 50)), 1),
        "p99 ms": round(float(np.percentile(milliseconds, 99)), 1),
        "RSS MiB": round(target.resident_mb()),
    }


def online_rows(target: Target, bodies: list[bytes]) -> list[dict[str, Any]]:
    """One connection, the saturating load, and half of it."""
    name = "segmenter serve"
    closed_load(target, bodies[:WARM_UP], N_CONNECTIONS)
    alone = closed_load(target, bodies, 1)
    rows = [_row(name, "1 connection", took=alone, target=target)]
    full = closed_load(target, bodies, N_CONNECTIONS)
    rows.append(_row(name, f"{N_CONNECTIONS} connections", took=full, target=target))
    rate = len(bodies) / full.wall_s / 2
    half = open_load(target, bodies, rate=rate, n_connections=N_OPEN)
    rows.append(_row(name, "half load", took=half, target=target))
    return rows


def kept_rows(
    target: Target, users: list[dict[str, Any]], n_requests: int, *, kind: str
) -> list[dict[str, Any]]:
    """Single events appended to kept histories, which the first requests begin."""
    append = replace(target, path="/v1/users:append")
    closed_load(append, [json.dumps(user).encode() for user in users], 1)
    newest = max(event["time"] for user in users for event in user["events"])

    def bodies(start: int) -> list[bytes]:
        """Each event a second after the one before, for one user after the other."""
        sent = []
        for row in range(start, start + n_requests):
            user = users[row % len(users)]
            event = user["events"][row % N_EVENTS] | {"time": newest + row * 1_000_000}
            sent.append(json.dumps({"user_id": user["user_id"], "events": [event]}).encode())
        return sent

    rows = []
    for number, n_connections in enumerate((1, N_CONNECTIONS)):
        took = closed_load(append, bodies(number * n_requests), n_connections)
        load = f"appended event, {n_connections} connection{'s' if n_connections > 1 else ''}"
        rows.append(_row(f"segmenter serve --state {kind}", load, took=took, target=target))
    return rows


def malformed(target: Target, bodies: list[bytes], n_requests: int) -> dict[str, Any]:
    """Damaged requests: their 5xx, and what memory they leave behind."""
    draw = random.Random(0)  # noqa: S311 - no secret
    pieces = (
        b"",
        b"NaN",
        b"1e999",
        b"[" * 500,
        b'"\\ud800"',
        b"null",
        b"-1",
        b"\xff",
        b"9" * 5000,
    )

    def damaged(body: bytes) -> bytes:
        start = draw.randrange(len(body))
        stop = min(len(body), start + draw.choice((0, 1, 8, 200)))
        return body[:start] + draw.choice(pieces) + body[stop:]

    sent = [damaged(draw.choice(bodies)) for _ in range(n_requests)]
    closed_load(target, sent[: n_requests // 10], N_CONNECTIONS)
    before = target.resident_mb()
    took = closed_load(target, sent, N_CONNECTIONS)
    counts = {str(status): took.statuses.count(status) for status in sorted({*took.statuses})}
    return {
        "damaged requests by status": json.dumps(counts),
        "damaged requests with 5xx": sum(status >= 500 for status in took.statuses),
        "memory that they left, MiB": round(target.resident_mb() - before, 1),
    }


def exchanges(folder: Path, n_requests: int) -> dict[str, Any]:
    """A small model is exchanged again and again under the saturating load."""
    home = MlflowHome(folder / "mlruns").prepare()
    store = EventStore.open(persona_store(folder, N_USERS, n_days=30))
    for seed in range(2):
        make_model(store, seed=seed).save(folder / f"small {seed}")
        with Tracker.start(home, "small") as tracker:
            register(tracker, folder / f"small {seed}", "small")
    users = drawn_users(folder / "small 0", N_USERS, n_events=FEW_EVENTS)
    bodies = [json.dumps(users[row % N_USERS]).encode() for row in range(n_requests)]
    words = ("--model", "small@champion", "--mlruns", home.path, "--poll", "0.2")
    over = threading.Event()

    def move() -> None:
        client, version = home.client(), 1
        while not over.wait(2.0):
            version = 3 - version
            client.set_registered_model_alias("small", "champion", str(version))

    with online_server(*words) as target:
        mover = threading.Thread(target=move)
        mover.start()
        took = closed_load(target, bodies, N_CONNECTIONS)
        over.set()
        mover.join()
        with urlopen(f"http://127.0.0.1:{target.port}/metrics", timeout=10) as answer:
            said = re.search(r"exchanges_total (\d+)", answer.read().decode())
    return {
        "requests while the model was exchanged": n_requests,
        "exchanges": int(said[1]) if said else 0,
        "failed meanwhile": sum(status != 200 for status in took.statuses),
    }


def run(
    bundle: Path | None = None,
    *,
    n_requests: int = N_REQUESTS,
    n_exchanged: int = N_EXCHANGED,
    with_peer: bool = True,
) -> dict[str, Any]:
    """Measure a server with a bundle, and MLflow's own with the same.

    Parameters
    ----------
    bundle
        A model; None makes an untrained one of the default sizes.
    n_requests
        Requests per load.
    n_exchanged
        Requests while models are exchanged; 0 leaves that out.
    with_peer
        Whether ``mlflow models serve`` is measured too.
    """
    with tempfile.TemporaryDirectory(prefix="bench_serving_") as made:
        folder = Path(made)
        if bundle is None:
            bundle = folder / "bundle"
            store = persona_store(folder, 2_000, n_days=120)
            make_model(EventStore.open(store), sizes={}).save(bundle)
        users = drawn_users(bundle, N_USERS)
        bodies = [json.dumps(users[row % N_USERS]).encode() for row in range(n_requests)]
        with online_server("--model", bundle) as target:
            rows = online_rows(target, bodies)
            told = malformed(target, bodies[:N_USERS], N_MALFORMED)
        for name in ("memory", f"sqlite:{folder / 'state.db'}"):
            with online_server("--model", bundle, "--state", name) as target:
                kind = name.partition(":")[0]
                rows += kept_rows(target, users, n_requests, kind=kind)
        if with_peer:
            sent = [mlflow_body(users[row % N_USERS]) for row in range(n_requests // 4)]
            with mlflow_server(bundle, folder) as target:
                closed_load(target, sent[:WARM_UP], 1)
                took = closed_load(target, sent, 1)
                rows.append(_row("mlflow models serve", "1 connection", took=took, target=target))
        if n_exchanged:
            told |= exchanges(folder, n_exchanged)
    return {"rows": rows, "events per request": N_EVENTS, **told}


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, help="the model")
    parser.add_argument("--requests", type=int, default=N_REQUESTS, help="per load")
    parser.add_argument("--exchanged", type=int, default=N_EXCHANGED, help="while exchanging")
    parser.add_argument("--without-peer", action="store_true", help="measure our server alone")
    parser.add_argument("--json", type=Path, help="file for the figures")
    given = parser.parse_args()
    result = run(
        given.bundle,
        n_requests=given.requests,
        n_exchanged=given.exchanged,
        with_peer=not given.without_peer,
    )
    deliver("serving", result, given.json)


if __name__ == "__main__":
    main()
