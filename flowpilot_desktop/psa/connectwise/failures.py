"""What a failed exchange with ConnectWise means, and the words for it.

Everything that httpx raises is translated here once: before the server was reached nothing can have
been stored, later nobody knows. What ConnectWise says with a status is read here too, its own JSON
(``{code, message, errors}``), the rate limiter's (``{error, message}``), web pages and nothing.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn

import httpx

from flowpilot_desktop.core.errors import (
    PsaForbidden,
    PsaNotFound,
    PsaRefused,
    PsaSignInRefused,
    PsaUnclear,
    PsaUnreachable,
)
from flowpilot_desktop.core.ticket import cleaned
from flowpilot_desktop.psa.connectwise.permissions import role_row

LOOKING_HINT = "FlowPilot looks on the ticket whether it arrived before trying again."
WEB_PAGE_HINT = (
    "Nothing was changed. A sign-in page of the network (hotel, guest Wi-Fi), a proxy or "
    "maintenance at ConnectWise can cause this. Open any web page to check, then try again."
)
FINAL = frozenset({400, 401, 403, 404, 405, 409, 415})
"""Statuses with which ConnectWise, or what stands before it, says no for good."""

_WORDS_LIMIT = 400
_DEFAULT_RETRY_AFTER = 30.0
_LONGEST_RETRY_AFTER = 3_600.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, as bytes."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def is_success(self) -> bool:
        """Tell whether the status says that it worked."""
        return 200 <= self.status < 300  # noqa: PLR2004 - the meaning of 2xx

    @property
    def is_web_page(self) -> bool:
        """Tell whether this is a page for people: a proxy's, Cloudflare's, a hotel's."""
        return str(self.headers.get("content-type", "")).lower().startswith("text/html")

    def json(self) -> Any:
        """Return the body read as JSON; ValueError for anything else."""
        try:
            return json.loads(self.body)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error

    def understood(self) -> Any:
        """Return the body read as JSON; raises PsaUnreachable for a web page and the like."""
        try:
            return self.json()
        except ValueError as error:
            raise PsaUnreachable(
                "Instead of ConnectWise, something answered with a web page or with data that "
                "can't be read.",
                hint=WEB_PAGE_HINT,
            ) from error

    @property
    def is_final(self) -> bool:
        """Tell whether the status is a no for good.

        Beyond the listed ones a 4xx is a no only in ConnectWise's own words; 408 never is one.
        """
        if self.status in FINAL:
            return True
        return 400 < self.status < 500 and self.status not in (408, 429) and bool(self.refusal()[0])  # noqa: PLR2004

    @property
    def said(self) -> str:
        """What ConnectWise said, as a sentence for people."""
        _, words = self.refusal()
        return f"ConnectWise answered {self.status}" + (f": {words}" if words else ".")

    def refusal(self) -> tuple[str, str]:
        """Return ConnectWise's code and words, empty if this is not its own way to say no."""
        try:
            said = self.json()
        except ValueError:
            return "", ""
        if not isinstance(said, dict):
            return "", ""
        code = said.get("code") if isinstance(said.get("code"), str) else ""
        parts = [said.get("message") or said.get("error")]
        errors = said.get("errors")
        for error in errors if isinstance(errors, list) else ():
            if isinstance(error, dict):
                field = error.get("field")
                words = error.get("message")
                parts.append(f"{field}: {words}" if field and words else words)
        words = " ".join(cleaned(part, _WORDS_LIMIT) for part in parts if isinstance(part, str))
        return code or "", " ".join(words.split())[: 2 * _WORDS_LIMIT]


class TooLargeError(Exception):
    """An answer that is larger than anything FlowPilot asks for."""


@contextmanager
def translated(*, writing: bool) -> Iterator[None]:
    """Turn what httpx raises into ours: before the server, or anything later."""
    try:
        yield
    except (
        httpx.ConnectError,
        httpx.ConnectTimeout,
        httpx.PoolTimeout,
        httpx.ProxyError,
        httpx.UnsupportedProtocol,
    ) as error:
        raise PsaUnreachable(_why_unreachable(error), hint=_hint_for(error)) from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError, TooLargeError) as error:
        if writing:
            raise PsaUnclear(
                "The connection to ConnectWise broke while sending, and nobody knows yet whether "
                "it arrived.",
                hint=LOOKING_HINT,
            ) from error
        if isinstance(error, TooLargeError):
            raise PsaUnreachable(
                "ConnectWise's answer is larger than FlowPilot reads.", retryable=False
            ) from error
        if isinstance(error, TimeoutError | httpx.TimeoutException):
            raise PsaUnreachable("ConnectWise did not answer in time.") from error
        raise PsaUnreachable("The connection to ConnectWise broke.") from error


def _why_unreachable(error: Exception) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return "ConnectWise did not answer in time."
    if isinstance(error, httpx.ProxyError):
        return "The proxy of this network refused the connection to ConnectWise."
    if _is_about_certificates(error):
        return "ConnectWise's certificate is not trusted by this computer."
    return "No connection to ConnectWise."


def _hint_for(error: Exception) -> str | None:
    if _is_about_certificates(error):
        return (
            "Nothing was sent. If the server has a certificate of your own authority, name its "
            "CA file in Settings → Integrations."
        )
    return None


def _is_about_certificates(error: BaseException) -> bool:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return "CERTIFICATE_VERIFY_FAILED" in str(seen)
        seen = seen.__cause__ or seen.__context__
    return "CERTIFICATE_VERIFY_FAILED" in str(error)


def refuse(method: str, path: str, answer: Answer) -> NoReturn:
    """Raise what a final refusal means."""
    code, words = answer.refusal()
    status = answer.status
    said = f"ConnectWise said: {words}" if words else f"ConnectWise answered {status}."
    about_client = "clientid" in f"{code} {words}".lower()
    if status == httpx.codes.UNAUTHORIZED or (status == httpx.codes.FORBIDDEN and about_client):
        raise PsaSignInRefused(
            said,
            status=status,
            words=words,
            hint="Check the client id in Settings → Integrations." if about_client else None,
        )
    if status == httpx.codes.FORBIDDEN:
        row = role_row(method, path)
        raise PsaForbidden(
            f"{said} The API member's security role lacks “{row}”.",
            status=status,
            words=words,
            hint=f"Ask an administrator of ConnectWise for “{row}” in that role."
            + ("" if code else " If the role has it, a firewall on the way may have refused."),
        )
    if status == httpx.codes.NOT_FOUND:
        raise PsaNotFound(said, status=status, words=words)
    if code == "Security" and "ssl" in words.lower():
        raise PsaRefused(
            said,
            status=status,
            words=words,
            hint="The address is the one for browsers. Check the site in Settings → "
            "Integrations; the API of a cloud is at api-….myconnectwise.net.",
        )
    raise PsaRefused(said, status=status, words=words)


def retry_after(value: str, now: datetime) -> float:
    """Return the seconds of a Retry-After header, which may also be a date."""
    value = value.strip()
    seconds = _DEFAULT_RETRY_AFTER
    if re.fullmatch(r"\d{1,9}(\.\d+)?", value, re.ASCII):
        seconds = float(value)
    elif value:
        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            return seconds
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (moment - now).total_seconds()
    return min(max(seconds, 1.0), _LONGEST_RETRY_AFTER)


def printable(value: str) -> str:
    """Return what of a text may stand in a header or a log line."""
    return "".join(char for char in value if char.isascii() and char.isprintable())[:100].strip()
