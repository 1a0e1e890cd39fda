"""What the commands of ``segmenter creative`` print for people."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from serving.space_views import table_of, told

if TYPE_CHECKING:
    from segmenter.creative.bias import SearchAudit
    from segmenter.creative.causes import Naming
    from segmenter.creative.drift import BrandDrift
    from segmenter.creative.index import Indexed
    from segmenter.creative.refresh import Refresh
    from segmenter.creative.search import Hits
    from segmenter.creative.spectra import PictureSpectrum
    from segmenter.space.latent_space import LatentSpace

N_REASONS = 5


def index_lines(found: "Indexed", encoder: Mapping[str, str]) -> Iterator[str]:
    """What was read and what was not."""
    yield (
        f"{found.n_pictures:,} pictures and {found.n_texts:,} texts, {found.n_new:,} of them new; "
        f"{found.n_near_duplicates:,} pictures are near duplicates; "
        f"encoder {encoder['name']} ({encoder['family']}, weights {encoder['weights'][:8]})"
    )
    if len(found.set_aside):
        yield f"{len(found.set_aside):,} files are set aside:"
        for file, reason in found.set_aside.head(N_REASONS).iter_rows():
            yield f"  {file}: {reason}"


def readability_table(readability: Mapping[str, Mapping[str, Any]]) -> Table:
    """What the encoder sees of each tag."""
    table = table_of("What the encoder sees", ["tag", "seen", "figure", "chance", "pictures"])
    for name, reading in readability.items():
        unit = "r" if reading["is_number"] else "AUC"
        table.add_row(
            Text(name),
            "yes" if reading["readable"] else "no",
            f"{reading['figure']:.2f} {unit}",
            "0" if reading["is_number"] else ".50",
            f"{reading['n']:,}",
        )
    return table


def hits_table(title: str, members: "LatentSpace", hits: "Hits") -> Table:
    """One list of hits."""
    known = [name for name in ("region", "date", "on_brand") if name in members.metadata.columns]
    table = table_of(title, ["asset", *known, "score", "z"], texts=1 + len(known))
    rows = members.rows(hits.ids)
    for place, row in enumerate(rows.tolist()):
        values = [str(members.metadata[name][row] or "-") for name in known]
        figures = f"{hits.scores[place]:.3f}", f"{hits.z[place]:.1f}"
        table.add_row(*map(Text, (hits.ids[place], *values)), *figures)
    return table


def hits_lines(hits: "Hits") -> Iterator[str]:
    """What a list is worth."""
    if hits.stands_out is False:
        yield "Nothing stands out: texts about nothing in particular score as high here."
    for rate in hits.rates:
        name = f"{rate.tag} {rate.value}"
        yield f"{name}: {rate.hits:.0%} of the hits, {rate.library:.0%} of the list"


def spectrum_table(found: "PictureSpectrum") -> Table:
    """The pictures in order."""
    table = table_of(f"{found.poles[0]} to {found.poles[1]}", ["asset", "position"])
    for one, position in zip(found.ids, found.steps.positions.tolist(), strict=True):
        table.add_row(Text(one), f"{position:+.2f}")
    return table


def spectrum_lines(found: "PictureSpectrum") -> Iterator[str]:
    """The figures beside those of random pictures."""
    steps, control = found.steps, found.control
    yield (
        f"Largest step {steps.largest_step:.2f} (random {control.largest_step:.2f}); range used "
        f"{steps.range_used:.2f}; rest apart {steps.apart:.2f} (random {control.apart:.2f})"
    )
    if found.changes:
        parts = [f"{name} {one:.2f} ({two:.2f})" for name, (one, two) in found.changes.items()]
        yield f"Changes per step, in brackets random: {', '.join(parts)}"
    if found.tag is None:
        yield "No tag tells whether the encoder sees what the poles say: look yourself."


def drift_table(study: "BrandDrift") -> Table:
    """Groups, the farthest first."""
    table = table_of(
        f"Drift from the flagged assets by {study.by}",
        [study.by, "assets", "flagged", "drift", "kept distance", "raw (control)"],
    )
    for place in study.measured.groups:
        table.add_row(
            Text(place.name),
            f"{place.n_members:,}",
            f"{place.n_targets:,}",
            told(place.drift),
            f"{place.kept:.3f}",
            f"{place.raw:.3f}",
        )
    return table


def drift_lines(study: "BrandDrift") -> Iterator[str]:
    """What may be said of the differences, and of the reasons."""
    measured = study.measured
    yield from (f"Note: {warning}" for warning in study.warnings)
    yield f"The same order in {measured.order_stability:.0%} of resamples."
    for one in measured.differences:
        verdict = "differ" if one.different else "cannot be told apart"
        yield (
            f"{one.one} and {one.other} {verdict}: {one.difference.value:+.2f}, "
            f"where {one.margin:.2f} would be a difference"
        )
    if measured.local_error is not None:
        yield (
            f"That margin holds an error of {measured.local_error:.2f} from what is local, as "
            f"seen on {measured.n_controls} known values."
        )
    for reason in study.reasons:
        yield f"{reason.name}: toward the brand is {naming_line(reason.naming)}"
        if reason.periods:
            years = (f"{one.year} {one.drift.value:.2f}" for one in reason.periods)
            yield f"  over the years: {', '.join(years)}"


def naming_line(naming: "Naming") -> str:
    """A direction in words."""
    signs = [f"{'more' if one.strength > 0 else 'less'} {one.word}" for one in naming.causes]
    line = ", ".join(signs) or "nothing that a readable tag names"
    if naming.unchecked:
        line += f"; unchecked: {', '.join(one.word for one in naming.unchecked[:3])}"
    if naming.left_out:
        line += f"; not seen: {', '.join(naming.left_out)}"
    return line


def refresh_table(found: "Refresh") -> Table:
    """What each direction does."""
    table = table_of(
        f"Refresh of {found.region}", ["direction", "gap closed", "own look kept", "on the data"]
    )
    for one in found.directions:
        table.add_row(
            one.name, f"{one.gap_closed:.2f}", f"{one.own_look_kept:.2f}", f"{one.on_the_data:.2f}"
        )
    return table


def audit_table(found: "SearchAudit") -> Table:
    """Who is at the top of searches."""
    table = table_of(
        f"{found.tag} in the first {found.k} of {found.n_pictures:,}",
        ["value", "share expected", "gap", "largest skew", "p", "gap when re-ranked"],
    )
    for group in found.groups:
        before = group.before
        table.add_row(
            Text(group.value),
            f"{before.base:.2f}",
            f"{before.gap:+.3f}",
            f"{before.skew:.3f}",
            f"{before.p:.4f}",
            f"{group.after.gap:+.3f}",
        )
    return table
