"""The pages of the window. Each has a view-model and an idempotent ``_render``."""
