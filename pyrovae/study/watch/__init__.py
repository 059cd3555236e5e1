"""What a running study tells, and those who listen."""
