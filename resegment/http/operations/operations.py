"""What operators can do in a console, and what only their pages read, part by part."""

from __future__ import annotations

from dataclasses import dataclass

from resegment.http.operations.audit import AuditLog
from resegment.http.operations.endpoints import Endpoints
from resegment.http.operations.letters import Letters
from resegment.http.operations.owners import Owners
from resegment.http.operations.sources import Sources
from resegment.http.operations.versions import Versions


@dataclass(frozen=True, slots=True)
class Operations:
    """The parts of a prefix that operators look at and change."""

    letters: Letters
    versions: Versions
    owners: Owners
    endpoints: Endpoints
    sources: Sources
    audit: AuditLog
