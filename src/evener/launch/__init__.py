"""How a plan becomes processes, somewhere: rendering, starting, stopping."""
