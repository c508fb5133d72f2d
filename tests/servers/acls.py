"""Stands in for Kafka's own kafka-acls.sh, whose jar the broker does not need: the same options, `--add` only."""

from __future__ import annotations

from argparse import ArgumentParser

from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePattern,
    ResourceType,
)


def main() -> None:
    parser = ArgumentParser(allow_abbrev=False)
    parser.add_argument("--bootstrap-server", required=True)
    parser.add_argument("--add", action="store_true", required=True)
    parser.add_argument("--allow-principal", required=True)
    parser.add_argument("--operation", action="append", required=True)
    parser.add_argument("--resource-pattern-type", choices=["literal", "prefixed"], default="literal")
    parser.add_argument("--topic", action="append", default=[])
    parser.add_argument("--group", action="append", default=[])
    given = parser.parse_args()
    named = [(ResourceType.TOPIC, name) for name in given.topic]
    named += [(ResourceType.GROUP, name) for name in given.group]
    pattern = ACLResourcePatternType[given.resource_pattern_type.upper()]
    admin = KafkaAdminClient(bootstrap_servers=given.bootstrap_server)
    try:
        made = admin.create_acls(
            [
                ACL(
                    given.allow_principal,
                    "*",
                    ACLOperation[operation.upper()],
                    ACLPermissionType.ALLOW,
                    ResourcePattern(kind, name, pattern),
                )
                for kind, name in named
                for operation in given.operation
            ]
        )
    finally:
        admin.close()
    assert not made["failed"], made


if __name__ == "__main__":
    main()
