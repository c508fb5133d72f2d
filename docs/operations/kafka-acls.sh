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

# what producers write: a topic for each kind of event, and not triggers.replay, which only `ingest` writes
kinds="funding hiring leadership tech intent strategy engagement people"

allow() {
  kafka-acls.sh --bootstrap-server "$BOOTSTRAP" ${COMMAND_CONFIG:+--command-config "$COMMAND_CONFIG"} --add "$@"
}

# a worker, and `resegment rebuild`
allow --allow-principal "$worker" --operation Read --resource-pattern-type prefixed --topic "$prefix.triggers."
allow --allow-principal "$worker" --operation Read --topic "$prefix.accounts" --topic "$prefix.outcomes"
allow --allow-principal "$worker" --operation Read --operation Write \
  --topic "$prefix.signals" --topic "$prefix.segment-changes" --topic "$prefix.routing-events" \
  --topic "$prefix.definitions" --topic "$prefix.audit-log" --topic "$prefix.identities" --topic "$prefix.unresolved"
# events that waited for somebody to say which account they are about go back to their topics
for kind in $kinds; do
  allow --allow-principal "$worker" --operation Write --topic "$prefix.triggers.$kind"
done
allow --allow-principal "$worker" --operation Write --topic "$prefix.accounts" --topic "$prefix.outcomes"
allow --allow-principal "$worker" --operation Write --topic "$prefix.workflow-commands" --topic "$prefix.touches" \
  --topic "$prefix.dead-letters" --topic "$prefix.refresh-requests"
allow --allow-principal "$worker" --operation Read --group "$prefix"
# `resegment deliver`, and `rebuild`, which reads the commands and touches back
allow --allow-principal "$worker" --operation Read --topic "$prefix.workflow-commands" --topic "$prefix.touches"
# only to count them in the metrics
allow --allow-principal "$worker" --operation Read --topic "$prefix.dead-letters"
allow --allow-principal "$worker" --operation Read --resource-pattern-type prefixed --group "$prefix-webhooks-"
allow --allow-principal "$worker" --operation Read --resource-pattern-type prefixed --group "$prefix-sinks-"
allow --allow-principal "$worker" --operation Read --group "$prefix-people"
# needed only until the topics exist: leave it out if you create them yourself
allow --allow-principal "$worker" --operation Create --resource-pattern-type prefixed --topic "$prefix."

# a producer of triggers, and `resegment ingest` into a live prefix. Leave out the topics of kinds that a producer does
# not send: an event on the topic of another kind is refused
for kind in $kinds; do
  allow --allow-principal "$producer" --operation Write --topic "$prefix.triggers.$kind"
done
allow --allow-principal "$producer" --operation Write --topic "$prefix.accounts" --topic "$prefix.outcomes"

# a consumer of changes, commands and touches, with group names that start with its own prefix
allow --allow-principal "$consumer" --operation Read \
  --topic "$prefix.segment-changes" --topic "$prefix.workflow-commands" --topic "$prefix.touches" \
  --topic "$prefix.refresh-requests"
allow --allow-principal "$consumer" --operation Read --resource-pattern-type prefixed --group "$prefix-consumer"

# `resegment status`, `changes`, `explain`, `verify`, `plan`, `history`, `owners list` and `dead-letters list`
allow --allow-principal "$look" --operation Read \
  --topic "$prefix.signals" --topic "$prefix.segment-changes" --topic "$prefix.dead-letters" \
  --topic "$prefix.definitions" --topic "$prefix.audit-log" --topic "$prefix.workflow-commands" --topic "$prefix.touches" --topic "$prefix.routing-events" \
  --topic "$prefix.identities" --topic "$prefix.unresolved"

# `resegment dead-letters retry`: sends rejected records back to their topics; `routing enroll`, `owners leave`; and
# `resegment ingest` into a prefix on the clock of the facts, which moves its clock. Only workers and the operator may
# write `signals`: the timestamps of its records move the clock, and ticks are among them
allow --allow-principal "$operator" --operation Read --operation Write --topic "$prefix.dead-letters"
for kind in $kinds replay; do
  allow --allow-principal "$operator" --operation Write --topic "$prefix.triggers.$kind"
done
allow --allow-principal "$operator" --operation Write \
  --topic "$prefix.accounts" --topic "$prefix.outcomes" --topic "$prefix.signals" --topic "$prefix.segment-changes" \
  --topic "$prefix.routing-events" --topic "$prefix.workflow-commands" --topic "$prefix.refresh-requests"

# every command that changes something, before it does
allow --allow-principal "$operator" --operation Write --topic "$prefix.audit-log"

# `resegment apply`, `rollback` and `shadow`; `owners leave` reads the members of the version in force
allow --allow-principal "$operator" --operation Read --operation Write --topic "$prefix.definitions"
allow --allow-principal "$operator" --operation Read --topic "$prefix.signals"

# `resegment accounts merge`, `unmerge` and `resolve`
allow --allow-principal "$operator" --operation Read --operation Write --topic "$prefix.identities"
allow --allow-principal "$operator" --operation Read --topic "$prefix.unresolved"
