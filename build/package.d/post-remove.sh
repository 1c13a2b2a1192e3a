#!/bin/sh
# After removal and upgrade. Ledgers stay, also when a configuration is purged: they are what the package was for.
set -e
if command -v journalctl >/dev/null 2>&1; then
  journalctl --update-catalog >/dev/null 2>&1 || :
fi
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload >/dev/null 2>&1 || :
fi
if @REMOVING@; then
  for ledger in /var/lib/eni-ledger /var/lib/ecs/data/eni-ledger/state; do
    [ ! -d "$ledger" ] || echo "eni-ledger: the ledger stays in $ledger"
  done
fi
exit 0
