"""What the simulated model answers when nobody scripted it: a small diagnosis by rules.

It asks, looks, tries, has the fix verified and then proposes a resolution; it turns when a result
speaks against it, and concludes when it is told that the limit is reached. Everything is valid by
the schema that the application sends.
"""

import json
from typing import Any

Json = dict[str, Any]

_DOMAINS = {
    "printing": ("print", "spool", "toner"),
    "email": ("mail", "outlook", "exchange"),
    "identity": ("password", "log in", "login", "mfa", "account", "sign in"),
    "network": ("vpn", "network", "internet", "dns", "wifi", "wi-fi", "slow"),
    "storage": ("share", "disk", "drive", "file"),
    "server": ("server", "service", "domain controller"),
}


def card(kind: str = "action", **fields: Any) -> Json:
    """Return a whole card; what is not given is empty or plausible."""
    whole: Json = {
        "kind": kind,
        "text": "Check whether <computer name> reaches its gateway.",
        "why": "It separates the local network from what lies beyond.",
        "options": [],
        "command": {"text": "", "shell": "", "risk": "read_only", "undo": ""},
        "expected_outcome": "",
        "action_taken": "",
        "follow_ups": [],
        "hypotheses": [],
        "confidence": 0.3,
        "needs_person": False,
        "suspicious": "",
        "problem": "Something does not work as it should",
        "domain": "other",
    }
    return {**whole, **fields}


def answer_to(body: Json) -> Json:
    """Return the answer that the rules give to a request."""
    schema = ((body.get("output_config") or {}).get("format") or {}).get("schema") or {}
    if "summary" in schema.get("properties", {}):
        return _briefing()
    messages = body["messages"]
    cards = [_card_of(message) for message in messages if message["role"] == "assistant"]
    opening = _text(messages[0]).lower()
    last_system = next((_text(m) for m in reversed(messages) if m["role"] == "system"), "")
    concluding = messages[-1]["role"] == "system" and "step limit" in last_system
    last_words = next((_text(m) for m in reversed(messages) if m["role"] == "user"), "")
    domain = next(
        (name for name, words in _DOMAINS.items() if any(word in opening for word in words)),
        "other",
    )
    return _next(cards, last_words, domain, concluding=concluding)


def _next(cards: list[Json], last_words: str, domain: str, *, concluding: bool) -> Json:
    number = len(cards) + 1
    worked = "Result: Worked" in last_words
    holds = "Result: Yes, it holds" in last_words
    hypotheses = _hypotheses(number, domain, proven=worked or holds)
    base: Json = {
        "domain": domain,
        "problem": f"A {domain} problem, for one user, since this morning",
        "hypotheses": hypotheses,
        "confidence": min(0.9, 0.2 + 0.1 * number),
    }
    last_kind = cards[-1].get("kind") if cards else ""
    if concluding and not holds:
        return card(
            "action",
            **base,
            text=f"Most likely the {domain} service is the cause. Have a colleague check it.",
            needs_person=True,
        )
    if last_kind == "verification" and holds:
        return card(
            "resolution",
            **base,
            text=f"The {domain} service had stopped; starting it again solved the problem.",
            action_taken="Started the service again.",
            follow_ups=["Watch the service for a week."],
        )
    if last_kind == "action" and worked and number > 2:
        return card(
            "verification",
            **base,
            text="Ask the user to repeat what failed before.",
            expected_outcome="It works twice in a row.",
        )
    if not cards:
        return card(
            "question",
            **base,
            text="Since when does it happen, and did anything change before?",
            options=[
                {"label": "Since an update", "value": "since_update"},
                {"label": "Since today, nothing changed", "value": "since_today"},
                {"label": "For weeks", "value": "for_weeks"},
            ],
        )
    if number % 3 == 0:
        return card(
            "action",
            **base,
            text=f"Restart the service behind it (attempt {number}).",
            command={
                "text": "Restart-Service <service name>",
                "shell": "powershell",
                "risk": "changes_one",
                "undo": "Start-Service <service name>",
            },
            expected_outcome="The service is running.",
        )
    return card(
        "action",
        **base,
        text=f"Look at the state of the service (look {number}).",
        command={
            "text": "Get-Service <service name>",
            "shell": "powershell",
            "risk": "read_only",
            "undo": "",
        },
        expected_outcome="The state is Running.",
    )


def _hypotheses(number: int, domain: str, *, proven: bool) -> list[Json]:
    return [
        {
            "text": f"The {domain} service has stopped",
            "confidence": min(0.95, 0.3 + 0.1 * number),
            "status": "supported" if proven else "open",
            "evidence": [number - 1] if proven and number > 1 else [],
        },
        {
            "text": "An update changed a setting",
            "confidence": max(0.05, 0.4 - 0.1 * number),
            "status": "open",
            "evidence": [],
        },
    ]


def _briefing() -> Json:
    return {
        "summary": "One user is affected. The cause is narrowed down, not proven.",
        "hypotheses": ["The service has stopped", "An update changed a setting"],
        "next_steps": ["Read the service's log", "Compare with a computer that works"],
    }


def _card_of(message: Json) -> Json:
    try:
        found = json.loads(_text(message))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _text(message: Json) -> str:
    content = message["content"]
    if isinstance(content, str):
        return content
    return "\n".join(str(block.get("text", "")) for block in content)
