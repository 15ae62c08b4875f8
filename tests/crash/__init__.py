"""Killing the running app, again and again: what it said was done must be there."""
