"""Read the file of sinks and the credentials that it names, with every problem at once and its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic import Field, ValidationError

from resegment.documents.diagnostics import Diagnostic
from resegment.errors import UserError
from resegment.sinks.configuration import EVERY, ContactSource, SinkEntry, SinksFile
from resegment.sinks.file_reader import FileReader
from resegment.sinks.operation import Owner
from resegment.sinks.port import Limit, Sink, Vendor
from resegment.sinks.registry import VENDORS
from resegment.sinks.webhook.endpoint import SecretSource
from resegment.sinks.webhook.endpoints import NAME
from resegment.sinks.webhook.headers import check_value


class InvalidSinks(UserError):
    """A file of sinks that has errors; `diagnostics` has all of them, in the order of the file."""

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        self.diagnostics = tuple(sorted(diagnostics, key=lambda one: (one.place.line, one.place.column)))
        super().__init__(
            "\n".join(str(one) for one in self.diagnostics),
            remedy="Fix the file that --sinks or RESEGMENT_SINKS names.",
        )


@dataclass(frozen=True, slots=True)
class LoadedSink:
    """A sink with everything that sending to it needs, except its credentials, which are read when they are used."""

    name: str
    vendor: Vendor
    entry: SinkEntry
    sink: Sink
    base: str
    targets: Mapping[str, Any]
    owners: Mapping[str, Owner]
    folder: Path

    def target_of(self, workflow: str) -> Any:
        """Return what a workflow means at the vendor, or None if nothing."""
        return self.targets.get(workflow, self.targets.get(EVERY))

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The limits to keep."""
        if self.entry.limits is None:
            return self.vendor.limits
        return tuple(Limit(one.requests, one.per) for one in self.entry.limits)

    @property
    def timeout(self) -> float:
        """Seconds for one request."""
        return self.entry.timeout or self.vendor.timeout

    @property
    def settle(self) -> float:
        """Seconds after which a lost request can be looked up."""
        return self.vendor.settle if self.entry.settle is None else self.entry.settle


@dataclass(frozen=True, slots=True)
class LoadedSinks:
    """The whole file."""

    file: SinksFile
    sinks: Mapping[str, LoadedSink]
    folder: Path


def load_sinks(path: Path, environment: Mapping[str, str]) -> LoadedSinks:
    """Read the file and check the credentials that it names. Raises InvalidSinks with every error in both."""
    reading = _SinksReader(path)
    file = reading.read(environment)
    if reading.problems or file is None:
        raise InvalidSinks(reading.problems)
    return LoadedSinks(file, reading.loaded, path.parent)


def read_secrets(loaded: LoadedSink, environment: Mapping[str, str]) -> dict[str, str]:
    """Read the credentials of a sink again: a file may have been replaced. What cannot be read is left out."""
    reading = FileReader(loaded.folder / "sinks.yaml")
    found = {
        name: reading.read_hidden(source, environment, (), check_value, "")
        for name, source in loaded.entry.credentials.items()
    }
    return {name: value for name, value in found.items() if value is not None}


_REMEDIES: Final = {
    "sinks": "Name each sink in lowercase letters, digits and hyphens: `sinks: {crm: {vendor: hubspot, ...}}`.",
    "vendor": f"The vendors are: {', '.join(VENDORS)}.",
    "credentials": "Don't write a secret into the file: name its place as {env: VARIABLE} or {file: PATH}.",
    "workflows": "Map each workflow to what it means there; docs/sinks.md lists the keys of each vendor.",
    "url": "Give https://host; http only for this machine.",
    "contacts": "Give a list, like [{table: contacts.csv}, {sink: crm}, {people: true}].",
}


class _Top(SinksFile):
    """The file, with its sinks unread."""

    sinks: dict[str, Any] = Field(min_length=1)


@dataclass(slots=True)
class _SinksReader(FileReader):
    remedies: ClassVar[Mapping[str, str]] = _REMEDIES

    loaded: dict[str, LoadedSink] = field(default_factory=dict)

    def read(self, environment: Mapping[str, str]) -> SinksFile | None:
        document = self.parse()
        if document is None:
            return None
        data = document.data
        if not isinstance(data, dict):
            self.note("wrong-type", "the file is a map with `sinks`", ())
            return None
        top: SinksFile | None = None
        try:  # sinks are read one by one, so that an error in one does not hide errors in others
            top = _Top.model_validate(data)
        except ValidationError as error:
            self.take(error, ())
        emails = {} if top is None else {name: one.email for name, one in top.owners.items()}
        given = data.get("sinks")
        entries: dict[str, SinkEntry] = {}
        for name, value in given.items() if isinstance(given, dict) else ():
            entry = self._read_sink(name, value, emails, environment)
            if entry is not None:
                entries[name] = entry
        if top is None:
            return None
        self._check_references(top, set(given) if isinstance(given, dict) else set())
        if self.problems:
            return None
        return SinksFile.model_construct(
            **{**{name: getattr(top, name) for name in _SHARED}, "sinks": entries}
        )

    def _read_sink(
        self, name: str, value: object, emails: Mapping[str, str | None], environment: Mapping[str, str]
    ) -> SinkEntry | None:
        path = ("sinks", name)
        if not NAME.fullmatch(name):
            self.note("wrong-name", "this is not a valid name for a sink", path)
        entry = self._read_entry(value, path)
        if entry is None:
            return None
        vendor = VENDORS.get(entry.vendor)
        if vendor is None:
            self.note("unknown-vendor", f"no sink is built for {entry.vendor!r}", (*path, "vendor"))
            return None
        self._check_credentials(vendor, entry, path, environment)
        base = entry.url or vendor.base
        if not base:
            self.note(
                "missing", f"{vendor.title} needs `url`: each customer has its own", path, _REMEDIES["url"]
            )
        sink = self._build(vendor, entry, path)
        targets = {
            workflow: self._read_target(vendor, target, (*path, "workflows", workflow))
            for workflow, target in entry.workflows.items()
        }
        self._check_uses(vendor, entry, path)
        if sink is not None and base:
            owners = {
                owner: Owner(owner, emails.get(owner), entry.owners.get(owner, {}))
                for owner in (*emails, *entry.owners)
            }
            self.loaded[name] = LoadedSink(name, vendor, entry, sink, base, targets, owners, self.path.parent)
        return entry

    def _read_entry(self, value: object, path: tuple[str, ...]) -> SinkEntry | None:
        """Return the entry; if some of its keys are wrong, note that and return it without them, to check the others."""
        try:
            return SinkEntry.model_validate(value)
        except ValidationError as error:
            self.take(error, path)
            wrong = {one["loc"][0] for one in error.errors(include_url=False) if one["loc"]}
        if not isinstance(value, dict) or "vendor" in wrong:
            return None
        rest = {"credentials": {}, **{name: given for name, given in value.items() if name not in wrong}}
        try:
            return SinkEntry.model_validate(rest)
        except ValidationError:
            return None

    def _build(self, vendor: Vendor, entry: SinkEntry, path: tuple[str, ...]) -> Sink | None:
        try:
            return vendor.build(vendor.options.model_validate(entry.options))
        except ValidationError as error:
            self.take(error, (*path, "options"))
            return None

    def _read_target(self, vendor: Vendor, given: Any, path: tuple[str, ...]) -> Any:
        try:
            return vendor.target.model_validate({} if given is None else given)
        except ValidationError as error:
            self.take(error, path)
            return None

    def _check_credentials(
        self, vendor: Vendor, entry: SinkEntry, path: tuple[str, ...], environment: Mapping[str, str]
    ) -> None:
        given = entry.credentials
        known = {name for names in vendor.credentials for name in names}
        for name, source in given.items():
            here = (*path, "credentials", name)
            if name not in known:
                self.note(
                    "extra-forbidden", f"{name!r} is not a credential of {vendor.title}", here, _say(vendor)
                )
            self._check_secret(source, environment, here)
        if not any(set(names) <= given.keys() for names in vendor.credentials):
            self.note("missing", "credentials are missing", (*path, "credentials"), _say(vendor))

    def _check_secret(
        self, source: SecretSource, environment: Mapping[str, str], path: tuple[str, ...]
    ) -> None:
        self.read_hidden(source, environment, path, check_value, "Set it to the value that the vendor shows.")

    def _check_uses(self, vendor: Vendor, entry: SinkEntry, path: tuple[str, ...]) -> None:
        for owner, ids in entry.owners.items():
            for name in ids:
                if name not in vendor.owner_ids:
                    known = ", ".join(vendor.owner_ids) or "nothing here"
                    self.note(
                        "extra-forbidden",
                        f"{vendor.title} knows an owner by {known}, not by {name!r}",
                        (*path, "owners", owner, name),
                        "Check the spelling.",
                    )
        if entry.fields is not None and "property" not in vendor.capabilities:
            self.note(
                "wrong-use",
                f"{vendor.title} has no records of accounts to write fields to",
                (*path, "fields"),
            )
        if not entry.workflows and entry.fields is None:
            self.note(
                "unused",
                "the sink gets nothing: it has neither `workflows` nor `fields`",
                path,
                _REMEDIES["workflows"],
            )

    def _check_references(self, top: SinksFile, names: set[str]) -> None:
        if top.tasks is not None:
            self._check_reference(top.tasks, names, ("tasks",), "task")
        for number, source in enumerate(top.contacts):
            self._check_source(number, source, names)

    def _check_source(self, number: int, source: ContactSource, names: set[str]) -> None:
        if source.sink is not None:
            self._check_reference(source.sink, names, ("contacts", number, "sink"), "search")
        if source.table is not None and not (self.path.parent / source.table).is_file():
            self.note("no-file", "no such file", ("contacts", number, "table"), "Check the path.")

    def _check_reference(self, name: str, names: set[str], path: tuple[str | int, ...], use: str) -> None:
        if name not in names:
            self.note(
                "unknown-name",
                f"no sink is named {name!r}",
                path,
                f"The file has: {', '.join(sorted(names))}.",
            )
        elif name in self.loaded:
            vendor = self.loaded[name].vendor
            if use == "task" and "task" not in vendor.capabilities:
                self.note(
                    "wrong-use", f"{vendor.title} has no tasks", path, "Name a sink like Slack or a CRM."
                )
            if use == "search" and not vendor.searches:
                self.note("wrong-use", f"{vendor.title} is not searched for contacts", path, "Name a CRM.")


_SHARED: Final = tuple(name for name in SinksFile.model_fields if name != "sinks")


def _say(vendor: Vendor) -> str:
    return f"{vendor.title} takes: {' or '.join(', '.join(names) for names in vendor.credentials)}."
