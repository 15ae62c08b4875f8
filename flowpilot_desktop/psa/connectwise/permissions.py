"""Which row of a ConnectWise security role an endpoint needs, in the words of its screen.

System → Security Roles → (the API member's role). A refusal that names the row can be mended by
an administrator in a minute; "403" cannot.
"""

from __future__ import annotations

import re

_LEVELS = {"GET": "Inquire", "POST": "Add", "PATCH": "Edit"}

# The first pattern that matches decides. `{}` is the level that the method needs.
_ROWS: tuple[tuple[str, str], ...] = (
    (r"service/tickets/search", "Service Desk → Service Tickets: Inquire"),
    (r"project/tickets.*/notes", "Project → Project Tickets: {}"),
    (r"service/tickets.*/notes", "Service Desk → Service Tickets: {}"),
    (r"service/tickets", "Service Desk → Service Tickets: {}"),
    (r"project/tickets", "Project → Project Tickets: {}"),
    (r"time/entries/defaults", "Time & Expense → Time Entry: Add"),
    (r"time/entries", "Time & Expense → Time Entry: {} (level All)"),
    (r"company/configurations", "Companies → Configurations: {}"),
    (r"company/contacts", "Companies → Contacts: {}"),
    (r"company/companies", "Companies → Company Maintenance: {}"),
    (r"service/boards", "System → Table Setup: {} (Service / Service Board)"),
    (r"time/work", "System → Table Setup: {} (Time / Work Type, Work Role)"),
    (r"system/(info/)?members", "System → Member Maintenance: {}"),
    (r"system/myMembers", "System → My Account: {}"),
)


def role_row(method: str, path: str) -> str:
    """Return the row and level that a request needs, such as "Time & Expense → Time Entry: Add"."""
    for pattern, row in _ROWS:
        if re.match(pattern, path):
            return row.format(_LEVELS.get(method, "All"))
    return "System → API access"
