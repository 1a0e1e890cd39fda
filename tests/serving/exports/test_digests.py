"""Digests against hashlib, and values that are digests already."""

import base64
import hashlib

import polars as pl
import pytest
from hypothesis import given, strategies as st

from serving.exports.digests import ENCODINGS, Digest, digest_of, is_digest, recoded
from serving.exports.text import digest_algorithms

ALGORITHMS = ("sha256", "sha512", "sha1", "md5")


def written(digest: bytes, encoding: str) -> str:
    if encoding == "base64":
        return base64.b64encode(digest).decode()
    return digest.hex().upper() if encoding == "hex-upper" else digest.hex()


@given(st.lists(st.none() | st.text(), min_size=1))
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_digests_are_those_of_hashlib(algorithm, texts):
    column = pl.Series(texts, dtype=pl.String)
    for encoding in ENCODINGS:
        expected = [
            None
            if text is None
            else written(hashlib.new(algorithm, text.encode()).digest(), encoding)
            for text in texts
        ]
        assert digest_of(column, Digest(algorithm, encoding)).to_list() == expected


@given(st.binary(min_size=32, max_size=32))
def test_a_digest_is_written_in_another_encoding_and_never_hashed_again(raw):
    every = pl.Series([written(raw, encoding) for encoding in ENCODINGS])
    for encoding in ENCODINGS:
        assert set(recoded(every, encoding)) == {written(raw, encoding)}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_digests_are_known_by_their_form(algorithm):
    digest = hashlib.new(algorithm, b"jane@example.com").hexdigest()
    found = digest_algorithms(pl.Series([digest, digest.upper(), digest[:-1] + "g", digest[1:]]))
    assert found.to_list() == [algorithm, algorithm, None, None]


def test_addresses_and_numbers_are_no_digests():
    texts = [
        "jane@example.com",
        "x" * 64,
        "+4915112345678",
        "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
    ]
    assert not is_digest(pl.Series(texts)).any()
    assert is_digest(pl.Series([base64.b64encode(b"x" * 32).decode()])).all()
