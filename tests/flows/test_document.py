"""Whatever bytes a flow file holds, reading ends in a flow or in findings, and soon."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowpilot_desktop.flows.document import Mapping, Scalar, Unreadable, parse
from flowpilot_desktop.flows.loading import load_file, load_text

PATH = Path("any.yaml")
KEYS = st.sampled_from(
    (
        *("id", "version", "title", "domain", "entry", "topics", "keywords", "phrases", "matches"),
        *("causes", "nodes", "question", "options", "label", "value", "to", "action", "command"),
        *("worked", "next", "verification", "resolution", "escalation", "tests"),
    )
)
TREES = st.recursive(
    st.text(max_size=12) | KEYS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=30,
)


def as_yaml(value: object) -> str:
    """JSON is YAML."""
    return json.dumps(value)


@given(st.text(max_size=400))
def test_any_text_is_answered(text):
    loaded = load_text(text, PATH)
    assert loaded.flow is not None or loaded.findings


@given(TREES)
def test_any_tree_is_answered(tree):
    loaded = load_text(as_yaml(tree), PATH)
    assert loaded.flow is None
    assert loaded.findings
    assert all(finding.message.strip() for finding in loaded.findings)


def test_any_bytes_are_answered(tmp_path):
    path = tmp_path / "bytes.yaml"
    for raw in (
        b"\x00",
        b"\xff\xfe\x00",
        b"id: \xc3\x28",
        b"%YAML 9.9\n---\nid: x",
        b"\x89PNG\r\n",
    ):
        path.write_bytes(raw)
        assert load_file(path).findings


def test_scalars_stay_what_was_written():
    root = parse('a: no\nb: 1.10\nc: 0x80\nd: "null"\ne: >-\n  two\n  lines\n').root
    assert isinstance(root, Mapping)
    values = {key: v.text for key, v in root.entries.items() if isinstance(v, Scalar)}
    assert values == {"a": "no", "b": "1.10", "c": "0x80", "d": "null", "e": "two lines"}


def test_windows_line_ends_and_a_byte_order_mark_are_read(tmp_path):
    path = tmp_path / "windows.yaml"
    path.write_bytes(b"\xef\xbb\xbfid: a\r\ntitle: [\r\n")
    (finding,) = load_file(path).findings
    assert finding.line == 3


def test_an_unreadable_document_says_where():
    with pytest.raises(Unreadable) as raised:
        parse("a: 1\nb: {c: *x}\n")
    assert raised.value.line == 2
