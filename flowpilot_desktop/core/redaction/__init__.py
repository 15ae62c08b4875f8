"""The one gateway that every text passes before it leaves: PSA, model, queue, logs, exports.

A `Redactor` reads a text, asks the detectors what in it is a secret, and puts a placeholder such
as ``[password 1]`` in the place of each. What comes out is a `RedactedText`: a type that only the
gateway can make and that adapters accept instead of `str`, so a text that was not redacted cannot
be sent by mistake.

How it works, and where:

- ``reading`` makes tricks harmless: full-width letters, zero-width characters inside a key word
  and other disguises are undone for the detectors' eyes, with a way back to the real positions.
- ``shapes`` knows secrets by their own form: key prefixes, tokens, private keys, connection
  strings, card and account numbers.
- ``prose`` knows secrets by what is said around them: "the pw is …", "login jdoe / …", commands
  such as ``net user``.
- ``gateway`` joins what was found, hands out the placeholders and holds the promises: the same
  value has the same placeholder for one redactor, redacting twice changes nothing, and no secret
  is kept (a keyed digest remembers it).
- ``logs`` is the gateway for the logging system.
"""

from flowpilot_desktop.core.redaction.gateway import (
    JsonValue,
    Masked,
    RedactedText,
    Redactor,
)
from flowpilot_desktop.core.redaction.logs import RedactingFilter

__all__ = ["JsonValue", "Masked", "RedactedText", "RedactingFilter", "Redactor"]
