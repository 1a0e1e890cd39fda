"""A refit: by command end to end, held where its parent was, refused where it makes no sense."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from sklearn.metrics import r2_score

from segmenter.__main__ import main
from segmenter.audience_model import AudienceModel, embed_users
from segmenter.clock import parse_time
from segmenter.errors import ConfigError, FitError, RegistryError
from segmenter.events.store import EventStore
from segmenter.events.vocabulary import grow_vocabulary
from segmenter.registry import resolve
from segmenter.validity.guard import check_blind
from tests.training.conftest import NEWS, TINY, TrainedJob
from training.fit import fit_network
from training.plan import TrainRequest, plan_training
from training.refit import counted_time, field_drifts, moved, read_time
from training.refit_report import Refit
from training.warm_start import WarmStart, load_warm_start


def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object):
    """Type a command; its JSON object, and what was said to people."""
    monkeypatch.setattr(sys, "argv", ["segmenter", *map(str, words), "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert ended.value.code == 0, said.err
    return json.loads(said.out), " ".join(said.err.split())


@pytest.fixture
def start(own_job: TrainedJob) -> WarmStart:
    return load_warm_start(own_job.home.path, "personas/1")


def test_a_refit_by_command_knows_its_parent_and_says_what_moved(
    own_job: TrainedJob,
    newer: EventStore,
    monkeypatch: pytest.MonkeyPatch,
    *,
    capsys: pytest.CaptureFixture[str],
) -> None:
    home = own_job.home
    parent = resolve(home, "personas/1")
    words = ("train", "--store", newer.path, "--from", "personas/1", "--mlruns", home.path)
    planned, _ = run(capsys, monkeypatch, *words, "--dry-run")
    origin = {
        "label": "personas/1",
        "digest": parent.digest,
        "as_of": own_job.outcome.data.as_of,
    }
    assert planned["from"] == origin
    assert planned["config"] == json.loads(json.dumps(TINY.to_json()))
    assert not Path(planned["job_folder"]).exists()

    answer, said = run(capsys, monkeypatch, *words)
    assert (answer["model"], answer["version"], answer["reused"]) == ("personas", 2, False)
    model, before = AudienceModel.load(Path(answer["bundle"])), AudienceModel.load(parent.folder)
    assert model.training["parent"] == origin
    known, grown = before.network.vocabulary, model.network.vocabulary
    assert grown.values["event"] == (*known.values["event"], *sorted(NEWS))
    assert model.network.config == before.network.config

    refit = Refit.from_json(answer["refit"])
    assert json.loads(json.dumps(refit.to_json())) == answer["refit"]
    assert refit.parent == origin
    assert min(refit.cpu_s, refit.wall_s) > 0
    assert refit.fields["event"].new_values == 2
    assert 0.3 < refit.fields["event"].unknown_before < 0.5
    assert refit.fields["event"].unknown_after == 0
    assert refit.embedding.r2 > 0.95
    assert refit.embedding.displacement < 0.2
    assert refit.embedding.same_segment > 0.8
    assert "Refit: from personas/1" in said
    assert "2 in event" in said
    client = home.client()
    kept = client.get_run(answer["run_id"]).data
    assert kept.params["from"] == "personas/1"
    assert kept.metrics["refit embedding r2"] == refit.embedding.r2
    assert kept.metrics["fit CPU seconds"] == refit.cpu_s

    again, _ = run(capsys, monkeypatch, *words)
    assert (again["version"], again["reused"], again["refit"]) == (2, True, answer["refit"])


def test_a_refit_takes_over_settings_and_is_a_job_of_its_own(
    own_job: TrainedJob, newer: EventStore, start: WarmStart
) -> None:
    assert start.settings() == json.loads(json.dumps(TINY.to_json()))
    folder = load_warm_start(own_job.home.path, str(own_job.outcome.bundle))
    assert (folder.label, folder.name) == (start.model.digest, None)
    learning = start.learning(replace(TINY, refit_taste_epochs=3))
    assert (learning.taste_epochs, learning.learning_rate) == (3, TINY.refit_learning_rate)
    assert learning.window_days == start.model.network.config.window_days
    request = TrainRequest(newer.path, TINY, own_job.home.path)
    twin = replace(start, model=replace(start.model, digest="another"))
    folders = [
        plan_training(replace(request, start=origin)).folder for origin in (None, start, twin)
    ]
    assert len(set(folders)) == 3


def test_what_a_parent_cannot_carry_is_refused(
    own_job: TrainedJob, newer: EventStore, start: WarmStart
) -> None:
    request = TrainRequest(newer.path, TINY, own_job.home.path, start=start)
    window = start.model.network.config.window_days
    assert plan_training(replace(request, config=replace(TINY, window_days=window)))
    short = AudienceModel.load(own_job.outcome.bundle).network
    short.config = replace(short.config, window_days=1e4)
    wrong = [
        (
            {"config": replace(TINY, model=TINY.model | {"taste_dimensions": 4})},
            ConfigError,
            r"keeps the network of personas/1.* found taste_dimensions = 4 \(there 8\)",
        ),
        ({"config": replace(TINY, window_days=3.0)}, ConfigError, r"window_days = 3\.0 \(there"),
        (
            {"until": parse_time("2025-01-20", option="--until")},
            FitError,
            "personas/1 was trained on events until 2025-01-31.* pass a later --until",
        ),
        (
            {"start": replace(start, model=replace(start.model, network=short))},
            FitError,
            "personas/1 looks 1e\\+04 days ahead",
        ),
    ]
    for change, kind, words in wrong:
        with pytest.raises(kind, match=words):
            plan_training(replace(request, **change))
    with pytest.raises(RegistryError, match=r"holds .*personas/1"):
        load_warm_start(own_job.home.path, "personas/7")


class CutError(Exception):
    """A refit is disturbed here."""


def fit(start: WarmStart, store: EventStore, folder: Path, *, stop: int | None = None):
    """The network of a refit; disturbed after some steps, if any."""

    def progress(done: int, _: int) -> None:
        if done == stop:
            raise CutError

    config = start.learning(replace(TINY, refit_forecast_epochs=2, refit_taste_epochs=2))
    network = start.model.network
    return fit_network(
        store, config, as_of=store.newest, folder=folder, start=network, progress=progress
    ).model


def test_a_disturbed_refit_ends_like_any_other_and_leaves_its_parent_alone(
    newer: EventStore, start: WarmStart, tmp_path: Path
) -> None:
    before = {name: value.clone() for name, value in start.model.network.state_dict().items()}
    whole = fit(start, newer, tmp_path / "whole")
    for stop in (6, 17):
        with pytest.raises(CutError):
            fit(start, newer, tmp_path / "cut", stop=stop)
    resumed = fit(start, newer, tmp_path / "cut")
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name
    for name, value in start.model.network.state_dict().items():
        assert torch.equal(before[name], value), name
    name = "forecast_encoder.from_sequence.weight"
    assert not torch.equal(whole.state_dict()[name], before[name])


def test_an_anchor_holds_the_embeddings(
    newer: EventStore, start: WarmStart, tmp_path: Path
) -> None:
    users = np.arange(newer.n_users)
    as_of = start.model.trained_as_of
    before = start.model.embed(newer, users, as_of=as_of)
    r2 = []
    for weight in (0.0, 10.0):
        config = replace(TINY, refit_learning_rate=2e-3, refit_anchor=weight)
        config = replace(config, forecast_batch_users=16, taste_batch_users=16)
        network = fit_network(
            newer,
            start.learning(config),
            as_of=newer.newest,
            folder=tmp_path / str(weight),
            start=start.model.network,
        )
        r2.append(moved(before, embed_users(network.model, newer, users, as_of=as_of))[1])
    assert 1 - r2[1] < 0.25 * (1 - r2[0])


def test_a_refit_is_blind_for_what_comes_after_it(
    newer: EventStore, start: WarmStart, tmp_path: Path
) -> None:
    cut, n_fits = start.model.trained_as_of + 5 * 86_400_000_000, 0

    def build(store: EventStore) -> np.ndarray:
        nonlocal n_fits
        n_fits += 1
        network = fit_network(
            store,
            start.learning(TINY),
            as_of=cut - 1,
            folder=tmp_path / str(n_fits),
            start=start.model.network,
        )
        return embed_users(network.model, store, np.arange(40), as_of=cut - 1)

    check_blind(build, newer, until=cut, what="the refit")


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 40), st.integers(1, 6), st.integers(0, 1000))
def test_r2_is_that_of_scikit_learn_and_displacement_a_distance(
    n_users: int, width: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    before = generator.normal(size=(n_users, width)).astype(np.float32)
    after = before + generator.normal(size=(n_users, width)).astype(np.float32) / 3
    displacement, r2 = moved(before, after)
    expected = r2_score(before, after, multioutput="variance_weighted")
    assert r2 == pytest.approx(expected, abs=1e-5)
    spread = np.sqrt(np.square(before - before.mean(0)).sum(1).mean())
    assert displacement * spread == pytest.approx(
        np.median(np.linalg.norm(after - before, axis=1)), rel=1e-5
    )
    assert moved(before, before) == (0.0, 1.0)


def test_users_who_were_all_alike_have_a_drift_too() -> None:
    same = np.ones((5, 3), dtype=np.float32)
    assert moved(same, same) == (0.0, 1.0)
    assert moved(same, same + 2) == (pytest.approx(2 * 3**0.5), 0.0)


def test_drift_of_values_is_counted_by_hand(newer: EventStore, start: WarmStart) -> None:
    known, since, as_of = start.model.network.vocabulary, start.model.trained_as_of, newer.newest
    limits = {"event": len(known.values["event"]) + 1, "extra": 9_999}
    grown = grow_vocabulary(known, newer, as_of=as_of, limits=limits)
    found = field_drifts(known, grown, newer, since=since, as_of=as_of)
    texts = np.array([None, *newer.vocabulary("event")], dtype=object)
    events = texts[np.asarray(newer.codes("event"))]
    late = np.asarray(newer.times) > since
    new = np.isin(events[late], NEWS).mean()
    (learned,) = grown.values["event"][-1:]
    other = (set(NEWS) - {learned}).pop()
    drift = found["event"]
    assert drift.new_values == 1
    assert drift.unknown_before == pytest.approx(new)
    assert drift.unknown_after == pytest.approx((events[late] == other).mean())
    distance = sum(
        abs((events[late] == text).mean() - (events[~late] == text).mean()) for text in texts[1:]
    )
    assert drift.distance == pytest.approx(distance / 2)
    nothing = field_drifts(known, known, newer, since=since, as_of=since)
    assert all(drift.distance == 0 and drift.new_values == 0 for drift in nothing.values())


def test_time_is_counted_on_when_a_job_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "time.json"
    assert read_time(path) == {"wall_s": 0.0, "cpu_s": 0.0}

    def work(*, fails: bool) -> None:
        with counted_time(path):
            sum(range(100_000))
            if fails:
                raise CutError

    with pytest.raises(CutError):
        work(fails=True)
    first = read_time(path)
    work(fails=False)
    assert all(read_time(path)[name] > first[name] > 0 for name in first)


def test_a_store_without_users_from_before_is_said_so(start: WarmStart) -> None:
    refit = Refit(start.to_json(), 1.0, 1.0, 0, {}, None)
    assert refit.summary_lines()[-1].endswith("the store holds no user from before")
    assert Refit.from_json(refit.to_json()) == refit
