"""Nouns as JSON: what a card, an answer or a payload looks like in a column.

Only what is never searched by field lives in JSON. A union (the body of a step, the payload of a
push) carries its kind inside. Keys that this version does not know are ignored and keys that an
older version did not write take the field's default, so a noun may grow without a migration.

Every text passes ``clean`` on its way in, so that no lone surrogate makes saving fail and no NUL
waits for a database that refuses it.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cattrs import Converter

from flowpilot_desktop.core.push import PAYLOADS, PushKind, PushPayload
from flowpilot_desktop.core.redaction import RedactedText, Redactor
from flowpilot_desktop.core.session import STEP_BODIES, StepBody, StepKind

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def clean(text: str) -> str:
    """Return the text with NUL as U+2400 and lone surrogates as U+FFFD; all else as it is.

    Two surrogates that belong together, as Windows hands them over, become their character.
    """
    if "\x00" in text:
        text = text.replace("\x00", "\u2400")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def to_micros(moment: datetime) -> int:
    """Return microseconds since 1970 in UTC; a moment without a zone is a mistake."""
    if moment.utcoffset() is None:
        raise ValueError("A moment without a time zone can't be stored.")
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the aware UTC moment."""
    return _EPOCH + timedelta(microseconds=micros)


@cache
def _converter() -> Converter:
    converter = Converter(prefer_attrib_converters=False)
    converter.register_unstructure_hook(str, clean)
    converter.register_unstructure_hook(datetime, to_micros)
    converter.register_structure_hook(datetime, lambda micros, _: from_micros(micros))
    # Redacting a redacted text changes nothing; the gateway alone makes the type.
    converter.register_unstructure_hook(RedactedText, lambda redacted: clean(redacted.text))
    converter.register_structure_hook(RedactedText, lambda text, _: Redactor().redact(text))
    _register_union(converter, StepBody, dict(STEP_BODIES), StepKind)
    _register_union(converter, PushPayload, dict(PAYLOADS), PushKind)
    return converter


def _register_union(
    converter: Converter, union: Any, kinds: dict[Any, type[Any]], kind_type: type[Any]
) -> None:
    names = {noun: str(kind.value) for kind, noun in kinds.items()}

    def unstructure(value: Any) -> dict[str, Any]:
        return {"kind": names[type(value)], **converter.unstructure(value, type(value))}

    def structure(document: dict[str, Any], _: Any) -> Any:
        return converter.structure(document, kinds[kind_type(document["kind"])])

    converter.register_unstructure_hook_func(lambda noun: noun == union, unstructure)
    converter.register_structure_hook_func(lambda noun: noun == union, structure)


def to_json(value: Any, noun: Any) -> str:
    """Return a noun as JSON text."""
    document = _converter().unstructure(value, noun)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def from_json(text: str, noun: Any) -> Any:
    """Return the noun that a JSON text holds."""
    return _converter().structure(json.loads(text), noun)
