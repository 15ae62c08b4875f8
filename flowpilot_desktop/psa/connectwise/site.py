"""Where a ConnectWise site is: what was typed, what companyinfo says, and the address of the API.

``GET https://{site}/login/companyinfo/{companyId}`` needs no sign-in and names the host and the
codebase; the codebase moves with every upgrade. Cloud hosts want the prefix ``api-`` for the API
and must not have it in addresses for people. Keys are sent to the host that companyinfo names only
if it belongs to the same owner as the one that was typed.
Source: ConnectWise Developer Network, "Cloud URL formatting" and "Companyinfo".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote, urlsplit

from flowpilot_desktop.core.errors import InvalidInput

_CLOUD = ".myconnectwise.net"
_HOST = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?|\[[0-9a-f:]+\](:\d{1,5})?"
)
_SHARED = re.compile(r"[a-z]{2,3}\.[a-z]{2}")  # co.uk and the like belong to everybody
_CODEBASE = re.compile(r"[\w.]{1,40}/?", re.ASCII)


@dataclass(frozen=True, slots=True)
class SiteAddress:
    """A site as the technician named it: scheme and host, without a path."""

    scheme: str
    host: str

    @classmethod
    def of(cls, typed: str) -> SiteAddress:
        """Read what was typed or pasted; raises InvalidInput when it is no address.

        Plain http is for this machine alone: keys never cross a network in the clear.
        """
        text = typed.strip().lower()
        parts = urlsplit(text if "://" in text else f"https://{text}")
        host = parts.netloc
        if parts.scheme not in ("https", "http") or not _HOST.fullmatch(host):
            raise InvalidInput(
                "The ConnectWise address can't be read.",
                hint="Enter the host name only, such as na.myconnectwise.net.",
            )
        if parts.scheme == "http" and not _is_this_machine(parts.hostname or ""):
            raise InvalidInput(
                "The ConnectWise address begins with http://, which would send the keys in the "
                "clear.",
                hint="Nothing was sent. Enter the host name without http://.",
            )
        return cls(parts.scheme, host)

    def company_info(self, company_id: str) -> str:
        """Return the address that names the API."""
        return f"{self.scheme}://{self.host}/login/companyinfo/{quote(company_id.strip(), safe='')}"

    def ticket(self, ticket_id: str) -> str:
        """Return the address that opens a ticket for a person."""
        host = self.host.removeprefix("api-") if self.host.endswith(_CLOUD) else self.host
        return (
            f"{self.scheme}://{host}/v4_6_release/ConnectWise.aspx"
            f"?routeTo=ServiceFV&recid={ticket_id}"
        )


@dataclass(frozen=True, slots=True)
class ApiAddress:
    """Where the API is, as companyinfo told it."""

    base: str
    version: str
    is_cloud: bool

    @classmethod
    def told(cls, site: SiteAddress, facts: Any) -> ApiAddress | None:
        """Read companyinfo's answer, None when it is none."""
        if not isinstance(facts, dict):
            return None
        codebase = facts.get("Codebase")
        if not isinstance(codebase, str) or not _CODEBASE.fullmatch(codebase):
            return None
        version = facts.get("VersionCode")
        host = _api_host(site.host, facts.get("SiteUrl"))
        return cls(
            base=f"{site.scheme}://{host}/{codebase.rstrip('/')}/apis/3.0/",
            version=version[:60] if isinstance(version, str) else "",
            is_cloud=facts.get("IsCloud") is True or host.endswith(_CLOUD),
        )


def _api_host(typed: str, told: Any) -> str:
    host = typed
    if isinstance(told, str):
        candidate = urlsplit(told.strip().lower() if "://" in told else f"https://{told.lower()}")
        if _HOST.fullmatch(candidate.netloc) and _is_same_owner(typed, candidate.netloc):
            host = candidate.netloc
    if host.endswith(_CLOUD) and not host.startswith("api-"):
        host = f"api-{host}"
    return host


def _is_same_owner(typed: str, told: str) -> bool:
    """Tell whether a host lies in the domain of the typed one, as far as names can tell."""
    if typed == told:
        return True
    left, right = typed.partition(":")[0], told.partition(":")[0]
    if _is_number(left):
        return False
    if left.endswith(_CLOUD):
        return right.endswith(_CLOUD)
    domain = left.partition(".")[2]
    return domain.count(".") >= 1 and not _SHARED.fullmatch(domain) and right.endswith(f".{domain}")


def _is_number(host: str) -> bool:
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
