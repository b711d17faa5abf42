"""What each command of ``promptseg`` does, and how it talks to people and programs."""
