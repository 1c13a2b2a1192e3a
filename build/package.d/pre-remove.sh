#!/bin/sh
# Before removal and upgrade. A runtime that calls a plugin which is gone starts no container any more, so the package
# stays while something calls it.
set -e
if @REMOVING@; then
  # The directories of the CNI runtimes, and those that `install cni --bin-dir` was given.
  more=$(sed -n 's|^ *"\(/[^" ]*/eni-ledger\)": .*|\1|p' /opt/eni-ledger/installed.json 2>/dev/null |
    grep -v '^/usr/local/bin/' || :)
  # shellcheck disable=SC2086 # one word for each path
  for name in /opt/cni/bin/* /usr/l*/cni/* /usr/local/l*/cni/* $more; do
    case $(readlink "$name" 2>/dev/null) in
      /opt/eni-ledger/* | /usr/bin/eni-ledger)
        echo "eni-ledger: not removed, a container runtime can still call it: $name links to it" >&2
        echo "eni-ledger: first take it out of the conflist and away, with: eni-ledger uninstall cni" >&2
        exit 1
        ;;
    esac
  done
  if [ -e /var/lib/ecs/data/eni-ledger/installed.json ]; then
    echo "eni-ledger: the ECS agent goes on with the copy that was installed for it; to put its own plugins back:"
    echo "  /var/lib/ecs/data/eni-ledger/bundle/eni-ledger uninstall ecs"
  fi
  if [ -d /run/systemd/system ]; then
    systemctl disable --now @UNITS@ >/dev/null 2>&1 || :
  fi
fi
exit 0
