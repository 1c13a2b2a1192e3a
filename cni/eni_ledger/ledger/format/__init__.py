"""The file format: lines, segments, state.json, the state directory, and the rules of what is live."""
