"""Tests of the comparison of segments."""
