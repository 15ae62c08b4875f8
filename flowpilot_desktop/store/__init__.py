"""The local store: SQLite behind one door, ``Store``; nobody outside sees SQL or threads.

``store`` is the door and its thread, ``opening`` what happens before and after, ``recovery`` what
happens to a damaged file, ``backups`` the copies, ``profile`` the folder and its lock,
``migrating`` and ``migrations`` the schema's versions, ``tables`` the schema and the way of each
noun into it, ``documents`` nouns as JSON, ``history`` and ``search`` lists and full text,
``connection`` SQLite itself.
"""

from flowpilot_desktop.store.opening import OpenReport
from flowpilot_desktop.store.store import Store

__all__ = ["OpenReport", "Store"]
