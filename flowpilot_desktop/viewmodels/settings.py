"""What the settings page knows: the declared settings, and the ways to the outside systems.

A setting that is changed is kept at once; there is no Apply. A connection is different: it is
typed, tested, then kept. Keys are handed to the keyring and never come back to the screen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from PySide6.QtCore import QObject, Signal

from flowpilot_desktop.core.counting import counted
from flowpilot_desktop.core.errors import FlowPilotError, InvalidInput
from flowpilot_desktop.core.events import Events, SettingsChanged
from flowpilot_desktop.core.ports import Secrets
from flowpilot_desktop.core.session import new_id
from flowpilot_desktop.core.ticket import Member, MemberMapping, PsaConnection, PsaSelfTest
from flowpilot_desktop.psa.registry import PsaKeys
from flowpilot_desktop.services.doctor import Doctor, Finding
from flowpilot_desktop.services.engine import FlowPilotEngine
from flowpilot_desktop.services.model_access import KEY_NAME, Account, ModelAccess
from flowpilot_desktop.settings import Section, Setting, Settings
from flowpilot_desktop.viewmodels.viewmodel import ViewModel

_MODELS_NAMED = 4


@dataclass(frozen=True, slots=True)
class PsaForm:
    """What is typed about the PSA; empty keys mean the kept ones."""

    site: str = ""
    company_id: str = ""
    public_key: str = ""
    private_key: str = ""
    ca_file: str = ""

    def __repr__(self) -> str:
        """Return no key."""
        return f"PsaForm(site={self.site!r}, company_id={self.company_id!r})"


class SettingsViewModel(ViewModel):
    """Settings, connections, and the self-test.

    ``psa_connected`` and ``model_key_kept`` tell that what was typed is in the keyring: only now
    do the fields need it no longer.
    """

    psa_connected = Signal()
    model_key_kept = Signal()

    def __init__(
        self,
        *,
        settings: Settings,
        engine: FlowPilotEngine,
        access: ModelAccess,
        secrets: Secrets,
        doctor: Doctor,
        events: Events,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._settings = settings
        self._engine = engine
        self._access = access
        self._secrets = secrets
        self._doctor = doctor
        self._events = events
        self.errors: dict[str, FlowPilotError] = {}
        self.connection: PsaConnection | None = None
        self.has_keys = False
        self.has_model_key = False
        self.account: Account | None = None
        self.psa_test: PsaSelfTest | None = None
        self.psa_error: FlowPilotError | None = None
        self.model_words = ""
        self.model_error: FlowPilotError | None = None
        self.mapping: MemberMapping | None = None
        self.members: tuple[Member, ...] = ()
        self.findings: tuple[Finding, ...] = ()
        self._listen(events, SettingsChanged, self._settings_changed)

    # The declared settings

    def declared(self, section: Section) -> tuple[Setting[Any], ...]:
        """Return the settings of a section that the page shows."""
        return tuple(one for one in Settings.declarations() if one.section is section and one.shown)

    def value(self, setting: Setting[Any]) -> Any:
        """Return a setting's value."""
        return self._settings.value(setting)

    def change(self, setting: Setting[Any], value: Any) -> None:
        """Keep a value; one that can't be is said beside its field and the old one stays."""
        self.tasks.start(f"change {setting.key}", self._change(setting, value))

    async def _change(self, setting: Setting[Any], value: Any) -> None:
        try:
            await self._settings.change(setting, value)
        except InvalidInput as error:
            self.errors[setting.key] = error
        else:
            self.errors.pop(setting.key, None)
        self.changed.emit()

    # The outside systems

    def open(self) -> None:
        """Learn what is set up."""
        self.tasks.start("open", self._open())

    async def is_connected(self) -> bool:
        """Return whether a ticketing system was connected."""
        return await self._engine.tickets.connection() is not None

    @property
    def is_testing_psa(self) -> bool:
        """Whether ConnectWise is being tried."""
        return self.tasks.is_running("psa")

    @property
    def is_testing_model(self) -> bool:
        """Whether Claude is being tried."""
        return self.tasks.is_running("model")

    @property
    def is_examining(self) -> bool:
        """Whether the self-test runs."""
        return self.tasks.is_running("examine")

    def test_psa(self, form: PsaForm) -> None:
        """Try a connection without keeping it."""
        self._start("psa", self._test_psa(form, keep=False))

    def connect_psa(self, form: PsaForm) -> None:
        """Try a connection and keep it when its keys are accepted."""
        self._start("psa", self._test_psa(form, keep=True))

    def disconnect_psa(self) -> None:
        """Forget the connection and its keys."""
        self._start("psa", self._disconnect_psa())

    def keep_model_key(self, key: str) -> None:
        """Keep Claude's key and try it."""
        self._start("model", self._keep_model_key(key.strip()))

    def forget_model_key(self) -> None:
        """Forget Claude's key."""
        self._start("model", self._forget_model_key())

    def test_model(self) -> None:
        """Try Claude with the kept key."""
        self._start("model", self._test_model())

    def find_members(self, text: str) -> None:
        """List members to map oneself to."""
        self._start("members", self._find_members(text))

    def map_to(self, member: Member) -> None:
        """Say which member the technician is."""
        self._start("mapping", self._map_to(member))

    def examine(self) -> None:
        """Run the self-test."""
        self._start("examine", self._examine())

    # Inside

    def _start(self, name: str, work: Any) -> None:
        self.tasks.start(name, self._shown(work))
        self.changed.emit()

    async def _shown(self, work: Any) -> None:
        try:
            await work
        finally:
            # The name is freed when this task ends; what is drawn then shows it as done.
            self.tasks.start("settled", self._settled())

    async def _settled(self) -> None:
        self.changed.emit()

    async def _open(self) -> None:
        self.connection = await self._engine.tickets.connection()
        try:
            self.has_model_key = bool(await self._secrets.read(KEY_NAME))
            self.has_keys = self.connection is not None and await self._engine.tickets.has_keys(
                self.connection
            )
        except FlowPilotError as error:
            self.psa_error = error
        if self.connection is not None:
            self.mapping = await self._engine.tickets.kept_mapping(
                self.connection.id, self._engine.me
            )
            if self.mapping is None:
                self.tasks.start("find mapping", self._find_mapping(self.connection.id))
        self.changed.emit()

    async def _find_mapping(self, connection_id: str) -> None:
        self.mapping = await self._engine.tickets.mapping(connection_id, self._engine.me)
        self.changed.emit()

    def _connection_of(self, form: PsaForm) -> PsaConnection:
        site = form.site.strip().rstrip("/")
        if not site or not form.company_id.strip():
            raise InvalidInput(
                "Site and company id are needed.",
                hint="The site is the host name that you open ConnectWise at.",
            )
        typed = PsaConnection(
            id=new_id(),
            provider="connectwise",
            site=site,
            company_id=form.company_id.strip(),
            ca_file=form.ca_file.strip(),
            name="ConnectWise",
        )
        kept = self.connection
        # Another site is another connection: what waits for the old one never goes to the new.
        return replace(typed, id=kept.id) if kept and kept.is_same_site(typed) else typed

    async def _test_psa(self, form: PsaForm, *, keep: bool) -> None:
        self.psa_error, self.psa_test = None, None
        try:
            connection = self._connection_of(form)
            keys = None
            if bool(form.public_key.strip()) != bool(form.private_key.strip()):
                missing = "private" if form.public_key.strip() else "public"
                raise InvalidInput(
                    f"The {missing} key is missing.",
                    hint="Keys come in pairs. Leave both fields empty to use the kept ones.",
                )
            if form.public_key.strip():
                keys = PsaKeys(form.public_key.strip(), form.private_key.strip())
            self.psa_test = await self._engine.tickets.test(connection, keys)
            if keep:
                await self._engine.tickets.connect(connection, keys)
                self.psa_connected.emit()
                await self._open()
                if self.connection is not None:
                    self.mapping = await self._engine.tickets.mapping(
                        self.connection.id, self._engine.me
                    )
        except FlowPilotError as error:
            self.psa_error = error

    async def _disconnect_psa(self) -> None:
        await self._engine.tickets.disconnect()
        self.psa_test = self.mapping = None
        await self._open()

    async def _keep_model_key(self, key: str) -> None:
        self.model_error, self.model_words = None, ""
        if not key:
            self.model_error = InvalidInput("Paste a key first.")
            return
        try:
            await self._secrets.write(KEY_NAME, key)
        except FlowPilotError as error:
            self.model_error = error
            return
        self.has_model_key = True
        self.model_key_kept.emit()
        self._events.publish(SettingsChanged("model.key"))
        await self._test_model()

    async def _forget_model_key(self) -> None:
        await self._secrets.delete(KEY_NAME)
        self.has_model_key = False
        self.model_words = ""
        self._events.publish(SettingsChanged("model.key"))

    async def _test_model(self) -> None:
        self.model_error, self.model_words = None, ""
        try:
            self._access.try_again()
            models = await (await self._access.model()).models()
        except FlowPilotError as error:
            self.model_error = error
        else:
            names = ", ".join(model.name or model.id for model in models[:_MODELS_NAMED])
            some = "among them " if len(models) > _MODELS_NAMED else ""
            self.model_words = f"The key works: {counted(len(models), 'model')}, {some}{names}."

    async def _find_members(self, text: str) -> None:
        try:
            self.members = await self._engine.tickets.members(text.strip())
        except FlowPilotError as error:
            self.psa_error = error

    async def _map_to(self, member: Member) -> None:
        if self.connection is not None:
            self.mapping = await self._engine.tickets.map_member(
                self.connection.id, self._engine.me, member
            )

    async def _examine(self) -> None:
        self.findings = tuple(await self._doctor.examine())

    def count_up(self) -> None:
        """Learn what Claude has cost by now."""
        self.tasks.start("account", self._count_up())

    async def _count_up(self) -> None:
        self.account = await self._access.account()
        self.changed.emit()

    def _settings_changed(self, event: SettingsChanged) -> None:
        if event.key == "psa.connection":
            self.open()
        self.changed.emit()
