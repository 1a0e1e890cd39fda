"""Tests of what the online service keeps."""
