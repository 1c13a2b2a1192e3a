"""One self-contained HTML page about an interval: timeline, table, findings, gaps, topology, and what it was made from.

`collect` gathers plain data from a ledger, `render` makes the page of it.
"""
