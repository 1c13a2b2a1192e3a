"""The ledger. This page is its file-format specification, version 1.

State directory
===============

``/var/lib/eni-ledger`` unless set otherwise. ``0750``, files ``0640``, owned by root or by whoever runs the plugin. A
writer refuses a directory that is a symbolic link, belongs to another user or may be written to by others, and one that
exists, holds no ledger and has other files in it than a ledger begins with (`write.admission`). Readers read any.

::

    ledger.jsonl                     the active segment, always this name
    ledger-<first>-<last>.jsonl      sealed segments; first and last seq, zero-padded to 16 digits; never change again
    ledger-<first>-<last>.jsonl.gz   the same, packed by `prune`; the format of its members: `format.gzip_members`
    ledger-<first>-<last>.index      which of these members name what; derived, can always be made anew: `index`
    ledger.index                     the first line of each of these, so that a question opens few; derived as well
    state.json                       live associations; derived, replaced by rename, can always be rebuilt
    lock                             flock'ed by writers only, never renamed or removed
    spool/                           one file per event that could not wait for the lock
    quarantine/                      torn tails, spool files that were cut short or of a time to come, as found; what a
                                     repair changed
    identified.json                  how far `identify` has asked about what has ended; derived
    failures.jsonl                   events that could not be recorded at all, as far as that could be written down

Names that begin with a dot are temporary and mean nothing.

Lines
=====

One event per line: a JSON object (RFC 8259) in UTF-8, ended by one LF, no other LF in it. Characters that do not print
(of Unicode's categories Cc, Cf, Zl and Zp every one) are written as escapes, in every file here, so that `cat` shows
nothing but text; a reader takes them in either form, as version 0.1.0 wrote some as they are. Keys are flat lower
snake_case; `ts` comes first and `crc` last, the others in the order of `line.KEYS`. A null value is left out; absent
and null mean the same. Readers keep keys that they do not know.

=================== =================================================================================================
`ts`                when it was written down; RFC 3339, UTC, always ``YYYY-MM-DDTHH:MM:SS.ffffffZ`` (27 characters, so
                    that text order is time order); never earlier than the line before
`clock_step_us`     microseconds by which the clock was behind the line before and `ts` therefore is ahead of it; of an
                    event from the spool, by which it was behind the ledger when that was put there
`seq`               1, 2, 3, ... without gaps through all segments
`v`                 format version. A reader refuses a higher one than it knows; a writer leaves such a ledger alone and
                    puts its events into the spool. `crc` and the chain are the same in every version: only a line
                    that they prove is believed to be of a later one
`event`             see below
`association_id`    ``assoc-`` and 17 hex digits, the same from add to del
`supersedes`        of an add or adopt: the associations that it ended, which cannot be true beside it
`reason`            of a lost: ``gc``, ``rebooted``, ``verify``
`identity_source`   of an identify: who said so (``agent-db``, ``docker``, ``imds``, ``ec2``)
`sync`              of a boot: false where `sync` is off; what a power cut took before it is not there, and nothing
                    else may tell
`late`              of an identify: true when the association had ended before
`imported_event`    of an import: what happened, ``add``, ``add_failed`` or ``del``
`occurred_ts`       of an import: when it happened; `ts` is when it was imported
`import_id`         of an import: 32 hex digits, made from the log's line; no two events have the same
`spool`             the spool file that the event waited in
`spooled_ts`        when it happened, if the chain had a later time by the time it was folded in. A time that is more
                    than ten minutes ahead of the clock by then is not believed: the event has the time of the one that
                    was put there after it, or that of the folding in; its file is kept in the quarantine
`crc`               8 lower-case hex digits: CRC-32 (as in zlib) of the line from ``{`` up to, and not including,
                    ``,"crc":``, seeded with the CRC of the line before; for the very first line with 0
=================== =================================================================================================

The other keys, with types and units, are described in `models` and in ``conf/schema/event.json``. None, some and not
known are three things: an empty list (`addresses`, `gateways`, `observed_addresses`, `observed_gateways`) says that it
was looked for and there is none; where the key is absent, that is not known. 0.1.0 left out empty lists as well.

What was declared and what the kernel shows are both there. `branch_mac`, `vlan_id`, `addresses`, `gateways`,
`trunk_mac`, `trunk_ifname` are what was declared, else what the kernel shows; `observed_vlan_id` and `observed_mac`
what it shows. `mismatch` names the keys in which the two differ; then `observed_addresses` and `observed_gateways` have
what the kernel shows. Only an ENI, a branch or a whole one, has a `branch_mac`; the MAC that a result declares for any
other interface is `declared_mac`. `declared_ifname` is the name of the interface in the result, where that is not
CNI_IFNAME; `mismatch` then has ``ifname``.

The chain runs through all segments: the first line of a segment is seeded with the last line of the one before. It
says so itself (`prev_crc`), so that a segment can also be proven alone.

Events
======

``add`` an attachment was made. ``adopt`` one was found that nobody recorded. ``add_failed`` the plugin failed to make
one. ``del`` the runtime ended it; carries what its association carried. ``lost`` it is over and no del came.
``identify`` adds to an association what was not known at its add, and never overwrites; one stands before a ``del``
whose association became known only when it ended. ``boot`` the host was started
anew (`boot_id`). ``import`` something from another log; it has no bearing on what is live, see `past`. ``checkpoint``
begins every segment: `prev_crc`; `prev_segment`, the name of the one before; `boot_id`; `live`, an array of the
associations that are live at this point; `damage`, where the segment before is damaged. Whoever reads a segment from
its checkpoint on knows what was live at any moment in it.

An association is what its add (or adopt) and identify events say, with `since` and `add_seq`. It ends with the first
of: its ``del``; a ``lost`` for it; an add whose `supersedes` names it (`superseded`); a ``boot`` with another `boot_id`
(`rebooted`). `live.Live` is the one implementation of this. Readers take it from the line and never decide again.

The writer decides what goes into `supersedes`, in `supersede`: the live associations that certainly cannot be true
beside the new one. They have

- the same interface of the same namespace (`netns_inode`, `netns_dev`, `ifname`); or
- the same VLAN ID, `vlan_protocol` and trunk link (`trunk_ifindex`, `trunk_netns_inode`), the VLAN ID as the kernel
  shows it; where neither has a trunk link, the same `trunk_mac` stands in; or
- the same `container_id` and `ifname`, unless namespace, VLAN ID or MAC are known to differ: some runtimes have one
  container ID for all.

Two that cannot both be true without that being certain, since a trunk's link is not known of one of them, or one ENI ID
is in two places, both stay live; `verify` and `doctor` list them as a conflict.

A ``del`` ends the association of its `container_id` and `ifname`, but none of another VLAN ID or branch MAC than the
call has. Where several are left, the path of the namespace and the MAC in prevResult tell; where they do not, it ends
none, and the call says so.

state.json
==========

One JSON document, laid out in lines: the head (`v`; `seq`, `ts` and `crc` of the last event in it; `boot_id`; `size`,
`marks`; `sum`, CRC-32 of the head up to ``,"sum":`` and of the lines of the associations, their newlines and commas
included), then one association per line, then ``]}``. A file whose `sum` does not fit, or whose `seq` and `crc` are
not those of the ledger's last line, is not used for what is live.

`marks` are the kinds of events in the first `size` bytes of the active segment that matter to questions that do not
name them (`line.MARKS`): boots, imports, clocks that stepped back. A question looks for them no further than that, in
what was written since. Behind a version that does not write them they are absent until the next segment.

Writing
=======

Under the lock: set a torn tail aside, fold in the spool, append with one write, ``fdatasync`` (unless `sync` is
off), replace state.json. Then, and not before, success is told. If appending or syncing fails, the file is cut back
to what it was and the caller gets the error. If the directory or the segment was removed or moved away meanwhile, the
event is written once more, to what is there then; if the lock file was, it goes to the spool. A segment of
`rotateBytes` (16 MiB) or more is sealed before the next event: synced, the next one written under a temporary name
and synced, two renames, directory synced.

Torn tail and damage are different things. Bytes behind the last LF are what a crash leaves; they were never
acknowledged and go to ``quarantine/``. A complete line whose CRC does not fit is damage: the segment is sealed as
it is, the next one's checkpoint says `damage`, and readers name file, line and offset.

Sealed segments are packed by `prune`, not by a writer: the packed form is written under a temporary name, read back,
compared and synced; then, under the lock, index and packed form are put in place and the plain form is removed. Where
both are there, a kill came between, and they say the same. A damaged segment is never packed.

Retention (`retainDays`, `retainBytes`, at every rotation and in `prune`) removes the oldest sealed segments. A segment
answers until the next one begins, so it is kept while any of that time is within `retainDays`; what is left is always a
chain without a hole, and its first checkpoint says what was live before.

Reading
=======

A ledger is a copy when its last event names another `instance_id` than this host's, or when it is not in the configured
state directory and its `boot_id` is not this host's (`origin`). No command records in it what this host shows; a plugin
call records, and the `boot` event before it names the new instance.

No lock: list, open the active segment, list again; if a rotation came between, once more. Stop at the last LF. A
segment that has been packed meanwhile is read as what it has become. With an index, a question that names something
reads the members in which that is, and proves the lines that it takes from them; without one, or with one whose sums do
not fit, the whole. Of a segment that is not packed every line is proven.

What is promised
================

An event that was acknowledged is in the ledger once, as it was acknowledged, whatever is killed and whenever the power
goes. That rests on a local file system that keeps what was fdatasync'ed and renames atomically (ext4 and XFS were
tried), and on `sync`. Without `sync` a power cut may take the last seconds, of the ledger and of what waits in the
spool. What is left is as it was written. What `state.json` knows more of is named as missing; XFS loses that file as
well, and then only the next boot event (`sync` false) says that there may have been more.

Damage by the medium, or by somebody's hand, is found by `fsck` and by every reader of that place, and named. It is
found, not prevented: who may write the files as root can also compute the chain anew. NFS and the like promise less
about locks and syncs; `doctor` and `fsck` say so.

What shows it, all but the last a trial of `build/torture`:

=================== =================================================================================================
``kill``            eight writers and a reader, killed at any moment
``kill-within``     a writer killed at each of its system calls: appending, sealing, folding, packing, repairing
``power-cut``       a machine whose disk loses what was not flushed, on ext4 and XFS, with `sync` and without
``no-room``         each of a writer's calls fails: no room, EIO, no descriptors, read-only
``neighbours``      a lock holder that stands still, a directory taken away, older, newer and later versions beside it
``time``            a clock that is set back and forth, a boot with every PID, inode and VLAN ID used again
``growth``          packing and retention: every answer is what it was
``fuzz``            adds, dels, boots, clock, crashes in any order against a plain model
``fuzz-bytes``      lines, spool files, `state.json`, packed segments that are not what was written
``hostile``         names of the directory that are links, FIFOs, devices
every byte          `tests/ledger/test_every_byte.py`: cut at it, a bit of it flipped
=================== =================================================================================================

Where the code is: `format` has lines, segments, `state.json` and the rules of what is live; `write` appends, rotates
and recovers; `archive` packs and indexes; `read` takes snapshots and finds events; `query` answers questions; `check`
is fsck.
"""
