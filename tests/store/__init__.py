"""Tests of the local store, on real SQLite files."""
