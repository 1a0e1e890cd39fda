"""Tests of the product, one folder per room."""
