"""Apache Kafka and Redis as they are run where not everybody may do everything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kafka.admin import KafkaAdminClient, ScramMechanism, UserScramCredentialUpsertion

from resegment.benchmarks.servers.apache import Kafka, free_port
from resegment.benchmarks.servers.debian import SystemRedis
from resegment.embedded.server import HOST
from tests.servers.certificates import Authority, Certificate

LISTENERS = ("tls", "expired", "sasl", "plain", "mutual")


class SecuredKafka(Kafka):
    """One broker with a listener of each kind, and an authorizer that lets nobody do what no ACL allows.

    `tls` knows nobody, `expired` shows a certificate that has run out, `sasl` wants a user (SCRAM or PLAIN), `plain`
    the same without TLS, `mutual` a certificate. Only the listener of `bootstrap` lets a stranger do everything.
    """

    def __init__(self, folder: Path, authority: Authority, plain: Mapping[str, str]) -> None:
        """`plain`: passwords by user, for PLAIN; those of SCRAM are given with `add_users`."""
        super().__init__(folder)
        self._authority, self._plain = authority, plain
        self._server = authority.issue("kafka")
        self._old = authority.issue("kafka-expired", expired=True)
        self._ports = {name: free_port() for name in LISTENERS}

    def at(self, listener: str) -> str:
        """The address of a listener."""
        return f"{HOST}:{self._ports[listener]}"

    def add_users(self, passwords: Mapping[str, str]) -> None:
        """Let users in by SCRAM-SHA-512. Blocks."""
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            admin.alter_user_scram_credentials(
                [
                    UserScramCredentialUpsertion(user, ScramMechanism.SCRAM_SHA_512, password=password)
                    for user, password in passwords.items()
                ]
            )
        finally:
            admin.close()

    def _settings(self, port: int) -> dict[str, object]:
        base = super()._settings(port)
        protocols = {
            "CONTROLLER": "PLAINTEXT",
            "PLAINTEXT": "PLAINTEXT",
            "tls": "SSL",
            "expired": "SSL",
            "sasl": "SASL_SSL",
            "plain": "SASL_PLAINTEXT",
            "mutual": "SSL",
        }
        more = ",".join(f"{name}://{self.at(name)}" for name in LISTENERS)
        settings = {
            **base,
            "listeners": f"{base['listeners']},{more}",
            "advertised.listeners": f"{base['advertised.listeners']},{more}",
            "listener.security.protocol.map": ",".join(f"{name}:{kind}" for name, kind in protocols.items()),
            "inter.broker.listener.name": "PLAINTEXT",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "listener.name.mutual.ssl.client.auth": "required",
            "listener.name.mutual.ssl.principal.mapping.rules": "RULE:^CN=([^,]+).*$/$1/,DEFAULT",
        }
        for name in ("tls", "expired", "sasl", "mutual"):
            settings |= self._tls(name, self._old if name == "expired" else self._server)
        users = "".join(f' user_{user}="{password}"' for user, password in self._plain.items())
        for name in ("sasl", "plain"):
            of = f"listener.name.{name}"
            settings |= {
                f"{of}.sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
                f"{of}.plain.sasl.jaas.config": "org.apache.kafka.common.security.plain.PlainLoginModule"
                f" required{users};",
                f"{of}.scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram"
                ".ScramLoginModule required;",
            }
        return settings

    def _tls(self, listener: str, shown: Certificate) -> dict[str, object]:
        of = f"listener.name.{listener}.ssl"
        return {
            f"{of}.keystore.type": "PEM",
            f"{of}.keystore.location": shown.both,
            f"{of}.truststore.type": "PEM",
            f"{of}.truststore.location": self._authority.cert,
        }


class SecuredRedis(SystemRedis):
    """Redis that speaks TLS on a port of its own, and knows the users of an ACL file."""

    def __init__(self, folder: Path, authority: Authority, acl: str) -> None:
        super().__init__(folder)
        self._authority, self._acl = authority, acl
        self._shown = authority.issue("redis")
        self.tls_port = free_port()

    @property
    def tls_url(self) -> str:
        """The address for clients that speak TLS."""
        return f"rediss://{HOST}:{self.tls_port}/0"

    def command(self, port: int) -> list[str]:
        users = self.folder / "users.acl"
        users.write_text(f"user default on nopass ~* &* +@all\n{self._acl}")
        options = {
            "--aclfile": str(users),
            "--tls-port": str(self.tls_port),
            "--tls-cert-file": str(self._shown.cert),
            "--tls-key-file": str(self._shown.key),
            "--tls-ca-cert-file": str(self._authority.cert),
            "--tls-auth-clients": "optional",
        }
        return [*super().command(port), *(text for option in options.items() for text in option)]
