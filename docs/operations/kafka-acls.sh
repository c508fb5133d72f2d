#!/bin/sh
# Give each principal the least privilege it needs in Kafka. Run this as an administrator, with Kafka's own bin/ on the PATH:
#
#   BOOTSTRAP=kafka:9093 COMMAND_CONFIG=admin.properties sh kafka-acls.sh
#
# Permission to read or write a topic includes permission to describe it.
set -eu

: "${BOOTSTRAP:?host:port of a broker}"
prefix=${PREFIX:-resegment}
worker=${WORKER:-User:resegment-worker}
producer=${PRODUCER:-User:resegment-producer}
consumer=${CONSUMER:-User:resegment-consumer}
look=${LOOK:-User:resegment-look}
operator=${OPERATOR:-User:resegment-operator}

allow() {
  kafka-acls.sh --bootstrap-server "$BOOTSTRAP" ${COMMAND_CONFIG:+--command-config "$COMMAND_CONFIG"} --add "$@"
}

# a worker, and `resegment rebuild`
allow --allow-principal "$worker" --operation Read --resource-pattern-type prefixed --topic "$prefix.triggers."
allow --allow-principal "$worker" --operation Read --topic "$prefix.accounts" --topic "$prefix.outcomes"
allow --allow-principal "$worker" --operation Read --operation Write \
  --topic "$prefix.signals" --topic "$prefix.segment-changes" --topic "$prefix.routing-events"
allow --allow-principal "$worker" --operation Write --topic "$prefix.workflow-commands" --topic "$prefix.dead-letters"
allow --allow-principal "$worker" --operation Read --group "$prefix"
# `resegment deliver`, and `rebuild`, which reads the commands back
allow --allow-principal "$worker" --operation Read --topic "$prefix.workflow-commands"
allow --allow-principal "$worker" --operation Read --resource-pattern-type prefixed --group "$prefix-webhooks-"
# needed only until the topics exist: leave it out if you create them yourself
allow --allow-principal "$worker" --operation Create --resource-pattern-type prefixed --topic "$prefix."

# a producer of triggers, and `resegment ingest`
allow --allow-principal "$producer" --operation Write --resource-pattern-type prefixed --topic "$prefix.triggers."
allow --allow-principal "$producer" --operation Write --topic "$prefix.accounts" --topic "$prefix.outcomes"

# a consumer of changes and commands, with group names that start with its own prefix
allow --allow-principal "$consumer" --operation Read \
  --topic "$prefix.segment-changes" --topic "$prefix.workflow-commands"
allow --allow-principal "$consumer" --operation Read --resource-pattern-type prefixed --group "$prefix-consumer"

# `resegment status`, `changes`, `explain`, `verify` and `dead-letters list`
allow --allow-principal "$look" --operation Read \
  --topic "$prefix.signals" --topic "$prefix.segment-changes" --topic "$prefix.dead-letters"

# `resegment dead-letters retry`: sends rejected records back to their topics; `routing enroll`, `owners leave`
allow --allow-principal "$operator" --operation Read --operation Write --topic "$prefix.dead-letters"
allow --allow-principal "$operator" --operation Write --resource-pattern-type prefixed --topic "$prefix.triggers."
allow --allow-principal "$operator" --operation Write \
  --topic "$prefix.accounts" --topic "$prefix.outcomes" --topic "$prefix.signals" --topic "$prefix.segment-changes" \
  --topic "$prefix.routing-events" --topic "$prefix.workflow-commands"
