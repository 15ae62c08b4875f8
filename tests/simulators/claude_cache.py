"""The prompt cache of the simulated Messages API, with the rules of the real one.

A request is a row of blocks: instructions, then messages. Blocks with ``cache_control`` are
breakpoints, at most four; the request's own ``cache_control`` makes one of the last block. An
entry is written for the prefix up to each breakpoint if that is long enough, and lives as long as
its ttl since it was last used. A request reads the longest entry that it finds at a breakpoint or
up to twenty blocks before one. What was not read, up to the last breakpoint, is written.

Tokens are counted as four bytes each, which is near enough for proportions.
"""

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

LOOKBACK = 20
BREAKPOINTS = 4
TTLS = {"5m": 300.0, "1h": 3600.0}
MINIMUM = {"opus": 1024, "sonnet": 1024, "haiku": 2048}
IMAGE_TOKENS = 1_500


class CacheRuleError(Exception):
    """The request breaks a rule of ``cache_control``; the API answers 400."""


@dataclass(frozen=True)
class Metered:
    """What a request costs, in tokens."""

    input_tokens: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int

    @property
    def cache_write(self) -> int:
        """Tokens written, whatever their ttl."""
        return self.cache_write_5m + self.cache_write_1h

    @property
    def total(self) -> int:
        """All tokens of the prompt."""
        return self.input_tokens + self.cache_read + self.cache_write


@dataclass(frozen=True)
class _Block:
    digest: bytes
    tokens: int
    ttl: str


@dataclass
class PromptCache:
    """Entries by the digest of their prefix; `now` tells seconds."""

    now: Callable[[], float]
    _entries: dict[bytes, tuple[float, str]] = field(default_factory=dict)

    def meter(self, body: dict[str, Any]) -> Metered:
        """Count a request and change the cache as it does."""
        blocks = list(_blocks(body))
        breakpoints = [index for index, block in enumerate(blocks) if block.ttl]
        if len(breakpoints) > BREAKPOINTS:
            raise CacheRuleError(
                f"A maximum of {BREAKPOINTS} blocks with cache_control may be provided. "
                f"Found {len(breakpoints)}."
            )
        ttls = [TTLS[blocks[index].ttl] for index in breakpoints]
        if any(later > earlier for earlier, later in itertools.pairwise(ttls)):
            raise CacheRuleError(
                "a ttl='1h' cache_control block must not come after a ttl='5m' one"
            )
        sums = [0]
        for block in blocks:
            sums.append(sums[-1] + block.tokens)
        hit = self._hit(blocks, breakpoints)
        read = sums[hit + 1]
        written = {"5m": 0, "1h": 0}
        reached = hit
        minimum = next(
            (least for name, least in MINIMUM.items() if name in str(body.get("model"))), 1024
        )
        for index in breakpoints:
            if sums[index + 1] >= minimum:
                self._entries[blocks[index].digest] = (self.now(), blocks[index].ttl)
                if index > reached:
                    written[blocks[index].ttl] += sums[index + 1] - sums[reached + 1]
                    reached = index
        return Metered(sums[-1] - sums[reached + 1], read, written["5m"], written["1h"])

    def _hit(self, blocks: list[_Block], breakpoints: list[int]) -> int:
        """Return the index of the last block of the longest usable entry, -1 without one."""
        for breakpoint_ in reversed(breakpoints):
            for index in range(breakpoint_, max(-1, breakpoint_ - LOOKBACK - 1), -1):
                entry = self._entries.get(blocks[index].digest)
                if entry and self.now() - entry[0] < TTLS[entry[1]]:
                    self._entries[blocks[index].digest] = (self.now(), entry[1])
                    return index
        return -1


def token_count(body: dict[str, Any]) -> int:
    """Return the tokens of a whole prompt."""
    return sum(block.tokens for block in _blocks(body))


def _blocks(body: dict[str, Any]) -> Iterator[_Block]:
    """Yield each block with the digest of everything up to its end."""
    output = body.get("output_config") or {}
    head = [body.get("model"), body.get("tools"), output.get("format")]
    chain = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
    schema_tokens = len(json.dumps(head[1:])) // 4
    found = [("system", block) for block in _parts(body.get("system"))]
    found.append(("", {"type": "settings", "effort": output.get("effort")}))
    for message in body["messages"]:
        found += [(message["role"], block) for block in _parts(message["content"])]
    automatic = (body.get("cache_control") or {}).get("ttl", "5m")
    for index, (role, block) in enumerate(found):
        plain = {key: value for key, value in block.items() if key != "cache_control"}
        chain.update(json.dumps([role, plain], ensure_ascii=False).encode())
        control = block.get("cache_control")
        ttl = control.get("ttl", "5m") if control else ""
        if not ttl and body.get("cache_control") and index == len(found) - 1:
            ttl = automatic
        tokens = _tokens(block) + (schema_tokens if index == 0 else 0)
        yield _Block(chain.copy().digest(), tokens, ttl)


def _parts(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return list(content or ())


def _tokens(block: dict[str, Any]) -> int:
    if block["type"] == "image":
        return IMAGE_TOKENS
    return -(-len(str(block.get("text", "")).encode()) // 4)
