"""E-mail addresses: the forms that platforms hash, and what is no address.

A form begins with trimmed, visible text in lower case and Unicode form NFC. Five of them exist,
and one address may have five digests: Meta and most others hash the plain form, Google the one
without the dots and suffixes that its mail ignores, UID2 the same for ``gmail.com`` alone, Reddit
drops aliases and punctuation for every domain, and Amazon keeps an alphabet.
"""

import polars as pl

from serving.exports.text import empty_to_null, nulls, text_column, visible, where

GMAIL = "@gmail.com"
GOOGLEMAIL = "@googlemail.com"
MAX_LENGTH = 254  # RFC 5321, section 4.5.3.1.3, without the angle brackets
_LABEL = r"[^\s@.,;:<>()\[\]\x22\\/]+"
VALID = rf"^[^\s@,;:<>()\[\]\x22\\]+@(?:{_LABEL}\.)+[^\s@.,;:<>()\[\]\x22\\/0-9]{_LABEL}$"


def plain(raw: pl.Series) -> pl.Series:
    """Trimmed, in lower case: the form of most platforms, and the start of all others."""
    return empty_to_null(visible(text_column(raw)).str.to_lowercase())


def without_spaces(emails: pl.Series) -> pl.Series:
    """Plain form with every white space inside removed."""
    spaced = emails.str.contains(r"\s")
    return where(emails, spaced, lambda some: some.str.replace_all(r"\s+", ""))


def google(emails: pl.Series) -> pl.Series:
    """Without spaces; of Google's own domains, no dots and no ``+`` suffix; the domain is kept."""
    spaceless = without_spaces(emails)
    own = spaceless.str.ends_with(GMAIL) | spaceless.str.ends_with(GOOGLEMAIL)
    return where(spaceless, own, lambda some: _local_changed(some, r"\+.*|\."))


def uid2(emails: pl.Series) -> pl.Series:
    """Plain form; of ``gmail.com`` alone, no dots and no ``+`` suffix."""
    own = emails.str.ends_with(GMAIL)
    return where(emails, own, lambda some: _local_changed(some, r"\+.*|\."))


def reddit(emails: pl.Series) -> pl.Series:
    """Of every domain: no ``+`` alias, and letters and digits alone before the ``@``."""
    return _local_changed(emails, r"\+.*|[^\p{L}\p{M}\p{N}]")


def amazon(emails: pl.Series) -> pl.Series:
    """Only ``a-z 0-9 . @ -`` are kept; what stood after a ``+`` stays."""
    return emails.str.replace_all(r"[^a-z0-9.@-]", "")


def tiktok_without_suffix(emails: pl.Series) -> pl.Series:
    """Without spaces and without the ``+`` suffix of any domain."""
    return _local_changed(without_spaces(emails), r"\+.*")


def meta(emails: pl.Series) -> pl.Series:
    """Plain form without the dots at either end that Meta's own client strips."""
    return emails.str.strip_chars(" \t\r\n\0\x0b.")


def canonical(emails: pl.Series) -> pl.Series:
    """One form for one mailbox, to recognise people who are to be left out."""
    return google(emails).str.replace(r"@googlemail\.com$", GMAIL)


def email_reasons(emails: pl.Series) -> pl.Series:
    """Why an address cannot be one, null where it can or where there is none.

    Parameters
    ----------
    emails
        String [n], in a destination's form.
    """
    fine = emails.str.contains(VALID) & (emails.str.len_chars() <= MAX_LENGTH)
    reasons = nulls(len(emails))
    bad = ~fine & emails.is_not_null()
    return where(reasons, bad, lambda _: _reasons(emails.filter(bad)))


def _reasons(bad: pl.Series) -> pl.Series:
    email = pl.col("email")
    n_ats = email.str.count_matches("@", literal=True)
    reason = (
        pl.when(email.str.len_chars() > MAX_LENGTH)
        .then(pl.lit("e-mail too long"))
        .when(n_ats != 1)
        .then(pl.lit("e-mail without exactly one @"))
        .when(email.str.contains(r"\s"))
        .then(pl.lit("e-mail with white space inside"))
        .when(email.str.starts_with("@"))
        .then(pl.lit("e-mail with nothing before the @"))
        .when(~email.str.contains(rf"@(?:{_LABEL}\.)+{_LABEL}$"))
        .then(pl.lit("e-mail without a domain"))
        .otherwise(pl.lit("e-mail with a character that is not allowed"))
    )
    return pl.DataFrame({"email": bad}).select(reason.alias("reason")).to_series()


def _local_changed(emails: pl.Series, removed: str) -> pl.Series:
    """Remove what matches before the first ``@`` and keep what follows."""
    columns = pl.DataFrame({"email": emails}).select(
        pl.col("email").str.splitn("@", 2).struct.unnest()
    )
    local, domain = columns.to_series(0), columns.to_series(1)
    changed = pl.DataFrame({"local": local.str.replace_all(removed, ""), "domain": domain})
    joined = pl.concat_str("local", pl.lit("@"), "domain")
    return changed.select(
        pl.when(pl.col("domain").is_null()).then("local").otherwise(joined).alias("email")
    ).to_series()
