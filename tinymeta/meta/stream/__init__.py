"""Tasks that come one after the other: learning online, and a memory against forgetting."""
