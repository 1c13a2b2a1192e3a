-- The ledger as tables in DuckDB, straight from the files. In the state directory, or in a copy of it:
--
--   duckdb -init /path/to/duckdb.sql
--
-- Imported history (imported/) is read as well, and packed segments (.gz); one that is there in both forms, since it is being packed, is read once.
-- Times are UTC.

CREATE OR REPLACE VIEW events AS
SELECT * EXCLUDE (filename)
FROM read_json(
    '**/ledger*.jsonl*',
    filename = true,
    format = 'newline_delimited',
    maximum_object_size = 67108864,
    columns = {
        ts: 'TIMESTAMP', seq: 'BIGINT', v: 'BIGINT', event: 'VARCHAR', association_id: 'VARCHAR',
        instance_id: 'VARCHAR', boot_id: 'VARCHAR', agent_version: 'VARCHAR', container_id: 'VARCHAR',
        ifname: 'VARCHAR', network: 'VARCHAR', eni_id: 'VARCHAR', branch_mac: 'VARCHAR', vlan_id: 'BIGINT',
        addresses: 'VARCHAR[]', gateways: 'VARCHAR[]', protocol: 'VARCHAR', trunk_eni_id: 'VARCHAR',
        trunk_mac: 'VARCHAR', trunk_ifname: 'VARCHAR', trunk_ifindex: 'BIGINT',
        trunk_netns_inode: 'BIGINT', vlan_protocol: 'VARCHAR', netns: 'VARCHAR',
        netns_inode: 'BIGINT', netns_dev: 'BIGINT', pid: 'BIGINT', pid_start: 'BIGINT',
        observed_vlan_id: 'BIGINT', observed_mac: 'VARCHAR', observed_addresses: 'VARCHAR[]',
        observed_gateways: 'VARCHAR[]', declared_mac: 'VARCHAR', declared_ifname: 'VARCHAR', mismatch: 'VARCHAR[]',
        task_arn: 'VARCHAR', cluster: 'VARCHAR', task_family: 'VARCHAR', task_revision: 'VARCHAR', service: 'VARCHAR',
        private_dns_name: 'VARCHAR', pause_name: 'VARCHAR',
        containers: 'STRUCT(id VARCHAR, name VARCHAR, docker_name VARCHAR)[]',
        via: 'VARCHAR', plugin: 'VARCHAR', cni_version: 'VARCHAR', took_ms: 'DOUBLE', error_code: 'BIGINT',
        error_msg: 'VARCHAR', event_boot_id: 'VARCHAR', reason: 'VARCHAR', supersedes: 'VARCHAR[]',
        clock_step_us: 'BIGINT', spool: 'VARCHAR', spooled_ts: 'TIMESTAMP', prev_crc: 'VARCHAR',
        prev_segment: 'VARCHAR', damage: 'VARCHAR', live: 'JSON', crc: 'VARCHAR', interface_type: 'VARCHAR',
        block_instance_metadata: 'BOOLEAN', identity_source: 'VARCHAR', late: 'BOOLEAN', imported_event: 'VARCHAR',
        occurred_ts: 'TIMESTAMP', import_id: 'VARCHAR', log_ends: 'TIMESTAMP', unconfirmed: 'BOOLEAN', sync: 'BOOLEAN'
    }
)
WHERE filename NOT IN (SELECT file || '.gz' FROM glob('ledger-*.jsonl'));

-- What ended what, and when: its own del or lost, an add that superseded it, a boot of the host. Not here is what ended in
-- a damaged part: the next checkpoint does not carry it any more, and the commands say `lost` as of that. In these views it
-- stays live; `eni-ledger fsck` names the damage, and `events.damage` of the checkpoint too.
CREATE OR REPLACE VIEW ends AS
SELECT association_id, coalesce(spooled_ts, ts) AS until,
       CASE WHEN reason = 'rebooted' THEN reason ELSE event END AS ended_by, seq AS end_seq
FROM events WHERE event IN ('del', 'lost')
UNION ALL
SELECT unnest(supersedes), coalesce(spooled_ts, ts), 'superseded', seq FROM events WHERE supersedes IS NOT NULL
UNION ALL
SELECT added.association_id, boot.ts, 'rebooted', boot.seq
FROM events AS added JOIN events AS boot ON boot.event = 'boot' AND boot.seq > added.seq
WHERE added.event IN ('add', 'adopt') AND added.via IS DISTINCT FROM 'import';

-- One row for each association: who had what, from when until when. `until` is null while it is live. Those whose add is
-- in a segment that retention has removed are not here; the checkpoints (events.live) still have the ones that were live.
CREATE OR REPLACE VIEW associations AS
SELECT coalesce(added.spooled_ts, added.ts) AS since, ended.until, ended.ended_by, added.seq AS add_seq, ended.end_seq,
       added.* EXCLUDE (ts, seq, v, event, crc, live, spool, spooled_ts, supersedes, clock_step_us, took_ms, error_code,
                        error_msg, reason, prev_crc, prev_segment, damage, identity_source, late, imported_event,
                        occurred_ts, import_id, log_ends)
               REPLACE (coalesce(added.eni_id, known.eni_id) AS eni_id,
                        coalesce(added.trunk_eni_id, known.trunk_eni_id) AS trunk_eni_id,
                        coalesce(added.task_arn, known.task_arn) AS task_arn,
                        coalesce(added.cluster, known.cluster) AS cluster,
                        coalesce(added.task_family, known.task_family) AS task_family,
                        coalesce(added.task_revision, known.task_revision) AS task_revision,
                        coalesce(added.service, known.service) AS service,
                        coalesce(added.private_dns_name, known.private_dns_name) AS private_dns_name,
                        coalesce(added.pause_name, known.pause_name) AS pause_name,
                        coalesce(added.containers, known.containers) AS containers)
FROM events AS added
LEFT JOIN (SELECT association_id, arg_min(struct_pack(until, ended_by, end_seq), end_seq) AS ended FROM ends GROUP BY ALL)
    USING (association_id)
LEFT JOIN (SELECT association_id, first(eni_id ORDER BY seq) FILTER (eni_id IS NOT NULL) AS eni_id,
                  first(trunk_eni_id ORDER BY seq) FILTER (trunk_eni_id IS NOT NULL) AS trunk_eni_id,
                  first(task_arn ORDER BY seq) FILTER (task_arn IS NOT NULL) AS task_arn,
                  first(cluster ORDER BY seq) FILTER (cluster IS NOT NULL) AS cluster,
                  first(task_family ORDER BY seq) FILTER (task_family IS NOT NULL) AS task_family,
                  first(task_revision ORDER BY seq) FILTER (task_revision IS NOT NULL) AS task_revision,
                  first(service ORDER BY seq) FILTER (service IS NOT NULL) AS service,
                  first(private_dns_name ORDER BY seq) FILTER (private_dns_name IS NOT NULL) AS private_dns_name,
                  first(pause_name ORDER BY seq) FILTER (pause_name IS NOT NULL) AS pause_name,
                  flatten(list(containers ORDER BY seq) FILTER (containers IS NOT NULL)) AS containers
           FROM events WHERE event = 'identify' GROUP BY ALL) AS known
    USING (association_id)
WHERE added.event IN ('add', 'adopt');

-- Who had this address at that time?
--
--   FROM associations WHERE list_contains(addresses, '10.0.32.4/20')
--     AND since <= '2026-11-17 03:12' AND (until IS NULL OR until > '2026-11-17 03:12');
--
-- Which association did a container of a task have?
--
--   FROM associations, unnest(containers) AS each (container) WHERE container.name = 'app';
--
-- Who is on VLAN 101 now?
--
--   FROM associations WHERE vlan_id = 101 AND until IS NULL;
