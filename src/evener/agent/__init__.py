"""One per machine: owns its ranks and a standby, agrees with other agents, hears the signals."""
