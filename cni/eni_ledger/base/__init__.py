"""What every package stands on: errors, configuration, JSON, addresses. Imports nothing of eni-ledger's."""
