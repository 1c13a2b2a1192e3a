#!/bin/bash
# EC2 user data (cloud-init) for an ECS container instance: joins a cluster with eni-ledger in front of the agent's
# plugins. Runs once, as root, before the agent starts. Whatever goes wrong with eni-ledger, the instance joins its
# cluster without it, and /var/log/cloud-init-output.log says why.
set -uo pipefail

# The cluster; leave it empty when something else writes /etc/ecs/ecs.config. One that is in the file already stays.
ECS_CLUSTER='default'
# A .tar.gz, .rpm or .deb of eni-ledger: s3://BUCKET/KEY, https://HOST/PATH, or a file on the instance. ARCH in it stands
# for what `uname -m` says, x86_64 or aarch64. The instance's role needs s3:GetObject for the first kind.
ENI_LEDGER_SOURCE='s3://amzn-s3-demo-bucket/eni-ledger/eni-ledger-0.3.0-ARCH.tar.gz'
# Its SHA-256, from SHA256SUMS; with ARCH in the source that of each architecture, a space between them. Nothing is
# installed without: what the bucket or the web server gives out runs as root.
ENI_LEDGER_SHA256=''

fetch() { # SOURCE DESTINATION
  case $1 in
    s3://*)
      # Not every ECS-optimised image has the AWS CLI.
      command -v aws >/dev/null || dnf -q -y install awscli-2 || yum -q -y install awscli || return
      aws s3 cp --only-show-errors "$1" "$2"
      ;;
    https://*)
      curl --fail --silent --show-error --location --retry 5 --proto =https --output "$2" "$1"
      ;;
    /*) cp "$1" "$2" ;;
    *) echo "ENI_LEDGER_SOURCE is none of s3://, https:// and an absolute path: $1" >&2; return 1 ;;
  esac
}

verify() { # FILE
  local sum
  sum=$(sha256sum <"$1") || return
  case " $ENI_LEDGER_SHA256 " in
    *" ${sum%% *} "*) ;;
    *) echo "the SHA-256 of $1 is ${sum%% *}, which is not in ENI_LEDGER_SHA256" >&2; return 1 ;;
  esac
}

unpack() { # FILE
  case $1 in
    *.tar.gz) tar --extract --gzip --no-same-owner --file "$1" --directory / ;;
    *.rpm) rpm --upgrade --replacepkgs "$1" ;;
    *.deb) dpkg --install "$1" ;;
    *) echo "neither .tar.gz nor .rpm nor .deb: $1" >&2; return 1 ;;
  esac
}

timers() { # They complete the ledger, prove it and keep it small. Without them everything is recorded all the same.
  { systemctl daemon-reload &&
    systemctl enable --now --no-block eni-ledger-identify.timer eni-ledger-fsck.timer eni-ledger-prune.timer; } ||
    echo 'the timers of eni-ledger could not be enabled' >&2
}

eni_ledger() {
  local source work file
  [[ $ENI_LEDGER_SHA256 =~ ^[0-9a-f]{64}( [0-9a-f]{64})*$ ]] ||
    { echo 'ENI_LEDGER_SHA256 has to be the SHA-256 of ENI_LEDGER_SOURCE' >&2; return 1; }
  source=${ENI_LEDGER_SOURCE//ARCH/$(uname -m)}
  work=$(mktemp -d) || return
  file=$work/${source##*/}
  fetch "$source" "$file" &&
    verify "$file" &&
    unpack "$file" &&
    # The agent waits for cloud-init; one that runs already (user data run again) is restarted.
    /opt/eni-ledger/eni-ledger install ecs --restart &&
    timers
  local status=$?
  rm -rf "$work"
  return "$status"
}

# The cluster first. The agent takes the last line of a key, so a second one would override an existing setting.
config=/etc/ecs/ecs.config
if [ -n "$ECS_CLUSTER" ]; then
  if there=$(grep --max-count=1 '^[[:space:]]*ECS_CLUSTER=' "$config" 2>/dev/null); then
    [ "$there" = "ECS_CLUSTER=$ECS_CLUSTER" ] || echo "$config has $there, which stays" >&2
  else
    # The last line may have no end.
    if [ -s "$config" ] && [ -n "$(tail -c 1 "$config")" ]; then echo >>"$config"; fi
    echo "ECS_CLUSTER=$ECS_CLUSTER" >>"$config"
  fi
fi
eni_ledger || { echo 'eni-ledger was not installed; the instance goes on without it' >&2; exit 1; }
