"""Parts are redacted by themselves and keep their edges; what one gives away is masked in all."""

import pytest

from flowpilot_desktop.core.redaction import Redactor


@pytest.mark.parametrize(
    "text", ["The password is", "pw:", "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7"]
)
def test_no_secret_reaches_into_the_next_part(text: str):
    redactor = Redactor()
    found = redactor.redact_parts([text, "\n[[edge-1a2b3c]]\n", "and so on"])
    assert found.text.endswith("\n[[edge-1a2b3c]]\nand so on")
    assert redactor.redact("[[edge-1a2b3c]]").text == "[[edge-1a2b3c]]", "nor is it learned"


def test_a_value_of_a_later_part_is_masked_in_an_earlier_one():
    found = Redactor().redact_parts(
        ["On the label: Zx9#quokka7", " ", "The password is Zx9#quokka7"]
    )
    assert found.text == "On the label: [password 1] The password is [password 1]"
    assert [item.placeholder for item in found.masked] == ["[password 1]"] * 2


def test_parts_are_joined_as_they_are():
    assert Redactor().redact_parts([]).text == ""
    assert Redactor().redact_parts(["a", "", "\n", "b"]).text == "a\nb"
