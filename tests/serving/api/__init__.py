"""Tests of the online service."""
