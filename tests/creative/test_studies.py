"""Search, spectra, drift, refresh and bias on a library whose truth is known."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from segmenter.creative.bias import audit_searches
from segmenter.creative.causes import name_direction
from segmenter.creative.correction import erase, rerank
from segmenter.creative.drift import measure_brand_drift
from segmenter.creative.images import open_picture
from segmenter.creative.on_brand import reviewed, score_on_brand
from segmenter.creative.refresh import refresh_region
from segmenter.creative.search import empty_standing, own_standing, search_list
from segmenter.creative.spectra import contact_sheet, find_spectrum
from segmenter.creative.tune import TuningFigures, tune
from segmenter.creative.words import Words, open_words, read_words
from segmenter.errors import CreativeError, SpaceError, UnreadableError
from tests.creative.ads import PHRASES


@pytest.fixture(scope="module")
def words(space) -> Words:
    return open_words(space.folder)


@pytest.fixture(scope="module")
def study(space, words):
    return measure_brand_drift(space, words)


def test_pictures_and_texts_are_found_in_lists_of_their_own(space, encoder, truth) -> None:
    query = encoder.texts(["energetic outdoor scene"])[0]
    both = space.vectors @ query
    assert np.argmax(both) >= space.n_pictures  # one list of both would begin with texts
    hits = search_list(space.pictures, [query], k=10, tags=["setting", "energy"])
    rows = space.pictures.rows(hits.ids)
    right = (truth.values("energy") == "high") & (truth.values("setting") == "outdoor")
    assert right[rows].mean() >= 0.9
    assert (np.diff(hits.z) <= 0).all()
    assert {(rate.tag, rate.value) for rate in hits.rates} >= {("setting", "outdoor scene")}
    asked = search_list(space.texts, [query], k=5)
    texts = dict(
        space.assets.filter(space.assets["modality"] == "text").select("id", "text").rows()
    )
    said = [texts[one] for one in asked.ids]
    phrases = (*PHRASES["energy"]["high"], *PHRASES["setting"]["outdoor"])
    assert all(any(phrase in text for phrase in phrases) for text in said)


def test_a_picture_and_words_together_ask_for_both(space, encoder, truth) -> None:
    row = int(
        np.flatnonzero((truth.columns["region"] == "asia") & (truth.values("energy") == "low"))[0]
    )
    asked = [encoder.texts(["energetic"])[0], space.vectors[row]]
    alone = space.pictures.rows(search_list(space.pictures, asked[1:], k=20).ids)
    both = space.pictures.rows(search_list(space.pictures, asked, k=20).ids)
    assert alone[0] == row
    energy = truth.columns["energy"]
    assert energy[both].mean() > energy[alone].mean() + 0.2
    assert (truth.columns["region"][both] == "asia").mean() > 0.5


def test_what_the_library_does_not_have_does_not_stand_out(space, encoder, words) -> None:
    vectors = space.pictures.vectors
    standing = empty_standing(vectors, words.nothing, k=10)
    above = [
        search_list(space.pictures, [query], k=10, standings=[standing]).stands_out
        for query in words.nothing
    ]
    assert np.mean(above) <= 0.15
    own = own_standing(vectors, k=10)
    inside = [
        search_list(space.pictures, [one], k=10, standings=[own]).stands_out
        for one in vectors[:50]
    ]
    noise = encoder.pictures(
        [Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8))]
    ).vectors
    assert np.mean(inside) > 0.85
    assert search_list(space.pictures, noise, k=10, standings=[own]).stands_out is False


@pytest.mark.parametrize("name", ["energy", "palette"])
def test_a_spectrum_changes_one_thing_in_even_steps(space, encoder, truth, *, name) -> None:
    low, high = PHRASES[name]["low"][0], PHRASES[name]["high"][0]
    found = find_spectrum(space, encoder, (low, high))
    shown = truth.columns[name][found.steps.rows]
    steps = np.abs(np.diff(shown)).max() / np.ptp(truth.columns[name])
    assert np.corrcoef(np.arange(11), shown)[0, 1] > 0.85
    assert steps < 0.45
    for other in ("setting", "presenter", "region"):
        shown_changes, random_changes = found.changes[other]
        assert shown_changes < random_changes / 2
    assert found.tag == name
    assert set(found.ids) <= set(space.pictures.ids)
    back = find_spectrum(space, encoder, (high, low), anchor=found.ids[5])
    assert np.corrcoef(np.arange(11), truth.columns[name][back.steps.rows])[0, 1] < -0.85


def test_poles_may_be_assets_and_what_is_not_seen_is_refused(space, encoder, truth) -> None:
    outer = np.argsort(truth.columns["palette"])
    ids = space.pictures.ids
    poles = ["asset:" + ",".join(ids.gather(rows)) for rows in (outer[:30], outer[-30:])]
    found = find_spectrum(space, None, (poles[0], poles[1]), n_steps=7)
    assert np.corrcoef(np.arange(7), truth.columns["palette"][found.steps.rows])[0, 1] > 0.8
    with pytest.raises(UnreadableError, match="does not see 'clutter'"):
        find_spectrum(space, encoder, ("clean", "busy"))
    with pytest.raises(CreativeError, match="two texts or two assets"):
        find_spectrum(space, encoder, ("calm", poles[0]))
    with pytest.raises(SpaceError, match="must be in the space"):
        find_spectrum(space, None, ("asset:none", poles[0]))
    sheet = contact_sheet(space.thumbnails([*found.ids]), [("one", found.ids)])
    assert Image.open(io.BytesIO(sheet)).width > 7 * 150


def test_the_order_of_the_regions_is_that_of_their_adherence(study) -> None:
    assert [place.name for place in study.measured.groups] == ["asia", "europe", "america"]
    outer = next(
        one for one in study.measured.differences if {one.one, one.other} == {"america", "asia"}
    )
    assert outer.different
    assert study.measured.local_error is not None
    assert study.warnings == ()
    for reason in study.reasons:
        assert [period.year for period in reason.periods] == ["2023", "2024", "2025"]


def test_causes_are_those_that_were_planted_and_nothing_unseen_is_named(study, space) -> None:
    planted = {
        phrase
        for name in ("palette", "brand")
        for phrases in PHRASES[name].values()
        for phrase in phrases
    }
    unseen = {
        phrase
        for name in ("shape", "layout", "clutter")
        for phrases in PHRASES[name].values()
        for phrase in phrases
    }
    for reason in study.reasons:
        named = [cause.word for cause in reason.naming.causes]
        assert len(set(named) & planted) >= 4
        assert not set(named) & unseen
        signs = {cause.word: cause.strength > 0 for cause in reason.naming.causes}
        assert signs["fully branded"]
    random = np.random.default_rng(0).standard_normal(space.vectors.shape[1])
    named = name_direction(random, open_words(space.folder), {})
    assert named.causes == ()
    assert len(named.unchecked) == 5


def test_a_refresh_closes_the_gap_and_keeps_the_own_look(study, space, truth) -> None:
    found = refresh_region(space, study, region="asia")
    held, straight, still = found.directions
    assert held.own_look_kept >= 0.95 > straight.own_look_kept
    assert held.gap_closed >= 0.25 > abs(still.gap_closed)
    brand = truth.columns["brand"]
    for board in found.boards:
        rows = space.pictures.rows(board.ids)
        assert len(set(board.ids)) == 4
        assert (truth.columns["region"][rows] == "asia").all()
    ends = np.array([brand[space.pictures.rows(board.ids)][[0, -1]] for board in found.boards])
    assert (ends[:, 1] - ends[:, 0]).mean() > 0.1
    brief = found.brief()
    assert "Move toward: fully branded" in brief
    assert "asia's own" in brief
    with pytest.raises(CreativeError, match="no value 'mars'"):
        refresh_region(space, study, region="mars")


def test_the_on_brand_score_holds_on_other_assets(space, client) -> None:
    found = score_on_brand(space)
    assert found.auc > 0.88
    adherence = client.adherence[[int(one.split("/")[1][:5]) for one in space.pictures.ids]]
    assert np.corrcoef(found.scores, adherence)[0, 1] > 0.5


def test_a_skewed_search_is_found_and_mended_on_other_assets(space, encoder) -> None:
    """A query that asks for the presenter is as skewed as a search can be."""
    queries = encoder.texts(["energetic presenter anna", "calm presenter ben"])
    compared = np.array([False, True])
    found = audit_searches(space, queries, tag="presenter", compared=compared)
    assert found.biased
    assert abs(found.groups[0].before.gap) > 0.5
    assert abs(found.groups[0].after.gap) < 0.05
    mended = rerank(space, queries, tag="presenter", compared=compared)
    assert mended.tested.biased
    assert abs(mended.tested.groups[0].after.gap) < 0.05
    with pytest.raises(CreativeError, match="no bias by 'shape'"):
        rerank(space, queries, tag="shape", compared=compared)
    with pytest.raises(CreativeError, match="no column 'mood'"):
        audit_searches(space, queries, tag="mood")
    gone = erase(space, tag="presenter")
    assert gone.before.figure > 0.95
    assert gone.after.figure < 0.7


def test_own_words_come_from_a_file(tmp_path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("# ours\nbrave\n\nloud  # very\nbrave\n", encoding="utf-8")
    assert read_words(path) == ("brave", "loud")
    path.write_text("one", encoding="utf-8")
    with pytest.raises(CreativeError, match="at least two"):
        read_words(path)
    with pytest.raises(CreativeError, match="cannot be read"):
        read_words(tmp_path / "none")


def test_tuning_learns_the_flags_and_keeps_search(space, encoder) -> None:
    rows, flags = reviewed(space.assets[: space.n_pictures])
    rows, flags = rows[:400], flags[:400]
    library = space.folder.parent / "library"
    images = [open_picture(library / file).image for file in space.assets["file"].gather(rows)]
    table = space.pictures.metadata[rows.tolist()].select("energy", "palette", "brand", "setting")
    captions = [" ".join(row) for row in table.rows()]
    before = {name: weight.clone() for name, weight in encoder.model.state_dict().items()}
    found = tune(encoder, images, flags, captions)
    assert found.n_learned == found.n_held_out == 200
    assert found.after.auc > found.before.auc - 0.03
    assert found.keeps_search
    for name, weight in encoder.model.state_dict().items():
        assert torch.equal(weight, before[name])
        if name.startswith("text_model"):
            assert torch.equal(weight, found.model.state_dict()[name])
    worse = replace(found, after=TuningFigures(1.0, found.before.found_in_ten - 0.03))
    assert not worse.keeps_search
    untold = replace(found, after=TuningFigures(1.0, float("nan")))
    assert untold.keeps_search
    with pytest.raises(CreativeError, match="with both flags"):
        tune(encoder, images, np.ones(400, dtype=bool), captions)
