"""The recurrence of one user, in blocks: many short steps cost more than few wide ones."""

import math

import numpy as np


def scan(keep: np.ndarray, new: np.ndarray) -> np.ndarray:
    """``state[t] = keep[t] * state[t - 1] + new[t]`` along the first axis; the start state is 0.

    The steps are cut into about as many blocks as a block has steps. All blocks are scanned at
    once as if each began with state 0; what each hands on to the next is then added.

    Parameters
    ----------
    keep, new
        float32 [T, ...].

    Returns
    -------
    numpy.ndarray
        float32 [T, ...].
    """
    n_steps = len(new)
    width = max(1, math.isqrt(n_steps))
    n_blocks = -(-n_steps // width)
    before = n_blocks * width - n_steps
    kept, states = (_in_blocks(part, before, (n_blocks, width)) for part in (keep, new))
    for step in range(1, width):
        states[step] += kept[step] * states[step - 1]
        kept[step] *= kept[step - 1]
    for block in range(1, n_blocks):
        states[:, block] += kept[:, block] * states[-1, block - 1]
    return states.swapaxes(0, 1).reshape(n_blocks * width, *new.shape[1:])[before:]


def _in_blocks(part: np.ndarray, before: int, shape: tuple[int, int]) -> np.ndarray:
    """Steps as [width, blocks, ...], after some empty ones; a copy."""
    whole = np.zeros((part.shape[0] + before, *part.shape[1:]), dtype=part.dtype)
    whole[before:] = part
    return np.ascontiguousarray(whole.reshape(*shape, *part.shape[1:]).swapaxes(0, 1))
