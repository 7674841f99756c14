"""What the agent says: its report in the MigSpec's status, and Events."""
