"""The acts of a reviewer: what each moves, and what refuses it."""

import threading

import pytest

from segmenter.bundle import read_bundle, write_bundle
from segmenter.errors import BundleError, ConfigError, ReviewError
from segmenter.registry import resolve
from tests.training.review.desks import log_file, put_report, write_review
from training.registration import register
from training.review import act
from training.review.approval import Word
from training.review.desk import open_desk
from training.review.history import asked_period, comparable, read_history
from training.review.proof import prove
from training.tracking import Tracker

ADA = Word("Ada", "better on the later quarter")


def aliases_of(home) -> dict[str, int]:
    found = home.client().get_registered_model("shoppers").aliases
    return {alias: int(number) for alias, number in found.items()}


def actions(home) -> list[tuple[str, int]]:
    entries = read_history(home, "shoppers").entries
    return [(entry.decision.action, entry.decision.version) for entry in entries]


def test_an_approved_version_leads_and_a_rollback_lets_the_one_before_lead_again(own_home):
    write_review(own_home, "shoppers/2")
    done = act.approve(own_home, "shoppers/2", ADA)
    assert aliases_of(own_home) == {"challenger": 2, "champion": 2, "previous": 1}
    assert done.before == 1
    assert done.decision.details["proof"]["n_golden"] == 4
    tags = own_home.client().get_model_version("shoppers", "2").tags
    assert (tags["review.status"], tags["review.by"]) == ("approved", "Ada")
    with pytest.raises(ReviewError, match="is the champion already"):
        act.promote(own_home, "shoppers/2", ADA)
    back = act.roll_back(own_home, "shoppers", Word("Bo", "reach fell"))
    assert aliases_of(own_home) == {"challenger": 2, "champion": 1, "previous": 2}
    assert back.decision.details["from"] == "shoppers/2"
    tags = own_home.client().get_model_version("shoppers", "2").tags
    assert (tags["review.status"], tags["review.by"]) == ("rolled back from", "Bo")
    for again in (act.promote, act.approve):
        with pytest.raises(ReviewError, match=r"was taken back .* Bo: reach fell"):
            again(own_home, "shoppers/2", ADA)
    assert actions(own_home) == [
        *(("register", 1), ("register", 2), ("review", 2), ("approve", 2), ("rollback", 1))
    ]
    assert_history_answers(read_history(own_home, "shoppers"))


def assert_history_answers(history) -> None:
    """What was champion before, between and after the two moves."""
    *_, approval, rollback = history.entries
    asked = comparable(approval.at)
    assert history.champion_at(asked - 1).decision.action == "register"
    assert history.champion_at(asked).decision.by == "Ada"
    assert history.champion_at(comparable(rollback.at)).decision.by == "Bo"
    assert history.champion_at(0) is None
    moved = history.moves_between(*asked_period(approval.at[:10]))
    assert [entry.decision.action for entry in moved][-2:] == ["approve", "rollback"]


def test_a_version_without_a_fitting_review_is_refused(own_home):
    for refused in (act.approve, act.promote):
        with pytest.raises(ReviewError, match=r"has not been reviewed|is not approved"):
            refused(own_home, "shoppers/2", ADA)
    write_review(own_home, "shoppers/2", failed=("stability", "drift"))
    with pytest.raises(ReviewError, match="failed drift; mend the model, or accept"):
        act.approve(own_home, "shoppers/2", Word("Ada", "new data", ("stability",)))
    with pytest.raises(ReviewError, match="parity did not fail"):
        act.approve(own_home, "shoppers/2", Word("Ada", "new data", ("parity",)))
    write_review(own_home, "shoppers/2")
    run_id = resolve(own_home, "shoppers/2").run_id
    put_report(own_home.client(), run_id, {"failed": ["none at all"]})
    with pytest.raises(ReviewError, match="is not the one that its review wrote"):
        act.approve(own_home, "shoppers/2", ADA)
    write_review(own_home, "shoppers/2", digest="0" * 64)
    with pytest.raises(ReviewError, match="is of another bundle"):
        act.approve(own_home, "shoppers/2", ADA)
    assert aliases_of(own_home) == {"challenger": 2, "champion": 1}


@pytest.mark.parametrize("word", [Word("", "x"), Word("Ada", " ")])
def test_nobody_decides_and_nobody_decides_for_no_reason(own_home, word):
    for decide in (act.approve, act.reject, act.promote):
        with pytest.raises(ConfigError, match="a decision needs --"):
            decide(own_home, "shoppers/2", word)


def test_a_rejected_version_challenges_no_more_and_the_champion_cannot_be_rejected(own_home):
    write_review(own_home, "shoppers/2")
    act.reject(own_home, "shoppers/2", Word("Bo", "too coarse"))
    assert aliases_of(own_home) == {"champion": 1}
    with pytest.raises(ReviewError, match="was taken back"):
        act.approve(own_home, "shoppers/2", ADA)
    with pytest.raises(ReviewError, match="is the champion; replace it first"):
        act.reject(own_home, "shoppers/1", Word("Bo", "old"))
    with pytest.raises(ReviewError, match="no version to go back to"):
        act.roll_back(own_home, "shoppers", ADA)


def test_of_two_reviewers_at_once_the_later_is_told_of_the_earlier(own_home, world):
    with Tracker.start(own_home, "shoppers") as tracker:
        register(tracker, world.bundle, "shoppers")
    outcomes: list[object] = []

    def decide(number: int) -> None:
        try:
            outcomes.append(act.approve(own_home, f"shoppers/{number}", ADA).decision.version)
        except ReviewError as error:
            outcomes.append(str(error))

    for number in (2, 3):
        write_review(own_home, f"shoppers/{number}")
    threads = [threading.Thread(target=decide, args=(number,)) for number in (2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [one for one in outcomes if isinstance(one, int)]
    (refused,) = [one for one in outcomes if isinstance(one, str)]
    assert f"the champion is shoppers/{winner} now" in refused
    assert aliases_of(own_home)["champion"] == winner
    assert actions(own_home)[-1] == ("approve", winner)


def test_a_version_deleted_or_an_alias_moved_by_other_means_is_written_down(own_home):
    client = own_home.client()
    client.set_registered_model_alias("shoppers", "champion", "2")
    assert actions(own_home)[-1] == ("found", 2)
    client.delete_model_version("shoppers", "2")
    found = read_history(own_home, "shoppers")
    assert found.entries[-1].decision.aliases == {"champion": None}
    assert found.entries[-1].decision.reason == "shoppers/2 was deleted while it was champion"
    assert actions(own_home) == actions(own_home)


def test_a_broken_chain_refuses_every_decision_and_moves_nothing(own_home):
    write_review(own_home, "shoppers/2")
    whole = log_file(own_home).read_text()
    lines = whole.splitlines(keepends=True)
    for changed in (whole.replace('"Ada"', '"Eve"'), "".join(lines[:-1]), "".join(lines[1:])):
        log_file(own_home).write_text(changed)
        for decide in (act.approve, act.reject):
            with pytest.raises(ReviewError, match="the log of decisions is broken"):
                decide(own_home, "shoppers/2", ADA)
    assert aliases_of(own_home) == {"challenger": 2, "champion": 1}


def test_a_previous_version_that_does_not_load_never_leads(own_home):
    folder = resolve(own_home, "shoppers/1").folder
    with open_desk(own_home, "shoppers") as desk:
        desk.client.set_registered_model_alias("shoppers", "champion", "2")
        desk.client.set_registered_model_alias("shoppers", "previous", "1")
    (folder / "weights.safetensors").write_bytes(b"damaged")
    with pytest.raises(BundleError, match=r"weights\.safetensors does not match"):
        act.roll_back(own_home, "shoppers", ADA)
    assert aliases_of(own_home)["champion"] == 2


def test_a_bundle_that_answers_differently_does_not_prove_itself(world, tmp_path):
    content = read_bundle(world.bundle)
    golden = dict(content.documents["golden"])
    golden["embeddings"] = [[number + 0.01 for number in row] for row in golden["embeddings"]]
    write_bundle(
        tmp_path / "other", documents=content.documents | {"golden": golden}, arrays=content.arrays
    )
    with pytest.raises(BundleError, match="does not give its golden vectors"):
        prove(tmp_path / "other")
