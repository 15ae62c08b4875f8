"""The tests mirror the source: one folder here for each package of the application."""
