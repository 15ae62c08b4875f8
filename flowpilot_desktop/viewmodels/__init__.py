"""What a screen knows: QtCore only. See ``viewmodel`` for the contract that all of them keep."""
