"""The runner of test vectors, on the vectors of the specification where they are there."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from segmenter.errors import SourceError
from serving.exports.vectors import check, main, read_vectors

ROOT = Path(__file__).resolve().parents[3]
PUBLISHED = ROOT / ".." / "shared" / "specs" / "ad-platform-vectors.json"


def row(platform, field, forms, *, algorithm="sha256", digest=None, **more):
    text, normalised = forms
    if digest is None and normalised is not None:
        digest = hashlib.new(algorithm, normalised.encode()).hexdigest()
    return {
        "platform": platform,
        "field": field,
        "input": text,
        "normalised": normalised,
        "hash": digest,
        "encoding": "hex-lower",
        "algorithm": algorithm,
    } | more


GOOD = [
    row("google_data_manager", "email", ("J.Doe+x@GoogleMail.com", "jdoe@googlemail.com")),
    row("google_dv360", "hashedEmails", ("J.Do e@Gmail.com", "j.doe@gmail.com")),
    row("meta", "PHONE", ("+44 20 7946 0958", "442079460958")),
    row("meta", "PHONE", ("0171 1234567", "491711234567"), country="DE"),
    row("tiktok", "PHONE_SHA256", ("+1 415 555 2671", "+14155552671")),
    row("tiktok", "EMAIL_SHA256", ("J.Doe+x@Example.com", "j.doe@example.com")),
    row("uid2", "email", ("J.Doe+x@googlemail.com", "j.doe+x@googlemail.com")),
    row("reddit", "EMAIL_SHA256", ("j_d-o.e+1@Example.com", "jdoe@example.com")),
    row("amazon_ads", "email", ("vadera.rajul+segment@x.com", "vadera.rajulsegment@x.com")),
    row("liveramp", "phone", ("+1 (415) 555-2671", "4155552671"), algorithm="sha1"),
    row("x_twitter", "handle", (" @TwitterDev", "twitterdev")),
    row("pinterest", "email", (" A@B.co", "a@b.co"), algorithm="md5"),
    row("linkedin", "SHA256_EMAIL", ("f" * 64, "f" * 64), digest="f" * 64),
    row("linkedin", "SHA256_EMAIL", ("F" * 64, "f" * 64), digest="f" * 64),
    row("meta", "APPUID", (" 1234 ", "1234")),
    row("google_ads_customer_match", "third_party_user_id", ("u-1", "u-1")),
    row("snapchat", "EMAIL_SHA256", ("no address", None)),
]


def test_rules_hold_beyond_the_published_vectors():
    assert [outcome.row for outcome in check(GOOD) if not outcome.passed] == []


@pytest.mark.parametrize("changed", [{"normalised": "x"}, {"hash": "0" * 64}, {"field": "shoe"}])
def test_a_wrong_row_fails(changed):
    (outcome,) = check([GOOD[0] | changed])
    assert not outcome.passed


def test_a_row_of_a_platform_that_is_not_known_fails():
    (outcome,) = check([GOOD[0] | {"platform": "myspace"}])
    assert not outcome.passed


def test_the_command_prints_failing_rows_and_closes_with_counts(tmp_path, capsys):
    file = tmp_path / "vectors.json"
    file.write_text(json.dumps([*GOOD, GOOD[0] | {"normalised": "wrong"}]))
    assert main([str(file)]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("failed: {'platform': 'google_data_manager', 'field': 'email'")
    assert printed[-1] == f"{len(GOOD)} passed, 1 failed"


@pytest.mark.parametrize("text", ["", "{}", '[{"platform": "meta"}]'])
def test_a_file_of_another_form_is_refused(tmp_path, text):
    (tmp_path / "vectors.json").write_text(text)
    with pytest.raises(SourceError, match=r"vectors\.json"):
        read_vectors(tmp_path / "vectors.json")


def test_every_published_vector_is_reproduced():
    if not PUBLISHED.exists():
        pytest.skip("the specification is not on this machine")
    command = [sys.executable, "-m", "serving.exports.vectors", str(PUBLISHED)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - our own module
    n_rows = len(json.loads(PUBLISHED.read_text()))
    assert done.stdout.splitlines()[-1] == f"{n_rows} passed, 0 failed", done.stdout + done.stderr
    assert done.returncode == 0
