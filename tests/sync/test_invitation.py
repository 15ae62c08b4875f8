"""The token: round trips, mistakes in pasting, and what it refuses to be."""

from __future__ import annotations

import base64
import json
import zlib
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.errors import InvitationError
from sync.invitation import PREFIX, Invitation, _checksum, is_local


def invitation(**fields: object) -> Invitation:
    plain: dict[str, object] = {
        "host": "db.example.com", "port": 5432, "database": "flowpilot", "role": "fp_0a1b",
        "password": "s3cret-Pa55", "team_id": uuid4(), "engineer_id": uuid4(),
    }  # fmt: skip
    return Invitation(**(plain | fields))  # type: ignore[arg-type]  # fields by name


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@given(
    st.builds(
        Invitation,
        TEXT,
        st.integers(1, 65_535),
        TEXT,
        TEXT,
        TEXT,
        st.uuids(),
        st.uuids(),
        st.text("A-\n"),
        st.just(False),
    )
)
def test_round_trip(made: Invitation) -> None:
    token = made.token()
    assert Invitation.parse(token) == made
    assert token.isascii()
    assert token.isprintable()
    assert " " not in token


def test_wrapped_quoted_and_indented_by_mail() -> None:
    made = invitation(ca_certificate="-----BEGIN CERTIFICATE-----\n" + "MIIB" * 200)
    token = made.token()
    wrapped = "\r\n> ".join(token[i : i + 60] for i in range(0, len(token), 60))
    assert Invitation.parse(f"  “{wrapped}”\u200b\n".replace("“", '"').replace("”", '"')) == made


TOKEN = invitation(team_id=UUID(int=1), engineer_id=UUID(int=2)).token()


@given(st.data())
def test_any_damage_is_noticed(data: st.DataObject) -> None:
    token = TOKEN
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("abcXYZ0189-_."))
    how = data.draw(st.sampled_from(["change", "drop", "cut"]))
    if how == "change":
        damaged = token[:at] + other + token[at + 1 :]
    else:
        damaged = token[:at] + (token[at + 1 :] if how == "drop" else "")
    if damaged != token:
        with pytest.raises(InvitationError):
            Invitation.parse(damaged)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no invitation here"),
        ("hello", "begins with"),
        ("fpq2.abc.def", "newer FlowPilot"),
        ("fpq1.abc", "part of the invitation is missing"),
        ("fpq1.abc.00000000", "incomplete or was changed"),
    ],
)
def test_mistakes_are_told_apart(text: str, words: str) -> None:
    with pytest.raises(InvitationError, match=words):
        Invitation.parse(text)


def forged(content: object) -> str:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    body = base64.urlsafe_b64encode(zlib.compress(raw)).decode().rstrip("=")
    return f"{PREFIX}.{body}.{_checksum(body)}"


GOOD = {
    "host": "h", "port": 1, "db": "d", "role": "r", "pw": "p", "team": str(uuid4()),
    "me": str(uuid4()),
}  # fmt: skip


NONSENSE: dict[str, object] = {
    "no json": b"no json",
    "a list": [],
    "a text": "text",
    "empty": {},
    "NUL": GOOD | {"role": "a\0b"},
    "port 0": GOOD | {"port": 0},
    "port 70000": GOOD | {"port": 70_000},
    "port x": GOOD | {"port": "x"},
    "no host": GOOD | {"host": ""},
    "team x": GOOD | {"team": "x"},
    "no password": GOOD | {"pw": None},
    "plain elsewhere": GOOD | {"plain": True, "host": "db.example.com"},
    "a bomb": b" " * 10_000_000,
}


@pytest.mark.parametrize("content", list(NONSENSE.values()), ids=list(NONSENSE))
def test_a_whole_token_with_nonsense_in_it(content: object) -> None:
    with pytest.raises(InvitationError):
        Invitation.parse(forged(content))


def test_secrets_are_not_shown() -> None:
    made = invitation()
    assert made.password not in repr(made)
    with pytest.raises(InvitationError) as refused:
        Invitation.parse(forged(GOOD | {"pw": "hunter2", "port": "x"}))
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_plain_is_for_this_computer_only() -> None:
    for host in ("localhost", "127.0.0.1", "::1", "127.8.9.1", "/run/postgresql"):
        assert is_local(host)
        assert invitation(host=host, plain=True).plain
    for host in ("db.example.com", "10.0.0.1", "localhost.example.com", "0.0.0.0", "::"):
        assert not is_local(host)
        with pytest.raises(InvitationError, match="unencrypted"):
            invitation(host=host, plain=True)
