-- The version of these tables.
CREATE TABLE schema_version (
  version bigint PRIMARY KEY,
  name text NOT NULL,
  applied_at timestamptz NOT NULL
);

-- One row an account, never deleted. `segment` is `none` where a merge has ended the account.
CREATE TABLE account_segment_current (
  account text PRIMARY KEY,
  segment text NOT NULL,
  since timestamptz NOT NULL,
  sequence_number bigint NOT NULL,
  change_id text NOT NULL,
  definition_version text NOT NULL,
  cause text NOT NULL,
  play text,
  workflow text,
  team text,
  holdout boolean NOT NULL,
  merged_into text,
  updated_at timestamptz NOT NULL
);
CREATE INDEX account_segment_current_segment ON account_segment_current (segment);
CREATE INDEX account_segment_current_updated_at ON account_segment_current (updated_at);

-- One row for each stay in a segment: [valid_from, valid_to), without gaps.
CREATE TABLE account_segment_history (
  account text NOT NULL,
  sequence_number bigint NOT NULL,
  segment text NOT NULL,
  valid_from timestamptz NOT NULL,
  valid_to timestamptz,
  is_current boolean NOT NULL,
  recorded_at timestamptz NOT NULL,
  definition_version text NOT NULL,
  cause text NOT NULL,
  change_id text NOT NULL,
  play text,
  PRIMARY KEY (account, sequence_number)
);

-- Every segment change as it was published.
CREATE TABLE segment_event (
  id text NOT NULL,
  account text NOT NULL,
  sequence_number bigint NOT NULL,
  from_segment text,
  to_segment text,
  effective_at timestamptz NOT NULL,
  decided_at timestamptz NOT NULL,
  definition_version text NOT NULL,
  cause text NOT NULL,
  cause_events text,
  cause_deadline timestamptz,
  cause_definition bigint,
  cause_account text,
  supersedes text,
  superseded_by text,
  play text,
  workflow text,
  team text,
  holdout boolean NOT NULL,
  log_partition bigint NOT NULL,
  log_offset bigint NOT NULL,
  PRIMARY KEY (account, sequence_number)
);

-- One row for each enrollment or holdout draw, as of then.
CREATE TABLE fct_touch (
  touch text PRIMARY KEY,
  account text NOT NULL,
  touched_at timestamptz NOT NULL,
  segment text NOT NULL,
  play text,
  owner text,
  team text,
  workflow text,
  channel text,
  definition_version text,
  version bigint,
  arm text NOT NULL,
  experiment text,
  variant text,
  change_id text,
  is_void boolean NOT NULL DEFAULT false
);
CREATE INDEX fct_touch_account ON fct_touch (account);

-- The changes whose touches are void: another change of the same instant superseded them.
CREATE TABLE touch_void (
  account text NOT NULL,
  change_id text NOT NULL,
  voided_at timestamptz NOT NULL,
  PRIMARY KEY (account, change_id)
);

-- Keys of later commands that mean a touch too, like that of a reassignment.
CREATE TABLE touch_key (
  account text NOT NULL,
  idempotency_key text NOT NULL,
  touch text NOT NULL,
  known_from timestamptz NOT NULL,
  PRIMARY KEY (account, idempotency_key)
);

-- Every workflow command as it was published.
CREATE TABLE command (
  idempotency_key text PRIMARY KEY,
  account text NOT NULL,
  action text NOT NULL,
  workflow text NOT NULL,
  owner text,
  team text,
  qualification text,
  segment text NOT NULL,
  play text,
  change_id text,
  sequence_number bigint,
  effective_at timestamptz NOT NULL,
  accept_by timestamptz,
  reason text,
  published_at timestamptz NOT NULL,
  log_partition bigint NOT NULL,
  log_offset bigint NOT NULL
);
CREATE INDEX command_account ON command (account);

-- The newest revision of every outcome, and the touch that it is credited to. `account` is the one that it was sent to.
CREATE TABLE outcome (
  account text NOT NULL,
  source text NOT NULL,
  record text NOT NULL,
  id text NOT NULL,
  action text,
  happened_at timestamptz NOT NULL,
  known_at timestamptz NOT NULL,
  person text,
  deal text,
  channel text,
  sequence text,
  amount double precision,
  currency text,
  amount_usd double precision,
  opened_at timestamptz,
  idempotency_key text,
  stage text,
  is_retracted boolean NOT NULL,
  touch text,
  credited_by text,
  uncredited_reason text,
  PRIMARY KEY (account, source, record)
);

-- One row a transaction, and one for each record that became no row.
CREATE TABLE sync_log (
  sync_run_id text NOT NULL,
  topic text NOT NULL,
  log_partition bigint NOT NULL,
  first_offset bigint NOT NULL,
  last_offset bigint NOT NULL,
  primary_key text,
  operation text NOT NULL,
  status text NOT NULL,
  error_reason text,
  row_count bigint NOT NULL,
  recorded_at timestamptz NOT NULL
);
CREATE INDEX sync_log_recorded_at ON sync_log (recorded_at);

-- Up to where each partition is written. Committed with the rows.
CREATE TABLE sync_position (
  topic text NOT NULL,
  log_partition bigint NOT NULL,
  next_offset bigint NOT NULL,
  mark_timestamp bigint,
  mark_digest text,
  PRIMARY KEY (topic, log_partition)
);

CREATE TABLE sync_prefix (
  prefix text PRIMARY KEY,
  partitions bigint NOT NULL
);
