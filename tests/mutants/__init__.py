"""Mutants of eni-ledger: small changes of its source, each of which some test must notice.

cosmic-ray makes the changes, coverage.py finds the tests that run a changed statement. `build/mutants` is the command,
`tests/mutants.txt` the list of mutants that behave like the original.
"""
