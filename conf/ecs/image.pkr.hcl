# Packer: an ECS-optimised Amazon Linux 2023 image with eni-ledger in it.
#
#   packer init image.pkr.hcl
#   packer build -var package=dist/packages/eni-ledger-0.3.0-1.x86_64.rpm -var sha256=... image.pkr.hcl
#
# To add it to an image of your own, the two provisioners are enough.

variable "package" {
  type        = string
  description = "The .rpm of eni-ledger, on the machine that runs Packer."
}

variable "sha256" {
  type        = string
  description = "The SHA-256 of the package, from SHA256SUMS."

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.sha256))
    error_message = "The sha256 must be 64 hexadecimal digits."
  }
}

variable "region" {
  type    = string
  default = "eu-central-1"
}

variable "architecture" {
  type        = string
  default     = "x86_64"
  description = "x86_64 or arm64; that of the package."
}

packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.3"
    }
  }
}

data "amazon-parameterstore" "ecs" {
  region = var.region
  name   = "/aws/service/ecs/optimized-ami/amazon-linux-2023${var.architecture == "arm64" ? "/arm64" : ""}/recommended/image_id"
}

source "amazon-ebs" "ecs" {
  region        = var.region
  source_ami    = data.amazon-parameterstore.ecs.value
  instance_type = var.architecture == "arm64" ? "t4g.small" : "t3.small"
  ssh_username  = "ec2-user"
  ami_name      = "ecs-eni-ledger-{{timestamp}}"
}

build {
  sources = ["source.amazon-ebs.ecs"]

  provisioner "file" {
    source      = var.package
    destination = "/tmp/eni-ledger.rpm"
  }

  # In this order: the agent of the instance that makes the image must not leave its identity in it, and what makes the
  # data directory empty must not come after eni-ledger, which lives there. The unit puts the line into ecs.config
  # again when user data of a later instance has written that file anew.
  provisioner "shell" {
    execute_command = "sudo sh -c '{{ .Vars }} {{ .Path }}'"
    inline = [
      "set -eu",
      "echo '${var.sha256}  /tmp/eni-ledger.rpm' | sha256sum --check --strict --quiet",
      "systemctl stop ecs",
      "rm -rf /var/lib/ecs/data/* /var/log/ecs/*",
      "rpm --upgrade --replacepkgs /tmp/eni-ledger.rpm",
      "rm /tmp/eni-ledger.rpm",
      "eni-ledger install ecs",
      "systemctl enable eni-ledger-ecs.service",
      "systemctl enable eni-ledger-identify.timer eni-ledger-fsck.timer eni-ledger-prune.timer",
    ]
  }
}
