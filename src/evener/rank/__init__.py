"""One rank's own ground: its device, its line to the agent, its process group."""
