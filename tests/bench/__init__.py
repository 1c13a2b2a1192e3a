"""What build/bench runs: measurements, no tests."""
