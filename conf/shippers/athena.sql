-- The ledger in Amazon Athena (the statement also makes the table in the Glue catalog).
--
-- Set the bucket in LOCATION to where fluent-bit.yaml or vector.yaml put the lines: one prefix for all hosts,
-- eni-ledger/date=YYYY-MM-DD/. The date is that of the upload in UTC, so ask for the day after, too. Times are text in
-- RFC 3339, UTC: compare them as text, or with from_iso8601_timestamp(ts).
--
-- `live` of the checkpoints is left out: every add is in its own line.

CREATE EXTERNAL TABLE IF NOT EXISTS eni_ledger (
  `ts` string,
  `seq` bigint,
  `v` bigint,
  `event` string,
  `association_id` string,
  `instance_id` string,
  `boot_id` string,
  `agent_version` string,
  `container_id` string,
  `ifname` string,
  `network` string,
  `eni_id` string,
  `branch_mac` string,
  `vlan_id` bigint,
  `addresses` array<string>,
  `gateways` array<string>,
  `protocol` string,
  `trunk_eni_id` string,
  `trunk_mac` string,
  `trunk_ifname` string,
  `trunk_ifindex` bigint,
  `trunk_netns_inode` bigint,
  `vlan_protocol` string,
  `netns` string,
  `netns_inode` bigint,
  `netns_dev` bigint,
  `pid` bigint,
  `pid_start` bigint,
  `observed_vlan_id` bigint,
  `observed_mac` string,
  `observed_addresses` array<string>,
  `observed_gateways` array<string>,
  `declared_mac` string,
  `declared_ifname` string,
  `mismatch` array<string>,
  `task_arn` string,
  `cluster` string,
  `task_family` string,
  `task_revision` string,
  `service` string,
  `private_dns_name` string,
  `pause_name` string,
  `containers` array<struct<id:string,name:string,docker_name:string>>,
  `via` string,
  `plugin` string,
  `cni_version` string,
  `took_ms` double,
  `error_code` bigint,
  `error_msg` string,
  `event_boot_id` string,
  `reason` string,
  `supersedes` array<string>,
  `clock_step_us` bigint,
  `spool` string,
  `spooled_ts` string,
  `prev_crc` string,
  `prev_segment` string,
  `damage` string,
  `crc` string,
  `interface_type` string,
  `block_instance_metadata` boolean,
  `identity_source` string,
  `late` boolean,
  `imported_event` string,
  `occurred_ts` string,
  `import_id` string,
  `log_ends` string,
  `unconfirmed` boolean,
  `sync` boolean
)
PARTITIONED BY (`date` string)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
LOCATION 's3://BUCKET/eni-ledger/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.date.type' = 'date',
  'projection.date.format' = 'yyyy-MM-dd',
  'projection.date.range' = '2026-01-01,NOW',
  'projection.date.interval' = '1',
  'projection.date.interval.unit' = 'DAYS',
  'storage.location.template' = 's3://BUCKET/eni-ledger/date=${date}/'
);

-- Who had 10.0.32.4 at 03:12 on 17 November? The last add before that moment which had not ended by then. A shipper may
-- deliver a line twice; instance_id and seq tell.
--
-- WITH added AS (
--   SELECT DISTINCT instance_id, association_id, seq, ts, via, eni_id, vlan_id, container_id, task_arn
--   FROM eni_ledger
--   WHERE "date" BETWEEN '2026-11-01' AND '2026-11-18' AND event IN ('add', 'adopt')
--     AND any_match(addresses, a -> split_part(a, '/', 1) = '10.0.32.4') AND ts <= '2026-11-17T03:12:00.000000Z'
-- ), ended AS (
--   SELECT association_id FROM eni_ledger
--   WHERE "date" BETWEEN '2026-11-01' AND '2026-11-18' AND event IN ('del', 'lost') AND ts <= '2026-11-17T03:12:00.000000Z'
--   UNION
--   SELECT old FROM eni_ledger CROSS JOIN UNNEST(supersedes) AS t (old)
--   WHERE "date" BETWEEN '2026-11-01' AND '2026-11-18' AND ts <= '2026-11-17T03:12:00.000000Z'
-- ), booted AS (
--   SELECT instance_id, max(seq) AS seq FROM eni_ledger
--   WHERE "date" BETWEEN '2026-11-01' AND '2026-11-18' AND event = 'boot' AND ts <= '2026-11-17T03:12:00.000000Z'
--   GROUP BY instance_id
-- )
-- SELECT added.* FROM added
-- LEFT JOIN ended ON ended.association_id = added.association_id
-- LEFT JOIN booted ON booted.instance_id IS NOT DISTINCT FROM added.instance_id
-- WHERE ended.association_id IS NULL AND (booted.seq IS NULL OR booted.seq < added.seq OR added.via = 'import');
