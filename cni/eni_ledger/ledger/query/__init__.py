"""Questions about a ledger: who, what was live at a time, what is covered."""
