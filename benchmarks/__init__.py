"""Speed and memory against the peer that users have today; see README.md."""
