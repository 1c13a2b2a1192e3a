"""The ledger by HTTP, read-only: EC2's Query protocol, JSON with an OpenAPI document, events as they come, a page."""
