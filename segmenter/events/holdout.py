"""Users kept out of learning, the same ones wherever they are looked for."""

import hashlib

import numpy as np

from segmenter.events.store import EventStore


def is_held_out(store: EventStore, share: float) -> np.ndarray:
    """Users kept out of the gradient steps, bool [n_users], by a stable hash of the id.

    Parameters
    ----------
    store
        The events.
    share
        Of users, in [0, 1).
    """
    digests = (
        hashlib.blake2b(user.encode(), digest_size=4, person=b"validation").digest()
        for user in store.user_ids()
    )
    numbers = np.fromiter((int.from_bytes(digest, "big") for digest in digests), dtype=np.uint32)
    return numbers < share * 2**32
