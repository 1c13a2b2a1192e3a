"""The bytes of a ledger: lines, segments, state.json, the directory, and the rules that say what is live."""
