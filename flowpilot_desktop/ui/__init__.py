"""What a screen looks like: the only QtWidgets. ``theme`` first, ``window`` holds the pages."""
