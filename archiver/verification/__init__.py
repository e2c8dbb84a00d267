"""Loading an archive as a server does, and checking what it answers."""
