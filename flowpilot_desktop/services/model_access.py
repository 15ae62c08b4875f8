"""Whether a model may be asked right now, and which one.

Every reason not to ask is a ``ModelUnavailable`` with words for the banner: no key, a client whose
data must not leave, a budget that is used up, or a model that did not answer a moment ago (so a
day without a network does not wait for a time-out on every card). The adapter is made when it is
first needed and made anew after a setting or the key changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta

from flowpilot_desktop.core.errors import CredentialsUnavailable, ModelError, ModelUnavailable
from flowpilot_desktop.core.events import Events, SettingsChanged
from flowpilot_desktop.core.ports import Clock, Model, Secrets
from flowpilot_desktop.core.session import Session, Usage, new_id
from flowpilot_desktop.core.usage import DailyUsage, SessionUsage, UsageRecord, UsageTotal
from flowpilot_desktop.llm.prices import Price, cost_micros
from flowpilot_desktop.store import Store

KEY_NAME = "claude"
"""The name under which the model's key lies in the keyring."""
ASK_FROM = 0.8
"""From this share of the month's budget on, the technician is asked before Claude goes on."""
_AGREED = "budget_agreed"
PAUSE_SECONDS = 60.0
"""How long a model that did not answer is left alone."""
DAYS_SHOWN = 30
_PASSING = frozenset({"unreachable", "timeout", "rate_limited", "overloaded", "server"})


@dataclass(frozen=True, slots=True)
class ModelRules:
    """The settings that decide about asking a model; money in micro-units, 0 for no budget."""

    budget_micros: int = 0
    never_send: frozenset[str] = frozenset()
    prices: dict[str, Price] = field(default_factory=dict)
    pauses_after_failure: bool = True
    sends_pictures: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """What Claude has cost: ``days`` that have calls, the month's dearest ``sessions``."""

    as_of: date
    today: UsageTotal = UsageTotal()
    month: UsageTotal = UsageTotal()
    budget_micros: int = 0
    days: tuple[DailyUsage, ...] = ()
    sessions: tuple[SessionUsage, ...] = ()


ModelFactory = Callable[[str], Model]
"""Makes the adapter for a key; the registry behind it knows the providers and the settings."""


class ModelAccess:
    """Hands out the model, or says why not."""

    def __init__(
        self,
        *,
        store: Store,
        secrets: Secrets,
        factory: ModelFactory,
        rules: Callable[[], ModelRules],
        clock: Clock,
        events: Events,
    ) -> None:
        self._store = store
        self._secrets = secrets
        self._factory = factory
        self._rules = rules
        self._clock = clock
        self._model: Model | None = None
        # Closed at the end only: an answer may still be coming through one.
        self._outdated: list[Model] = []
        self._failure: tuple[float, ModelUnavailable] | None = None
        self._end_listening = events.listen(SettingsChanged, self._settings_changed)

    async def model_about(self, session: Session, texts: Iterable[str] = ()) -> Model:
        """Return the model to ask about a session, or raise ModelUnavailable.

        In doubt nothing is sent: while there are clients whose data must not leave, a ticket whose
        client is not known yet stays here, and so does a session in which such a client is named,
        in the intake or in one of the ``texts``.
        """
        never = self._rules().never_send
        words = (session.company, session.problem_summary, session.intake.text, *texts)
        told = "\n".join(_folded(text) for text in words) if never else ""
        named = next((name for name in never if _folded(name) in told), "")
        if named:
            raise ModelUnavailable(
                f"Nothing about {named} is sent to a model, as set in Settings → Claude.",
                reason="never_send",
            )
        if never and session.ticket_id and not session.company:
            raise ModelUnavailable(
                f"The client of ticket #{session.ticket_id} is not known yet, and some clients' "
                "data is never sent to a model.",
                reason="never_send",
                hint="Refresh the ticket when ConnectWise can be reached.",
            )
        return await self.model()

    async def model(self) -> Model:
        """Return the model, or raise ModelUnavailable; for a session ask ``model_about``."""
        rules = self._rules()
        await self._within_budget(rules)
        if self._failure is not None:
            until, error = self._failure
            if self._clock.monotonic() < until:
                raise error
            self._failure = None
        if self._model is None:
            self._model = self._factory(await self._key())
        return self._model

    def failed(self, error: ModelError) -> None:
        """Remember that the model did not answer, to leave it alone for a while."""
        if isinstance(error, ModelUnavailable) and error.reason in _PASSING:
            pause = max(error.retry_after, PAUSE_SECONDS)
            if self._rules().pauses_after_failure:
                self._failure = (self._clock.monotonic() + pause, error)

    def try_again(self) -> None:
        """Ask the model again at the next card, whatever happened before."""
        self._failure = None

    async def keep(self, record: UsageRecord) -> None:
        """Keep the cost of an answer that nobody waits for any more."""
        await self._store.save(record)

    def usage_record(self, session_id: str, model: str, usage: Usage) -> UsageRecord:
        """Return the record of a call, with its cost by the price table."""
        cost = cost_micros(model, usage, self._rules().prices)
        return UsageRecord(new_id(), session_id, self._clock.now(), model, usage, cost)

    @property
    def may_send_pictures(self) -> bool:
        """Whether the technician agreed that screenshots, which can't be redacted, are sent."""
        return self._rules().sends_pictures

    async def agree_to_spend(self) -> None:
        """Let Claude go on to the whole budget; the question comes back next month."""
        await self._store.remember(_AGREED, self._month())

    async def account(self) -> Account:
        """Return what Claude has cost: today, this month, day by day, and the dearest sessions."""
        now = self._clock.now().astimezone()
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        month = midnight.replace(day=1)
        since = min(month, midnight - timedelta(days=DAYS_SHOWN - 1))
        zone = now.tzinfo or UTC
        return Account(
            as_of=now.date(),
            today=await self._store.usage(since=midnight),
            month=await self._store.usage(since=month),
            budget_micros=self._rules().budget_micros,
            days=await self._store.daily_usage(since, now + timedelta(days=1), zone),
            sessions=await self._store.usage_by_session(month),
        )

    async def spent_this_month(self) -> int:
        """Return what the calendar month has cost so far, in micro-units."""
        local = self._clock.now().astimezone()
        start = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return (await self._store.usage(since=start)).cost_micros

    async def aclose(self) -> None:
        """Close the adapter."""
        self._end_listening()
        self._settings_changed(SettingsChanged())
        while self._outdated:
            await self._outdated.pop().aclose()

    async def has_key(self) -> bool:
        """Return whether a key is kept; a keyring that does not answer says nothing of it."""
        try:
            return bool(await self._secrets.read(KEY_NAME))
        except CredentialsUnavailable:
            return True

    async def _within_budget(self, rules: ModelRules) -> None:
        if not rules.budget_micros:
            return
        spent = await self.spent_this_month()
        if spent >= rules.budget_micros:
            raise ModelUnavailable(
                "This month's budget for Claude is used up.",
                reason="over_budget",
                hint="Raise it in Settings → Claude, or finish by flow and by hand.",
            )
        if spent < ASK_FROM * rules.budget_micros:
            return
        if await self._store.remembered(_AGREED) != self._month():
            raise ModelUnavailable(
                f"{spent / rules.budget_micros:.0%} of this month's budget for Claude is used.",
                reason="budget_question",
                hint="Go on with Claude until it is used up? Until you say so, the session goes "
                "on by flow and by hand.",
            )

    def _month(self) -> str:
        return f"{self._clock.now().astimezone():%Y-%m}"

    async def _key(self) -> str:
        try:
            key = await self._secrets.read(KEY_NAME)
        except CredentialsUnavailable as error:
            raise ModelUnavailable(error.message, reason="no_key", hint=error.hint) from error
        if not key:
            raise ModelUnavailable(
                "Claude is not set up yet.",
                reason="no_key",
                hint="Add a key in Settings → Claude.",
            )
        return key

    def _settings_changed(self, event: SettingsChanged) -> None:
        if event.key == "" or event.key.startswith(("model.", "claude")):
            if self._model is not None:
                self._outdated.append(self._model)
            self._model = None
            self._failure = None


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())
