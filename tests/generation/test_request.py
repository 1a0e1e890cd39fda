"""Requests: from where journeys are drawn, what is refused, what is written."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner, Result

from segmenter.__main__ import build_app
from segmenter.errors import ConfigError, OutputError, SegmentTooSmallError, SpaceError
from segmenter.events.ingest import ingest
from segmenter.events.ingest_options import IngestOptions
from segmenter.files import digest_of_file
from segmenter.generation.forecasts import Backtest, backtest, forecast_user
from segmenter.generation.population import Population, read_population
from segmenter.generation.report import COPY, GENERATED, HALVES_NOTE, MARKOV
from segmenter.generation.request import Request, draw
from segmenter.space.catalogue import Catalogue
from segmenter.space.directions import find_direction
from segmenter.space.whitening import fit_whitening
from tests.models import World


@pytest.fixture(scope="module")
def population(world: World) -> Population:
    return read_population(world.model, world.store, as_of=world.store.newest)


def largest(population: Population) -> int:
    return int(np.bincount(population.segments).argmax())


@pytest.fixture(scope="module")
def crowded(population: Population) -> Population:
    """The same with a segment of half of the users: those nearest to the largest one."""
    one = largest(population)
    centre = population.learned.embeddings[population.segments == one].mean(axis=0)
    far = np.linalg.norm(population.learned.embeddings - centre, axis=1)
    segments = population.segments.copy()
    segments[np.argsort(far)[:60]] = one
    return replace(population, segments=segments)


def test_points_of_a_segment_are_of_the_segment(crowded: Population) -> None:
    one = largest(crowded)
    drawn = draw(crowded, Request(n=30, segments={one: 1.0}, seed=3))
    points = drawn.journeys.points.astype(np.float32)
    assert len(drawn.journeys) == 30
    assert (crowded.model.assign(points).segment_id == one).all()


def test_a_segment_below_fifty_users_is_refused(population: Population) -> None:
    sizes = np.bincount(population.segments)
    small = next(one for one in range(len(sizes)) if 0 < sizes[one] < 50)
    with pytest.raises(SegmentTooSmallError, match=f"segment {small} has {sizes[small]}"):
        draw(population, Request(n=5, segments={small: 1.0}))


def test_a_short_list_of_users_is_refused(population: Population, world: World) -> None:
    listed = tuple(world.store.user_ids().head(49).to_list())
    with pytest.raises(SegmentTooSmallError, match="at least 50 users"):
        draw(population, Request(n=5, users=listed))


def test_a_list_of_users_is_drawn_as_they_lie(population: Population, world: World) -> None:
    listed = tuple(world.store.user_ids().head(80).to_list())
    assert len(draw(population, Request(n=9, users=listed)).journeys) == 9


def test_an_unknown_segment_is_named_with_those_there_are(population: Population) -> None:
    with pytest.raises(SpaceError, match="no segment 99; it has"):
        draw(population, Request(n=5, segments={99: 1.0}))


def test_a_point_is_decoded_many_times(population: Population, world: World) -> None:
    user = world.store.user_ids()[3]
    drawn = draw(population, Request(n=6, place=f"user:{user}"))
    assert (drawn.journeys.points == drawn.journeys.points[0]).all()
    assert len(set(drawn.journeys.table(world.model.network.vocabulary)["user"])) == 6


@pytest.mark.parametrize("on_the_data", [False, True])
def test_a_path_begins_and_ends_at_its_places(
    population: Population, world: World, *, on_the_data: bool
) -> None:
    ids = world.store.user_ids()
    ends = (f"user:{ids[0]}", f"user:{ids[50]}")
    request = Request(n=2, path=ends, n_steps=4, on_the_data=on_the_data)
    drawn = draw(population, request)
    assert drawn.step.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    rows = np.array([0, 50])
    real = world.model.embed(world.store, rows, as_of=population.as_of)
    assert np.allclose(drawn.journeys.points[[0, -1]], real, atol=1e-5)


@pytest.mark.parametrize("place", ["nobody", "user:", "segment:seven", "group:3"])
def test_what_is_no_place_is_refused(population: Population, place: str) -> None:
    with pytest.raises(ConfigError, match="a place is user:ID or segment:ID"):
        draw(population, Request(n=1, place=place))


@pytest.mark.parametrize(
    "settings",
    [
        {"segments": {1: 1.0}, "place": "user:1"},
        {"place": "user:1", "path": ("user:1", "user:2")},
        {"place": "user:1", "correction": True},
        {"n": 0},
    ],
)
def test_requests_that_contradict_themselves_are_refused(settings: dict) -> None:
    with pytest.raises(ConfigError):
        Request(**({"n": 5} | settings))


def test_a_correction_keeps_as_many_as_were_asked_for(population: Population) -> None:
    drawn = draw(population, Request(n=20, correction=True))
    assert drawn.correction is not None
    assert drawn.correction.n_candidates == 80
    assert len(drawn.journeys) == 20


def test_a_forecast_holds_nine_of_ten(world: World) -> None:
    errors = backtest(world.model, world.store, as_of=world.store.newest)
    inside = [
        low <= happened <= high
        for forecast, happened in zip(errors.forecast[:, 0], errors.happened[:, 0], strict=True)
        for _, low, high in [errors.interval(0, forecast)]
    ]
    assert 0.8 <= np.mean(inside) <= 1.0
    found = forecast_user(world.model, world.store, 3, as_of=world.store.newest, errors=errors)
    assert [one.name for one in found.totals] == ["events", "active days", "value"]
    assert all(0 <= one.low <= one.value <= one.high for one in found.totals)
    assert all(0 <= one.chance <= 1 for one in found.likely)


def test_an_interval_follows_the_errors_of_near_forecasts() -> None:
    forecast = np.repeat([[1.0], [5.0]], 200, axis=0)
    noise = np.linspace(-1, 1, 200)[:, None]
    errors = Backtest(forecast, forecast + np.vstack([0.1 * noise, noise]))
    (_, narrow_low, narrow_high), (_, low, high) = (errors.interval(0, one) for one in (1.0, 5.0))
    assert narrow_high - narrow_low == pytest.approx(0.18, abs=0.01)
    assert high - low == pytest.approx(1.8, abs=0.1)


def test_a_log_shorter_than_the_window_has_no_intervals(world: World) -> None:
    with pytest.raises(SpaceError, match="at least 50 users"):
        backtest(world.model, world.store, as_of=world.store.oldest)


def segmenter(*words: str | Path) -> Result:
    return CliRunner().invoke(build_app(), list(map(str, words)), env={"COLUMNS": "140"})


def generated(world: World, out: Path, *words: str | Path) -> Result:
    model = ("--model", world.bundle, "--store", world.store.path)
    return segmenter("generate", *model, "--out", out, *words)


def check_report(report: dict) -> None:
    fidelity, privacy = report["fidelity"], report["privacy"]
    assert set(fidelity) == {GENERATED, COPY, MARKOV}
    assert report["note"] == HALVES_NOTE  # nobody is held out of a model without training
    assert fidelity[GENERATED]["told_apart"] > fidelity[COPY]["told_apart"]
    assert privacy["exact_copies"] == 0
    assert not any(privacy["rare_values"].values())
    assert privacy["limits"]


def test_the_command_writes_what_its_manifest_says(world: World, tmp_path: Path) -> None:
    done = generated(world, tmp_path / "made", "--n", 60, "--seed", 1, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    manifest = json.loads((tmp_path / "made" / "manifest.json").read_text())
    assert told == {"out": str(tmp_path / "made"), **manifest}
    events = pl.read_parquet(tmp_path / "made" / "events.parquet")
    assert manifest["n_users"] == events["user"].n_unique() == 60
    assert manifest["n_events"] == len(events)
    for name, digest in manifest["files"].items():
        assert digest_of_file(tmp_path / "made" / name) == digest
    check_report(json.loads((tmp_path / "made" / "report.json").read_text()))
    options = IngestOptions(keep_duplicates=True)
    report = ingest([tmp_path / "made" / "events.parquet"], tmp_path / "store", options=options)
    assert report.n_users == 60
    assert not any(report.rejected.values())


def test_the_same_command_writes_the_same_bytes(world: World, tmp_path: Path) -> None:
    user = f"user:{world.store.user_ids()[0]}"
    for name in ("first", "second"):
        done = generated(world, tmp_path / name, "--from-point", user, "--n", 5, "--seed", 4)
        assert done.exit_code == 0, done.output
    both = [(tmp_path / name / "events.parquet").read_bytes() for name in ("first", "second")]
    assert both[0] == both[1]


def test_a_what_if_is_decoded_beside_what_is(world: World, tmp_path: Path) -> None:
    vectors = world.model.embed(world.store, as_of=world.store.newest).astype(np.float64)
    way = find_direction(
        "up", vectors[:60], vectors[60:], whitening=fit_whitening(vectors), seed=0
    )
    catalogue = Catalogue(world.model.digest, {}).with_direction(way)
    catalogue.save(tmp_path / "ways")
    words = ("--direction", "up", "--catalogue", tmp_path / "ways", "--n", 20)
    done = generated(world, tmp_path / "made", *words)
    assert done.exit_code == 0, done.output
    assert "What up changes" in done.stdout
    tables = [
        pl.read_parquet(tmp_path / "made" / f"{name}.parquet") for name in ("events", "unmoved")
    ]
    assert not tables[0].equals(tables[1])
    assert tables[0]["user"].n_unique() == tables[1]["user"].n_unique() == 20


def test_a_path_is_told_step_by_step(world: World, tmp_path: Path) -> None:
    ids = world.store.user_ids()
    words = ("--path", f"user:{ids[0]}", f"user:{ids[1]}", "--n", 3, "--steps", 2)
    done = generated(world, tmp_path / "made", *words)
    assert done.exit_code == 0, done.output
    table = pl.read_parquet(tmp_path / "made" / "journeys.parquet")
    assert table["step"].to_list() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_a_folder_of_something_else_is_left_alone(world: World, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    user = f"user:{world.store.user_ids()[0]}"
    done = generated(world, tmp_path / "mine", "--from-point", user, "--n", 1)
    assert isinstance(done.exception, OutputError)
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"


@pytest.mark.parametrize("text", ["seven", "7:much"])
def test_a_segment_that_is_no_number_is_refused(world: World, tmp_path: Path, text: str) -> None:
    done = generated(world, tmp_path / "made", "--segment", text)
    assert isinstance(done.exception, ConfigError)


def test_a_user_is_forecast_on_the_command_line(world: World) -> None:
    user = world.store.user_ids()[0]
    words = ("--model", world.bundle, "--store", world.store.path, "--user", user, "--json")
    done = segmenter("forecast", *words)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["user"] == user
    assert told["window_days"] == world.model.network.config.window_days
