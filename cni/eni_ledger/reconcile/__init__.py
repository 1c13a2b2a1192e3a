"""The ledger against the kernel (`verify`), and against the logs of the time before it (`import`)."""
