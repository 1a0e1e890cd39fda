"""``segmenter ingest`` as a person and as a script meet it."""

import json

import pytest
import typer
from typer.testing import CliRunner

from segmenter.errors import ColumnError
from segmenter.events.store import EventStore
from training.ingest_command import register

LOG = (
    "card;kind;when;sku;amount;shop\n"
    "007;buy;01.000;a;1.5;north\n"
    "007;buy;86400;b;2.5;south\n"
    "007;buy;86400;b;2.5;south\n"
    ";buy;86400;b;2.5;south\n"
    "8;buy;172800;b;3.5;south\n"
)
MAPPED = ["--user", "card", "--event", "kind", "--time", "when", "--delimiter", ";"]


@pytest.fixture
def app():
    application = typer.Typer()
    application.callback()(lambda: None)
    register(application)
    return application


@pytest.fixture
def log(tmp_path):
    (tmp_path / "log.csv").write_text(LOG)
    return tmp_path / "log.csv"


def test_json_is_one_object_and_people_read_standard_error(app, log, tmp_path):
    store = tmp_path / "store"
    options = ["--store", str(store), "--extra", "shop", "--until", "1970-01-03", "--json"]
    done = CliRunner().invoke(app, ["ingest", str(log), *MAPPED, *options])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["store"] == str(store)
    assert (told["n_read"], told["n_events"], told["n_users"]) == (5, 2, 1)
    assert told["n_after_until"] == 1
    assert told["rejected"] == {"exact duplicate": 1, "no user": 1}
    assert told["newest"] == "1970-01-02T00:00:00Z"
    assert "set aside: no user" in done.stderr
    opened = EventStore.open(store)
    assert opened.user_ids().to_list() == ["007"]
    assert opened.categorical == ("event", "item", "shop")


def test_a_person_sees_counts_columns_paths_and_what_is_next(app, log, tmp_path):
    command = ["ingest", str(log), *MAPPED, "--store", str(tmp_path / "store")]
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, command).stdout
    for words in (
        "read                        5  100.0%",
        "kept                        3   60.0%",
        "user (from card)",
        "Columns ignored  shop (keep one: --extra)",
        "duplicates.parquet",
        "2 users, 3 events from 1970-01-01T00:00:01Z to 1970-01-03T00:00:00Z",
        "segmenter train --store",
    ):
        assert words in shown
    assert "Up to date" in CliRunner(env={"COLUMNS": "200"}).invoke(app, command).stdout


def test_options_of_form_and_place_are_passed_on(app, tmp_path):
    (tmp_path / "log.csv").write_bytes("user,event,time\nJosé,view,3600000\n".encode("cp1252"))
    form = ["--encoding", "cp1252", "--time-unit", "ms", "--json"]
    place = ["--store", str(tmp_path / "my store"), "--mlruns", str(tmp_path / "runs")]
    runner = CliRunner(env={"COLUMNS": "200"})
    done = runner.invoke(app, ["ingest", str(tmp_path / "log.csv"), *form, *place])
    assert json.loads(done.stdout)["newest"] == "1970-01-01T01:00:00Z"
    assert EventStore.open(tmp_path / "my store").user_ids().to_list() == ["José"]
    assert f"train --store '{tmp_path}/my store' --mlruns {tmp_path}/runs\n" in done.stderr


def test_a_wrong_log_raises_the_library_error_for_the_root_to_show(app, log, tmp_path):
    command = ["ingest", str(log), "--delimiter", ";", "--store", str(tmp_path / "store")]
    failed = CliRunner().invoke(app, command)
    assert isinstance(failed.exception, ColumnError)
    assert "must have a user column" in str(failed.exception)
