"""Matrix: the only place that knows the protocol, its encryption and whom to trust."""
