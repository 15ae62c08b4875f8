"""Requests to a ConnectWise site: sign-in, limits, and the meaning of every way to fail.

Reading and writing differ in one thing above all: a read may be repeated, a write never is.

- A **read** is tried up to three times: after 429 (waiting as long as Retry-After says, if that is
  bearable), after a gateway's 502, 503, 504 or Cloudflare's 520 to 524, and after a connection that
  broke. Whatever else keeps a read from its answer is `PsaUnreachable`: nothing was changed.
- A **write** leaves once. Never reached the server, or 429: `PsaNotSent`. ConnectWise said no:
  `PsaRefused`. Anything else: `PsaUnclear`, for the record may have been stored.

A 404 has three meanings: no such record; the codebase moved with an upgrade; or, on cloud, wrong
keys. Unless the keys were proven a moment ago and ConnectWise itself is speaking, companyinfo is
asked again and then the keys are tried.

Only paths, statuses, durations and request ids are logged: conditions and bodies carry what
strangers and technicians wrote.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn

import httpx
import truststore

from flowpilot_desktop.core.counting import counted
from flowpilot_desktop.core.errors import (
    InvalidInput,
    PsaError,
    PsaNotSent,
    PsaRateLimited,
    PsaSignInRefused,
    PsaUnclear,
    PsaUnreachable,
)
from flowpilot_desktop.core.ports import Clock
from flowpilot_desktop.core.ticket import PsaConnection
from flowpilot_desktop.psa.connectwise.failures import (
    LOOKING_HINT,
    WEB_PAGE_HINT,
    Answer,
    TooLargeError,
    printable,
    refuse,
    retry_after,
    translated,
)
from flowpilot_desktop.psa.connectwise.site import ApiAddress, SiteAddress
from flowpilot_desktop.psa.registry import PsaKeys

CLIENT_ID = "7d1c9a54-3b0e-4f62-9a8d-5c2e1f7b6a90"
"""FlowPilot's own client id; every connection can name another."""

API_VERSION = "2025.1"
"""The version that pins ConnectWise's models."""

BODY_LIMIT = 8 * 1024 * 1024
"""Bytes of an answer that are read; nothing that FlowPilot asks for is larger."""

URL_LIMIT = 1_700
"""Characters of an address; ConnectWise cuts or refuses longer ones."""

CONCURRENCY = 16
"""Requests at a time: a whole ticket's context goes out at once, far below 1,000 a minute."""

_CONNECT_SECONDS = 10.0
_READ_SECONDS = 20.0
_WRITE_SECONDS = 60.0  # patience costs nothing, and an unclear write costs a minute
_READ_TRIES = 3
_PATIENCE_SECONDS = 20.0  # how long a read waits for a rate limit to pass
_BACKOFF_SECONDS = (0.3, 1.0)
_PROVEN_SECONDS = 60.0
_GATEWAY = frozenset({502, 503, 504, *range(520, 525)})
_SAID_BY_PAGES = frozenset({401, 404})  # the web server before ConnectWise may say these itself
_WHO_AM_I = "system/myMembers/info"
_ANONYMOUS = {"Accept": "application/json", "User-Agent": "FlowPilot Desktop"}
_WORTH_A_TRY = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)

log = logging.getLogger(__name__)
# These log whole addresses, with what was searched for in them, and headers, with the keys.
for _talkative in ("httpx", "httpcore"):
    logging.getLogger(_talkative).setLevel(logging.WARNING)


class Wire:
    """Carries requests to one site. Makes its client in a worker thread with the first request.

    Raises InvalidInput for a connection that can't be used.
    """

    def __init__(
        self,
        connection: PsaConnection,
        keys: PsaKeys,
        clock: Clock,
        *,
        api_version: str = "",
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.site = SiteAddress.of(connection.site)
        self.clock_skew: float | None = None
        self._company_id = connection.company_id.strip()
        if not self._company_id:
            raise InvalidInput(
                "The company id is missing.",
                hint="Enter it in Settings → Integrations; it is the one that people type when "
                "they sign in.",
            )
        self._ca_file = connection.ca_file
        self._auth = httpx.BasicAuth(f"{self._company_id}+{keys.public}", keys.private)
        self._headers = {
            **_ANONYMOUS,
            "clientId": printable(connection.client_id) or CLIENT_ID,
            "Accept": "application/vnd.connectwise.com+json; version="
            + (printable(api_version) or API_VERSION),
        }
        self._clock = clock
        self._transport = transport
        self._sleep = sleep
        self._client: httpx.AsyncClient | None = None
        self._api: ApiAddress | None = None
        self._making = asyncio.Lock()
        self._discovering = asyncio.Lock()
        self._failures = 0
        self._failure: PsaError | None = None
        self._places = asyncio.Semaphore(CONCURRENCY)
        self._resume_at = 0.0
        self._proven_at: float | None = None

    @property
    def version(self) -> str:
        """The site's version as companyinfo told it, empty before the first request."""
        return self._api.version if self._api else ""

    async def read(
        self, path: str, params: Mapping[str, str] | None = None, **headers: str
    ) -> Answer:
        """Return a successful answer to a GET. `headers` use _ for -."""
        return await self._read("GET", path, params or {}, None, headers)

    async def record(self, path: str) -> dict[str, Any]:
        """Return one record; anything else than an object is an empty one."""
        said = (await self.read(path)).understood()
        return said if isinstance(said, dict) else {}

    async def find(self, path: str, params: Mapping[str, str]) -> Answer:
        """Return a list's answer; conditions too long for an address go as a search."""
        address = httpx.URL((await self._address()).base + path, params=dict(params))
        if len(str(address)) <= URL_LIMIT:
            return await self.read(path, params)
        body = {name: params[name] for name in ("conditions", "orderBy") if name in params}
        rest = {name: value for name, value in params.items() if name not in body}
        return await self._read("POST", f"{path}/search", rest, body, {})

    async def probe(self, method: str, path: str, body: Any = None, **params: str) -> Answer:
        """Return the answer whatever it is; for requests that change nothing."""
        await self._wait_for_limit()
        api = await self._address()
        with translated(writing=False):
            answer = await self._exchange(method, api.base + path, params=params, body=body)
        if answer.status == httpx.codes.TOO_MANY_REQUESTS:
            raise self._limited(answer)
        return answer

    async def write(self, method: str, path: str, body: Any) -> Any:
        """Send a change once and return the answer as JSON.

        Raises PsaNotSent, PsaRefused or PsaUnclear; which one decides whether it may be repeated.
        """
        remaining = self._resume_at - self._clock.monotonic()
        if remaining > 0:
            raise PsaRateLimited(
                "ConnectWise asked for a pause; nothing was sent yet.", retry_after=remaining
            )
        api = await self._address()
        with translated(writing=True):
            answer = await self._exchange(method, api.base + path, _WRITE_SECONDS, body=body)
        if answer.is_success:
            try:
                return answer.json()
            except ValueError as error:
                raise PsaUnclear(
                    "ConnectWise answered with something that can't be read.", hint=LOOKING_HINT
                ) from error
        if answer.status == httpx.codes.TOO_MANY_REQUESTS:
            raise self._limited(answer)
        if answer.status == httpx.codes.NOT_FOUND:
            await self._explain_missing_write(method, path, answer, api)
        if answer.is_final:
            refuse(method, path, answer)
        raise PsaUnclear(answer.said, hint=LOOKING_HINT)

    async def aclose(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    # One exchange

    async def _exchange(
        self,
        method: str,
        url: str,
        seconds: float = _READ_SECONDS,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        signed_in: bool = True,
    ) -> Answer:
        """Send one request and read its answer; raises what httpx raises."""
        client = await self._opened()
        everything = {**(self._headers if signed_in else _ANONYMOUS), **(headers or {})}
        content = None
        if body is not None:
            content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
            everything["Content-Type"] = "application/json"
        began = self._clock.monotonic()
        async with (
            self._places,
            asyncio.timeout(seconds + 2 * _CONNECT_SECONDS),
            client.stream(
                method,
                url,
                params=dict(params) if params else None,
                headers=everything,
                content=content,
                auth=self._auth if signed_in else None,
                timeout=httpx.Timeout(seconds, connect=_CONNECT_SECONDS),
            ) as response,
        ):
            received = await _limited_body(response)
            answer = Answer(response.status_code, response.headers, received)
        self._note_time(answer)
        log.info(
            "%s %s answered %d in %d ms (request %s, version %s)",
            method,
            httpx.URL(url).path,
            answer.status,
            1_000 * (self._clock.monotonic() - began),
            printable(answer.headers.get("x-cw-request-id", "-")),
            printable(answer.headers.get("api-current-version", "-")),
        )
        return answer

    async def _opened(self) -> httpx.AsyncClient:
        async with self._making:
            if self._client is None:
                if self._transport is not None:
                    self._client = httpx.AsyncClient(transport=self._transport)
                else:
                    # Reading the system's certificates takes 100 ms: not on the screen's thread.
                    self._client = await asyncio.to_thread(self._made)
            return self._client

    def _made(self) -> httpx.AsyncClient:
        context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self._ca_file:
            try:
                context.load_verify_locations(cafile=self._ca_file)
            except (OSError, ssl.SSLError) as error:
                raise PsaUnreachable(
                    "The file with the certificate authority can't be read.",
                    hint="Check its path in Settings → Integrations; it has to be a PEM file.",
                ) from error
        limits = httpx.Limits(max_connections=CONCURRENCY, max_keepalive_connections=CONCURRENCY)
        return httpx.AsyncClient(verify=context, limits=limits, follow_redirects=False)

    def _note_time(self, answer: Answer) -> None:
        try:
            told = parsedate_to_datetime(answer.headers.get("date", ""))
        except ValueError:
            return
        told = told if told.tzinfo else told.replace(tzinfo=UTC)
        self.clock_skew = (told - self._clock.now()).total_seconds()

    # Reading

    async def _read(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        body: Any,
        headers: Mapping[str, str],
    ) -> Answer:
        extra = {name.replace("_", "-"): value for name, value in headers.items()}
        moved = False
        tries = 0
        while True:
            await self._wait_for_limit()
            tries += 1
            try:
                api = await self._address()
                with translated(writing=False):
                    answer = await self._exchange(
                        method, api.base + path, params=params, body=body, headers=extra
                    )
            except PsaNotSent as error:  # a pause may be asked for by companyinfo, too
                is_pause = isinstance(error, PsaRateLimited)
                is_hiccup = is_pause or isinstance(error.__cause__, _WORTH_A_TRY)
                if tries >= _READ_TRIES or not is_hiccup:
                    raise
                await self._sleep(_BACKOFF_SECONDS[tries - 1])
                continue
            if answer.is_success:
                self._proven_at = self._clock.monotonic()
                return answer
            if answer.status == httpx.codes.TOO_MANY_REQUESTS:
                limited = self._limited(answer)
                if tries >= _READ_TRIES:
                    raise limited
            elif answer.status in _GATEWAY and tries < _READ_TRIES:
                await self._sleep(_BACKOFF_SECONDS[tries - 1])
            elif answer.status == httpx.codes.NOT_FOUND and not moved:
                await self._explain_missing_read(method, path, answer, api)
                moved = True
            else:
                self._refuse_read(method, path, answer)

    def _refuse_read(self, method: str, path: str, answer: Answer) -> NoReturn:
        is_refusal = 400 <= answer.status < 500 and answer.status != 408  # noqa: PLR2004 - 4xx, time-outs
        if is_refusal and not (answer.is_web_page and answer.status not in _SAID_BY_PAGES):
            refuse(method, path, answer)
        raise PsaUnreachable(answer.said, hint=WEB_PAGE_HINT if answer.is_web_page else None)

    # Saying no

    def _limited(self, answer: Answer) -> PsaRateLimited:
        """Remember how long ConnectWise wants to be left alone."""
        seconds = retry_after(answer.headers.get("retry-after", ""), self._clock.now())
        self._resume_at = max(self._resume_at, self._clock.monotonic() + seconds)
        return PsaRateLimited(
            f"ConnectWise asks to wait {counted(round(seconds), 'second')}.", retry_after=seconds
        )

    async def _wait_for_limit(self) -> None:
        remaining = self._resume_at - self._clock.monotonic()
        if remaining > _PATIENCE_SECONDS:
            raise PsaRateLimited(
                f"ConnectWise asks to wait {counted(round(remaining), 'second')}.",
                retry_after=remaining,
            )
        if remaining > 0:
            await self._sleep(remaining)

    # Where the API is

    async def _address(self) -> ApiAddress:
        """Return where the API is; whoever waited for an attempt that failed shares its failure."""
        failures = self._failures
        async with self._discovering:
            if self._api is None:
                if self._failure is not None and self._failures > failures:
                    raise self._failure
                try:
                    self._api = await self._discovered()
                except PsaError as error:
                    self._failures += 1
                    self._failure = error
                    raise
            return self._api

    async def _moved(self, known: ApiAddress) -> bool:
        """Ask companyinfo again; tell whether the API is elsewhere than was known."""
        async with self._discovering:
            if self._api is known:
                self._api = await self._discovered()
            return self._api is not None and self._api.base != known.base

    async def _discovered(self) -> ApiAddress:
        url = self.site.company_info(self._company_id)
        with translated(writing=False):
            answer = await self._exchange("GET", url, signed_in=False)
        if answer.status == httpx.codes.TOO_MANY_REQUESTS:
            raise self._limited(answer)
        # Nobody signs in here, so no answer can say no for good: not to keys, nor to a ticket.
        if answer.status in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
            raise PsaUnreachable(
                f"There is no ConnectWise at {self.site.host}.",
                hint="Check the site in Settings → Integrations. If it is right, the network, a "
                "proxy or maintenance is in the way, and FlowPilot tries again by itself.",
            )
        if not answer.is_success:
            raise PsaUnreachable(answer.said, hint=WEB_PAGE_HINT)
        facts = answer.understood()
        if facts is None:
            raise PsaSignInRefused(
                f"ConnectWise at {self.site.host} does not know the company id.",
                status=answer.status,
                hint="Check the company id in Settings → Integrations; it is the one that people "
                "type when they sign in.",
            )
        api = ApiAddress.told(self.site, facts)
        if api is None:
            raise PsaUnreachable(
                f"What {self.site.host} answers does not look like ConnectWise.",
                hint=WEB_PAGE_HINT,
            )
        return api

    # What a 404 means

    async def _explain_missing_read(
        self, method: str, path: str, answer: Answer, api: ApiAddress
    ) -> None:
        """Raise what a 404 means; returns when the API has moved and another try is worth it."""
        if not self._is_plainly_missing(answer):
            if await self._moved(api):
                return
            await self._prove_keys(path, api)
        refuse(method, path, answer)

    async def _explain_missing_write(
        self, method: str, path: str, answer: Answer, api: ApiAddress
    ) -> NoReturn:
        """Raise what a 404 to a change means; nothing was stored in any case."""
        if not self._is_plainly_missing(answer):
            moved = False
            try:
                moved = await self._moved(api)
                if not moved:
                    await self._prove_keys(path, api)
            except PsaNotSent as error:
                log.info("The reason of a 404 could not be found out: %s", type(error).__name__)
            if moved:
                raise PsaUnreachable(
                    "ConnectWise was just upgraded and has moved; nothing was sent yet."
                )
        refuse(method, path, answer)

    def _is_plainly_missing(self, answer: Answer) -> bool:
        """Tell whether ConnectWise itself says 404 to keys that worked a moment ago."""
        return (
            bool(answer.refusal()[0])
            and self._proven_at is not None
            and self._clock.monotonic() - self._proven_at < _PROVEN_SECONDS
        )

    async def _prove_keys(self, path: str, api: ApiAddress) -> None:
        """Raise PsaSignInRefused if the keys are why; a cloud answers wrong ones with 404."""
        if path == _WHO_AM_I:
            status = int(httpx.codes.NOT_FOUND)
        else:
            with translated(writing=False):
                answer = await self._exchange("GET", api.base + _WHO_AM_I)
            status = answer.status
            if answer.is_success:
                self._proven_at = self._clock.monotonic()
        if status in (httpx.codes.NOT_FOUND, httpx.codes.UNAUTHORIZED):
            raise PsaSignInRefused(
                "ConnectWise does not know these keys (it says so with “not found”).",
                status=status,
            )


async def _limited_body(response: httpx.Response) -> bytes:
    received = bytearray()
    async for chunk in response.aiter_bytes():
        received += chunk
        if len(received) > BODY_LIMIT:
            raise TooLargeError
    return bytes(received)
