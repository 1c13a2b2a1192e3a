#!/bin/sh
# After installation and upgrade. Nothing here can fail: the program works without all of it.
set -e
if command -v journalctl >/dev/null 2>&1; then
  journalctl --update-catalog >/dev/null 2>&1 || :
fi
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload >/dev/null 2>&1 || :
fi
if [ -e /var/lib/ecs/data/eni-ledger/installed.json ]; then
  echo "eni-ledger: the ECS agent goes on with the copy that was installed for it; bring that up to date with"
  echo "  eni-ledger install ecs"
elif [ ! -e /var/lib/eni-ledger/ledger.jsonl ]; then
  if [ -d /var/lib/ecs ] || [ -d /etc/ecs ]; then
    echo "eni-ledger: installed, not yet called. Next: eni-ledger install ecs --dry-run"
  else
    echo "eni-ledger: installed, not yet called. Next: eni-ledger install cni --help, or eni-ledger list --sample"
  fi
fi
exit 0
