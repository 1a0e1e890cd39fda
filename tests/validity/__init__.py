"""Tests of the validity room."""
