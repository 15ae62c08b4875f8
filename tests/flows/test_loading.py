"""A flow file is never trusted: every mistake is named with its line, and none stops another."""

import time
from pathlib import Path

import pytest

from flowpilot_desktop.core.session import Action, Question, Risk
from flowpilot_desktop.flows.check import check
from flowpilot_desktop.flows.library import FlowLibrary
from flowpilot_desktop.flows.loading import Loaded, load_file, load_text

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "resources" / "flows"

SMALL = """\
id: lamp
version: 3
title: The lamp is dark
domain: Office
keywords: [lamp, light]
phrases: [the lamp is dark]
matches: [My lamp is dark]
entry: plugged
causes:
  plug: It is not plugged in
  bulb: {text: The bulb is broken, weight: 2}
nodes:
  plugged:
    question: Is it plugged in?
    options:
      - {label: "Yes", to: bulb, weakens: [plug]}
      - {label: "No", to: plug-in, supports: {plug: strongly}}
    next: bulb
  plug-in:
    action: Plug it in.
    tests: plug
    worked: lit
    next: bulb
  bulb:
    action: Change the bulb.
    tests: bulb
    command:
      text: Set-Bulb -New
      shell: powershell
      risk: changes_one
      undo: Put the old bulb back.
    worked: lit
    next: give-up
  lit:
    verification: Is it lit?
    worked: done
    could_not_try: give-up
  done:
    resolution: The lamp is lit.
  give-up:
    escalation: An electrician should look.
    collect: [the lamp's model]
"""


def loaded(text: str) -> Loaded:
    return load_text(text, Path("lamp.yaml"))


def messages(text: str) -> list[str]:
    found = loaded(text)
    assert found.flow is None
    return [str(finding) for finding in found.findings]


def changed(old: str, new: str) -> str:
    assert old in SMALL
    return SMALL.replace(old, new, 1)


def test_a_sound_file_becomes_a_flow():
    flow = loaded(SMALL).flow
    assert flow is not None
    assert (flow.id, flow.version, flow.entry) == ("lamp", 3, "plugged")
    question = flow.nodes["plugged"].body
    assert isinstance(question, Question)
    assert [(o.label, o.value) for o in question.options] == [("Yes", "yes"), ("No", "no")]
    bulb = flow.nodes["bulb"].body
    assert isinstance(bulb, Action)
    assert bulb.command is not None
    assert bulb.command.risk is Risk.CHANGES_ONE
    assert flow.nodes["bulb"].edges["did_not_work"].to == "give-up"
    assert flow.causes["bulb"].weight == 2.0


MISTAKES = {
    "unknown key of a flow": (
        changed("entry: plugged", "entry: plugged\ncolour: red"),
        9,
        "colour",
    ),
    "unknown key of a node": (changed("    tests: plug", "    test: plug"), 21, "test"),
    "unknown key of an option": (changed("to: bulb, weak", "goto: x, to: bulb, weak"), 16, "goto"),
    "wrong type of a text": (changed("title: The lamp is dark", "title: [a, b]"), 3, "title"),
    "wrong type of a list": (changed("keywords: [lamp, light]", "keywords: lamp"), 5, "keywords"),
    "wrong type of the nodes": (SMALL[: SMALL.index("nodes:")] + "nodes: many\n", 12, "nodes"),
    "version is no number": (changed("version: 3", "version: three"), 2, "version"),
    "id with capitals": (changed("id: lamp", "id: The Lamp"), 1, "The Lamp"),
    "an empty text": (changed("domain: Office", "domain:"), 4, "domain"),
    "a node that is not there": (changed("to: plug-in", "to: plugin"), 17, "plugin"),
    "an entry that is not there": (changed("entry: plugged", "entry: start"), 0, "start"),
    "an unreachable node": (
        SMALL + "  attic:\n    escalation: Nobody comes here.\n",
        43,
        "attic",
    ),
    "a cause that is not there": (changed("weakens: [plug]", "weakens: [socket]"), 16, "socket"),
    "a strength that is none": (changed("{plug: strongly}", "{plug: madly}"), 17, "madly"),
    "a command without risk": (changed("      risk: changes_one\n", ""), 28, "risk"),
    "a command without undo": (changed("      undo: Put the old bulb back.\n", ""), 28, "undo"),
    "a risk that is none": (changed("risk: changes_one", "risk: some"), 30, "some"),
    "a shell that is none": (changed("shell: powershell", "shell: fish"), 29, "shell"),
    "an option value twice": (changed('label: "No"', 'label: "No", value: "yes"'), 17, "yes"),
    "one option only": (
        changed('      - {label: "No", to: plug-in, supports: {plug: strongly}}\n', ""),
        16,
        "two",
    ),
    "two kinds in a node": (
        changed("    worked: lit\n    next: bulb", "    question: What?"),
        19,
        "plug-in",
    ),
    "a node twice": (changed("  lit:\n", "  bulb:\n    escalation: x\n  lit:\n"), 34, "bulb"),
    "a key twice": (changed("version: 3", "version: 3\nversion: 4"), 3, "version"),
    "a result that leads nowhere": (changed("    next: give-up\n", ""), 24, "did_not_work"),
    "a node called end": (
        changed("  done:\n", "  end:\n").replace("worked: done", "worked: end"),
        38,
        "end",
    ),
    "no samples": (changed("matches: [My lamp is dark]\n", ""), 1, "matches"),
    "victory without a verification": (
        changed("    tests: plug\n    worked: lit", "    tests: plug\n    worked: done"),
        38,
        "done",
    ),
    "a circle in which nothing changes": (
        changed("    next: give-up", "    next: again").replace(
            "  lit:\n", "  again:\n    question: And now?\n    options:\n"
            "      - {label: A, to: plugged2}\n      - {label: B, to: give-up}\n"
            "    next: give-up\n"
            "  plugged2:\n    question: Really?\n    options:\n"
            "      - {label: A, to: again}\n      - {label: B, to: give-up}\n"
            "    next: give-up\n  lit:\n", 1,
        ),
        40,
        "circle",
    ),
    "a verification that inherits from a question": (
        changed("to: bulb, weakens: [plug]", "to: lit, weakens: [plug]"),
        34,
        "did_not_work",
    ),
    "an empty file": ("  \n\n", 0, "empty"),
    "only a comment": ("# nothing\n", 0, "no content"),
    "no YAML": ("id: [1, 2\ntitle: x", 2, "no YAML"),
    "a tab": (changed("    tests: plug", "\ttests: plug"), 21, "tab"),
    "a list": ("- a\n- b\n", 1, "mapping"),
    "two documents": (SMALL + "---\nid: other\n", 43, "second document"),
    "an alias": (
        changed("keywords: [lamp, light]", "keywords: &a [lamp]\nphrases2: *a"),
        6,
        "Aliases",
    ),
    "a python object": (
        changed("title: The", "title: !!python/object/apply:os.system [The"),
        3,
        "Tags",
    ),
    "nested without end": ("a: " + "[" * 5000 + "]" * 5000, 1, "deeper"),
    "a very long text": (changed("title: The lamp", "title: " + "long " * 400), 3, "longer"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_with_its_line(name):
    text, line, word = MISTAKES[name]
    where = f"lamp.yaml:{line}: " if line else "lamp.yaml: "
    found = messages(text)
    assert any(m.startswith(where) and word in m for m in found), found


def test_all_mistakes_are_found_at_once():
    text = changed("version: 3", "version: none").replace("risk: changes_one", "risk: some")
    text = text.replace("weakens: [plug]", "weakens: [socket]").replace("domain:", "domian:")
    assert len(messages(text)) >= 5


def test_an_alias_bomb_is_refused_at_once():
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"{b}: &{b} [{', '.join(['*' + a] * 9)}]"
        for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    started = time.perf_counter()
    found = messages("\n".join(lines))
    assert "Aliases" in found[0]
    assert time.perf_counter() - started < 1.0


def test_ten_megabytes_are_not_read(tmp_path):
    path = tmp_path / "big.yaml"
    path.write_text("id: big\ntitle: " + "x" * 10_000_000, encoding="utf-8")
    started = time.perf_counter()
    found = load_file(path).findings
    assert "larger" in found[0].message
    assert time.perf_counter() - started < 0.5


def test_another_encoding_is_named(tmp_path):
    path = tmp_path / "latin.yaml"
    path.write_bytes("id: lamp\ntitle: Gerät\n".encode("latin-1"))
    (found,) = load_file(path).findings
    assert (found.line, "UTF-8" in found.message) == (2, True)
    path.write_bytes(SMALL.encode("utf-16"))
    assert load_file(path).flow is None
    path.write_bytes(SMALL.encode("utf-8-sig"))
    assert load_file(path).flow is not None


def test_no_is_a_word_and_not_false():
    flow = loaded(changed('label: "No"', "label: No")).flow
    assert flow is not None
    assert "option:no" in flow.nodes["plugged"].edges


def test_a_bad_file_of_ones_own_stops_no_other(tmp_path):
    shipped, own = tmp_path / "shipped", tmp_path / "own"
    shipped.mkdir()
    own.mkdir()
    (shipped / "lamp.yaml").write_text(SMALL, encoding="utf-8")
    (own / "lamp.yaml").write_text(SMALL.replace("version: 3", "version: 4"), encoding="utf-8")
    (own / "broken.yaml").write_text("id: [", encoding="utf-8")
    (own / "folder.yaml").mkdir()
    library = FlowLibrary.load(shipped, own)
    lamp = library.flow("lamp")
    assert lamp is not None
    assert lamp.version == 4
    assert sorted({finding.path.name for finding in library.findings}) == [
        "broken.yaml",
        "folder.yaml",
    ]


def test_two_files_with_one_id_are_reported(tmp_path):
    for name in ("one.yaml", "two.yaml"):
        (tmp_path / name).write_text(SMALL, encoding="utf-8")
    library = FlowLibrary.load(tmp_path)
    assert [finding.path.name for finding in library.findings] == ["two.yaml"]
    assert "lamp" in library.flows


def test_without_any_file_there_is_still_advice(tmp_path):
    library = FlowLibrary.load(tmp_path / "nowhere")
    assert library.match("no internet") is None
    assert "by hand" in library.general.nodes[library.general.entry].body.text


def test_the_check_tries_samples_and_names_missing_paths(tmp_path):
    path = tmp_path / "lamp.yaml"
    path.write_text(changed("[My lamp is dark]", "[Something else entirely]"), encoding="utf-8")
    report = check([path, tmp_path / "gone.yaml"])
    assert not report.is_clean
    assert "finds no flow" in report.text
    assert "no such file" in report.text
    assert not check([]).is_clean
