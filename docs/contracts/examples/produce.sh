#!/usr/bin/env bash
# Send a funding round in structured mode and a job opening in binary mode:
#   produce.sh localhost:9092 [PREFIX]
set -euo pipefail
brokers=$1
prefix=${2:-resegment}
now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
send=(kcat -P -b "$brokers" -X acks=all -X enable.idempotence=true)

# Structured: the whole event is the value, on one line, as the content type says.
"${send[@]}" -t "$prefix.triggers.funding" -k acme.com -H content-type=application/cloudevents+json <<EVENT
{"specversion":"1.0","id":"round-4711","source":"/shell/rounds","type":"gtm.funding.v1","subject":"acme.com","time":"$now","datacontenttype":"application/json","data":{"round":"series_a","amount_usd":12000000}}
EVENT

# Binary: the value is the data alone; each attribute is a header ce_<name>.
"${send[@]}" -t "$prefix.triggers.hiring" -k globex.com \
  -H content-type=application/json \
  -H ce_specversion=1.0 \
  -H ce_id=job-889 \
  -H ce_source=/shell/jobs \
  -H ce_type=gtm.hiring.v1 \
  -H ce_subject=globex.com \
  -H ce_time="$now" <<DATA
{"change":"opened","title":"Account Executive","function":"sales"}
DATA
