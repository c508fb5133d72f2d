"""Notice that the key store does not answer."""

from __future__ import annotations

import structlog

from resegment.metrics import Metrics
from resegment.state.keys.keyring import Keyring
from resegment.state.partition_store import StoreUnavailable

log = structlog.get_logger(__name__)


class KeyWatch:
    """Asks the key store of a worker, if it has one."""

    def __init__(self, keyring: Keyring | None, metrics: Metrics) -> None:
        self._keyring, self._metrics = keyring, metrics
        self.away: str | None = None
        """Why it does not answer."""

    async def ask(self) -> bool:
        """Return whether the key store answers, and set the gauges that say so."""
        if self._keyring is None:
            return True
        self._metrics.key_lookups.set(self._keyring.lookups)
        away, self.away = self.away, None
        try:
            await self._keyring.ask()
        except StoreUnavailable as error:
            self.away = error.message
            if away is None:
                log.warning("the key store does not answer: batches wait", reason=error.message)
        self._metrics.key_store_up.set(self.away is None)
        return self.away is None
