"""Every destination, a file each; a new one costs its file and one line here."""

from segmenter.errors import ConfigError
from serving.exports.destination import Destination
from serving.exports.destinations import (
    amazon,
    criteo,
    dv360,
    generic_csv,
    google_ads_api,
    google_ads_csv,
    google_data_manager,
    linkedin,
    linkedin_csv,
    liveramp,
    meta,
    microsoft,
    pinterest,
    reddit,
    snap,
    spotify,
    the_trade_desk,
    tiktok,
    tiktok_api,
    uid2,
    webhook,
    x,
    yahoo,
)

MODULES = (
    google_data_manager,
    google_ads_csv,
    google_ads_api,
    dv360,
    meta,
    tiktok,
    tiktok_api,
    linkedin,
    linkedin_csv,
    pinterest,
    snap,
    x,
    reddit,
    microsoft,
    amazon,
    the_trade_desk,
    uid2,
    liveramp,
    yahoo,
    criteo,
    spotify,
    generic_csv,
    webhook,
)
DESTINATIONS: dict[str, Destination] = {
    module.DESTINATION.name: module.DESTINATION for module in MODULES
}


def destination_of(name: str) -> Destination:
    """A destination by its name.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    if name not in DESTINATIONS:
        message = (
            f"--to must name a destination; found {name}; there are {', '.join(DESTINATIONS)}"
        )
        raise ConfigError(message)
    return DESTINATIONS[name]
