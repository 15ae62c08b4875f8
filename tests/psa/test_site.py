"""Where a site is: what people type, what companyinfo says, and whom the keys are shown."""

import asyncio
import ssl
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from flowpilot_desktop.core.errors import InvalidInput, PsaUnreachable
from flowpilot_desktop.core.ticket import PsaConnection, TicketQuery
from flowpilot_desktop.psa.connectwise import ConnectWisePsa
from flowpilot_desktop.psa.connectwise.site import ApiAddress, SiteAddress
from flowpilot_desktop.psa.registry import PsaKeys, create
from tests.psa.conftest import CONNECTION, KEYS
from tests.simulators.connectwise import COMPANY_ID, ConnectWiseSite
from tests.simulators.exchange import answered, hanging
from tests.simulators.http_server import HttpServer
from tests.simulators.virtual import VirtualClock


@pytest.mark.parametrize(
    ("typed", "host"),
    [
        ("na.myconnectwise.net", "na.myconnectwise.net"),
        ("  NA.MyConnectWise.net/ ", "na.myconnectwise.net"),
        ("https://eu.myconnectwise.net/v2026_1/ConnectWise.aspx?x=1", "eu.myconnectwise.net"),
        ("api-au.myconnectwise.net", "api-au.myconnectwise.net"),
        ("cw.example.com:8443", "cw.example.com:8443"),
        ("[::1]:8443", "[::1]:8443"),
    ],
)
def test_what_people_type_is_read(typed, host):
    assert SiteAddress.of(typed) == SiteAddress("https", host)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:80"])
def test_plain_http_is_for_this_machine(url):
    assert SiteAddress.of(url).scheme == "http"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "   ",
        "https://",
        "http://cw.example.com",
        "http://127.0.0.1.example.com",
        "ftp://cw.example.com",
        "user:secret@cw.example.com",
        "cw example com",
        "cw.example.com\r\nx: y",
        "-cw.example.com",
        "https://exämple.com",
        "a" * 300,
    ],
)
def test_what_is_no_address_is_refused_before_anything_is_sent(typed):
    with pytest.raises(InvalidInput):
        create(replace(CONNECTION, site=typed), KEYS, VirtualClock())


def test_without_a_company_id_or_keys_there_is_no_adapter():
    with pytest.raises(InvalidInput, match="company id"):
        create(replace(CONNECTION, company_id=" "), KEYS, VirtualClock())
    with pytest.raises(InvalidInput, match="keys"):
        create(CONNECTION, None, VirtualClock())
    with pytest.raises(InvalidInput, match="jira"):
        create(replace(CONNECTION, provider="jira"), KEYS, VirtualClock())


@pytest.mark.parametrize(
    ("site", "told", "base"),
    [
        ("na.myconnectwise.net", "api-na.myconnectwise.net", "api-na.myconnectwise.net"),
        ("na.myconnectwise.net", "na.myconnectwise.net", "api-na.myconnectwise.net"),
        ("na.myconnectwise.net", None, "api-na.myconnectwise.net"),
        ("api-eu.myconnectwise.net", "eu.myconnectwise.net", "api-eu.myconnectwise.net"),
        ("na.myconnectwise.net", "https://api-eu.myconnectwise.net/", "api-eu.myconnectwise.net"),
        ("cw.example.com", "cw.example.com", "cw.example.com"),
        ("cw.example.com", "psa.example.com", "psa.example.com"),
        ("cw.msp.example.com", "api.msp.example.com", "api.msp.example.com"),
        # Keys go to nobody else's host, whatever an answer says.
        ("cw.example.com", "cw.example.org", "cw.example.com"),
        ("msp.co.uk", "thief.co.uk", "msp.co.uk"),
        ("127.0.0.1:8443", "127.9.9.9:8443", "127.0.0.1:8443"),
        ("localhost:8443", "elsewhere", "localhost:8443"),
        ("cw.example.com", "example.com.evil.net", "cw.example.com"),
        ("cw.msp.co.uk", "thief.co.uk", "cw.msp.co.uk"),
        ("na.myconnectwise.net", "na.myconnectwise.net.evil.net", "api-na.myconnectwise.net"),
        ("na.myconnectwise.net", "evil.net", "api-na.myconnectwise.net"),
        ("cw.example.com", "key@cw.example.com", "cw.example.com"),
        ("cw.example.com", "cw.example.com/path", "cw.example.com"),
        ("cw.example.com", 7, "cw.example.com"),
    ],
)
def test_the_api_host_belongs_to_the_same_owner(site, told, base):
    facts = {"Codebase": "v2026_1/", "SiteUrl": told, "IsCloud": True}
    api = ApiAddress.told(SiteAddress.of(site), facts)
    assert api is not None
    assert api.base == f"https://{base}/v2026_1/apis/3.0/"


@pytest.mark.parametrize(
    "facts", [None, [], "x", {}, {"Codebase": None}, {"Codebase": "../../x/"}, {"Codebase": "a b"}]
)
def test_what_is_no_companyinfo_is_none(facts):
    assert ApiAddress.told(SiteAddress.of("na.myconnectwise.net"), facts) is None


@pytest.mark.parametrize(
    ("site", "url"),
    [
        ("api-na.myconnectwise.net", "https://na.myconnectwise.net"),
        ("na.myconnectwise.net", "https://na.myconnectwise.net"),
        ("api-tools.example.com", "https://api-tools.example.com"),
    ],
)
def test_people_get_the_web_host(adapter, site, url):
    psa = adapter(replace(CONNECTION, site=site))
    assert psa.ticket_url("1005") == (
        f"{url}/v4_6_release/ConnectWise.aspx?routeTo=ServiceFV&recid=1005"
    )
    assert psa.ticket_url("javascript:alert(1)") == ""


async def test_an_address_without_connectwise_is_named(psa, site):
    site.faults.plan(answered(404, stored=False, body="<html>", media_type="text/html"))
    with pytest.raises(
        PsaUnreachable, match=r"no ConnectWise at na\.myconnectwise\.net"
    ) as failure:
        await psa.me()
    assert "Check the site" in failure.value.hint


async def test_companyinfo_is_asked_once_however_many_start_at_once(psa, site):
    await asyncio.gather(*(psa.me() for _ in range(10)))
    assert len(site.requests_for("GET", "companyinfo")) == 1


async def test_an_outage_at_the_start_costs_everybody_one_attempt(psa, site):
    site.faults.plan(hanging(stored=False), path="companyinfo", times=-1)
    outcomes = await asyncio.gather(*(psa.me() for _ in range(10)), return_exceptions=True)
    assert all(isinstance(outcome, PsaUnreachable) for outcome in outcomes)
    assert len(site.requests) == 1
    site.faults.clear()
    assert (await psa.me()).identifier == "jblake"


def test_keys_show_in_no_text():
    keys = PsaKeys("public-half", "private-half")
    assert "half" not in f"{keys} {keys!r}"


async def test_nothing_secret_is_logged(psa, site, caplog):
    caplog.set_level("DEBUG")
    await psa.search(TicketQuery(text="my-secret-word"))
    await psa.context("1005")
    assert "answered 200" in caplog.text
    for secret in (KEYS.public, KEYS.private, "my-secret-word", "Basic", "Labels pile up"):
        assert secret not in caplog.text


# A certificate authority of one's own


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Path:
    """A folder with a private authority's certificate and one that it made for this machine."""
    folder: Path = tmp_path_factory.mktemp("authority")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *curve, "-days", "2", "-subj", "/CN=Private authority", "-addext",
            "keyUsage=critical,keyCertSign", "-keyout", "ca.key", "-out", "ca.pem")  # fmt: skip
    openssl("req", *curve, "-subj", "/CN=cw", "-keyout", "server.key", "-out", "server.csr")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2",
            "-extfile", "names", "-out", "server.pem")  # fmt: skip
    return folder


@pytest.fixture
def private_site(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "server.pem", authority / "server.key")
    with HttpServer(ConnectWiseSite(), tls=context) as server:
        yield server


async def made_for(server: HttpServer, ca_file: str) -> ConnectWisePsa:
    connection = PsaConnection(
        "c", "connectwise", site=server.address, company_id=COMPANY_ID, ca_file=ca_file
    )
    return ConnectWisePsa(connection, KEYS, VirtualClock())


async def test_a_private_authority_is_trusted_when_it_is_named(private_site, authority):
    psa = await made_for(private_site, str(authority / "ca.pem"))
    assert (await psa.me()).identifier == "jblake"
    await psa.aclose()


async def test_an_unknown_authority_is_explained_and_nothing_is_sent(private_site):
    psa = await made_for(private_site, "")
    with pytest.raises(PsaUnreachable, match="not trusted") as failure:
        await psa.me()
    assert "CA file" in failure.value.hint
    await psa.aclose()


@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_a_ca_file_that_is_none_is_explained(private_site, tmp_path, content):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    psa = await made_for(private_site, str(path))
    with pytest.raises(PsaUnreachable, match="certificate authority can't be read"):
        await psa.me()
    await psa.aclose()
