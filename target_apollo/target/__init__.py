"""The Singer target: SDK class, sinks, input, STATE, process."""
