"""What people see: words, tables and cards. Nothing in here reads a ledger."""
