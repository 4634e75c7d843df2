"""What developers run by hand, and the peers it shares with the tests; nothing here is installed."""
