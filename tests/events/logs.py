"""A small log with planted personas that several tests read."""

from segmenter.events.samples import planted_personas

LOG = planted_personas(60, seed=3).events
