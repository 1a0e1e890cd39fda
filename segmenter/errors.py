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
    * `ExportRefusedError`: an audience must not leave: small, sensitive, stale, not the champion
    * `OutputError`: a result cannot be written where it was asked for
    * `SpaceError`: embeddings cannot answer what was asked of them
        * `SeedError`: a seed list is too small, or says nothing about who else belongs to it
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


class ExportRefusedError(SegmenterError):
    """An audience must not leave: too small, sensitive, stale, or not by the champion."""


class OutputError(SegmenterError):
    """A result cannot be written where it was asked for."""


class SpaceError(SegmenterError):
    """Embeddings cannot answer what was asked of them."""


class SeedError(SpaceError):
    """A seed list is too small, or says nothing about who else belongs to it."""


class UnreadableError(SpaceError):
    """The embeddings do not tell what an answer would have to rest on."""


class CreativeError(SegmenterError):
    """A creative library or its space cannot be used."""


class EncoderError(CreativeError):
    """A checkpoint of images and texts is missing, unsafe or answers wrongly."""


class ExtraMissingError(CreativeError):
    """The libraries of an optional extra are not installed."""
