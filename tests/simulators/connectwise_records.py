"""The records of a simulated ConnectWise site: its tables and what stands in them at first.

Junk included: a status that says "DO NOT USE", a member who left, an API-only member, a work type
for fax machines.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

JsonObject = dict[str, Any]

# Fields that conditions may name, by kind of record. The real server knows more; a condition of
# ours on anything else is a mistake of ours.
FIELDS = {
    "ticket": "id summary board status company site contact contactName type subType owner priority"
    " resources closedFlag parentTicketId mergedParentTicket recordType requiredDate _info",
    "note": "id ticketId text detailDescriptionFlag internalAnalysisFlag resolutionFlag member"
    " contact dateCreated createdBy",
    "time": "id chargeToId chargeToType member timeStart timeEnd notes internalNotes ticket company"
    " status dateEntered",
    "configuration": "id name type status company contact site deviceIdentifier serialNumber"
    " activeFlag",
    "member": "id identifier firstName lastName officeEmail inactiveFlag licenseClass",
    "company": "id identifier name status deletedFlag",
    "contact": "id firstName lastName company inactiveFlag",
    "site": "id name inactiveFlag",
    "board": "id name inactiveFlag projectFlag",
    "status": "id name inactive closedStatus sortOrder board timeEntryNotAllowed",
    "work": "id name inactiveFlag",
    "reference": "id deviceIdentifier",
}


def wire_time(moment: datetime) -> str:
    """Return a moment as ConnectWise writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Tables:
    """Every table by the id of its records."""

    boards: dict[int, JsonObject] = field(default_factory=dict)
    statuses: dict[int, list[JsonObject]] = field(default_factory=dict)
    members: dict[str, JsonObject] = field(default_factory=dict)
    companies: dict[int, JsonObject] = field(default_factory=dict)
    contacts: dict[int, JsonObject] = field(default_factory=dict)
    sites: dict[int, list[JsonObject]] = field(default_factory=dict)
    configurations: dict[int, JsonObject] = field(default_factory=dict)
    work_types: list[JsonObject] = field(default_factory=list)
    work_roles: list[JsonObject] = field(default_factory=list)
    tickets: dict[int, JsonObject] = field(default_factory=dict)
    notes: dict[int, list[JsonObject]] = field(default_factory=dict)
    ticket_configurations: dict[int, list[int]] = field(default_factory=dict)
    entries: list[JsonObject] = field(default_factory=list)
    time_sheets: dict[tuple[str, str], str] = field(default_factory=dict)


def status(ident: int, name: str, sort: int, **flags: Any) -> JsonObject:
    return {
        "id": ident,
        "name": name,
        "sortOrder": sort,
        "inactive": False,
        "closedStatus": False,
        "timeEntryNotAllowed": False,
        "saveTimeAsNote": False,
        **flags,
    }


def full_name(person: JsonObject) -> str:
    """Return first and last name."""
    return f"{person['firstName']} {person['lastName']}"


def reference(record: JsonObject) -> JsonObject:
    """Return what other records say of this one."""
    return {"id": record["id"], "name": record["name"]}


def furnished(now: datetime) -> Tables:
    """Return the records that every site begins with, its tickets excepted."""
    tables = Tables()
    for ident, name, project in (
        (1, "Service Desk", False),
        (2, "Network & Security", False),
        (3, "Projects", True),
    ):
        tables.boards[ident] = {
            "id": ident,
            "name": name,
            "inactiveFlag": False,
            "projectFlag": project,
        }
    tables.statuses = {
        1: [
            status(19, "zz DO NOT USE - old import", 5, inactive=True),
            status(12, "In Progress", 20),
            status(11, "New", 10),
            status(16, "Escalated", 60),
            status(17, "Resolved", 80, closedStatus=True),
            status(18, "Closed (invoiced)", 90, closedStatus=True, timeEntryNotAllowed=True),
            status(15, "Waiting on Vendor", 50, timeEntryNotAllowed=True),
        ],
        2: [
            status(21, "New", 10),
            status(22, "Investigating", 20),
            status(25, "Resolved", 80, closedStatus=True),
        ],
        3: [
            status(31, "Planned", 10),
            status(32, "In Progress", 20),
            status(33, "Completed", 90, closedStatus=True),
        ],
    }
    for ident, identifier, first, last, licence, inactive in (
        (101, "jblake", "Jordan", "Blake", "F", False),
        (102, "pnair", "Priya", "Nair", "F", False),
        (103, "tortega", "Tomás", "Ortega", "F", False),
        (150, "gonebefore", "Gone", "Before", "F", True),
        (190, "rmmsync", "RMM", "Sync", "A", False),
    ):
        tables.members[identifier] = {
            "id": ident,
            "identifier": identifier,
            "firstName": first,
            "lastName": last,
            "licenseClass": licence,
            "officeEmail": f"{first.lower()}@harborpine.example",
            "defaultEmail": "Office",
            "inactiveFlag": inactive,
            "timeZone": {"id": 1, "name": "Central Standard Time"},
            "workRole": {"id": 1, "name": "Technician"},
            "workType": {"id": 1, "name": "Remote"},
        }
    for number, name in enumerate(
        ("Alder Dental Group", "Brightwater Logistics", "Castle & Moore Solicitors")
    ):
        _furnish_company(tables, 501 + number, name, now)
    tables.work_types = [
        {"id": 1, "name": "Remote", "inactiveFlag": False},
        {"id": 2, "name": "On-site", "inactiveFlag": False},
        {"id": 9, "name": "Fax support", "inactiveFlag": True},
    ]
    tables.work_roles = [
        {"id": 1, "name": "Technician", "inactiveFlag": False},
        {"id": 9, "name": "Typist", "inactiveFlag": True},
    ]
    return tables


def _furnish_company(tables: Tables, ident: int, name: str, now: datetime) -> None:
    company = {"id": ident, "identifier": name.split(maxsplit=1)[0], "name": name}
    tables.companies[ident] = {
        **company,
        "phoneNumber": "312-555-0110",
        "website": "client.example",
        "city": "Evanston",
        "types": [{"id": 1, "name": "Managed"}],
        "deletedFlag": False,
    }
    tables.sites[ident] = [
        {
            "id": ident + 100,
            "name": "Main Street",
            "addressLine1": "210 Main Street",
            "addressLine2": None,
            "city": "Evanston",
            "stateReference": {"id": 1, "identifier": "IL", "name": "Illinois"},
            "zip": "60202",
            "phoneNumber": "312-555-0111",
            "inactiveFlag": False,
        }
    ]
    tables.contacts[ident + 200] = {
        "id": ident + 200,
        "firstName": ("Marisol", "Dale", "Eleanor")[ident - 501],
        "lastName": ("Vega", "Kowalski", "Castle")[ident - 501],
        "company": company,
        "title": "Office Manager",
        "inactiveFlag": False,
        "communicationItems": [
            {"id": 1, "communicationType": "Phone", "value": "3125550113", "defaultFlag": True},
            {
                "id": 2,
                "communicationType": "Email",
                "value": "someone@client.example",
                "defaultFlag": True,
            },
        ],
    }
    for offset, device in enumerate(("FRONT-02", "SRV-01")):
        tables.configurations[ident + 300 + offset * 50] = {
            "id": ident + 300 + offset * 50,
            "name": f"{name[:3].upper()}-{device}",
            "type": {"id": 1, "name": "Workstation" if offset == 0 else "Server"},
            "company": company,
            "modelNumber": "OptiPlex 7010",
            "serialNumber": "PX7R2K1",
            "osType": "Windows 11 Pro",
            "osInfo": "23H2",
            "ipAddress": "10.20.1.42",
            "macAddress": "02:00:5E:10:20:42",
            "lastLoginName": "ALDER\\kbrandt",
            "warrantyExpirationDate": wire_time(now + timedelta(days=400)),
            "notes": None,
            "activeFlag": True,
        }
