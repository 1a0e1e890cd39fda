"""Who may ask, how much and how long; and what the log says of it."""

import http.client
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from segmenter.errors import ConfigError
from segmenter.mlflow_home import MlflowHome
from serving.api import guard
from serving.api.keys import add_key, digest_of_key, read_keys
from serving.api.scorer import Scorer
from serving.api.server import ServerSettings, check_exposure
from serving.api.settings import Limits
from tests.models import World
from tests.serving.api.running import HOST, Client, json_lines, running

NOWHERE = MlflowHome(Path("nowhere"))
LIMITS = Limits(
    body_bytes=40_000,
    line_bytes=20_000,
    events_per_user=50,
    users_per_request=3,
    waiting=1,
)


@pytest.fixture(scope="module")
def narrow(world: World) -> Iterator[Client]:
    """A server that allows little."""
    with running(ServerSettings(NOWHERE, str(world.bundle), limits=LIMITS)) as asking:
        yield asking


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Keys by name, and where their file is."""
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    made = {
        "web": add_key(path, "web", scopes=["assign", "read"]),
        "slow": add_key(path, "slow", scopes=["assign"], requests_per_s=0.01),
    }
    return made | {"path": str(path)}


@pytest.fixture(scope="module")
def locked(world: World, secrets: dict[str, str]) -> Iterator[Client]:
    """A server that wants keys."""
    keys = read_keys(Path(secrets["path"]))
    with running(ServerSettings(NOWHERE, str(world.bundle), keys=keys)) as asking:
        yield asking


def test_without_a_known_key_nothing_is_told(locked: Client, secrets: dict[str, str]) -> None:
    for key in ("", "guess", secrets["web"][:-1], digest_of_key(secrets["web"]), "\u00ff"):
        for path in ("/v1/segments", "/v1/model", "/metrics", "/openapi.json", "/nothing"):
            found = Client(locked.port, key).get(path)
            assert found.status == 401
            assert found.headers["www-authenticate"] == "Bearer"
    assert locked.get("/healthz").status == locked.get("/readyz").status == 200


def test_a_key_is_good_for_its_scopes(
    locked: Client, secrets: dict[str, str], request_of_one: dict
) -> None:
    asking = Client(locked.port, secrets["web"])
    assert asking.post("/v1/assign", request_of_one).status == 200
    assert asking.get("/v1/segments/1").status == 200
    assert asking.post("/v1/embed", request_of_one).status == 403
    assert asking.get("/metrics").status == 403


def test_a_key_has_a_rate_of_its_own(
    locked: Client, secrets: dict[str, str], request_of_one: dict
) -> None:
    slow, web = Client(locked.port, secrets["slow"]), Client(locked.port, secrets["web"])
    statuses = [slow.post("/v1/assign", request_of_one) for _ in range(3)]
    assert statuses[0].status == 200
    assert statuses[2].status == 429
    assert int(statuses[2].headers["retry-after"]) >= 1
    assert web.post("/v1/assign", request_of_one).status == 200


def test_the_file_of_keys_holds_no_key(secrets: dict[str, str]) -> None:
    text = Path(secrets["path"]).read_text()
    assert secrets["web"] not in text
    assert digest_of_key(secrets["web"]) in text


@pytest.mark.parametrize(
    "text", ["", "[]", '{"keys": []}', '{"keys": [{"name": "a"}]}', '{"keys": 3}']
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys.json").write_text(text)
    with pytest.raises(ConfigError, match="key"):
        read_keys(tmp_path / "keys.json")


def test_a_scope_or_a_rate_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="scopes are assign"):
        add_key(tmp_path / "keys.json", "a", scopes=["admin"])
    add_key(tmp_path / "keys.json", "a", scopes=["read"], requests_per_s=-1)
    with pytest.raises(ConfigError, match="rate"):
        read_keys(tmp_path / "keys.json")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", "", "localhost.x"])  # noqa: S104 - refused
def test_an_open_address_needs_keys_or_a_word(host: str) -> None:
    with pytest.raises(ConfigError, match=r"--keys FILE.*--insecure"):
        check_exposure(host, has_keys=False, insecure=False)
    check_exposure(host, has_keys=True, insecure=False)
    check_exposure(host, has_keys=False, insecure=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_this_machine_alone_needs_none(host: str) -> None:
    check_exposure(host, has_keys=False, insecure=False)


def test_too_many_events_users_or_bytes_are_refused(narrow: Client, request_of_one: dict) -> None:
    request_of_one["events"] = request_of_one["events"][:3] * 15
    assert narrow.post("/v1/assign", request_of_one).status == 200
    longer = request_of_one | {"events": request_of_one["events"] * 2}
    assert narrow.post("/v1/assign", longer).fields == ["events"]
    few = request_of_one | {"events": request_of_one["events"][:1]}
    assert narrow.post("/v1/assign:batch", json_lines([few] * 3)).status == 200
    assert narrow.post("/v1/assign:batch", json_lines([few] * 4)).status == 413
    assert narrow.post("/v1/assign", b" " * 20_001).status == 413
    assert narrow.post("/v1/assign:batch", b" " * 20_001).status == 413


def test_bytes_are_counted_as_they_arrive(narrow: Client) -> None:
    """A body without an announced length that would never end."""
    with closing(http.client.HTTPConnection(HOST, narrow.port, timeout=10)) as connection:
        connection.putrequest("POST", "/v1/assign:batch")
        connection.putheader("transfer-encoding", "chunked")
        connection.endheaders()
        piece = b"800\r\n" + b"\n" * 0x800 + b"\r\n"
        for _ in range(20):
            connection.send(piece)
        found = connection.getresponse()
        assert found.status == 413
        assert found.getheader("connection") == "close"


def test_a_body_that_does_not_arrive_is_given_up(world: World) -> None:
    limits = Limits(timeout_s=0.2)
    with (
        running(ServerSettings(NOWHERE, str(world.bundle), limits=limits)) as hasty,
        closing(http.client.HTTPConnection(HOST, hasty.port, timeout=10)) as connection,
    ):
        connection.request("POST", "/v1/assign", headers={"content-length": "100"})
        assert connection.getresponse().status == 408


def test_a_sender_who_goes_away_is_no_failure(narrow: Client) -> None:
    with closing(http.client.HTTPConnection(HOST, narrow.port, timeout=10)) as connection:
        connection.request("POST", "/v1/assign", headers={"content-length": "100"})
    time.sleep(0.1)
    text = narrow.get("/metrics").body.decode()
    assert 'status="500"' not in text


def test_beyond_the_queue_there_is_a_time_to_retry(narrow: Client, request_of_one: dict) -> None:
    few = request_of_one | {"events": request_of_one["events"][:1]}
    with closing(http.client.HTTPConnection(HOST, narrow.port, timeout=10)) as connection:
        line = json_lines([few])
        headers = {"content-length": str(2 * len(line))}
        connection.request("POST", "/v1/assign:batch", body=line, headers=headers)
        while b"segmenter_waiting_requests 1.0" not in narrow.get("/metrics").body:
            time.sleep(0.01)
        refused = narrow.post("/v1/assign", few)
        connection.send(line)
        assert len(connection.getresponse().read().splitlines()) == 2
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert narrow.post("/v1/assign", few).status == 200


def test_a_failure_is_logged_by_its_place_and_not_by_its_words(
    client: Client,
    request_of_one: dict,
    *,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing(*_: object) -> None:
        message = "jane@example.org"
        raise ZeroDivisionError(message)

    monkeypatch.setattr(Scorer, "assign", failing)
    monkeypatch.setattr(guard.LOG, "disabled", False)  # as MLflow's migrations leave it
    found = client.post("/v1/assign", request_of_one)
    assert found.status == 500
    assert found.headers["content-type"] == "application/problem+json"
    for _ in range(500):  # the answer comes before the line
        time.sleep(0 if caplog.records else 0.01)
    said = " ".join(record.getMessage() for record in caplog.records)
    assert "ZeroDivisionError" in said
    assert "test_guard.py" in said
    assert "jane" not in said + found.body.decode() + caplog.text
