"""Trials that try to make the ledger lose something.

`build/torture` runs them; `build/test` runs a short version of each.
"""
