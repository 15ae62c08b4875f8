"""What a technician can do, as plain async Python: no toolkit, no adapter.

``engine`` is the face that screens and tests use; the others each hide one decision: which mind
thinks of the next card (``assistant``), how documentation lands exactly once
(``documentation_push``), whose time runs (``timekeeping``), where tickets come from (``tickets``).
"""
