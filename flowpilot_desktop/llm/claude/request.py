"""What is sent to Claude, so that nothing that was sent before ever changes.

The order is that of the vendor's cache: instructions, opening, then the turns of the session, each
call longer than the last by its new turns alone. Two breakpoints stand where they never move, at
the end of the instructions and of the opening; the third, the request's own ``cache_control``, is
always at the end. So the prefix is byte-identical from call to call.

What the app says goes as ``{"role": "system"}`` between turns. The API wants such a message right
after a user's and before an assistant's, so a run of turns between two cards becomes one message
of the user, then one of the system. Blocks of data in what the app says (a linked ticket's text)
go with the user's message: text from strangers never speaks with the system's authority. Models and
gateways that refuse system messages get the app's words in the user's message. A screenshot stands
in the message that tells of it, so one that is added late moves nothing before it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from flowpilot_desktop.core.ports import Consultation, Picture, Speaker, Turn
from flowpilot_desktop.llm.claude import failures
from flowpilot_desktop.llm.fence import parted
from flowpilot_desktop.llm.prompts import prompt
from flowpilot_desktop.llm.registry import ModelSettings

Json = dict[str, Any]

_NO_ANSWER = "(The technician has added nothing.)"
_MEDIA_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


@dataclass(frozen=True, slots=True)
class Abilities:
    """What the server was found to accept."""

    system_turns: bool = True
    effort: bool = True


def step_request(
    settings: ModelSettings, consultation: Consultation, form: Json, abilities: Abilities
) -> Json:
    """Return the parameters of a call for the next step."""
    cache = _cache(settings)
    messages = [
        {"role": "user", "content": _opening(consultation, cache)},
        *_messages(consultation, abilities),
    ]
    return {
        "model": settings.model,
        "max_tokens": settings.max_tokens,
        "system": [{"type": "text", "text": prompt("diagnosis").text, "cache_control": cache}],
        "messages": messages,
        "output_config": _output(form, settings.effort if abilities.effort else ""),
        "cache_control": cache,
    }


def repair_request(request: Json, answer: str, error: str) -> Json:
    """Return the request with the unusable answer and what was wrong with it appended."""
    turns: list[Json] = []
    if answer.strip():
        turns.append({"role": "assistant", "content": [_text(answer.strip())]})
    # Formatted by hand: the answer's own braces must not be taken for fields.
    words = prompt("repair").text.replace("{error}", error)
    turns.append({"role": "user", "content": [_text(words)]})
    return {**request, "messages": [*request["messages"], *turns]}


def briefing_request(settings: ModelSettings, consultation: Consultation, form: Json) -> Json:
    """Return the parameters of the one call that makes a briefing."""
    text = "\n".join(
        part for part in (str(consultation.opening), *(str(t.text) for t in consultation.turns))
    )
    return {
        "model": settings.fast_model,
        "max_tokens": 4_000,
        "system": prompt("briefing").text,
        "messages": [{"role": "user", "content": text}],
        "output_config": _output(form, ""),
    }


def _output(form: Json, effort: str) -> Json:
    output: Json = {"format": {"type": "json_schema", "schema": form}}
    if effort:
        output["effort"] = effort
    return output


def _cache(settings: ModelSettings) -> Json:
    return {"type": "ephemeral", "ttl": settings.cache_ttl}


def _text(text: str) -> Json:
    return {"type": "text", "text": text}


def _user_content(parts: Iterable[str | Picture]) -> Iterator[Json]:
    """Yield what a user's message holds: texts that follow each other are one."""
    for is_picture, group in groupby(parts, lambda part: isinstance(part, Picture)):
        if is_picture:
            yield from (_picture(part) for part in group if isinstance(part, Picture))
        else:
            yield _text("\n\n".join(part for part in group if isinstance(part, str)))


def _opening(consultation: Consultation, cache: Json) -> list[Json]:
    # Pictures stand after the breakpoint: one added later leaves the opening's prefix whole.
    return [
        {**_text(str(consultation.opening)), "cache_control": cache},
        *(_picture(picture) for picture in consultation.pictures),
    ]


def _picture(picture: Picture) -> Json:
    if picture.media_type not in _MEDIA_TYPES:
        raise failures.picture_refused(picture.media_type)
    return {
        "type": "image",
        "source": {
            "type": "base64",
            "media_type": picture.media_type,
            "data": base64.b64encode(picture.content).decode("ascii"),
        },
    }


def _messages(consultation: Consultation, abilities: Abilities) -> list[Json]:
    messages: list[Json] = []
    runs = list(_runs(consultation.turns))
    for index, run in enumerate(runs):
        app = [*run.app]
        if index == len(runs) - 1 and consultation.must_conclude:
            app.append(prompt("conclude").text)
        messages += _run_messages(run, app, abilities, is_first=index == 0)
    return messages


@dataclass(slots=True)
class _Run:
    """The turns between two cards, and the card that follows them, empty at the end."""

    user: list[str | Picture]
    app: list[str]
    card: str = ""


def _runs(turns: Sequence[Turn]) -> Iterable[_Run]:
    """Yield runs; the last one has no card, and there is always a last one."""
    run = _Run([], [])
    for turn in turns:
        text = str(turn.text).strip()
        match turn.speaker:
            case Speaker.TECHNICIAN:
                run.user += [text, *turn.pictures]
            case Speaker.APP:
                words, blocks = parted(text)
                run.app.append(words)
                if blocks:
                    run.user.append(blocks)
            case Speaker.MODEL:
                run.card = text
                yield run
                run = _Run([], [])
    yield run


def _run_messages(
    run: _Run, app: Sequence[str], abilities: Abilities, *, is_first: bool
) -> Iterable[Json]:
    user = [*run.user]
    if app and not abilities.system_turns:
        user.append("\n".join(f"The app says: {words}" for words in app))
    # The opening is the user's message before the first run.
    if not user and not is_first:
        user.append(_NO_ANSWER)
    if user:
        yield {"role": "user", "content": list(_user_content(user))}
    if app and abilities.system_turns:
        yield {"role": "system", "content": [_text("\n\n".join(app))]}
    if run.card:
        yield {"role": "assistant", "content": [_text(run.card)]}
