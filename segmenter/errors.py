"""Every error that the product raises on purpose.

A message names what was found and the option or step that mends it. The tree:

* `SegmenterError`
    * `InputError`: a raw event log cannot be used
        * `SourceError`: a file is missing, empty, unreadable or of another form than said
        * `ColumnError`: a required column is missing or has an unusable type
        * `NoUsableRowsError`: every row was set aside
    * `ConfigError`: an option or a configuration file is wrong
    * `StoreError`: a folder is no complete, undamaged event store of a known format
    * `FitError`: the data cannot carry the model that was asked for
    * `BundleError`: a folder is no complete, undamaged model bundle of a known format
    * `RegistryError`: the MLflow home, a model, a version or an alias is missing or damaged
    * `ReviewError`: a decision about a version is refused, or the log of decisions is broken
    * `ExportRefusedError`: an audience must not leave: small, sensitive, stale, not the champion
    * `LedgerError`: the ledger of exports is damaged, in use, or does not allow what was asked
    * `DeliveryError`: a receiver of payloads refuses them or stays away
    * `OutputError`: a result cannot be written where it was asked for
    * `StateError`: what is kept of a user cannot be gone on with
        * `StateUnreachableError`: where it is kept cannot be read or written now
    * `SpaceError`: embeddings cannot answer what was asked of them
        * `SeedError`: a seed list is too small, or says nothing about who else belongs to it
        * `SegmentTooSmallError`: too few users to describe without describing one of them
        * `UnreadableError`: the embeddings do not tell what an answer would have to rest on
    * `CreativeError`: a creative library or its space cannot be used
        * `EncoderError`: a checkpoint of images and texts is missing, unsafe or answers wrongly
        * `ExtraMissingError`: the libraries of an optional extra are not installed
"""


class SegmenterError(Exception):
    """Base of every deliberate error; the command line prints its message and exits with 1."""


class InputError(SegmenterError):
    """A raw event log cannot be used."""


class SourceError(InputError):
    """A file is missing, empty, unreadable or of another form than said."""


class ColumnError(InputError):
    """A required column is missing or has an unusable type."""


class NoUsableRowsError(InputError):
    """Every row of the input was set aside."""


class ConfigError(SegmenterError):
    """An option or a configuration file is wrong."""


class StoreError(SegmenterError):
    """A folder is no complete, undamaged event store of a known format."""


class FitError(SegmenterError):
    """The data cannot carry the model that was asked for."""


class BundleError(SegmenterError):
    """A folder is no complete, undamaged model bundle of a known format."""


class RegistryError(SegmenterError):
    """The MLflow home, a model, a version or an alias is missing or damaged."""


class ReviewError(SegmenterError):
    """A decision about a version is refused, or the log of decisions is broken."""


class ExportRefusedError(SegmenterError):
    """An audience must not leave: too small, sensitive, stale, or not by the champion."""


class LedgerError(SegmenterError):
    """The ledger of exports is damaged, in use, or does not allow what was asked."""


class DeliveryError(SegmenterError):
    """A receiver of payloads refuses them or stays away."""


class OutputError(SegmenterError):
    """A result cannot be written where it was asked for."""


class StateError(SegmenterError):
    """What is kept of a user cannot be gone on with."""


class StateUnreachableError(StateError):
    """Where users' histories are kept cannot be read or written now."""


class SpaceError(SegmenterError):
    """Embeddings cannot answer what was asked of them."""


class SeedError(SpaceError):
    """A seed list is too small, or says nothing about who else belongs to it."""


class SegmentTooSmallError(SpaceError):
    """Too few users to describe without describing one of them."""


class UnreadableError(SpaceError):
    """The embeddings do not tell what an answer would have to rest on."""


class CreativeError(SegmenterError):
    """A creative library or its space cannot be used."""


class EncoderError(CreativeError):
    """A checkpoint of images and texts is missing, unsafe or answers wrongly."""


class ExtraMissingError(CreativeError):
    """The libraries of an optional extra are not installed."""
