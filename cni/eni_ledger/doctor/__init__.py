"""`eni-ledger doctor`: is this host recording, and can it go on?"""
