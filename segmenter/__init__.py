"""Behavioral audience segments from raw events: the library under the commands."""
