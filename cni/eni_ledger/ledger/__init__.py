"""The ledger, and the specification of its file format, version 1.

State directory
===============

The default is ``/var/lib/eni-ledger``. The directory has mode ``0750`` and its files ``0640``; they belong to root or
to the user who runs the plugin. A writer refuses a directory that is a symbolic link, that belongs to another user, or
that others may write to. It also refuses an existing directory that has files in it but no ledger (`write.admission`).
A reader accepts any directory.

::

    ledger.jsonl                     active segment; always this name
    ledger-<first>-<last>.jsonl      sealed segment, named after its first and last seq (16 digits); immutable
    ledger-<first>-<last>.jsonl.gz   sealed segment, packed by `prune`; format in `format.gzip_members`
    ledger-<first>-<last>.index      which members of a packed segment name which values (`archive.index`); derived
    ledger.index                     first line of each index, so that a question opens few of them; derived
    state.json                       live associations; derived, replaced by rename
    lock                             locked with flock by writers only; never renamed or removed
    imported/ledger.jsonl            an older ledger of this format, made of other logs by `import`; see below
    spool/                           one file for each event whose writer did not get the lock in time
    quarantine/                      torn tails, unusable spool files, and what a repair replaced
    identified.json                  how far `identify` has looked up ended associations; derived
    failures.jsonl                   events that could not be recorded, as far as that could be written

Derived files can be rebuilt from the segments at any time. Names that begin with a dot are temporary files.

Lines
=====

Each line is one event: a JSON object (RFC 8259) in UTF-8, followed by LF. It contains no other LF. Characters that do
not print (Unicode categories Cc, Cf, Zl and Zp) are escaped, here and in every other file, so that the files are safe
to `cat`. Readers accept these characters unescaped, because version 0.1.0 wrote some of them so. Keys are flat, lower
snake_case. `ts` is the first key and `crc` the last; the order of the others is `line.KEYS`. A null value is left out:
absent and null mean the same. Readers keep keys that they do not know.

=================== =================================================================================================
`ts`                time of writing: RFC 3339 in UTC, always ``YYYY-MM-DDTHH:MM:SS.ffffffZ`` (27 characters, so that
                    text order is time order); never earlier than in the line before
`clock_step_us`     microseconds by which the clock was behind the line before, whose time `ts` then repeats; in a
                    spooled event, microseconds by which it was behind the ledger when the event was spooled
`seq`               1, 2, 3, ... without gaps over all segments
`v`                 format version. A reader refuses a higher version than it knows; a writer does not append to such a
                    ledger but spools its events. `crc` and the chain are the same in all versions, and `v` counts only
                    in a line that the chain proves
`event`             kind of the event, see below
`association_id`    ``assoc-`` and 17 hex digits, stable from add to del
`supersedes`        add, adopt: IDs of the associations that it ended because they cannot exist beside the new one
`reason`            lost: ``gc``, ``rebooted``, ``verify``; ``log_ends`` in `imported/`
`identity_source`   identify: where ENI and task come from (``agent-db``, ``docker``, ``imds``, ``ec2``)
`sync`              boot: false if `sync` is off. Events that a power cut took before this boot may leave no other trace
`late`              identify: true if the association had already ended
`import_id`         in `imported/`: 32 hex digits, made from the log's line; unique
`log_ends`          checkpoint in `imported/`: time of the newest line of the logs
`imported_event`    import: what happened, ``add``, ``add_failed`` or ``del``
`occurred_ts`       import: when it happened; `ts` is when it was imported
`spool`             name of the spool file that held the event
`spooled_ts`        when a spooled event happened, if the chain had passed that time when it was folded in. A time more
                    than ten minutes ahead of the clock is not used: the event takes the time of the next one in the
                    spool, or of the folding in, and its file is kept in the quarantine
`crc`               8 lower-case hex digits: CRC-32 (as in zlib) of the line from ``{`` up to, and not including,
                    ``,"crc":``, seeded with the CRC of the line before, or with 0 in the first line of the ledger
=================== =================================================================================================

`format.schema` and ``conf/schema/event.json`` describe the other keys, with types and units. `live` and `containers`
are lists of objects; no other value contains one. An absent key means "not known". An empty list (`addresses`,
`gateways`, `observed_addresses`, `observed_gateways`) means "none". Version 0.1.0 left out empty lists as well.

An event holds both what was declared and what the kernel shows. `branch_mac`, `vlan_id`, `addresses`, `gateways`,
`trunk_mac` and `trunk_ifname` hold the declared value, or the kernel's where none was declared. `observed_vlan_id` and
`observed_mac` hold the kernel's value. `mismatch` lists the keys whose two values differ; `observed_addresses` and
`observed_gateways` then hold the kernel's values. Only an ENI (a branch or a whole one) has a `branch_mac`; for any
other interface the MAC in the result is `declared_mac`. `declared_ifname` is the name of the interface in the result
if it is not CNI_IFNAME; `mismatch` then contains ``ifname``.

The chain runs over all segments: the first line of a segment is seeded with the CRC of the last line of the segment
before. It repeats that CRC in `prev_crc`, so that a segment can also be verified alone.

Events
======

=================== =================================================================================================
``add``             an attachment was made
``adopt``           an attachment was found that no event had recorded
``add_failed``      the plugin failed to make an attachment
``del``             the runtime ended an attachment; repeats the keys of its association
``lost``            an association ended without a del
``identify``        adds keys to an association that were not known at its add; never overwrites. Of `containers` it
                    has those that became known, and the association gets the ones whose `id` it does not have, up to
                    64 in all. When a call of DEL is the first to know a key, an identify stands before the ``del``
``boot``            the host was rebooted; `boot_id` is the new one
``import``          only in ledgers of version 0.1.0: an event of another log; has no effect on what is live
``checkpoint``      first line of each segment: `prev_crc`; `prev_segment`, the name of the segment before; `boot_id`;
                    `live`, an array of the live associations; `damage`, if the segment before is damaged
=================== =================================================================================================

A checkpoint makes a segment self-contained: what was live at any time in it follows from its own lines.

An association has the keys of its add (or adopt) and identify events, and `since` and `add_seq`. It ends with the first
of: its ``del``; a ``lost`` for it; an add whose `supersedes` contains it (`superseded`); a ``boot`` with another
`boot_id` (`rebooted`). `format.live.Live` implements this, for writers and readers. Readers take the end of an
association from the line and never decide it again.

The writer decides what `supersedes` contains (`format.supersede`): the live associations that certainly cannot exist
beside the new one. They have

- the same interface of the same namespace (`netns_inode`, `netns_dev`, `ifname`); or
- the same VLAN ID, `vlan_protocol` and trunk link (`trunk_ifindex`, `trunk_netns_inode`). The VLAN ID is the one that
  the kernel shows. If neither has a trunk link, the same `trunk_mac` counts instead; or
- the same `container_id` and `ifname`, unless namespace, VLAN ID or MAC are known to differ: some runtimes use one
  container ID for all attachments.

Two associations may contradict each other without certainty about which one ended: the trunk link of one is not known,
or one ENI ID is in two places. Both then stay live, and `verify` and `doctor` report a conflict.

A ``del`` ends the association with its `container_id` and `ifname`, unless VLAN ID or branch MAC differ from those in
the call. If several match, the path of the namespace and the MAC in prevResult decide. If these do not decide either,
the del ends none of them, and the call reports that.

state.json
==========

One JSON document in lines: the head, one association per line, and ``]}``. The head has `v`; `seq`, `ts` and `crc` of
the last event that the file covers; `boot_id`; `size` and `marks`; and `sum`, the CRC-32 of the head up to ``,"sum":``
and of the lines of the associations with their newlines and commas. A file is not used if its `sum` does not match, or
if its `seq` and `crc` are not those of the last line of the ledger.

`marks` are the kinds of events in the first `size` bytes of the active segment that matter to questions that do not
name them (`line.MARKS`): boots, identifications, clocks that stepped back. A question looks for them no further than
that, in what was written since. After a writer of a version without marks they are absent until the next segment.

imported/
=========

`eni-ledger import` reads the logs of the ECS agent's plugins and writes what they say to ``imported/ledger.jsonl``: a
ledger of this format with one segment and its own `seq` and chain. Each import makes it anew, from what it contains and
from what it reads; temporary file, sync, rename. Its ``lock`` excludes other imports.

Its events are ``add``, ``add_failed``, ``del`` and ``lost``, with `via` ``import`` and the time at which they happened.
A log has whole seconds: `ts` has microseconds only to keep the order of events in one second. Logs of `vpc-branch-eni`
do not have the container ID. A del whose add is in no log has no `association_id`.

An add supersedes what the logs have in the same place: the same MAC, the same VLAN ID of the same trunk, or the same
container ID and interface name. An association that the logs leave open is ``lost``, reason ``log_ends``: where the
ledger's own record of the same place begins, or else at the newest line of the logs. So nothing in it is ever live.

Questions are put to both ledgers, `imported/` first. Version 0.1.0 wrote ``import`` events into the ledger instead. As
long as there is no ``imported/ledger.jsonl``, questions work out the same from these events; `import` and `prune` copy
them. `prune` removes `imported/` when all of it is older than `retainDays`.

Writing
=======

With the lock held, a writer moves a torn tail to the quarantine, folds in the spool, appends with one write, calls
``fdatasync`` (unless `sync` is off), and replaces state.json. Only then does the call report success. If the append or
the sync fails, the writer truncates the file to its previous size and the caller gets the error. If the directory or
the segment was removed or moved meanwhile, the event is written again, to the directory that is there now. If the lock
file was removed, the event goes to the spool. A segment of `rotateBytes` (16 MiB) or more is sealed before the next
event: it is synced, the next segment is written under a temporary name and synced, both are renamed, and the directory
is synced.

A torn tail is not damage. It is what a crash leaves behind the last LF; it was never acknowledged, and it goes to
``quarantine/``. A complete line whose CRC does not match is damage. A damaged segment is sealed unchanged, the
checkpoint of the next segment has `damage`, and readers report file, line and offset.

`prune` packs sealed segments; writers do not. It writes the packed form under a temporary name, reads it back, compares
it and syncs it. Then, with the lock held, it renames index and packed form into place and removes the plain form. If
both forms are there, `prune` was killed in between, and their content is the same. A damaged segment is never packed.

Retention (`retainDays`, `retainBytes`; at each rotation and in `prune`) removes the oldest sealed segments. A segment
answers for all times until the next one begins, and is kept while any of these is within `retainDays`. What remains is
a chain without a gap, and its first checkpoint lists what was live before.

Reading
=======

A ledger is a copy if its last event has another `instance_id` than this host, or if it is not in the configured state
directory and its `boot_id` is not this host's (`read.origin`). No command records into a copy what this host shows. A
plugin call does record, and the `boot` event before it has the new instance ID.

Readers take no lock. They list the directory, open the active segment and list again; after a rotation in between they
start over. They stop at the last LF. If a segment is packed while it is read, they read the packed form. With an index,
a question that names a value reads only the members that contain it, and verifies the lines that it takes from them.
Without an index, or if its sums do not match, the whole segment is read. In a plain segment every line is verified.

What is promised
================

An acknowledged event is in the ledger exactly once and unchanged, whichever process is killed and whenever power fails.
This requires a local file system that keeps what was fdatasync'ed and renames atomically (ext4 and XFS are tested), and
`sync`. Without `sync`, a power cut may take the last seconds of the ledger and of the spool; what remains is unchanged.
Events that only `state.json` still counts are reported as missing. XFS may lose that file as well; then only the next
boot event (`sync` false) shows that events may be missing.

`fsck`, and every reader of the place, detects and reports damage by the medium or by hand. Damage is detected and not
prevented: a user who can write the files as root can also recompute the chain. Network file systems such as NFS promise
less about locks and syncs; `doctor` and `fsck` report them.

Evidence, all but the last a trial of `build/torture`:

=================== =================================================================================================
``kill``            eight writers and a reader, killed at any time
``kill-within``     a writer killed at each of its system calls: append, seal, fold in, pack, repair
``power-cut``       a machine whose disk loses unflushed writes, on ext4 and XFS, with and without `sync`
``no-room``         each system call of a writer fails: ENOSPC, EIO, EMFILE, EROFS
``neighbours``      a lock holder that hangs, a directory that is removed, other versions writing the same ledger
``time``            a clock that is set back and forth; a boot that reuses every PID, inode and VLAN ID
``growth``          packing and retention do not change an answer
``fuzz``            adds, dels, boots, clock steps and crashes in any order, against a plain model
``fuzz-bytes``      altered lines, spool files, `state.json` and packed segments
``hostile``         links, FIFOs and devices under the names of the state directory
every byte          `tests/ledger/test_every_byte.py`: the ledger cut, or one bit flipped, at each byte
=================== =================================================================================================

Where the code is: `format` has lines, segments, `state.json` and the rules of what is live; `write` appends, rotates
and recovers; `archive` packs and indexes; `read` takes snapshots and finds events; `query` answers questions; `check`
is fsck.
"""
