"""From a name to the wire: the live association meant, its namespace, the command that captures it."""
