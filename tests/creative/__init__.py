"""Tests of the creative space."""
