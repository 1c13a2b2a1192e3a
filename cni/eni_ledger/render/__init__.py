"""Output: tables, cards, progress bars. Reads no ledger."""
