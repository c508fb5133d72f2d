"""What an agent asks about the versions of a prefix."""

from __future__ import annotations

from typing import Literal, Protocol

from mypy_extensions import mypyc_attr

from resegment.schemas.definitions.records import Apply
from resegment.schemas.logs.state_log import StateWrite
from resegment.schemas.privacy.opening import FactKeys
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.versions.era import ALWAYS, Era
from resegment.segmentation.versions.timeline import Timeline

Verdict = Literal["stands", "void"]


class Versions(Protocol):
    """The versions as the process knows them now. It may learn more at any time."""

    @property
    def timeline(self) -> Timeline:
        """Return the versions of all switches that stand. It keeps also what an apply under way will read."""
        ...

    @property
    def folds_in(self) -> bool:
        """Return whether facts are folded in beside the accounts. A replay needs none: it keeps all from its beginning."""
        ...

    @property
    def keys(self) -> FactKeys | None:
        """Return what opens sealed facts; None where nothing is sealed."""
        ...

    def knows(self, apply: str) -> bool:
        """Return whether the apply has been read, so that accounts keep what its version reads."""
        ...

    def verdict(self, apply: str) -> Verdict | None:
        """Return whether the switch stands or is void, None while that is open."""
        ...

    def apply_of(self, apply: str) -> Apply | None:
        """Return the record of an apply, None where it has not been read."""
        ...


@mypyc_attr(allow_interpreted_subclasses=True)
class KnownVersions:
    """Versions that do not change: for replays, and where there is only one. It is also the codec of their accounts."""

    folds_in = False

    def __init__(self, timeline: Timeline, keys: FactKeys | None = None) -> None:
        self.timeline, self.keys = timeline, keys

    def knows(self, apply: str) -> bool:  # noqa: ARG002  # the port
        """Return True: what is not known now never will be."""
        return True

    def verdict(self, apply: str) -> Verdict | None:  # noqa: ARG002  # the port
        """Return `void`: only the switches of the timeline stand."""
        return "void"

    def apply_of(self, apply: str) -> Apply | None:  # noqa: ARG002  # the port
        """Return None."""
        return None

    def load(self, name: str, value: bytes | None) -> Account:
        """See `resegment.agents.partition.AccountCodec`."""
        return self.timeline.load(name, value)

    def encode(self, account: Account) -> bytes:
        """See `resegment.agents.partition.AccountCodec`."""
        return self.timeline.encode(account)

    def write(self, account: Account) -> StateWrite | None:
        """See `resegment.agents.partition.AccountCodec`."""
        return account.write()


def one_version(engine: Engine, number: int = 1, keys: FactKeys | None = None) -> KnownVersions:
    """Return the versions of a prefix that has one."""
    return KnownVersions(Timeline((Era(number, ALWAYS, engine),)), keys)
